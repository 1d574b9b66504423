import math

import gymnasium as gym
import pytest
import torch

from rewardscape.agents.actor_critic import Actions
from rewardscape.agents.surrogate import LOGGED, Batch, Coefficients, gradient, loss


def step(logits=(0.0, 0.0), action=0, before=0.0, value=0.0, returns=0.0, advantages=(1.0,)):
    """A minibatch of one step: numbers, values and the rest."""
    one = torch.ones(1)
    channels = torch.tensor([advantages])
    batch = Batch(torch.tensor([action]), one * before, one * returns, one, channels, torch.ones_like(channels))
    return torch.tensor([logits], requires_grad=True), torch.tensor([value], requires_grad=True), batch


def logged(found):
    return dict(zip((*LOGGED, "surrogate"), found.tolist(), strict=False))


def test_the_loss_of_one_step_by_hand():
    actions, by = Actions(gym.spaces.Discrete(2)), Coefficients(0.2, 0.5, 0.01, [1.0])
    numbers, values, batch = step((math.log(3.0), 0.0), before=math.log(0.5), value=1.0, returns=3.0)
    total, found = loss(actions, numbers, values, torch.zeros(0), batch, by)
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    expected = {
        "entropy": entropy,
        "value_loss": 4.0,
        "clip_fraction": 1.0,
        "approx_kl": 0.5 - math.log(1.5),
        "surrogate": -1.2,
    }
    assert logged(found) == pytest.approx(expected)  # the ratio 0.75 / 0.5, cut to 1.2
    assert total.item() == pytest.approx(-1.2 + 0.5 * 4.0 - 0.01 * entropy)


@pytest.mark.parametrize(("ratio", "advantage", "moves"), [(1.5, 1, False), (1.5, -1, True), (0.5, 1, True), (0.5, -1, False)])
def test_no_gain_is_sought_beyond_the_clip_range(ratio, advantage, moves):
    actions, by = Actions(gym.spaces.Discrete(2)), Coefficients(0.2, 0.0, 0.0, [1.0])
    numbers, values, batch = step(before=math.log(0.5) - math.log(ratio), advantages=(float(advantage),))
    pull = gradient(actions, numbers, values, batch, by)[0]
    assert (pull != 0).all() == moves
    if moves:  # d(ratio A)/d(logit of the action) = ratio A (1 - p)
        assert pull[0, 0].item() == pytest.approx(-ratio * advantage * 0.5)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("space", [gym.spaces.Discrete(3), gym.spaces.MultiDiscrete([2, 5, 3]), gym.spaces.MultiBinary(4)])
@pytest.mark.parametrize(("shape", "channels"), [((257,), [1.0]), ((31, 3), [1.0]), ((6, 20, 2), [1.0, 0.3, 2.0])])
def test_one_pass_finds_the_gradient_that_torch_finds(space, shape, channels, threads):
    torch.manual_seed(0)
    actions, by = Actions(space), Coefficients(0.2, 0.5, 0.03, channels)
    numbers = (3 * torch.randn(*shape, actions.size + 1)).requires_grad_()
    given, values = numbers[..., :-1], numbers[..., -1]  # as heads give them: parts of one tensor
    taken = actions.draw(given.detach(), torch.zeros(0), actions.noise(*shape, device=given.device))
    before = actions.judge(given, torch.zeros(0), taken)[0].detach() + 0.4 * torch.randn(shape)
    weights, masks = torch.rand(shape), torch.rand(*shape, len(channels))
    weights[:2], masks[1:3] = 0.0, 0.0
    batch = Batch(taken, before, torch.randn(shape), weights, torch.randn(*shape, len(channels)), masks)
    kept = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        d_numbers, d_values, found = gradient(actions, given, values, batch, by)
    finally:
        torch.set_num_threads(kept)
    total, expected = loss(actions, given, values, torch.zeros(0), batch, by)
    total.backward()
    assert torch.allclose(d_numbers, numbers.grad[..., :-1], atol=1e-5, rtol=1e-4)
    assert torch.allclose(d_values, numbers.grad[..., -1], atol=1e-6)
    assert torch.allclose(found, expected, rtol=1e-4) and 0.1 < (expected[2] / weights.sum()) < 0.9
