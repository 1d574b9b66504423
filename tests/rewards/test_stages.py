import math

import numpy as np
import pytest
import torch

from rewardscape.rewards import RewardLayer, as_expression, get_reward, hit, read_yaml, to_yaml
from rewardscape.rewards.advantage import (
    conditional,
    decoupled,
    difficulty_weighted,
    group_relative,
    leave_one_out,
    length_adaptive,
)
from rewardscape.rewards.core.stages import Part, Rollouts, get_stage
from rewardscape.rewards.credit import none, per_turn, reward_to_go


def rollouts(rewards, group, mask=None, **more):
    """``rewards`` ``[time][row]``."""
    rewards = np.array(rewards, float)
    mask = np.ones(rewards.shape, bool) if mask is None else np.array(mask, bool)
    return Rollouts(rewards, mask, np.array(group), **more)


def test_no_credit_gives_every_step_the_whole_return():
    credited = none()(rollouts([[1, 0], [2, 5], [4, 9]], [0, 0], mask=[[1, 1], [1, 1], [1, 0]]))
    assert credited.values.tolist() == [[7, 5]] * 3
    (channel,) = group_relative(scale="none")(credited)
    assert channel.values.tolist() == [[1, -1], [1, -1], [1, 0]]  # 0 where no step was taken


def test_reward_to_go_is_the_discounted_return():
    credited = reward_to_go(gamma=0.5)(rollouts([[1, 0], [2, 5], [4, 8]], [0, 0], mask=[[1, 1], [1, 1], [1, 0]]))
    assert credited.values.tolist() == [[3, 2.5], [4, 5], [4, 0]]
    (channel,) = group_relative(scale="none")(credited)
    assert channel.values.tolist() == [[0.25, -0.25], [-0.5, 0.5], [0, 0]]  # alone at the last step: no comparison
    with pytest.raises(ValueError, match="0 to 1"):
        reward_to_go(gamma=2)(rollouts([[1]], [0]))


def test_a_turn_is_worth_its_own_rewards_and_meets_the_same_turn():
    turn = np.array([[0, 0], [0, 1], [1, 1]])
    credited = per_turn()(rollouts([[1, 2], [3, 4], [5, 6]], [0, 0], turn=turn))
    assert credited.values.tolist() == [[4, 2], [4, 10], [5, 10]]
    (channel,) = group_relative(scale="none")(credited)
    assert channel.values.tolist() == [[1, -1], [1, 2.5], [-2.5, 2.5]]


def test_without_turns_every_step_is_one():
    credited = per_turn()(rollouts([[1, 3], [0, 4]], [0, 0]))
    assert group_relative(scale="none")(credited)[0].values.tolist() == [[-1, 1], [-2, 2]]


def test_prime_s_leave_one_out_numbers():
    """Catalogue row 13: outcomes 1, 0, 0, 1."""
    (channel,) = leave_one_out()(none()(rollouts([[1, 0, 0, 1]], [5] * 4)))
    assert np.allclose(channel.values, [[2 / 3, -2 / 3, -2 / 3, 2 / 3]])
    assert leave_one_out()(none()(rollouts([[3.0]], [0])))[0].values.tolist() == [[0.0]]


def test_hdpo_s_numbers():
    """Catalogue row 195: correct 1, 1, 1, 0, tool calls 0, 1, 3, 2."""
    accuracy, tool = np.array([[1, 1, 1, 0.1]]), np.array([[1, 0.5, 0.25, 0]])
    parts = {"accuracy": Part(1.0, accuracy), "tool_efficiency": Part(1.0, tool)}
    main, cheap = conditional()(none()(rollouts(accuracy + tool, [0] * 4, parts=parts)))
    assert np.allclose(main.values, [[0.5, 0.5, 0.5, -1.5]], atol=1e-4)
    assert np.allclose(cheap.values, [[1.0911, -0.2182, -0.8729, 0]], atol=1e-4)
    assert cheap.weight == 0.15 and cheap.mask.tolist() == [[True, True, True, False]]
    alone = np.array([[1, 0, 0, 0.0]])
    parts = {"accuracy": Part(1.0, accuracy), "tool_efficiency": Part(1.0, alone)}
    assert conditional()(none()(rollouts(accuracy + alone, [0] * 4, parts=parts)))[1].values.tolist() == [[0] * 4]
    with pytest.raises(ValueError, match="no addend 'speed'; it has: accuracy"):
        conditional(part="speed")(none()(rollouts(accuracy, [0] * 4, parts={"accuracy": Part(1.0, accuracy)})))


def test_decoupled_tells_apart_what_the_sum_does_not():
    first, second = np.array([[1.0, 0, 1, 0]]), np.array([[0.0, 10, 0, 0]])
    parts = {"first": Part(1.0, first), "second": Part(0.1, second)}
    given = rollouts(first + 0.1 * second, [0] * 4, parts=parts)
    assert group_relative()(none()(given))[0].values[0, 0] == pytest.approx(group_relative()(none()(given))[0].values[0, 1])
    apart = decoupled()(none()(given))[0].values[0]
    assert apart[0] > apart[1] + 0.3 > apart[3] + 0.3
    large = {**parts, "second": Part(0.1, 1000 * second)}
    again = decoupled(epsilon=0.0)(none()(rollouts(first, [0] * 4, parts=large)))[0].values
    assert np.allclose(again, decoupled(epsilon=0.0)(none()(given))[0].values)  # the scale of a part does not matter


def test_difficulty_weights_small_targets_more():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 10], [0, 0, 40, 40], [0, 0, 40, 40]], float)[None]
    facts = {"target_box": boxes, "screen_size": np.full((1, 4, 2), 100.0)}
    given = rollouts([[1, 0, 1, 0]], [0, 0, 1, 1], facts=facts)
    values = difficulty_weighted()(none()(given))[0].values
    assert np.allclose(values, [[0.8, -0.8, 0.2, -0.2]])  # weights 10 and 2.5, scaled to a mean of 1
    told = rollouts([[1, 0, 1, 0]], [0, 0, 1, 1], facts={"difficulty": np.array([[3.0, 3, 1, 1]])})
    assert np.allclose(difficulty_weighted()(none()(told))[0].values, [[0.75, -0.75, 0.25, -0.25]])
    with pytest.raises(ValueError, match="target_box and screen_size"):
        difficulty_weighted()(none()(rollouts([[1, 0]], [0, 0])))


@pytest.mark.parametrize("credit", ["none", "reward_to_go(gamma=0.9)", "per_turn"])
@pytest.mark.parametrize(
    "advantage", ["group_relative(scale='batch')", "leave_one_out", "decoupled", "conditional(part='b')", "difficulty_weighted"]
)
def test_stages_agree_on_torch_ignore_padding_and_the_order_of_rows(credit, advantage):
    rng = np.random.default_rng(0)
    rewards, group = rng.normal(size=(6, 12)), np.repeat([7, 3, 5], 4)
    mask = np.arange(6)[:, None] < rng.integers(1, 7, 12)
    turn = np.broadcast_to(np.arange(6)[:, None] // 2, (6, 12))
    parts = {"a": rng.normal(size=(6, 12)), "b": rng.random((6, 12)) - 0.2}
    parts["a"][:, 2] = math.nan
    facts = {"difficulty": rng.random((6, 12)) + 0.5}

    def run(order, make, junk):
        padded = np.where(mask, rewards, junk)
        made = {name: Part(0.5, make(np.where(mask, values, junk)[:, order])) for name, values in parts.items()}
        given = Rollouts(make(padded[:, order]), make(mask[:, order]), make(group[order]), made, make(turn[:, order].copy()),
                         {name: make(value[:, order]) for name, value in facts.items()})  # fmt: skip
        layer = RewardLayer(hit, credit=credit, advantage=advantage)
        return [np.asarray(channel.values) for channel in layer.advantages(given)]

    plain = run(np.arange(12), np.asarray, 0.0)
    order = rng.permutation(12)
    for one, other in zip(plain, run(order, np.asarray, 77.0), strict=True):
        assert np.isfinite(one).all() and (one[~mask] == 0).all()
        assert np.allclose(one[:, order], other, atol=1e-12)
    for one, other in zip(plain, run(np.arange(12), lambda a: torch.from_numpy(np.array(a)), 0.0), strict=True):
        assert np.allclose(one, other, atol=1e-12)


def test_a_group_of_equals_or_of_one_has_no_advantage():
    for stage in (group_relative(), leave_one_out(), decoupled()):
        values = stage(none()(rollouts([[2, 2, 2, 9]], [0, 0, 0, 1])))[0].values
        assert np.allclose(values, 0, atol=1e-9), stage


def test_stages_are_text_and_travel_in_yaml(tmp_path):
    layer = RewardLayer("0.5*hit + 0.5*iou", credit="per_turn", advantage="group_relative(scale='none')")
    path = tmp_path / "mine.yaml"
    to_yaml(layer, path)
    assert read_yaml(path).advantage == "group_relative(scale='none')"
    back = get_reward(str(path))
    assert back.advantage == layer.advantage and back.credit == layer.credit and str(back.expression) == str(layer.expression)
    assert str(as_expression(path)) == "0.5*hit() + 0.5*iou()"
    assert repr(back) == "RewardLayer('0.5*hit() + 0.5*iou()', credit='per_turn()', advantage=\"group_relative(scale='none')\")"
    path.write_text("reward: hit\nadvantage: best_of_n\n")
    with pytest.raises(ValueError, match=r"mine.yaml: unknown advantage='best_of_n'; allowed: .*group_relative"):
        read_yaml(path)


def test_wrong_stages_are_named():
    with pytest.raises(ValueError, match="scale='median'; allowed: 'group', 'batch', 'none'"):
        get_stage("advantage", "group_relative(scale='median')")
    with pytest.raises(ValueError, match="no setting 'size'"):
        get_stage("advantage", "group_relative(size=3)")
    with pytest.raises(ValueError, match="cannot read"):
        get_stage("credit", "none(")
    with pytest.raises(ValueError, match="stage of credit, not of advantage"):
        RewardLayer(hit, advantage=none())
    with pytest.raises(ValueError, match=r"group has shape \(3,\), not \(2,\)"):
        rollouts([[1, 2]], [0, 0, 0])


def test_the_layer_keeps_the_parts_of_its_sum():
    layer = RewardLayer("2*hit - 0.5*(iou + 1) + gate(fact('parsed'), 0.0, -1.0) + 0*distance")
    layer.keep_parts = True
    box = np.array([[0, 0, 10, 10.0], [50, 50, 60, 60]])
    facts = {
        "predicted_box": box, "predicted_point": box[:, :2] + 5, "target_box": np.array([[0, 0, 10, 10.0]] * 2),
        "parsed": np.array([True, False]), "screen_size": np.full((2, 2), 100.0), "terminated": np.ones(2, bool),
    }  # fmt: skip
    layer.reset(facts)
    reward, _ = layer.step(facts)
    assert {name: weight for name, (weight, _) in layer.addends.items()} == {
        "hit": 2.0,
        "iou": -0.5,
        "constant": 1.0,
        "distance": 0.0,
    }
    assert np.allclose(sum(layer.addends[name][0] * values for name, values in layer.parts.items()), reward)


def test_dast_as_a_stage_is_dast():
    """Lengths 10 to 40, the first two solved: UI-R1-E's numbers."""
    facts = {"completion_length": np.array([[10, 20, 30, 40]])}
    (channel,) = length_adaptive(scale="none")(none()(rollouts([[3, 3, 2, 0]], [0] * 4, facts=facts)))
    changed = np.array([3.8181817531585693, 3.6363635063171387, 1.899999976158142, -0.10000000149011612])
    assert np.allclose(channel.values, changed - changed.mean(), atol=1e-6)
    with pytest.raises(ValueError, match="completion_length"):
        length_adaptive()(none()(rollouts([[1]], [0])))
