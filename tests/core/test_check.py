"""`rewardscape check` must find what is wrong: each of these is broken in one way."""

from typing import Annotated, NamedTuple

import numpy as np
import pytest
from numpy.random import randint

import rewardscape
import tests.worlds.corridor  # noqa: F401
from rewardscape.envs.core import Array, rule
from rewardscape.envs.core.check import Skip, check_world, run_checks
from rewardscape.rewards import term
from rewardscape.rewards.core.check import random_facts, reward_checks
from tests.worlds import corridor, drift


@rule
def generous(w, i):
    corridor.step(w, i)
    w.episode.objective[i] = 1.5


@rule
def forgetful(w, i):
    w.state.place[i] = 0


class TooGenerous(corridor.Corridor):
    """Scores above 1."""

    step = staticmethod(generous)


class NoChance(corridor.Corridor):
    """Every episode starts alike."""

    reset = staticmethod(forgetful)


class Unknown(NamedTuple):
    corridor_right: Annotated[Array, "float32"]


class NewFact(corridor.Corridor):
    """Has a fact that nobody declared."""

    Facts = Unknown


class WrongWay(corridor.Corridor):
    """An expert who walks off to the left."""

    def expert(self, world, row):
        return 0


@rule
def dice(w, i):
    corridor.reset(w, i)
    w.state.place[i] = np.random.randint(0, 3)


class Dice(corridor.Corridor):
    """Draws from NumPy's global generator."""

    reset = staticmethod(dice)


@rule
def loaded(w, i):
    corridor.reset(w, i)
    w.state.place[i] = min(randint(0, 3), w.state.place[i])


class Loaded(corridor.Corridor):
    """Draws from NumPy's global generator, by another name."""

    reset = staticmethod(loaded)


@rule
def crowded(w, i):
    corridor.step(w, i)
    for other in range(w.state.place.shape[0]):
        w.facts.corridor_left[i] += 0.25 * w.state.place[other]


class Crowded(corridor.Corridor):
    """A fact depends on the other rows."""

    step = staticmethod(crowded)


@rule
def lost(w, i):
    corridor.step(w, i)
    if w.episode.step[i] == 1:
        w.facts.corridor_left[i] = np.nan


class Lost(corridor.Corridor):
    """A fact is NaN in an episode's second step."""

    step = staticmethod(lost)


class TwoTongues(corridor.Corridor):
    """Says one thing of a row and another of a batch."""

    def info(self, world, row):
        return {"place": int(world.state.place[row])}

    def texts(self, world):
        return {"place": world.state.place + 1}


@rule
def fragile(w, i):
    drift.step(w, i)
    if not w.action_valid[i]:
        w.observation.point[i, 0] = np.nan


class Fragile(drift.Drift):
    """Shows NaN after a bad action."""

    step = staticmethod(fragile)


BROKEN = {
    TooGenerous: "the objective starts at 0, stays in [0, 1], and reward=None sums to it",
    NoChance: "the same seed repeats, reset() moves on",
    WrongWay: "the expert succeeds, random actions do worse",
    Dice: "rules use no random, no np.random",
    Loaded: "rules use no random, no np.random",
    Crowded: "a row is the same whoever its neighbours are",
    Lost: "facts are in the vocabulary, with its kinds and shapes",
    TwoTongues: "a vector's row is the single environment of its seed",
    Fragile: "bad actions are replaced, reported, and touch no other row",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda k: k.__name__)
def test_a_broken_world_is_found(kind):
    env = f"rewardscape-tests/{kind.__name__}-v0"
    rewardscape.register_world(env, f"{__name__}:{kind.__name__}")
    failed = {f.name for f in check_world(env, simulator=False) if f.ok is False}
    assert BROKEN[kind] in failed


def test_buffers_handed_out_are_found(monkeypatch):
    name = "what was returned stays as it was"
    found = {f.name: f.ok for f in check_world("rewardscape-tests/Corridor-v0", simulator=False)}
    assert found[name]
    monkeypatch.setattr("rewardscape.envs.core.vector.copy_of", lambda value: value)
    found = {f.name: f.ok for f in check_world("rewardscape-tests/Corridor-v0", simulator=False)}
    assert found[name] is False


def test_an_undeclared_fact_is_found():
    rewardscape.register_world("rewardscape-tests/NewFact-v0", f"{__name__}:NewFact")
    failed = [f for f in check_world("rewardscape-tests/NewFact-v0", simulator=False) if f.ok is False]
    assert any("corridor_right" in f.detail for f in failed)


@term(bounds=(0, 1))
def broken_bounds(objective):
    """Says 0 to 1, pays up to 2."""
    return 2 * objective


@term
def broken_centred(objective):
    """Subtracts the batch's mean, so rows matter to each other."""
    return objective - objective.mean()


@term
def broken_undivided(predicted_box):
    """One over the width."""
    with np.errstate(divide="ignore"):
        return 1 / (predicted_box[..., 2] - predicted_box[..., 0])


@term
def broken_numpy_only(objective):
    """Calls NumPy by name, whatever it is given."""
    return np.where(np.asarray(objective) > 0.5, 1.0, 0.0)


@term
def broken_greedy(predicted_point):
    """Changes the facts it was given."""
    predicted_point += 1
    return predicted_point[..., 0]


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("broken_bounds", "terms keep their stated bounds"),
        ("broken_centred", "any leading axes"),
        ("broken_undivided", "finite, also on degenerate facts"),
        ("broken_numpy_only", "torch equals NumPy"),
        ("broken_greedy", "repeatable, and leaves its facts alone"),
    ],
)
def test_a_broken_term_is_found(name, check):
    failed = {f.name for f in run_checks(reward_checks(name)) if f.ok is False}
    assert check in failed


@pytest.mark.parametrize(
    "reward", ["hit", "gui-g2", "gui-g2-code", "iou", "distance", "box_area", "0.5*hit - gate(fact('parsed'), iou, -1.0)"]
)
def test_our_rewards_pass(reward):
    assert not [str(f) for f in run_checks(reward_checks(reward)) if f.ok is False]


def test_random_facts_follow_the_vocabulary():
    facts = random_facts(["target_box", "screen_size", "confidence", "parsed", "element_boxes"], (5, 2))
    box = facts["target_box"]
    assert box.shape == (5, 2, 4) and (box[..., 2:] > box[..., :2]).all()
    assert facts["element_boxes"].shape == (5, 2, 3, 4) and facts["parsed"].dtype == bool
    assert ((facts["confidence"] >= 0) & (facts["confidence"] <= 1)).all() and (facts["screen_size"] > 0).all()


def test_a_skipped_check_is_no_failure():
    def cannot():
        raise Skip("not here")

    (found,) = run_checks({"something": cannot})
    assert found.ok is None and "not here" in str(found)
