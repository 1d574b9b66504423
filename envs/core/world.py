"""What a compiled world is made of: arrays with the batch as leading axis, and functions of one row.

A world file declares four NamedTuples of arrays and three rules::

    class State(NamedTuple):
        position: Annotated[Array, "int16", 2]              # dtype, then trailing shape

    class Facts(NamedTuple):                                # names from the fact vocabulary
        goal_distance: Annotated[Array, "float32"]

    @rule
    def reset(w, i): ...       # row i starts an episode: writes w.state, w.facts
    @rule
    def step(w, i): ...        # row i has acted: reads w.action[i], writes state, facts, episode.objective, .terminated
    @rule
    def observe(w, i): ...     # writes w.observation

A trailing extent is a number or the name of one of the world's ``extents`` (such as "elements"), fixed per environment.
`Rules` ties them together; the faces (one environment, a vector) are generic.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, NamedTuple, get_type_hints

import gymnasium as gym
import numpy as np

Array = Any  # NumPy array on the CPU, a view of a torch tensor on a GPU


class Episode(NamedTuple):
    """What the core keeps for every row of every world."""

    seed: Annotated[Array, "uint64"]
    index: Annotated[Array, "uint64"]  # episodes since the seed was given
    key: Annotated[Array, "uint64"]  # hash of (seed, index): the root of the episode's randomness
    counter: Annotated[Array, "uint64"]  # draws taken from the key
    step: Annotated[Array, "int32"]
    objective: Annotated[Array, "float64"]  # score of the episode so far, in [0, 1], 0 at reset
    gain: Annotated[Array, "float64"]  # increment of the objective in this step: what reward=None pays
    terminated: Annotated[Array, "bool"]
    truncated: Annotated[Array, "bool"]
    fresh: Annotated[Array, "bool"]  # the row was reset by the last call, it did not act


class World(NamedTuple):
    """What a rule sees as ``w``. Every array but those of ``shared`` has the batch as its leading axis."""

    settings: Any  # NamedTuple of numbers
    shared: Any  # NamedTuple of read-only arrays, the same for all rows
    episode: Any  # Episode
    state: Any
    facts: Any
    observation: Any
    action: Any  # sanitised: in range, finite
    action_valid: Any  # bool: was it so as the agent gave it


class Empty(NamedTuple):
    """A group without entries."""


def fields(group: type) -> dict[str, tuple[str, tuple[int | str, ...]]]:
    """``{name: (dtype, trailing shape)}`` of a NamedTuple of annotated arrays. Raises TypeError for a field without a dtype."""
    found = {}
    for name, hint in get_type_hints(group, include_extras=True).items():
        metadata = getattr(hint, "__metadata__", ())
        if not metadata:
            raise TypeError(f"{group.__name__}.{name} is to be Annotated[Array, dtype, *trailing shape]")
        found[name] = (metadata[0], tuple(metadata[1:]))
    return found


def joined(name: str, module: str, *groups: type) -> type:
    """A NamedTuple with the fields of all ``groups``, to be assigned to ``name`` at the top level of ``module``."""
    entries = [entry for group in groups for entry in get_type_hints(group, include_extras=True).items()]
    made = NamedTuple(name, entries)  # type: ignore[misc]
    made.__module__ = module  # Numba's cache pickles the type by reference
    return made


class Rules:
    """One world under given settings: its groups of arrays, its three rules, its spaces. Subclass it, one class a world.

    Class attributes: ``State``, ``Facts``, ``Observation``, ``Settings``, ``Shared`` (NamedTuples); ``reset``, ``step``,
    ``observe`` (rules, in `staticmethod`); ``ahead``: None, or a rule ``ahead(w, i)`` that is called on the CPU a few rows before
    row ``i`` is stepped, and may `fetch` what the step will look up in long arrays; ``success_threshold``; ``parallel_from`` (rows from which all cores are used).

    Instance attributes, set in ``__init__`` from keyword settings: ``extents`` (name -> int), ``settings``, ``shared``,
    ``observation_space``, ``action_space`` (of one row), ``observation_keys`` (which entries of ``Observation`` the agent
    gets; None: the only one, bare), ``agents`` (None, or their number: then ``action_space`` is one agent's).
    """

    State: ClassVar[type] = Empty
    Facts: ClassVar[type] = Empty
    Observation: ClassVar[type] = Empty
    Settings: ClassVar[type] = Empty
    Shared: ClassVar[type] = Empty
    reset: ClassVar[Any]
    step: ClassVar[Any]
    observe: ClassVar[Any]
    ahead: ClassVar[Any] = None
    success_threshold: ClassVar[float] = 1.0
    parallel_from: ClassVar[int] = 256

    extents: Mapping[str, int]
    settings: Any = Empty()
    shared: Any = Empty()
    observation_space: gym.Space
    action_space: gym.Space
    observation_keys: tuple[str, ...] | None = None
    agents: int | None = None
    strategies: tuple[str, ...] = ()  # scripted players of a world with several agents, see `act_as`
    default_others: str = "random"  # who plays the other seats in `gymnasium.make`

    def info(self, world: World, row: int) -> dict[str, Any]:
        """What one row's ``info`` holds beside the core's entries: texts, mostly. Not called by the vector face."""
        return {}

    def texts(self, world: World) -> dict[str, Any]:
        """The same for a whole batch, made when read: `LiveTexts` over the arrays of ``world``."""
        return {}

    def lazy_facts(self, world: World) -> dict[str, Any]:
        """Facts that are Python objects, one a row, made when read: `LiveTexts` over the arrays of ``world``. CPU only."""
        return {}

    def expert(self, world: World, row: int) -> Any:
        """An action that does the task, knowing everything. For tests, for curves' upper end."""
        raise AttributeError(f"{type(self).__name__} has no expert")

    def act_as(self, strategy: str, world: World) -> np.ndarray:
        """What each agent would do as a player of ``strategy`` (one of ``strategies``): actions ``[row, agent, ...]``."""
        raise AttributeError(f"{type(self).__name__} has no scripted players")

    def draw(self, world: World, row: int) -> np.ndarray:
        """Row ``row`` as a picture, uint8 ``[height, width, 3]``."""
        raise AttributeError(f"{type(self).__name__} cannot be drawn")

    def describe(self, world: World, row: int) -> str:
        """Row ``row`` as text, for ``render_mode="ansi"``."""
        raise AttributeError(f"{type(self).__name__} has no text form")


def choice(world: str, name: str, value: Any, allowed: tuple[Any, ...]) -> Any:
    """``value`` if allowed; else ValueError that names the world, the setting and what is allowed."""
    if value not in allowed:
        raise ValueError(f"{world}: {name}={value!r}; allowed: {', '.join(map(repr, allowed))}")
    return value


def number(world: str, name: str, value: Any, low: float, high: float, *, whole: bool = False) -> Any:
    """``value`` if it is a number (an integer where ``whole``) in [low, high]; else a ValueError that says so."""
    kinds: Any = (int, np.integer) if whole else (int, float, np.integer, np.floating)
    if isinstance(value, bool) or not isinstance(value, kinds) or not low <= value <= high or not math.isfinite(value):
        raise ValueError(f"{world}: {name}={value!r}; allowed: {'an integer' if whole else 'a number'} in [{low}, {high}]")
    return int(value) if whole else float(value)


class LiveTexts:
    """Texts of a batch, made when read from the arrays as they are then: ``texts[row]`` is ``make(*(array[row] for ...))``."""

    def __init__(self, make: Any, *arrays: np.ndarray):
        self._make, self._arrays = make, arrays

    def __len__(self) -> int:
        return len(self._arrays[0])

    def __getitem__(self, row: int) -> str:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of {len(self)}")
        return self._make(*(a[row] for a in self._arrays))

    def __iter__(self):
        return (self[row] for row in range(len(self)))

    def copy(self) -> LiveTexts:
        """The same of copies of the arrays, so that they stay true when the world goes on."""
        return LiveTexts(self._make, *(array.copy() for array in self._arrays))
