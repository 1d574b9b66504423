"""Reward expressions: terms joined by ``+ - *``, scalars and the operations below.

A node is immutable, hashable and prints as the formula it is; `parse` reads that formula back, so YAML files, the command
line and ``str`` share one form::

    0.5*gaussian_point(alpha=0.25) + gate(fact('format_valid'), hit, -1.0)

Evaluating a node gives ``(value, applicable)``: an array over the facts' leading axes, and a bool mask of the rows to which
it applies (None: all). Only `where_applicable` makes rows inapplicable. In a sum they count 0 and weights are not
renormalised; `mean_applicable` renormalises; the other operations skip them.

A term under a weight of 0 is a metric: it is computed and recorded, but neither NaN nor an exception in it reaches the sum.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from rewardscape.rewards.core.arrays import copy_of
from rewardscape.rewards.core.facts import require_fact

Value = tuple[Any, Any]  # (value, applicable or None)


class RewardError(ValueError):
    """A reward could not be computed. The message names the row and the term."""


class Masked:
    """What `where_applicable` returns inside a term."""

    __slots__ = ("mask", "value")

    def __init__(self, mask: Any, value: Any):
        self.mask, self.value = mask, value


class Context:
    """One evaluation: the facts, what the layer keeps between steps, and the terms recorded on the way."""

    __slots__ = ("done", "errors", "facts", "frozen", "metric", "models", "on_error", "shape", "state", "steps", "terms", "xp")

    def __init__(self, facts: dict[str, Any], xp: Any, shape: tuple[int, ...], layer: Any):
        self.facts, self.xp, self.shape = facts, xp, shape
        self.state, self.models = layer.state, layer.models
        self.steps, self.on_error, self.frozen = layer.steps, layer.on_error, layer.frozen
        self.terms: dict[str, Any] = {}
        self.done: dict[str, Value] = {}
        self.errors: list[str] = []
        self.metric = False

    def record(self, name: str, value: Any, applicable: Any) -> Value:
        """Note a term's raw value (NaN where it does not apply) and return it."""
        self.terms[name] = value if applicable is None else self.xp.where(applicable, value, math.nan)
        self.done[name] = (value, applicable)
        return value, applicable


class Node:
    """A part of a reward expression. Subclasses are frozen dataclasses with ``evaluate`` and ``__str__``."""

    over_agents: ClassVar[bool] = False  # does it join the rewards of a row's agents, the last leading axis?

    def evaluate(self, context: Context) -> Value:
        raise TypeError(f"{type(self).__name__} does not evaluate")

    def children(self) -> tuple[Node, ...]:
        return ()

    def as_node(self) -> Node:
        return self

    def walk(self) -> Iterator[Node]:
        """This node and all below it."""
        node = self.as_node()
        yield node
        for child in node.children():
            yield from child.walk()

    def facts(self) -> tuple[str, ...]:
        """Names of the facts the expression cannot do without, sorted."""
        return tuple(sorted({fact for node in self.walk() for fact in node.own_facts()}))

    def optional_facts(self) -> tuple[str, ...]:
        """Names of the facts it uses where a world has them, sorted."""
        return tuple(sorted({fact for node in self.walk() for fact in node.own_optional_facts()}))

    def own_facts(self) -> tuple[str, ...]:
        return ()

    def own_optional_facts(self) -> tuple[str, ...]:
        return ()

    def terms(self) -> dict[str, Node]:
        """Recorded nodes by name. Raises ValueError where two different ones share a name."""
        named: dict[str, Node] = {}
        for node in self.walk():
            name = node.recorded_as()
            if name is not None and named.setdefault(name, node) != node:
                raise ValueError(
                    f"two different uses of the name {name!r}: {named[name]} and {node}; tell them apart with .named('...')"
                )
        return named

    def recorded_as(self) -> str | None:
        return None

    def addends(self) -> dict[str, tuple[float, Node]]:
        """What the reward is a sum of: ``{name: (weight, node)}``; one entry where it is no sum. An addend that is a term has
        its name, another that of the first term in it."""
        found: dict[str, tuple[float, Node]] = {}
        for node in self.nodes if isinstance(self, Sum) else (self,):
            weight = 1.0
            while isinstance(node, Scale):
                weight, node = weight * node.weight, node.node
            inner = node.recorded_as() or next((n for part in node.walk() if (n := part.recorded_as())), "constant")
            name = next(n for k in itertools.count(1) if (n := inner if k == 1 else f"{inner}_{k}") not in found)
            found[name] = (weight, node)
        return found

    # A stateful node keeps arrays between steps: `start` makes or renews them at a reset, evaluate reads and replaces
    # context.state[name].
    def start(self, context: Context, rows: Any) -> None:
        return None

    def __add__(self, other: Any) -> Node:
        return add(self, other)

    def __radd__(self, other: Any) -> Node:
        return add(other, self)

    def __sub__(self, other: Any) -> Node:
        return add(self, scale(-1.0, as_node(other)))

    def __rsub__(self, other: Any) -> Node:
        return add(other, scale(-1.0, self))

    def __neg__(self) -> Node:
        return scale(-1.0, self)

    def __mul__(self, other: Any) -> Node:
        return multiply(self, other)

    def __rmul__(self, other: Any) -> Node:
        return multiply(other, self)

    def __truediv__(self, other: Any) -> Node:
        if not _is_number(other) or other == 0:
            return NotImplemented
        return scale(1.0 / other, self)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def as_node(value: Any) -> Node:
    """``value`` as a node: a node, a term, or a finite number. TypeError otherwise."""
    if isinstance(value, Node):
        return value.as_node()
    if _is_number(value) and math.isfinite(value):
        return Constant(float(value))
    raise TypeError(f"a reward expression is made of terms, nodes and finite numbers, not {value!r}")


# ----------------------------------------------------------------------------------------------------------------- leaves


@dataclass(frozen=True)
class Constant(Node):
    """A number."""

    value: float

    def evaluate(self, context: Context) -> Value:
        return self.value, None

    def __str__(self) -> str:
        return repr(self.value)


@dataclass(frozen=True)
class Fact(Node):
    """A fact as a number: for conditions and masks."""

    name: str

    def own_facts(self) -> tuple[str, ...]:
        return (self.name,)

    def evaluate(self, context: Context) -> Value:
        return context.facts[self.name], None

    def __str__(self) -> str:
        return f"fact({self.name!r})"


@dataclass(frozen=True)
class TermNode(Node):
    """A term with its settings. ``bindings``: which fact a parameter reads; ``label``: another name for the record."""

    term: str
    settings: tuple[tuple[str, Any], ...] = ()
    bindings: tuple[tuple[str, str], ...] = ()
    label: str = ""

    def on(self, **bindings: str) -> TermNode:
        """The term reading other facts: ``gaussian_point().on(target_box="next_box")``. ValueError for unknown names."""
        made = self._definition()
        for parameter, fact in bindings.items():
            if parameter not in made.facts_needed + made.facts_optional:
                raise ValueError(f"{self.term} reads {', '.join(made.facts_needed + made.facts_optional)}, not {parameter!r}")
            require_fact(fact, f"{self.term}.on({parameter}=...)")
        return TermNode(self.term, self.settings, tuple(sorted({**dict(self.bindings), **bindings}.items())), self.label)

    def named(self, label: str) -> TermNode:
        """The term recorded under another name."""
        if not label.isidentifier():
            raise ValueError(f"a term's name is an identifier, not {label!r}")
        return TermNode(self.term, self.settings, self.bindings, label)

    def _definition(self) -> Any:
        from rewardscape.rewards.core.terms import find_term

        return find_term(self.term)

    @cached_property
    def _call(self) -> tuple[Any, list[str], list[str], dict[str, Any]]:
        """The term, the facts it is called with, its settings: looked up once, because every step needs them."""
        made, bound = self._definition(), dict(self.bindings)
        needed, optional = ([bound.get(n, n) for n in names] for names in (made.facts_needed, made.facts_optional))
        return made, needed, optional, dict(self.settings)

    def own_facts(self) -> tuple[str, ...]:
        bound = dict(self.bindings)
        made = self._definition()
        optional = [bound[name] for name in made.facts_optional if name in bound]
        return tuple(bound.get(name, name) for name in made.facts_needed) + tuple(optional)

    def own_optional_facts(self) -> tuple[str, ...]:
        bound = dict(self.bindings)
        return tuple(name for name in self._definition().facts_optional if name not in bound)

    def recorded_as(self) -> str:
        return self.label or self.term

    def evaluate(self, context: Context) -> Value:
        name = self.label or self.term
        if name in context.done:
            return context.done[name]
        made, needed, optional, settings = self._call
        facts = context.facts
        failed = None
        try:
            columns = [facts[fact] for fact in needed] + [facts.get(fact) for fact in optional]
            if made.rowwise:
                value, failed = _rowwise(made, columns, settings, context, name)
            else:
                value = made.__wrapped__(*columns, **settings)
                if any(value is column for column in columns):
                    value = copy_of(value)  # the world goes on writing into its facts
        except RewardError:
            raise
        except Exception as error:
            if not context.metric:
                raise RewardError(f"term {name}: {type(error).__name__}: {error}") from error
            context.errors.append(f"term {name}: {type(error).__name__}: {error}")
            return context.record(name, context.xp.full(context.shape, math.nan), None)
        applicable = None
        if isinstance(value, Masked):
            value, applicable = value.value, value.mask
        if failed is not None:
            applicable = failed if applicable is None else applicable & failed
        if context.on_error == "skip_row" and not made.rowwise:
            finite = context.xp.isfinite(value)
            if not bool(context.xp.all(finite)):
                context.errors.extend([f"term {name}: not finite"] * int(context.xp.sum(~finite)))
                applicable = finite if applicable is None else applicable & finite
        return context.record(name, value, applicable)

    def __str__(self) -> str:
        inner = ", ".join(f"{n}={v!r}" for n, v in self.settings)
        text = f"{self.term}({inner})"
        if self.bindings:
            text += f".on({', '.join(f'{n}={v!r}' for n, v in self.bindings)})"
        return text + (f".named({self.label!r})" if self.label else "")


def _rowwise(made: Any, columns: list[Any], settings: dict[str, Any], context: Context, name: str) -> tuple[Any, Any]:
    """A rowwise term over all rows, and the mask of those that succeeded where failing rows are skipped."""
    rows = context.shape[0] if context.shape else 1
    values, succeeded = np.full(rows, math.nan), np.ones(rows, bool)
    applicable = np.ones(rows, bool)
    for row in range(rows):
        try:
            value = made.__wrapped__(*(None if c is None else c[row] for c in columns), **settings)
            if isinstance(value, Masked):
                value, applicable[row] = value.value, bool(value.mask)
            values[row] = value
        except Exception as error:
            message = f"row {row}, term {name}: {type(error).__name__}: {error}"
            if context.on_error == "raise" and not context.metric:
                raise RewardError(message) from error
            context.errors.append(message)
            succeeded[row] = context.metric  # a metric shows NaN
    values = np.where(applicable & succeeded, values, math.nan if context.metric else 0.0)
    applicable &= succeeded
    if context.xp is not np:
        return context.xp.asarray(values), None if applicable.all() else context.xp.asarray(applicable)
    return values, None if applicable.all() else applicable


class Learning(Node):
    """A node that learns: what it has learned is a model that lives in the layer, at ``context.models[self.recorded_as()]``.

    Subclasses have `model`, `learn` and ``recorded_as``. ``evaluate`` uses the model, and leaves it as it is while
    ``context.frozen``.
    """

    def learns_from(self) -> tuple[str, ...]:
        """The facts that `learn` is given; default: those the node reads."""
        return self.own_facts()

    def model(self, context: Context) -> Any:
        """A fresh model, made at the first reset from the facts of it: has ``state_dict`` and ``load_state_dict``."""
        raise TypeError(f"{type(self).__name__} has no model")

    def learn(self, model: Any, batch: dict[str, Any]) -> float:
        """Learn from facts ``[time, row, ...]``; ``batch["mask"]`` (bool ``[time, row]``) says which were judged. The loss."""
        raise TypeError(f"{type(self).__name__} does not learn")


# ------------------------------------------------------------------------------------------------------------- arithmetic


@dataclass(frozen=True)
class Scale(Node):
    """A node times a fixed weight."""

    weight: float
    node: Node

    def children(self) -> tuple[Node, ...]:
        return (self.node,)

    def evaluate(self, context: Context) -> Value:
        return _weighted(self.weight, self.node, context)

    def __str__(self) -> str:
        inner = str(self.node)
        inner = f"({inner})" if isinstance(self.node, Sum) else inner
        return f"-{inner}" if self.weight == -1 else f"{self.weight!r}*{inner}"


def _weighted(weight: float, node: Node, context: Context) -> Value:
    if weight == 0:
        outer, context.metric = context.metric, True
        try:
            node.evaluate(context)
        finally:
            context.metric = outer
        return 0.0, None
    value, applicable = node.evaluate(context)
    return weight * value, applicable


@dataclass(frozen=True)
class Sum(Node):
    """The sum of nodes; what does not apply counts 0."""

    nodes: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return self.nodes

    def evaluate(self, context: Context) -> Value:
        total: Any = 0.0
        masks = []
        for node in self.nodes:
            value, applicable = node.evaluate(context)
            masks.append(applicable)
            total = total + (value if applicable is None else context.xp.where(applicable, value, 0.0))
        return total, _any_applies(masks)

    def __str__(self) -> str:
        text = str(self.nodes[0])
        for node in self.nodes[1:]:
            shown = str(node)
            text += f" - {shown[1:]}" if shown.startswith("-") else f" + {shown}"
        return text


@dataclass(frozen=True)
class Product(Node):
    """The product of nodes; what does not apply counts 1."""

    nodes: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return self.nodes

    def evaluate(self, context: Context) -> Value:
        return _fold(self.nodes, context, lambda a, b: a * b, 1.0)

    def __str__(self) -> str:
        return "*".join(f"({n})" if isinstance(n, (Sum, Scale)) else str(n) for n in self.nodes)


def _any_applies(masks: list[Any]) -> Any:
    if any(mask is None for mask in masks):
        return None
    total = masks[0]
    for mask in masks[1:]:
        total = total | mask
    return total


def _fold(nodes: tuple[Node, ...], context: Context, join: Callable, neutral: float) -> Value:
    """Join values from left to right, skipping what does not apply."""
    found = [node.evaluate(context) for node in nodes]
    total, first = None, True
    for value, applicable in found:
        value = value if applicable is None else context.xp.where(applicable, value, neutral)
        total = value if first else join(total, value)
        first = False
    applies = _any_applies([applicable for _, applicable in found])
    return total if applies is None else context.xp.where(applies, total, 0.0), applies


def add(*values: Any) -> Node:
    """The sum, flattened."""
    parts: list[Node] = []
    for value in values:
        node = as_node(value)
        parts.extend(node.nodes if isinstance(node, Sum) else [node])
    return Sum(tuple(parts))


def scale(weight: float, node: Node) -> Node:
    """``weight * node``; nested weights are multiplied out."""
    node = node.as_node()
    if isinstance(node, Constant):
        return Constant(weight * node.value)
    if isinstance(node, Scale):
        return Scale(weight * node.weight, node.node)
    if not math.isfinite(weight):
        raise ValueError(f"a weight is a finite number, not {weight!r}")
    return Scale(float(weight), node)


def multiply(first: Any, second: Any) -> Node:
    """The product; a number becomes a weight, a schedule stays one."""
    first, second = as_node(first), as_node(second)
    if isinstance(first, Constant):
        return scale(first.value, second)
    if isinstance(second, Constant):
        return scale(second.value, first)
    if isinstance(second, Schedule):
        first, second = second, first
    if isinstance(first, Schedule):
        return ScheduledWeight(first, second)
    weight = 1.0
    parts: list[Node] = []
    for node in (first, second):
        if isinstance(node, Scale):
            weight, node = weight * node.weight, node.node
        parts.extend(node.nodes if isinstance(node, Product) else [node])
    return Product(tuple(parts)) if weight == 1.0 else Scale(weight, Product(tuple(parts)))


def product(*values: Any) -> Node:
    """``a * b * ...``; what does not apply to a row counts 1."""
    result = as_node(values[0])
    for value in values[1:]:
        result = multiply(result, value)
    return result


# --------------------------------------------------------------------------------------------------------------- schedules


@dataclass(frozen=True)
class Schedule(Node):
    """A weight that changes with training."""

    points: tuple[tuple[int, float], ...]
    kind: str

    def weight(self, steps: int) -> float:
        """The weight after ``steps`` row-steps."""
        before = self.points[0]
        for after in self.points:
            if steps < after[0]:
                if self.kind == "step" or after is self.points[0]:
                    return before[1]
                share = (steps - before[0]) / (after[0] - before[0])
                if self.kind == "cosine":
                    share = (1 - math.cos(math.pi * share)) / 2
                return before[1] + share * (after[1] - before[1])
            before = after
        return before[1]

    def evaluate(self, context: Context) -> Value:
        return self.weight(context.steps), None

    def __str__(self) -> str:
        points = ", ".join(f"({steps}, {weight!r})" for steps, weight in self.points)
        return f"scheduled({points}" + ("" if self.kind == "linear" else f", kind={self.kind!r}") + ")"


@dataclass(frozen=True)
class ScheduledWeight(Node):
    """A node times a schedule."""

    schedule: Schedule
    node: Node

    def children(self) -> tuple[Node, ...]:
        return (self.schedule, self.node)

    def evaluate(self, context: Context) -> Value:
        return _weighted(self.schedule.weight(context.steps), self.node, context)

    def __str__(self) -> str:
        inner = f"({self.node})" if isinstance(self.node, (Sum, Scale)) else str(self.node)
        return f"{self.schedule}*{inner}"


def scheduled(*points: Any, kind: str = "linear") -> Schedule:
    """A weight through ``(steps, weight)`` points, e.g. ``scheduled((0, 1.0), (100_000, 0.0)) * term``.

    ``steps`` counts the row-steps the layer has judged while not frozen. ``kind``: between points ``"linear"``,
    ``"cosine"``, or ``"step"`` (the last point's weight holds). Before the first and after the last point the weight is
    theirs. ValueError unless the steps increase.
    """
    try:
        kept = tuple((int(steps), float(weight)) for steps, weight in points)
    except (TypeError, ValueError):
        kept = ()
    if kind not in ("linear", "cosine", "step"):
        raise ValueError(f"scheduled: kind={kind!r}; allowed: 'linear', 'cosine', 'step'")
    if not kept or any(a[0] >= b[0] for a, b in itertools.pairwise(kept)):
        raise ValueError(f"scheduled takes (steps, weight) points with increasing steps, not {points!r}")
    if not all(math.isfinite(weight) for _, weight in kept):
        raise ValueError(f"scheduled: weights are finite, not {points!r}")
    return Schedule(kept, kind)
