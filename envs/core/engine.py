"""The part of every rule set that is the same for all worlds: opening an episode, sanitising actions, closing a step."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import numpy as np

from rewardscape.envs.core.compile import inlined, rule
from rewardscape.envs.core.random import episode_key
from rewardscape.envs.core.world import Array


class Bounds(NamedTuple):
    """Actions as the agent gave them, ``[row, agent, part]``, and what is allowed of each part."""

    raw: Annotated[Array, "float32"]
    value: Annotated[Array, "float32"]  # the same memory as World.action
    valid: Annotated[Array, "bool"]  # [row, agent], the same memory as World.action_valid
    low: Annotated[Array, "float32"]
    high: Annotated[Array, "float32"]


@rule
def begin(w, i):
    """Row ``i`` opens the episode of its (seed, index)."""
    e = w.episode
    e.key[i] = episode_key(e.seed[i], e.index[i])
    e.counter[i] = np.uint64(0)
    e.step[i] = 0
    e.objective[i] = 0.0
    e.gain[i] = 0.0
    e.terminated[i] = False
    e.truncated[i] = False
    e.fresh[i] = True


@inlined
def sanitise(w, bounds, i):
    """The action of row ``i``, made safe: NaN becomes the middle of the range, anything outside it the nearest bound.

    Either makes ``action_valid`` False for that agent.
    """
    for agent in range(bounds.valid.shape[1]):
        valid = True
        for j in range(bounds.low.shape[0]):
            x = bounds.raw[i, agent, j]
            low = bounds.low[j]
            high = bounds.high[j]
            if x < low:
                valid = False
                x = low
            elif x > high:
                valid = False
                x = high
            elif not (x >= low):
                valid = False
                x = low + (high - low) / 2
            bounds.value[i, agent, j] = x
        if bounds.valid[i, agent] != valid:  # what does not change is not written: other cores may keep their copy of it
            bounds.valid[i, agent] = valid


@inlined
def finish(w, i, before, limit):
    """Row ``i`` has acted: count the step, note the gain, apply the time limit."""
    e = w.episode
    if e.fresh[i]:
        e.fresh[i] = False
    e.step[i] += 1
    gain = e.objective[i] - before
    if e.gain[i] != gain:
        e.gain[i] = gain
    if limit > 0 and e.step[i] >= limit and not e.terminated[i]:
        e.truncated[i] = True
