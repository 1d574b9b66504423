"""`rewardscape check` must find what is wrong with a world of several agents: each of these is broken in one way."""

import numpy as np
import pytest

import rewardscape
from rewardscape.envs.core import rule
from rewardscape.envs.core.check import check_world
from rewardscape.envs.games import matrix


class Reckless(matrix.MatrixGame):
    """A player who does what cannot be done."""

    def act_as(self, strategy, world):
        return super().act_as(strategy, world) + 1


class Unready(matrix.MatrixGame):
    """The seats are played by somebody who is not there by default."""

    default_others = "tit_for_two_tats"


class Selfish(matrix.MatrixGame):
    """An expert who defects."""

    def expert(self, world, row):
        return np.ones(self.settings.players, int)


@rule
def loud(w, i):
    matrix.observe(w, i)
    if w.episode.step[i] > 1:
        w.observation.seen[i, 0, 0] = 2


class Loud(matrix.MatrixGame):
    """Shows agents more than their space allows, later in an episode."""

    observe = staticmethod(loud)


BROKEN = {
    Reckless: "scripted players act within the space",
    Unready: "scripted players act within the space",
    Selfish: "the expert succeeds, random actions do worse",
    Loud: "PettingZoo's tests of agents in turn",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda k: k.__name__)
def test_a_broken_game_is_found(kind):
    env = f"rewardscape-tests/{kind.__name__}Game-v0"
    rewardscape.register_world(env, f"{__name__}:{kind.__name__}")
    failed = {f.name for f in check_world(env, simulator=False) if f.ok is False}
    assert BROKEN[kind] in failed
