"""Bonuses that learn: running statistics, counts, random network distillation, ExploRS."""

import numpy as np
import pytest

from rewardscape.rewards import RewardLayer, count_bonus, explors, get_reward, parse, rnd
from rewardscape.rewards.counts import cells
from rewardscape.rewards.exploration import Tables, returns_to_go
from rewardscape.rewards.intrinsic import BonusScale, DiscountedSum, RunningMeanStd
from rewardscape.rewards.novelty import episodic_novelty, never_give_up, state_entropy

torch = pytest.importorskip("torch")


def facts(rows=4, **more):
    found = {
        "action_valid": np.ones(rows, bool), "terminated": np.zeros(rows, bool), "truncated": np.zeros(rows, bool),
        "objective": np.zeros(rows), "action": np.zeros(rows, int), "position": np.zeros((rows, 2), np.int32),
    }  # fmt: skip
    return found | {name: np.asarray(value) for name, value in more.items()}


def views(seed, rows=4):
    return np.random.default_rng(seed).integers(0, 255, (rows, 5, 5, 3)).astype(np.uint8)


def as_torch(given):
    return {name: torch.from_numpy(value) for name, value in given.items()}


class TestRunningStatistics:
    @pytest.mark.parametrize("namespace", ["numpy", "torch"])
    def test_batches_come_to_the_same_as_all_at_once(self, namespace):
        rng = np.random.default_rng(0)
        values, weights = rng.normal(5, 3, (100, 4)), (rng.random(100) < 0.7) * 1.0
        made = (lambda a: a) if namespace == "numpy" else torch.from_numpy
        running = RunningMeanStd((4,), None if namespace == "numpy" else torch.zeros(1), epsilon=1e-12)
        for part in range(0, 100, 20):
            running.update(made(values[part : part + 20]), made(weights[part : part + 20]))
        chosen = values[weights > 0]
        np.testing.assert_allclose(np.asarray(running.mean), chosen.mean(0))
        np.testing.assert_allclose(np.asarray(running.std), chosen.std(0))
        assert float(running.count) == pytest.approx(len(chosen))

    def test_a_batch_of_nothing_changes_nothing(self):
        running = RunningMeanStd()
        running.update(np.array([3.0, 5.0]))
        before = running.state_dict()
        running.update(np.array([100.0]), np.zeros(1))
        assert running.state_dict() == before

    def test_numbers_far_from_0_lose_no_digits(self):
        running = RunningMeanStd((1,), torch.zeros(1), epsilon=1e-12)
        for _ in range(3):
            running.update(torch.tensor([[5000.0], [5001.0]] * 500))
        assert float(running.var) == pytest.approx(0.25, rel=1e-5)

    def test_a_discounted_sum_skips_what_is_masked(self):
        sums = DiscountedSum(0.5)
        sums.update(np.array([1.0, 1.0]))
        assert sums.update(np.array([1.0, 1.0]), np.array([True, False])).tolist() == [1.5, 1.0]

    def test_bonuses_are_divided_by_the_deviation_of_their_returns(self):
        bonuses = np.random.default_rng(0).random((50, 8))
        scale, sums, seen = BonusScale("return", 0.9), np.zeros(8), []
        scale.update(bonuses)
        for step in bonuses:
            sums = 0.9 * sums + step
            seen.append(sums)
        np.testing.assert_allclose(scale(bonuses), bonuses / np.std(seen), rtol=1e-4)
        assert BonusScale("none")(bonuses) is bonuses


class TestCounts:
    def steps(self, layer, places, **more):
        given = facts(len(places), position=[[x, 7] for x in places], **more)
        return layer.step(given)[0].tolist()

    def test_the_bonus_falls_as_the_published_formula_says(self):
        layer = RewardLayer(count_bonus(beta=2.0))
        layer.reset(facts(2))
        for n in range(1, 5):
            assert self.steps(layer, [1, 1 + n]) == pytest.approx([2 / n**0.5, 2.0])
            assert self.steps(layer, [1, 1 + n], action_valid=[True, False]) == pytest.approx([2 / n**0.5, 2.0])
            layer._kept.pop()  # one visit an update
            layer.update()

    def test_masked_rows_are_not_counted(self):
        layer = RewardLayer(count_bonus())
        layer.reset(facts(2))
        layer.step(facts(2, position=[[1, 1], [2, 2]]), np.array([True, False]))
        layer.update()
        paid = layer.step(facts(2, position=[[1, 1], [2, 2]]))[0]
        np.testing.assert_allclose(paid, [2**-0.5, 1])

    def test_frozen_it_stays_as_it_is(self):
        layer = RewardLayer(count_bonus())
        layer.reset(facts(2))
        self.steps(layer, [1, 1])
        layer.update()
        layer.freeze()
        for _ in range(3):
            assert self.steps(layer, [1, 2]) == pytest.approx([3**-0.5, 1])
            assert layer.update() == {}

    def test_it_comes_back(self):
        layer = RewardLayer(count_bonus())
        layer.reset(facts(2))
        self.steps(layer, [1, 2])
        layer.update()
        again = layer.twin()
        again.reset(facts(2))
        layer.update(
            {"position": np.zeros((1, 2, 2), int), "action_valid": np.ones((1, 2), bool), "mask": np.ones((1, 2), bool)}
        )
        np.testing.assert_allclose(self.steps(again, [1, 0]), [2**-0.5, 1])
        np.testing.assert_allclose(self.steps(layer, [1, 0]), [2**-0.5, 1])
        assert layer.step(facts(1))[0] == pytest.approx(3**-0.5)

    def test_hashing_tells_places_apart_and_is_the_same_in_torch(self):
        x, y = np.meshgrid(np.arange(64), np.arange(64))
        given = facts(64 * 64, position=np.stack([x, y], -1).reshape(-1, 2), confidence=np.linspace(-3, 3, 64 * 64))
        found = cells(given, ("position",), 2**16)
        assert found.min() >= 0 and found.max() < 2**16
        expected = 2**16 * (1 - (1 - 2**-16) ** 4096)  # cells that 4,096 balls thrown at random hit
        assert abs(len(np.unique(found)) - expected) < 100
        assert (
            cells(as_torch(given), ("position", "confidence"), 256).tolist()
            == cells(given, ("position", "confidence"), 256).tolist()
        )
        binned = cells(given, ("confidence",), 2**16, width=1.5)
        assert len(np.unique(binned)) == 5 and (np.diff(binned[given["confidence"] < -1.5]) == 0).all()

    def test_several_agents(self):
        given = facts(3) | {"position": np.zeros((3, 2, 2), int), "action_valid": np.ones((3, 2), bool)}
        layer = RewardLayer(count_bonus())
        layer.reset(given)
        assert layer.step(given, np.array([True, True, False]))[0].tolist() == [[1, 1], [1, 1], [0, 0]]
        layer.update()
        np.testing.assert_allclose(layer.step(given)[0], 5**-0.5)

    @pytest.mark.parametrize(
        "settings, message",
        [({"on": "postion"}, "unknown fact 'postion'; did you mean position"), ({"size": 1000}, "a power of two"),
         ({"form": "log"}, "'inverse_sqrt', 'inverse', 'first'"), ({"on": "completion"}, "nothing to count"),
         ({"width": 0}, "above 0"), ({"on": ()}, "a fact or several")],
    )  # fmt: skip
    def test_wrong_settings(self, settings, message):
        with pytest.raises(ValueError, match=message):
            count_bonus(**settings)


class TestRND:
    def layer(self, **settings):
        layer = RewardLayer(rnd(features=16, width=32, **settings))
        layer.reset(facts(next_observation=views(0)))
        return layer

    def test_the_bonus_of_what_is_often_seen_falls_and_of_the_new_does_not(self):
        layer = self.layer(proportion=1.0, normalise="none")
        known, new = facts(64, next_observation=views(1, 64)), facts(64, next_observation=views(2, 64))
        for _ in range(5):
            layer.step(known)
            layer.update()
        first = layer.step(known)[0].mean(), layer.step(new)[0].mean()
        layer._kept.clear()
        for _ in range(150):
            layer.step(known)
            layer.update()
        last = layer.step(known)[0].mean(), layer.step(new)[0].mean()
        assert last[0] < 0.2 * first[0] and last[1] > 2 * last[0]

    def test_it_is_repeatable_by_its_seed_and_leaves_other_generators_alone(self):
        torch.manual_seed(5)
        before = torch.get_rng_state()
        paid = []
        for seed in (0, 0, 1):
            layer = self.layer(seed=seed)
            for step in range(6):
                layer.step(facts(next_observation=views(step)))
            losses = layer.update()
            assert np.isfinite(losses["rnd"])
            paid.append(layer.step(facts(next_observation=views(9)))[0])
        assert torch.equal(before, torch.get_rng_state())
        assert (paid[0] == paid[1]).all() and (paid[0] != paid[2]).all()

    def test_the_bonus_has_a_return_of_deviation_one(self):
        layer = self.layer(learning_rate=1e-9, gamma=0.5)
        for step in range(200):
            layer.step(facts(next_observation=views(step)))
        layer.update()
        sums, seen = np.zeros(4), []
        for step in range(200):
            sums = 0.5 * sums + layer.step(facts(next_observation=views(step)))[0]
            seen.append(sums)
        assert np.std(seen[10:]) == pytest.approx(1, rel=0.1)

    def test_frozen_nothing_changes(self):
        layer = self.layer()
        layer.step(facts(next_observation=views(1)))
        layer.update()
        layer.freeze()
        before = layer.state_dict()["models"]["rnd"]
        first = layer.step(facts(next_observation=views(2)))[0]
        assert layer.update() == {} and (layer.step(facts(next_observation=views(2)))[0] == first).all()
        after = layer.state_dict()["models"]["rnd"]
        assert all(torch.equal(a, b) for a, b in zip(before["predictor"], after["predictor"], strict=True))
        assert torch.equal(before["seen"]["mean"], after["seen"]["mean"]) and before["seen"]["count"] == after["seen"]["count"]

    def test_the_target_never_changes_and_a_twin_goes_on_identically(self):
        layer = self.layer()
        target = [w.clone() for w in layer.models["rnd"].target]
        for step in range(5):
            layer.step(facts(next_observation=views(step)))
            layer.update()
        again = layer.twin()
        again.reset(facts(next_observation=views(0)))
        for one in (layer, again):
            for step in range(5, 8):
                one.step(facts(next_observation=views(step)))
                one.update()
        np.testing.assert_array_equal(
            again.step(facts(next_observation=views(9)))[0], layer.step(facts(next_observation=views(9)))[0]
        )
        assert all(torch.equal(a, b) for a, b in zip(target, layer.models["rnd"].target, strict=True))

    def test_masked_steps_teach_nothing(self):
        layer, other = self.layer(proportion=1.0), self.layer(proportion=1.0)
        acted = np.array([True, True, False, False])
        for step in range(4):
            seen = views(step)
            layer.step(facts(next_observation=seen), acted)
            other.step(facts(next_observation=np.where(acted[:, None, None, None], seen, 255 - seen)), acted)
        assert layer.update() == other.update()

    def test_numpy_and_torch_agree_and_bytes_are_shares_of_255(self):
        layer, tensors, floats = self.layer(), RewardLayer(rnd(features=16, width=32)), self.layer()
        tensors.reset(as_torch(facts(next_observation=views(0))))
        for step in range(3):
            given = facts(next_observation=views(step))
            paid = layer.step(given)[0]
            np.testing.assert_allclose(tensors.step(as_torch(given))[0].numpy(), paid, rtol=1e-6)
            np.testing.assert_allclose(floats.step(given | {"next_observation": views(step) / 255.0})[0], paid, rtol=1e-4)
            assert tensors.update() == layer.update()
            floats.update()

    def test_as_a_term_of_a_sum(self):
        layer = get_reward("rnd")
        layer.reset(facts(next_observation=views(0)))
        paid, terms = layer.step(facts(next_observation=views(1), objective=np.ones(4)))
        assert paid.shape == (4,)
        np.testing.assert_allclose(paid, 10 + 0.5 * terms["rnd"])
        layer.attach(["next_observation", "action_valid", "objective"])

    def test_other_facts_and_several_agents(self):
        given = facts(3) | {"position": np.ones((3, 2, 2), int), "action_valid": np.ones((3, 2), bool)}
        layer = RewardLayer(rnd(on="position"))
        layer.reset(given)
        assert layer.step(given)[0].shape == (3, 2) and np.isfinite(layer.update()["rnd"])

    def test_an_observation_that_is_a_dict_is_refused(self):
        with pytest.raises(ValueError, match=r"next_observation is a dict of boxes, roles here, not an array.*on=\.\.\."):
            RewardLayer(rnd()).reset(facts(next_observation=0) | {"next_observation": {"boxes": 0, "roles": 0}})

    @pytest.mark.parametrize(
        "settings", [{"features": 0}, {"proportion": 0.0}, {"normalise": "batch"}, {"gamma": 2}, {"seed": -1}, {"on": "sight"}]
    )
    def test_wrong_settings(self, settings):
        with pytest.raises(ValueError, match="rnd"):
            rnd(**settings)


class TestExploRS:
    def test_numbers_of_the_thesis(self):
        """lambda = B_max = 1, three visits: ½; pi = (.7, .3), a = 0, G = 1, V = .2, rate .01: phi moves by ±0.00168."""
        tables = Tables(2, 2)
        tables.visits[1] = 3
        assert tables.explore(np.array([1, 1]), np.array([False, True])).tolist() == [0.5, 0]
        tables.value[:] = 0.2
        tables.shape(np.array([0]), np.array([0]), np.array([[0.7, 0.3]]), np.array([1.0]))
        np.testing.assert_allclose(tables.phi, [[0.00168, -0.00168], [0, 0]])
        np.testing.assert_allclose(tables.value, [0.2 + 0.01 * 0.8, 0.2])

    def test_parts(self):
        here, there = np.array([0]), np.array([1])
        for parts, expected in (("both", 1.25), ("explore", 1.0), ("exploit", 0.25)):
            tables = Tables(2, 2, parts=parts)
            tables.phi[0, 1] = 0.25
            assert tables.bonus(here, np.array([1]), there)[0] == expected

    def test_sors_learns_the_order_of_episodes(self):
        tables = Tables(3, 2)
        good, bad = ([0, 1], [1, 1], 1.0), ([0, 2], [0, 0], 0.0)
        for _ in range(200):
            tables.order([good, bad, bad], gamma=0.9, rate=0.5)
        total = [sum(0.9**t * tables.phi[s, a] for t, (s, a) in enumerate(zip(*e[:2], strict=True))) for e in (good, bad)]
        assert total[0] - total[1] > 3
        before = tables.phi.copy()
        tables.order([good, good], gamma=0.9)  # no pair
        assert (tables.phi == before).all()

    @pytest.mark.parametrize("made", [lambda a: a, torch.from_numpy])
    def test_returns_stop_at_the_ends_of_episodes(self, made):
        rewards = np.array([[1.0, 0], [0, 0], [4, 2], [1, 1]])
        ended = np.array([[False, False], [True, False], [False, True], [False, False]])
        returns, whole = returns_to_go(made(rewards), 0.5, made(ended))
        assert returns.tolist() == [[1, 0.5], [0, 1], [4.5, 2], [1, 1]]
        assert whole.tolist() == [[True, True], [True, True], [False, True], [False, False]]

    def batch(self, made=lambda a: a):
        """Two rows in one state: action 1 reached the objective, action 0 did not."""
        shape = (1, 2)
        found = {
            "action": np.array([[1, 0]]), "action_valid": np.ones(shape, bool), "terminated": np.ones(shape, bool),
            "truncated": np.zeros(shape, bool), "objective": np.array([[1.0, 0.0]]), "previous_objective": np.zeros(shape),
            "position": np.full((*shape, 2), 9), "previous_position": np.zeros((*shape, 2), int), "mask": np.ones(shape, bool),
        }  # fmt: skip
        return {name: made(value) for name, value in found.items()}

    @pytest.mark.parametrize("made", [lambda a: a, torch.from_numpy])
    def test_the_node_learns_from_the_returns_of_the_objective(self, made):
        layer = RewardLayer(explors(actions=2, rate=1.0))
        start = {name: made(value) for name, value in facts(2, action=[1, 0]).items()}
        layer.reset(start)
        loss = layer.update(self.batch(made))["explors"]
        assert loss == 0.5
        model = layer.models["explors"]
        state = int(
            cells({"position": made(np.zeros((1, 2), int)), "action_valid": made(np.ones(1, bool))}, ("position",), 4096)[0]
        )
        # the policy taken was (½, ½): phi += ½ * 1 * (-½, +½) from the one that succeeded
        np.testing.assert_allclose(np.asarray(model.phi[state]), [-0.25, 0.25])
        assert float(model.value[state]) == pytest.approx(0.01 * 0.5) and float(model.visits[state]) == 2

    def test_the_layer_keeps_what_it_learns_from(self):
        layer = RewardLayer(explors(actions=2, rate=1.0))
        layer.reset(facts(2))
        first = layer.step(facts(2, action=[1, 0], objective=[1.0, 0.0], terminated=[True, True]))[0]
        assert first.tolist() == [0, 0]  # nothing learned, and no bonus after the end
        layer.update()
        layer.reset(facts(2))
        paid = layer.step(facts(2, action=[1, 0], position=[[3, 3], [0, 0]]))[0]
        np.testing.assert_allclose(paid, [0.25 + 1, -0.25 + 3**-0.5])

    def test_an_action_too_many_is_named(self):
        layer = RewardLayer(explors(actions=2))
        layer.reset(facts(2))
        with pytest.raises(ValueError, match=r"explors\(actions=2\) met the action 2"):
            layer.step(facts(2, action=[0, 2]))


class TestNovelty:
    def test_far_from_all_others_is_new(self):
        places = np.random.default_rng(0).normal(0, 1, (30, 3))
        places[7] += 50
        assert state_entropy(places, places, k=3).argmax() == 7
        assert state_entropy(places, places, k=3, average=True).argmax() == 7
        with pytest.raises(ValueError, match="30 entries"):
            state_entropy(places, places, k=30)

    def test_an_episode_forgets_the_one_before(self):
        places = np.array([[0.0], [0.0], [0.0], [0.0]])
        alone = episodic_novelty(places[:2])
        assert alone[0] == 0 and alone[1] == pytest.approx(1 / 1.001)
        np.testing.assert_allclose(episodic_novelty(places, np.array([0, 1, 0, 0])), [*alone, *alone])
        assert episodic_novelty(np.zeros((100, 1)), k=100)[-1] == 0  # too similar to too many

    def test_the_two_novelties_of_ngu(self):
        assert never_give_up([0.5, 0.5, 0.5], [-1.0, 1.0, 100.0]).tolist() == [0.5, 1.0, 2.5]


@pytest.mark.parametrize(
    "node",
    [rnd(), rnd(on="position", features=8, normalise="bonus").named("curious"), count_bonus(on=("position", "step"), beta=0.5),
     explors(actions=3, parts="explore", clip=0.5), count_bonus() + 0.5 * count_bonus(form="first").named("first")],
    ids=str,
)  # fmt: skip
def test_text(node):
    again = parse(str(node))
    assert again == node and hash(again) == hash(node) and str(again) == str(node)
