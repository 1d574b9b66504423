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

import ast
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from rewardscape.rewards.core.arrays import array_namespace, copy_of, write_rows
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

    __slots__ = ("done", "errors", "facts", "metric", "on_error", "shape", "state", "steps", "terms", "xp")

    def __init__(self, facts: dict[str, Any], xp: Any, shape: tuple[int, ...], state: dict, steps: int, on_error: str):
        self.facts, self.xp, self.shape, self.state, self.steps, self.on_error = facts, xp, shape, state, steps, on_error
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

    # A stateful node keeps arrays between steps: `start` makes or renews them at a reset, evaluate reads and replaces
    # context.state[name]; a learning node also has `update(state, batch)`, called between rollouts.
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


# -------------------------------------------------------------------------------------------------------------- operations


@dataclass(frozen=True)
class Extremum(Node):
    """The smallest or greatest of nodes, of those that apply."""

    kind: str
    nodes: tuple[Node, ...]

    def children(self) -> tuple[Node, ...]:
        return self.nodes

    def evaluate(self, context: Context) -> Value:
        xp, low = context.xp, self.kind == "minimum"
        function = xp.minimum if low else xp.maximum

        def join(a: Any, b: Any) -> Any:
            if xp is not np:  # torch takes no numbers here
                a, b = (xp.asarray(v, dtype=xp.float64) for v in (a, b))
            return function(a, b)

        return _fold(self.nodes, context, join, math.inf if low else -math.inf)

    def __str__(self) -> str:
        return f"{self.kind}({', '.join(map(str, self.nodes))})"


def minimum(*values: Any) -> Node:
    """The smallest of the values that apply."""
    return Extremum("minimum", _several("minimum", values))


def maximum(*values: Any) -> Node:
    """The greatest of the values that apply."""
    return Extremum("maximum", _several("maximum", values))


def _several(name: str, values: tuple[Any, ...]) -> tuple[Node, ...]:
    if not values:
        raise ValueError(f"{name} needs at least one value")
    return tuple(as_node(value) for value in values)


@dataclass(frozen=True)
class Clip(Node):
    """A node held within [low, high]."""

    node: Node
    low: float
    high: float

    def children(self) -> tuple[Node, ...]:
        return (self.node,)

    def evaluate(self, context: Context) -> Value:
        value, applicable = self.node.evaluate(context)
        if not hasattr(value, "dtype"):
            return min(max(value, self.low), self.high), applicable
        return context.xp.clip(value, self.low, self.high), applicable

    def __str__(self) -> str:
        return f"clip({self.node}, {self.low!r}, {self.high!r})"


def clip(value: Any, low: float, high: float) -> Node:
    """``value`` held within [low, high]. ValueError if low > high."""
    if not low <= high:
        raise ValueError(f"clip: low={low!r} is above high={high!r}")
    return Clip(as_node(value), float(low), float(high))


@dataclass(frozen=True)
class Gate(Node):
    """``then`` where the condition is not 0, else ``otherwise``. What is not chosen may be anything, NaN included."""

    condition: Node
    then: Node
    otherwise: Node

    def children(self) -> tuple[Node, ...]:
        return (self.condition, self.then, self.otherwise)

    def evaluate(self, context: Context) -> Value:
        xp = context.xp
        test, applies = self.condition.evaluate(context)
        test = test if str(getattr(test, "dtype", "")).endswith("bool") else test != 0
        if not hasattr(test, "dtype"):
            test = xp.full(context.shape, bool(test))
        (then, then_mask), (otherwise, otherwise_mask) = self.then.evaluate(context), self.otherwise.evaluate(context)
        value = xp.where(test, then, otherwise)
        if then_mask is not None or otherwise_mask is not None:
            every = xp.ones_like(test)
            chosen = xp.where(
                test, every if then_mask is None else then_mask, every if otherwise_mask is None else otherwise_mask
            )
            applies = chosen if applies is None else applies & chosen
        return value, applies

    def __str__(self) -> str:
        return f"gate({self.condition}, {self.then}, {self.otherwise})"


def gate(condition: Any, then: Any, otherwise: Any = 0.0) -> Node:
    """``then`` in the rows where ``condition`` is not 0, ``otherwise`` in the rest."""
    return Gate(as_node(condition), as_node(then), as_node(otherwise))


@dataclass(frozen=True)
class Lexicographic(Node):
    """Values in order of importance: each clipped to [0, 1] and paid ``ratio`` times as much as the one before."""

    nodes: tuple[Node, ...]
    ratio: float

    def children(self) -> tuple[Node, ...]:
        return self.nodes

    def evaluate(self, context: Context) -> Value:
        weighted = tuple(scale(self.ratio**k, Clip(node, 0.0, 1.0)) for k, node in enumerate(self.nodes))
        return Sum(weighted).evaluate(context)

    def __str__(self) -> str:
        return f"lexicographic({', '.join(map(str, self.nodes))}, ratio={self.ratio!r})"


def lexicographic(*values: Any, ratio: float = 0.01) -> Node:
    """Most important first: ``sum_k ratio**k * clip(value_k, 0, 1)``.

    A later value never outweighs a difference of ``ratio / (1 - ratio)`` or more in an earlier one. What does not apply
    counts 0. ValueError unless 0 < ratio < 1.
    """
    if not 0 < ratio < 1:
        raise ValueError(f"lexicographic: ratio={ratio!r}; allowed: between 0 and 1")
    return Lexicographic(_several("lexicographic", values), float(ratio))


@dataclass(frozen=True)
class WhereApplicable(Node):
    """A node that applies only to the rows where the mask is not 0."""

    mask: Node
    node: Node

    def children(self) -> tuple[Node, ...]:
        return (self.mask, self.node)

    def evaluate(self, context: Context) -> Value:
        xp = context.xp
        mask, _ = self.mask.evaluate(context)
        mask = mask if str(getattr(mask, "dtype", "")).endswith("bool") else mask != 0
        mask = mask if hasattr(mask, "dtype") else xp.full(context.shape, bool(mask))
        value, applicable = self.node.evaluate(context)
        value = xp.where(mask, value, 0.0)
        name = self.node.recorded_as()
        if name is not None:
            context.terms[name] = xp.where(mask, context.terms[name], math.nan)
        return value, mask if applicable is None else mask & applicable

    def __str__(self) -> str:
        return f"where_applicable({self.mask}, {self.node})"


def where_applicable(mask: Any, value: Any) -> Any:
    """``value`` where ``mask`` is true; elsewhere it does not apply.

    Of arrays, inside a term (the term returns the result); or of nodes, in an expression.
    """
    if isinstance(mask, Node) or isinstance(value, Node):
        return WhereApplicable(as_node(mask), as_node(value))
    if hasattr(value, "dtype"):  # what does not apply may be NaN: it must not poison what it is multiplied with
        value = array_namespace(value).where(mask, value, array_namespace(value).zeros_like(value))
    return Masked(mask, value)


@dataclass(frozen=True)
class MeanApplicable(Node):
    """The weighted mean of the nodes that apply."""

    nodes: tuple[Node, ...]
    weights: tuple[float, ...]

    def children(self) -> tuple[Node, ...]:
        return self.nodes

    def evaluate(self, context: Context) -> Value:
        total, weight_sum, masks = 0.0, 0.0, []
        for node, weight in zip(self.nodes, self.weights, strict=True):
            value, applicable = _weighted(weight, node, context)
            masks.append(applicable)
            total = total + (value if applicable is None else context.xp.where(applicable, value, 0.0))
            weight_sum = weight_sum + (weight if applicable is None else context.xp.where(applicable, weight, 0.0))
        applies = _any_applies(masks)
        return total / (weight_sum if applies is None else context.xp.where(applies, weight_sum, 1.0)), applies

    def __str__(self) -> str:
        weights = "" if len(set(self.weights)) == 1 else f", weights={self.weights!r}"
        return f"mean_applicable({', '.join(map(str, self.nodes))}{weights})"


def mean_applicable(*values: Any, weights: Any = None) -> Node:
    """The weighted mean over the values that apply to a row: their weights are renormalised. Weights are positive."""
    nodes = _several("mean_applicable", values)
    weights = (1.0,) * len(nodes) if weights is None else tuple(float(w) for w in weights)
    if len(weights) != len(nodes) or not all(w > 0 and math.isfinite(w) for w in weights):
        raise ValueError(f"mean_applicable: {len(nodes)} values need as many positive weights, not {weights!r}")
    return MeanApplicable(nodes, weights)


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


@dataclass(frozen=True)
class Potential(Node):
    """Potential-based shaping: ``gamma * Phi(s') - Phi(s)``."""

    node: Node
    gamma: float
    label: str = field(default="shaping")

    def children(self) -> tuple[Node, ...]:
        return (self.node,)

    def own_facts(self) -> tuple[str, ...]:
        return ("terminated",)

    def recorded_as(self) -> str:
        return self.label

    def named(self, label: str) -> Potential:
        """The shaping recorded under another name."""
        return Potential(self.node, self.gamma, label)

    def start(self, context: Context, rows: Any) -> None:
        potential = self._potential(context)
        known = context.state.get(self.label)
        context.state[self.label] = potential if known is None or rows is None else write_rows(known, potential, rows)

    def _potential(self, context: Context) -> Any:
        value, applicable = self.node.evaluate(context)
        xp = context.xp
        value = value if applicable is None else xp.where(applicable, value, 0.0)
        return copy_of(value) if hasattr(value, "dtype") else xp.full(context.shape, float(value))

    def evaluate(self, context: Context) -> Value:
        if self.label in context.done:
            return context.done[self.label]
        after, before = self._potential(context), context.state[self.label]
        context.state[self.label] = after
        ended = context.facts["terminated"]
        while ended.ndim < after.ndim:  # one flag for all agents of a row
            ended = ended[..., None]
        return context.record(self.label, self.gamma * context.xp.where(ended, 0.0 * after, after) - before, None)

    def __str__(self) -> str:
        text = f"potential({self.node}, gamma={self.gamma!r})"
        return text if self.label == "shaping" else text + f".named({self.label!r})"


def potential(value: Any, gamma: float) -> Potential:
    """Potential-based shaping by ``value`` as the potential Phi: pays ``gamma * Phi(s') - Phi(s)``.

    Phi counts 0 once the episode has terminated and is kept where it was truncated, so the optimal policy is unchanged
    (Ng, Harada and Russell, ICML 1999) if ``gamma`` is the learner's. Recorded as ``shaping``. ValueError unless
    0 <= gamma <= 1.
    """
    if not 0 <= gamma <= 1:
        raise ValueError(f"potential: gamma={gamma!r}; allowed: 0 to 1")
    return Potential(as_node(value), float(gamma))


def fact(name: str) -> Fact:
    """A fact as a node: ``gate(fact("format_valid"), hit)``. ValueError for an unknown name."""
    require_fact(name, "fact(...)")
    return Fact(name)


OPERATIONS: dict[str, Callable] = {
    "minimum": minimum, "maximum": maximum, "product": product, "clip": clip, "gate": gate, "lexicographic": lexicographic,
    "where_applicable": where_applicable, "mean_applicable": mean_applicable, "scheduled": scheduled, "potential": potential,
    "fact": fact,
}  # fmt: skip


# ----------------------------------------------------------------------------------------------------------------- parsing


def parse(text: str) -> Node:
    """The expression that prints as ``text``: terms, numbers, ``+ - * /``, operations, ``.on(...)``, ``.named(...)``.

    Read by Python's grammar but never executed. Raises ValueError naming what it could not read.
    """
    try:
        tree = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as error:
        raise ValueError(f"cannot read the reward expression {text!r}: {error}") from None
    node = _parse(tree)
    if isinstance(node, (tuple, str)):
        raise ValueError(f"{text!r} is not a reward expression")
    return as_node(node)


def _parse(tree: ast.AST) -> Any:
    if isinstance(tree, ast.Constant) and isinstance(tree.value, (int, float, str, bool, type(None))):
        return tree.value
    if isinstance(tree, ast.Name):
        return _definition(tree.id).as_node()
    if isinstance(tree, (ast.Tuple, ast.List)):
        return tuple(_parse(part) for part in tree.elts)
    if isinstance(tree, ast.UnaryOp) and isinstance(tree.op, (ast.USub, ast.UAdd)):
        value = _parse(tree.operand)
        return -value if isinstance(tree.op, ast.USub) else value
    if isinstance(tree, ast.BinOp):
        left, right = _parse(tree.left), _parse(tree.right)
        if isinstance(tree.op, ast.Add):
            return left + right
        if isinstance(tree.op, ast.Sub):
            return left - right
        if isinstance(tree.op, ast.Mult):
            return left * right
        if isinstance(tree.op, ast.Div) and _is_number(right) and right != 0:
            return left / right
    if isinstance(tree, ast.Call):
        arguments = [_parse(part) for part in tree.args]
        keywords = {k.arg: _parse(k.value) for k in tree.keywords if k.arg}
        if isinstance(tree.func, ast.Attribute) and tree.func.attr in ("on", "named"):
            owner = _parse(tree.func.value)
            if hasattr(owner, tree.func.attr):
                return getattr(owner, tree.func.attr)(*arguments, **keywords)
        if isinstance(tree.func, ast.Name):
            try:
                return (OPERATIONS.get(tree.func.id) or _definition(tree.func.id))(*arguments, **keywords)
            except TypeError as error:
                raise ValueError(f"cannot read {ast.unparse(tree)!r}: {error}") from None
    raise ValueError(f"cannot read {ast.unparse(tree)!r} in a reward expression")


def _definition(name: str) -> Any:
    from rewardscape.rewards.core.registry import load_terms
    from rewardscape.rewards.core.terms import TERMS, find_term

    if name not in TERMS:
        load_terms()
    return find_term(name)
