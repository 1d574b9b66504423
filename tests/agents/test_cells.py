import gymnasium as gym
import numpy as np
import pytest
import torch

from rewardscape.agents.cells import Cells, planes


def space(height, width, high):
    return gym.spaces.Box(0, np.broadcast_to(np.array(high, np.uint8), (height, width, len(high))), dtype=np.uint8)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize(("height", "width", "high"), [(7, 7, (9, 9, 9)), (3, 5, (4, 2)), (5, 5, (6,)), (9, 9, (3, 1, 8))])
def test_adding_rows_up_is_multiplying_planes(height, width, high, threads):
    torch.manual_seed(0)
    network = Cells(space(height, width, high))
    cells = torch.stack([torch.randint(0, n + 1, (100, height, width)) for n in high], -1).to(torch.uint8)
    cells[:50, ..., 1:] *= torch.rand(50, height, width, len(high) - 1) < 0.05  # as it is in worlds: few
    wanted = torch.randn(100, 128)
    kept = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        features = network(cells)
        gradients = torch.autograd.grad((features * wanted).sum(), list(network.parameters()))
    finally:
        torch.set_num_threads(kept)
    product = torch.relu(planes(cells, high[0] + 1).flatten(1) @ network.weight + network.bias)
    assert torch.allclose(features, product, atol=1e-4) and (features > 0).any()
    expected = torch.autograd.grad((product * wanted).sum(), list(network.parameters()))
    assert all(torch.allclose(g, e, atol=1e-3) for g, e in zip(gradients, expected, strict=True))
    assert torch.equal(network(cells.float()), network(cells))  # SB3 hands over floats


def test_planes_show_kinds_and_what_further_channels_say():
    seen = planes(torch.tensor([[[2, 7], [0, 0]]], dtype=torch.uint8), 3)
    assert seen.tolist() == [[[0, 0, 1, 7], [1, 0, 0, 0]]]


def test_a_whole_map_goes_through_convolutions():
    network = Cells(space(16, 12, (9, 9, 9)))
    cells = torch.randint(0, 10, (4, 16, 12, 3), dtype=torch.uint8)
    changed = cells.clone()
    changed[0, 3, 4, 0] = (changed[0, 3, 4, 0] + 1) % 10
    features, others = network(cells), network(changed)
    assert features.shape == (4, 128) and torch.equal(features[1:], others[1:]) and not torch.equal(features[0], others[0])
