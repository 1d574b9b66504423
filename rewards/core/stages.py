"""Trainer stages: what a learner does with finished rollouts before it learns from them.

A reward layer has two of them beside its expression. ``credit`` says what each step of a rollout is worth, ``advantage`` compares
the rollouts of a group. Every trainer calls them the same way: ``layer.advantages(rollouts)``. Arrays are ``[time, row]``
(or ``[time, row, agent]``), NumPy or torch; a rollout that is shorter than the others is padded and masked.
"""

from __future__ import annotations

import ast
import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from rewardscape.rewards.core.arrays import array_namespace, sum_by
from rewardscape.rewards.core.terms import choices_of, kept_settings


class Part(NamedTuple):
    """One addend of a reward: its weight in the sum, and its values (NaN where it does not apply)."""

    weight: float
    values: Any


@dataclass
class Rollouts:
    """Finished rollouts.

    ``rewards`` ``[time, row]``: what the expression paid (NaN: not judged at all). ``mask``: bool, the steps that were taken;
    padding is False. ``group`` ``[row]``: rollouts with the same number answered the same task. ``parts``: the addends of the
    expression by name. ``turn`` ``[time, row]``: number of the turn a step belongs to; every step is a turn if None.
    ``facts``: facts ``[time, row, ...]`` for stages that look at them.
    """

    rewards: Any
    mask: Any
    group: Any
    parts: dict[str, Part] = field(default_factory=dict)
    turn: Any = None
    facts: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        shape = tuple(self.rewards.shape)
        for name, array, expected in (("mask", self.mask, shape), ("group", self.group, shape[1:])):
            if tuple(array.shape) != expected:
                raise ValueError(f"rollouts: {name} has shape {tuple(array.shape)}, not {expected}")


@dataclass
class Credited:
    """Rollouts after credit assignment.

    ``values`` ``[time, row]``: what each step is worth. ``parts``: the same of every addend. ``unit`` ``[time, row]``: steps with
    the same unit number are compared with one another (with the rows of their group); ``counted``: where a value enters the
    comparison, once in every unit of a row. ``mask``, ``group``, ``facts``: as in `Rollouts`.
    """

    values: Any
    parts: dict[str, Part]
    unit: Any
    counted: Any
    mask: Any
    group: Any
    facts: dict[str, Any]


class Channel(NamedTuple):
    """One advantage: the learner adds a loss for each channel, ``weight`` times the mean over ``mask``."""

    name: str
    weight: float
    values: Any  # [time, row], 0 outside the mask
    mask: Any  # bool [time, row]


class Stage:
    """A stage with its settings: prints as the call it is, ``group_relative(scale='none')``."""

    def __init__(self, kind: str, function: Callable, settings: tuple[tuple[str, Any], ...], facts: tuple[str, ...] = ()):
        self.kind, self.function, self.settings, self.facts = kind, function, settings, facts

    @property
    def name(self) -> str:
        return self.function.__name__

    def __call__(self, given: Any) -> Any:
        return self.function(given, **dict(self.settings))

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{n}={v!r}' for n, v in self.settings)})"

    __repr__ = __str__

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Stage) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


STAGES: dict[str, dict[str, StageMaker]] = {"credit": {}, "advantage": {}}


class StageMaker:
    """A registered stage: ``group_relative(scale="none")`` is a `Stage`. Attributes: ``kind``, ``name``, ``settings``, ``facts``
    (those it looks at), ``doc``."""

    def __init__(self, kind: str, function: Callable, facts: tuple[str, ...] = ()):
        self.kind, self.function, self.name, self.facts = kind, function, function.__name__, facts
        parameters = list(inspect.signature(function).parameters.values())[1:]
        self.settings = {p.name: p.default for p in parameters}
        self.choices = choices_of(function)
        self.doc = inspect.getdoc(function) or ""
        STAGES[kind][self.name] = self

    def __call__(self, **settings: Any) -> Stage:
        """The stage with these settings. ValueError for an unknown one or one of the wrong kind."""
        kept = kept_settings(self.name, self.settings, self.choices, settings)
        return Stage(self.kind, self.function, kept, self.facts)


def credit(function: Callable) -> StageMaker:
    """Make ``f(rollouts, **settings) -> Credited`` a credit stage, registered under its name."""
    return StageMaker("credit", function)


def advantage(function: Callable | None = None, *, facts: tuple[str, ...] = ()) -> Any:
    """Make ``f(credited, **settings) -> list[Channel]`` an advantage stage, registered under its name. ``facts``: those it looks
    at where a world has them."""
    return StageMaker("advantage", function, facts) if function else lambda f: StageMaker("advantage", f, facts)


def load_stages() -> dict[str, dict[str, StageMaker]]:
    """All stages by kind and name."""
    for module in ("advantage", "credit"):  # which register what they define
        importlib.import_module(f"rewardscape.rewards.{module}")
    return STAGES


def get_stage(kind: str, given: Any) -> Stage | None:
    """The stage that ``given`` (a `Stage`, a stage's name, or its text) means; None is None. ValueError if it cannot be read."""
    load_stages()
    if given is None:
        return None
    if isinstance(given, StageMaker):
        given = given()
    if isinstance(given, Stage):
        if given.kind != kind:
            raise ValueError(f"{given} is a stage of {given.kind}, not of {kind}")
        return given
    allowed = f"allowed: {', '.join(STAGES[kind])}, with settings in brackets"
    try:
        tree = ast.parse(str(given).strip(), mode="eval").body
        call = tree if isinstance(tree, ast.Call) else ast.Call(tree, [], [])
        name = call.func.id  # type: ignore[attr-defined]
        settings = {k.arg: ast.literal_eval(k.value) for k in call.keywords}
    except (SyntaxError, ValueError, AttributeError, RecursionError):
        raise ValueError(f"cannot read {kind}={given!r}; {allowed}") from None
    if name not in STAGES[kind] or call.args or None in settings:
        raise ValueError(f"unknown {kind}={given!r}; {allowed}")
    return STAGES[kind][name](**settings)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------- arithmetic over groups, for the stages


class Comparison:
    """Statistics over what is compared with one another: the counted values of one group and unit, NaN left out."""

    def __init__(self, credited: Credited):
        xp = array_namespace(credited.values)
        units = int(xp.max(credited.unit)) + 1
        found, key = xp.unique_inverse(credited.group[None] * units + credited.unit)
        self.number, self.key = int(found.shape[0]), key.reshape(credited.values.shape)
        self.counted = credited.counted

    def sums(self, values: Any, where: Any) -> Any:
        """At every step, the sum of the ``values`` compared there that are counted and in ``where``."""
        kept = array_namespace(values).where(self.counted & where, values, 0.0)
        return sum_by(kept, self.key, self.number)[self.key]

    def moments(self, values: Any, where: Any = None) -> tuple[Any, Any, Any]:
        """``(count, mean, deviation)`` at every step; the deviation is unbiased, 0 of fewer than two values."""
        xp = array_namespace(values)
        where = ~xp.isnan(values) if where is None else where & ~xp.isnan(values)
        count = self.sums(xp.ones_like(values), where)
        mean = self.sums(values, where) / xp.clip(count, 1.0, None)
        apart = xp.where(where, values - mean, 0.0)
        return count, mean, xp.sqrt(self.sums(apart * apart, where) / xp.clip(count - 1, 1.0, None))

    def batch_moments(self, values: Any) -> tuple[Any, Any]:
        """``(mean, deviation)`` over all counted values; the deviation is unbiased, 0 of fewer than two."""
        xp = array_namespace(values)
        chosen = values[self.counted & ~xp.isnan(values)]
        number = max(int(chosen.shape[0]), 1)
        mean = xp.sum(chosen) / number
        return mean, xp.sqrt(xp.sum((chosen - mean) ** 2) / max(number - 1, 1))
