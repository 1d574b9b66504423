"""Is shaping sound? Exact value iteration over all states of small mazes, reached by saving and restoring the rules' state."""

import gymnasium as gym
import numpy as np
import pytest

from rewardscape.agents.tabular import tabulate

GAMMA = 0.99
# Facts are in 32 bits: values that differ by less than 1e-5 are equal.
MAZES = [
    {"generator": "four-rooms", "actions": "turn"},
    {"generator": "perfect", "actions": "four-way", "goals": 2},
    {"generator": "four-rooms", "actions": "four-way", "keys": 1},
]


def place(env):
    """All that decides how a maze without chance goes on."""
    walk = env.world.state
    return (*env.facts["position"][0].tolist(), *(int(a[0]) for a in (walk.direction, walk.held, walk.opened, walk.reached)))


def table(settings, reward=None):
    env = gym.make("rewardscape/Maze-v0", size=8, time_limit=60_000, reward=reward, **settings).unwrapped
    env.reset(seed=5)
    return tabulate(env, place)


@pytest.fixture(scope="module", params=MAZES, ids=lambda s: "-".join(str(v) for v in s.values()))
def sparse(request):
    return request.param, table(request.param)


@pytest.mark.parametrize("potential", ["0.1*goal_geodesic", "0.1*goal_euclidean", "-2.0*goal_closeness"])
def test_a_potential_changes_no_optimal_action(sparse, potential):
    """Whatever the potential: the last one points away from the goal."""
    settings, plain = sparse
    shaped = table(settings, f"objective_gain + potential({potential}, gamma={GAMMA})")
    assert shaped.states == plain.states
    assert (shaped.best(GAMMA, 1e-5) == plain.best(GAMMA, 1e-5)).all()
    moved = shaped.values(GAMMA) - plain.values(GAMMA)
    assert np.ptp(moved, axis=1).max() < 1e-5  # by the state's own potential, whatever the action
    assert np.ptp(moved[:, 0]) > 0.05
    assert shaped.follow(shaped.values(GAMMA), 500)[1] == pytest.approx(1.0)


def test_closeness_paid_every_step_does(sparse):
    settings, plain = sparse
    close = table(settings, "closeness")
    q = close.values(GAMMA)
    assert not (close.best(GAMMA, 1e-5) == plain.best(GAMMA, 1e-5)).all()
    paid, objective = close.follow(q, 500)
    honest = close.follow(plain.values(GAMMA), 500)
    assert objective < 1 <= honest[1] + 1e-9 and paid > honest[0]  # the reward is higher, and the goal is not reached
