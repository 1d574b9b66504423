"""The core of every compiled world: what a world file imports."""

from rewardscape.envs.core.compile import inlined, rule
from rewardscape.envs.core.handle import fetch
from rewardscape.envs.core.random import base_seed, chance, integer, uniform
from rewardscape.envs.core.world import Array, Empty, LiveTexts, Rules, World, choice, joined, number

__all__ = [
    "Array", "Empty", "LiveTexts", "Rules", "World",
    "base_seed", "chance", "choice", "fetch", "inlined", "integer", "joined", "number", "rule", "uniform",
]  # fmt: skip
