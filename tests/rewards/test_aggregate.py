import gymnasium as gym
import numpy as np
import pytest
import torch

import rewardscape
import tests.worlds.corridor  # noqa: F401
from rewardscape.rewards import (
    RewardError,
    RewardLayer,
    fact,
    inequity_averse,
    parse,
    payoff_earned,
    rawlsian,
    scheduled,
    team_mean,
    team_spirit,
    team_weighted,
    to_yaml,
    where_applicable,
)
from rewardscape.rewards.core.registry import as_expression

X = payoff_earned
EVERY = [
    team_mean(X), team_weighted(X, (1, 2, 0)), rawlsian(X), team_spirit(X, 0.3), inequity_averse(X),
    inequity_averse(X, alpha=2.0, beta=0.5, decay=0.9), team_spirit(X, scheduled((0, 0.0), (60, 1.0))),
    0.5 * X + team_mean(rawlsian(X) - 2.0 * X), team_mean(3.0) + X,
    inequity_averse(where_applicable(fact("action_valid"), X), alpha=1.0), rawlsian(where_applicable(fact("action_valid"), X)),
    team_spirit(where_applicable(fact("action_valid"), X), 0.5), team_mean(where_applicable(fact("action_valid"), X)),
]  # fmt: skip


def facts(payoff, valid=None):
    payoff = np.asarray(payoff, float)
    ended = np.zeros(payoff.shape, bool)
    return {"payoff": payoff, "action_valid": ~ended if valid is None else np.asarray(valid), "terminated": ended}


def pay(reward, *steps, masks=None):
    """What a layer pays in the last of ``steps`` (payoffs)."""
    layer = RewardLayer(reward)
    masks = masks or [None] * len(steps)
    layer.reset(facts(np.zeros_like(np.asarray(steps[0], float)), None))
    for step, mask in zip(steps, masks, strict=True):
        paid, _ = layer.step(facts(step, mask))
    return paid


def test_teams_by_hand():
    payoff = [[1.0, 2.0, 6.0], [0.0, 0.0, -3.0]]
    assert pay(team_mean(X), payoff).tolist() == [[3, 3, 3], [-1, -1, -1]]
    assert pay(team_weighted(X, (1, 2, 1)), payoff).tolist() == [[2.75] * 3, [-0.75] * 3]
    assert pay(rawlsian(X), payoff).tolist() == [[1, 1, 1], [-3, -3, -3]]
    assert pay(team_spirit(X, 0.25), payoff) == pytest.approx(np.array([[1.5, 2.25, 5.25], [-0.25, -0.25, -2.5]]))
    assert np.array_equal(pay(team_spirit(X, 0), payoff), payoff)
    assert np.array_equal(pay(team_spirit(X, 1), payoff), pay(team_mean(X), payoff))
    assert np.allclose(pay(team_weighted(X, (1, 1, 1)), payoff), pay(team_mean(X), payoff))


def test_inequity_by_hand():
    """Fehr and Schmidt's eq. 1 for three: x = (1, 2, 6), alpha 1, beta 0.5."""
    envy = np.array([(1 + 5) / 2, 4 / 2, 0])
    guilt = np.array([0, 1 / 2, (5 + 4) / 2])
    assert pay(inequity_averse(X, alpha=1.0, beta=0.5), [1.0, 2.0, 6.0]) == pytest.approx([1, 2, 6] - envy - 0.5 * guilt)
    assert pay(inequity_averse(X), [5.0, 0.0]) == pytest.approx([5 - 0.05 * 5, -5 * 5])  # Hughes et al.'s settings, two players
    assert pay(inequity_averse(X), [3.0, 3.0]).tolist() == [3, 3]


def test_smoothed_inequity_remembers():
    """e = 0.5 * e + x: after (4, 0), (0, 2) it is (2, 2): nobody envies; after (4, 0), (0, 0) it is (2, 0)."""
    reward = inequity_averse(X, alpha=1.0, beta=0.5, decay=0.5)
    assert pay(reward, [4.0, 0.0]).tolist() == [4 - 2, -4]
    assert pay(reward, [4.0, 0.0], [0.0, 2.0]).tolist() == [0, 2]
    assert pay(reward, [4.0, 0.0], [0.0, 0.0]).tolist() == [-0.5 * 2, -2]


def test_smoothed_inequity_begins_anew_in_the_rows_that_reset():
    layer = RewardLayer(inequity_averse(X, alpha=1.0, beta=0.0, decay=0.5))
    layer.reset(facts(np.zeros((2, 2))))
    layer.step(facts([[4.0, 0.0], [4.0, 0.0]]))
    layer.reset(facts(np.zeros((2, 2))), np.array([True, False]))
    assert layer.step(facts(np.zeros((2, 2))))[0].tolist() == [[0, 0], [0, -2]]
    kept = layer.get_state()
    first = layer.step(facts([[1.0, 0.0], [0.0, 0.0]]))[0]
    layer.set_state(kept)
    assert np.array_equal(first, layer.step(facts([[1.0, 0.0], [0.0, 0.0]]))[0])


def test_used_twice_a_memory_moves_once():
    reward = inequity_averse(X, alpha=1.0, beta=0.5, decay=0.5)
    once, twice = (pay(r, [4.0, 0.0], [0.0, 0.0]) for r in (reward, reward + reward))
    assert np.array_equal(2 * once, twice)
    layer = RewardLayer(reward)
    layer.keep_parts = True
    layer.reset(facts(np.zeros(2)))
    layer.step(facts([4.0, 0.0]))
    assert np.array_equal(layer.step(facts([0.0, 0.0]))[0], once)


def test_what_does_not_apply_is_left_out():
    masked = where_applicable(fact("action_valid"), X)
    payoff, mask = [[2.0, 4.0, -9.0], [1.0, 2.0, 3.0]], [[True, True, False], [False, False, False]]

    def paid(reward):
        return pay(reward, payoff, masks=[mask]).tolist()

    assert paid(team_mean(masked)) == [[3, 3, 3], [0, 0, 0]]
    assert paid(rawlsian(masked)) == [[2, 2, 2], [0, 0, 0]]
    assert paid(team_weighted(masked, (3, 1, 5))) == [[2.5] * 3, [0, 0, 0]]
    assert paid(team_spirit(masked, 0.5)) == [[2.5, 3.5, 1.5], [0, 0, 0]]
    assert paid(inequity_averse(masked, alpha=1.0, beta=0.5)) == [[0, 3, 0], [0, 0, 0]]  # two compared: n - 1 is 1


def test_a_schedule_of_team_spirit():
    layer = RewardLayer(team_spirit(X, scheduled((0, 0.0), (4, 1.0))))
    layer.reset(facts([0.0, 0.0]))
    found = [layer.step(facts([2.0, 0.0]))[0].tolist() for _ in range(3)]
    assert found == [[2, 0], [1.5, 0.5], [1, 1]]  # two agents: two row-steps a step


def test_numbers_are_the_same_for_all():
    for node in (team_mean(2.0), rawlsian(2.0), team_spirit(2.0, 0.5), inequity_averse(2.0), team_weighted(2.0, (1, 2))):
        assert pay(node + X, [1.0, 0.0]).tolist() == [3, 2]


@pytest.mark.parametrize("reward", EVERY, ids=str)
def test_numpy_equals_torch(reward):
    rng = np.random.default_rng(0)
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 1e-5)):
        plain, tensors = RewardLayer(reward), RewardLayer(reward)
        for step in range(4):
            now = facts(rng.normal(size=(5, 3)), rng.random((5, 3)) < 0.6) | {}
            now["payoff"] = now["payoff"].astype(dtype)
            then = {name: torch.from_numpy(array) for name, array in now.items()}
            if step == 0:
                plain.reset(now)
                tensors.reset(then)
                continue
            one, two = plain.step(now)[0], tensors.step(then)[0]
            assert one.shape == (5, 3) and np.allclose(one, two.numpy(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("reward", EVERY, ids=str)
def test_rows_and_time_are_leading_axes(reward):
    """A row is judged as it would be alone, and a batch with a time axis as its rows."""
    rng = np.random.default_rng(1)
    now = facts(rng.normal(size=(2, 4, 3)), rng.random((2, 4, 3)) < 0.6)
    whole = RewardLayer(reward)
    whole.reset(now)
    together = whole.step(now)[0]
    for i in range(2):
        for j in range(4):
            alone = RewardLayer(reward)
            row = {name: array[i, j : j + 1] for name, array in now.items()}
            alone.reset(row)
            assert np.allclose(alone.step(row)[0], together[i, j][None])


@pytest.mark.parametrize("reward", EVERY, ids=str)
def test_formulas_read_back(reward, tmp_path):
    assert parse(str(reward)) == reward
    to_yaml(reward, tmp_path / "reward.yaml")
    assert as_expression(tmp_path / "reward.yaml") == reward


def test_symmetric_operations_do_not_care_who_is_who():
    payoff, order = np.random.default_rng(0).normal(size=(6, 4)), [2, 0, 3, 1]
    for node in (team_mean(X), rawlsian(X), team_spirit(X, 0.4), inequity_averse(X, alpha=2.0, beta=0.3)):
        assert np.allclose(pay(node, payoff[:, order]), pay(node, payoff)[:, order])


def test_a_world_of_one_agent_refuses_them():
    for node in ("team_mean(step_cost)", "0.5*rawlsian(step_cost)", "gate(1.0, inequity_averse(step_cost))"):
        with pytest.raises(ValueError, match="is for worlds of several agents, and Corridor has one"):
            gym.make("rewardscape-tests/Corridor-v0", reward=node)


def test_in_a_game():
    env = rewardscape.parallel_env("MatrixGame-v0", reward="team_spirit(payoff_earned, 0.5) + 0.0*rawlsian(payoff_earned)")
    env.reset(seed=0)
    _, reward, _, _, infos = env.step({"agent_0": 1, "agent_1": 0})
    assert reward == {"agent_0": 3.75, "agent_1": 1.25}
    assert infos["agent_1"]["reward_terms"] == {"payoff_earned": 0}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: team_weighted(X, ()), "weights are finite numbers"),
        (lambda: team_weighted(X, (0, 0)), "not all 0"),
        (lambda: team_weighted(X, (1, -1)), "at least 0"),
        (lambda: team_weighted(X, "ab"), "weights are finite numbers"),
        (lambda: team_spirit(X, 1.5), r"tau=1.5; allowed: a number in \[0, 1\]"),
        (lambda: team_spirit(X, X), r"allowed: a number in \[0, 1\]"),
        (lambda: team_spirit(X, scheduled((0, 0.0), (9, 2.0))), "through such numbers"),
        (lambda: inequity_averse(X, alpha=float("nan")), "alpha=nan is to be a finite number"),
        (lambda: inequity_averse(X, beta="0.5"), "beta='0.5' is to be a finite number"),
        (lambda: inequity_averse(X, decay=1.0), "decay=1.0; allowed: at least 0 and below 1"),
        (lambda: pay(team_weighted(X, (1, 2)), [1.0, 2.0, 3.0]), "has 2 weights, and there are 3 agents"),
        (lambda: parse("team_spirit(payoff_earned)"), "cannot read"),
    ],
)
def test_wrong_settings_are_named(make, message):
    with pytest.raises((ValueError, RewardError), match=message):
        make()
