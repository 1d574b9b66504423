import gymnasium as gym
import numpy as np
import pytest

import tests.worlds.corridor
import tests.worlds.drift  # noqa: F401
from rewardscape.agents.tabular import tabulate

CORRIDOR = "rewardscape-tests/Corridor-v0"


def place(env):
    return int(env.world.state.place[0])


def table(reward):
    env = gym.make(CORRIDOR, length=8, reward=reward).unwrapped
    env.reset(seed=4)
    start = place(env)
    return start, tabulate(env, place)


def test_values_are_those_of_the_formula():
    start, found = table("success")
    assert sorted(found.states) == list(range(7)) and found.states[0] == start
    q = found.values(0.9)
    for state, cell in enumerate(found.states):
        assert q[state, 1] == pytest.approx(0.9 ** (6 - cell))  # so many steps before the one that arrives
        assert q[state, 0] == pytest.approx(0.9 ** (8 - max(cell, 1)))
    assert found.best(0.9).tolist() == [[False, True]] * 7
    assert found.follow(q, 20) == (1.0, 1.0)


def test_a_potential_shifts_values_by_itself_and_closeness_does_not():
    _, plain = table("success")
    _, shaped = table("success + potential(-0.3*fact('corridor_left'), gamma=0.9)")
    left = np.array([7 - cell for cell in shaped.states])
    assert np.allclose(shaped.values(0.9), plain.values(0.9) + 0.3 * left[:, None])
    assert (shaped.best(0.9) == plain.best(0.9)).all()
    _, close = table("success + 5 - 0.5*fact('corridor_left')")  # pays every step for being near
    assert not (close.best(0.9) == plain.best(0.9)).all()
    reward, objective = close.follow(close.values(0.9), 30)
    assert objective == 0.0 and reward > 20  # it stays before the end, and is paid for it


def test_what_cannot_be_tabulated_is_named():
    env = gym.make("rewardscape-tests/Drift-v0")
    env.reset(seed=0)
    with pytest.raises(ValueError, match="Discrete action space, not Box"):
        tabulate(env, lambda e: 0)
    env = gym.make(CORRIDOR, length=8)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="more than limit=3 states"):
        tabulate(env, place, limit=3)
    with pytest.raises(ValueError, match="from 0 to below 1"):
        tabulate(env, place).values(1.0)
