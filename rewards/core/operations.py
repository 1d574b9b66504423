"""Operations of reward expressions beyond ``+ - *``: `minimum`, `clip`, `gate`, `lexicographic`, `potential` and their like."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rewardscape.rewards.core.arrays import array_namespace, copy_of, write_rows
from rewardscape.rewards.core.facts import require_fact
from rewardscape.rewards.core.nodes import (
    Context,
    Fact,
    Masked,
    Node,
    Sum,
    Value,
    _any_applies,
    _fold,
    _weighted,
    as_node,
    product,
    scale,
    scheduled,
)


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


def operation(function: Callable) -> Callable:
    """Let formulas call ``function``, which makes a node. ValueError if another operation has its name."""
    known = OPERATIONS.setdefault(function.__name__, function)
    if (known.__module__, known.__qualname__) != (function.__module__, function.__qualname__):
        raise ValueError(f"two operations are named {function.__name__!r}: in {known.__module__} and in {function.__module__}")
    return function
