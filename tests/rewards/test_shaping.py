"""Rewards of finding a way: terms by their formulas, shaping that changes no optimal policy, gated accumulation."""

import numpy as np
import pytest

from rewardscape.rewards import (
    RewardLayer,
    fact,
    gated_accumulation,
    get_reward,
    goal_closeness,
    goal_geodesic,
    parse,
    potential,
    where_applicable,
)
from rewardscape.rewards.core.check import reward_checks
from rewardscape.rewards.core.operations import OPERATIONS, operation
from rewardscape.rewards.navigation import count_form, efficacy, episodic_count, goal_euclidean

NAVIGATION = ("goal_geodesic", "goal_euclidean", "goal_closeness", "collided", "subgoal", "goal", "efficacy", "episodic_count")
PRESETS = ("step-cost", "shaping-geodesic", "shaping-euclidean", "closeness", "episodic-count", "count-based", "g-ra", "wmact")


def play(reward, steps, rows=1):
    """What a layer pays for steps of facts (dicts of lists ``[row]``), the first of which is the reset."""
    layer = RewardLayer(reward) if not isinstance(reward, RewardLayer) else reward
    made = [
        {"terminated": np.zeros(rows, bool), "truncated": np.zeros(rows, bool)} | {k: np.array(v) for k, v in step.items()}
        for step in steps
    ]
    layer.reset(made[0])
    return np.array([layer.step(facts)[0] for facts in made[1:]])


class TestTerms:
    def test_numbers(self):
        assert goal_geodesic.compute(np.array([0.0, 3.0])).tolist() == [0, -3]
        np.testing.assert_allclose(goal_euclidean.compute(np.array([[3.0, -4.0], [0.0, 0.0]])), [-5, 0])
        np.testing.assert_allclose(goal_closeness.compute(np.array([0.0, 10.0, 30.0])), [1, 0.5, 0.25])
        np.testing.assert_allclose(efficacy.compute(np.array([6, 0, 0]), np.array([8, 5, 0])), [0.75, 0, 0])

    def test_forms_of_counts(self):
        n = np.array([1, 2, 4])
        np.testing.assert_allclose(episodic_count.compute(n), [1, 2**-0.5, 0.5])
        np.testing.assert_allclose(episodic_count.compute(n, form="inverse"), [1, 0.5, 0.25])
        assert episodic_count.compute(n, form="first").tolist() == [1, 0, 0]
        # ExploB with lambda = 1 and B_max = 0.1 after ten visits, of the recorded reference
        assert 0.1 * count_form(np.array([10]), "inverse_sqrt", 1 / 0.1)[0] == pytest.approx(0.09534625892455924)

    @pytest.mark.parametrize("name", NAVIGATION + PRESETS)
    def test_the_contract(self, name):
        for check in reward_checks(name).values():
            check()

    def test_wrong_scales(self):
        with pytest.raises(ValueError, match="goal_closeness: scale=0.0; allowed: above 0"):
            goal_closeness.compute(np.ones(1), scale=0.0)


class TestPresets:
    def test_what_they_pay(self):
        near, far = {"goal_distance": [3.0], "objective": [0.0]}, {"goal_distance": [4.0], "objective": [0.0]}
        done = {"goal_distance": [0.0], "objective": [1.0], "terminated": [True]}
        np.testing.assert_allclose(
            play(get_reward("shaping-geodesic"), [far, near, done])[:, 0], [0.99 * -0.3 + 0.4, 1 + 0.3], rtol=1e-12
        )
        np.testing.assert_allclose(play(get_reward("closeness"), [far, near, done])[:, 0], [1 / 13, 1.1])
        assert play(get_reward("step-cost"), [far, near, done])[:, 0].tolist() == pytest.approx([-0.01, 0.99])
        keys = [step | {"subgoal_reached": [k == 1]} for k, step in enumerate([far, near, done])]
        np.testing.assert_allclose(play(get_reward("g-ra"), keys)[:, 0], [0, 1.2])
        assert play(get_reward("g-ra"), [*keys[:2], keys[1] | {"truncated": [True]}])[:, 0].tolist() == [0, 0]

    def test_wmact_scales_the_outcome(self):
        """WMAct's own numbers: R = 1, two of eight actions bumped into walls."""
        start = {"objective": [0.0], "effective_actions": [0], "step": [0]}
        end = {"objective": [1.0], "effective_actions": [6], "step": [8]}
        assert play(get_reward("wmact"), [start, end])[0, 0] == 0.75

    def test_only_sound_shapings_declare_a_discount(self):
        assert get_reward("shaping-euclidean").shaping_gammas == (0.99,)
        assert get_reward("closeness").shaping_gammas == ()


class TestPolicyInvariance:
    """A corridor of five cells; the goal, at its right end, pays 1 and ends the episode (Ng, Harada and Russell, 1999)."""

    gamma, cells = 0.9, 5

    def best(self, reward):
        """Greedy actions and values under ``reward``, by value iteration over the layer's own judgements."""
        paid = np.zeros((self.cells, 2))
        after = np.array([[max(s - 1, 0), min(s + 1, self.cells - 1)] for s in range(self.cells)])
        for s in range(self.cells - 1):
            for a in range(2):
                end = after[s, a] == self.cells - 1
                steps = [{"goal_distance": [self.cells - 1.0 - p], "objective": [o], "terminated": [t]}
                         for p, o, t in ((s, 0.0, False), (after[s, a], float(end), bool(end)))]  # fmt: skip
                paid[s, a] = play(reward, steps)[0, 0]
        values = np.zeros(self.cells)
        for _ in range(500):
            each = paid + self.gamma * values[after]
            values = np.append(each.max(1)[:-1], 0.0)
        return each[:-1].argmax(1), values[:-1]

    def test_a_potential_keeps_the_policy_and_moves_values_by_itself(self):
        plain, values = self.best("objective_gain()")
        assert plain.tolist() == [1, 1, 1, 1]
        for weight in (0.3, -0.3, 5.0):  # also a potential that points away from the goal
            shaped, moved = self.best(f"objective_gain() + potential({weight}*goal_geodesic(), gamma=0.9)")
            assert shaped.tolist() == plain.tolist()
            np.testing.assert_allclose(moved, values + weight * (self.cells - 1 - np.arange(self.cells - 1)), atol=1e-9)

    def test_closeness_in_every_step_does_not(self):
        assert self.best("objective_gain() + goal_closeness()")[0].tolist() != [1, 1, 1, 1]


class TestGatedAccumulation:
    high, low, third = fact("objective"), fact("confidence"), fact("difficulty")

    def episode(self, reward, highs, lows, thirds=None, end="terminated"):
        thirds = [0.0] * len(highs) if thirds is None else thirds
        steps = [{"objective": [h], "confidence": [c], "difficulty": [d]} for h, c, d in zip(highs, lows, thirds, strict=True)]
        return play(reward, [steps[0], *steps[:-1], steps[-1] | {end: [True]}])[:, 0]

    @pytest.mark.parametrize("end", ["terminated", "truncated"])
    @pytest.mark.parametrize("outcome, paid", [(-1.0, -1.0), (1.0, 1.8), (0.0, 0.8)])
    def test_numbers_of_the_source(self, outcome, paid, end):
        """threshold 0: no submission -1, steps 0.8: -1; a success: 1.8. Direct accumulation pays -0.2 and 1.8."""
        found = self.episode(gated_accumulation(self.high, self.low), [0, 0, outcome], [0.3, 0.3, 0.2], end=end)
        np.testing.assert_allclose(found, [0, 0, paid], atol=1e-12)
        assert self.episode(self.high + self.low, [0, 0, outcome], [0.3, 0.3, 0.2]).sum() == pytest.approx(outcome + 0.8)

    def test_strict(self):
        node = gated_accumulation(self.high, self.low, strict=True)
        assert self.episode(node, [0, 0.0], [0.5, 0.5])[-1] == 0
        assert self.episode(node, [0, 0.1], [0.5, 0.5])[-1] == pytest.approx(1.1)

    def test_a_failing_middle_level_masks_the_lowest(self):
        node = gated_accumulation(self.high, self.low, self.third, threshold=(1, 0.5))
        assert self.episode(node, [0, 1.0], [0.0, 0.4], [3.0, 3.0])[-1] == pytest.approx(1.4)
        assert self.episode(node, [0, 1.0], [0.1, 0.4], [3.0, 3.0])[-1] == pytest.approx(7.5)
        assert self.episode(node, [0, 0.9], [0.1, 0.4], [3.0, 3.0])[-1] == pytest.approx(0.9)

    def test_rounding_does_not_close_a_gate(self):
        node = gated_accumulation(self.high, self.low, threshold=1.0)
        assert self.episode(node, [0.1] * 10, [1.0] + [0.0] * 9)[-1] == pytest.approx(2.0)

    def test_rows_begin_anew_one_by_one(self):
        def facts(high, ended):
            return {
                "objective": np.array(high),
                "confidence": np.ones(2),
                "terminated": np.array(ended),
                "truncated": np.zeros(2, bool),
            }

        layer = RewardLayer(gated_accumulation(self.high, self.low, threshold=1.0))
        layer.reset(facts([0.0, 0.0], [False, False]))
        assert layer.step(facts([1.0, 0.0], [True, False]))[0].tolist() == [2, 0]
        layer.reset(facts([0.0, 0.0], [False, False]), np.array([True, False]))
        state = layer.get_state()
        assert layer.step(facts([0.0, 1.0], [True, True]))[0].tolist() == [0, 3]
        layer.set_state(state)
        assert layer.step(facts([0.0, 1.0], [True, True]))[0].tolist() == [0, 3]

    def test_what_does_not_apply_counts_nothing(self):
        node = gated_accumulation(self.high, where_applicable(fact("difficulty"), self.low))
        assert self.episode(node, [0, 1.0], [0.5, 0.25], [0.0, 1.0])[-1] == 1.25

    def test_text(self):
        for node in (
            gated_accumulation(self.high, self.low, threshold=0.5),
            gated_accumulation(self.high, self.low, self.third, threshold=(1, 2), strict=True).named("gated"),
        ):
            assert parse(str(node)) == node and parse(f"2.0*{node} - 1.0") == 2 * node - 1

    @pytest.mark.parametrize("arguments", [{"threshold": (1, 2)}, {"threshold": "x"}, {"threshold": float("nan")}])
    def test_wrong_thresholds(self, arguments):
        with pytest.raises(ValueError, match="2 values need 1 finite thresholds"):
            gated_accumulation(self.high, self.low, **arguments)


def test_two_operations_of_one_name_are_refused():
    def clip(value):
        return value

    with pytest.raises(ValueError, match="two operations are named 'clip'"):
        operation(clip)
    assert OPERATIONS["clip"] is not clip and operation(potential) is potential
