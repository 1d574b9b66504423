"""`RewardLayer`: a reward expression at work on a batch of rows."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from rewardscape.rewards.core.arrays import array_namespace, copy_of, write_rows
from rewardscape.rewards.core.facts import FACTS
from rewardscape.rewards.core.formula import parse
from rewardscape.rewards.core.nodes import Context, Node, RewardError, Schedule, TermNode, as_node
from rewardscape.rewards.core.operations import Potential
from rewardscape.rewards.core.stages import Channel, Rollouts, get_stage


class RewardLayer:
    """Judges facts by ``expression`` (a node, a term, or a formula as text).

    ``reset(facts)`` opens episodes, ``step(facts)`` pays for one step; facts are arrays with any leading axes, often
    ``[row]`` or ``[row, agent]``, in NumPy or torch. Between them the layer keeps what the expression needs of the past:
    ``previous_<fact>``, potentials, the count of steps that schedules read.

    ``credit`` and ``advantage`` are what a learner does with finished rollouts (`Stage`, or its text); `advantages` applies
    them. A learner that estimates advantages in its own way refuses a layer that has them. With ``keep_parts`` True, every
    step leaves what advantages may look at: the value of each addend of the expression in ``parts``, and copies of the
    facts that the advantage names in ``facts_kept``.

    ``on_error``: ``"raise"``: a term that raises, or a reward that is not finite, is a `RewardError` naming row and term;
    ``"skip_row"``: the term does not apply to that row, and ``errors`` counts it. On a device nothing is raised, because
    that would wait for it: a reward that is not finite is paid as 0 and counted in ``errors``.
    """

    def __init__(self, expression: Any, on_error: str = "raise", credit: Any = None, advantage: Any = None):
        if on_error not in ("raise", "skip_row"):
            raise ValueError(f"on_error={on_error!r}; allowed: 'raise', 'skip_row'")
        self.expression: Node = parse(expression) if isinstance(expression, str) else as_node(expression)
        self.on_error = on_error
        self.credit, self.advantage = get_stage("credit", credit), get_stage("advantage", advantage)
        self.addends = self.expression.addends()
        self.keep_parts = False
        self.parts: dict[str, Any] = {}
        self.facts_kept: dict[str, Any] = {}
        self.term_nodes = self.expression.terms()
        facts = self.expression.facts() + self.expression.optional_facts()
        self._previous_names = tuple(name for name in facts if name.startswith("previous_"))
        self._starting = [node for node in self.expression.walk() if type(node).start is not Node.start]
        self._reference = next((name for name in self.expression.facts() if not name.startswith("previous_")), "terminated")
        self._features = len(FACTS[self._reference].shape)
        self._scheduled = any(isinstance(node, Schedule) for node in self.expression.walk())
        self._previous: dict[str, Any] = {}
        self._state: dict[str, Any] = {}
        self.steps = 0
        self.frozen = False
        self.errors: Any = 0
        self.last_errors: list[str] = []

    def __repr__(self) -> str:
        stages = "".join(f", {k}={str(v)!r}" for k, v in (("credit", self.credit), ("advantage", self.advantage)) if v)
        return f"RewardLayer({str(self.expression)!r}{stages})"

    @property
    def shaping_gammas(self) -> tuple[float, ...]:
        """The discount of every potential in the expression: a learner with another one is not shaped soundly."""
        return tuple(node.gamma for node in self.expression.walk() if isinstance(node, Potential))

    def attach(self, available: Iterable[str], world: str = "this world") -> None:
        """Raise ValueError naming the facts that the expression needs and ``world`` does not report."""
        available = set(available)
        missing = [name for name in self.expression.facts() if name.removeprefix("previous_") not in available]
        if missing:
            users = {name: next(str(node) for node in self.expression.walk() if name in node.own_facts()) for name in missing}
            listed = "; ".join(f"{name} (for {user})" for name, user in users.items())
            close = sorted({m for name in missing for m in difflib.get_close_matches(name, available, 2, 0.6)})
            hint = f" It has {', '.join(close)}: rebind with .on(...)." if close else ""
            raise ValueError(f"{world} does not report what this reward needs: {listed}.{hint}")

    def reset(self, facts: dict[str, Any], rows: Any = None) -> None:
        """Open episodes in ``rows`` (bool mask over the leading axis; None: all). ``facts``: those of the reset."""
        for name in self._previous_names:
            value = facts[name.removeprefix("previous_")]
            known = self._previous.get(name)
            self._previous[name] = copy_of(value) if known is None else write_rows(known, value, rows)
        if self._starting:
            context = self._context(facts)
            for node in self._starting:
                node.start(context, rows)

    def step(self, facts: dict[str, Any], rows: Any = None) -> tuple[Any, dict[str, Any]]:
        """Judge one step: ``(reward, terms)``.

        ``reward``: over the leading axes (float64 in NumPy). ``terms``: raw, unweighted value of every term, NaN where it
        does not apply. ``rows``: bool mask of the rows that acted (None: all); the others are paid 0, their terms are NaN.
        """
        context = self._context(facts)
        value, applicable = self.expression.evaluate(context)
        xp = context.xp
        if applicable is not None:
            value = xp.where(applicable, value, 0.0)
        reward = self._as_reward(value, context)
        if rows is not None:
            wide = rows.reshape(rows.shape + (1,) * (reward.ndim - rows.ndim))
            reward = xp.where(wide, reward, 0.0)
            context.terms = {
                name: xp.where(rows.reshape(rows.shape + (1,) * (term.ndim - rows.ndim)), term, math.nan)
                for name, term in context.terms.items()
            }
        reward = self._checked(reward, context)
        if self.keep_parts:
            self.parts = {name: self._part(node, context) for name, (_, node) in self.addends.items()}
            wanted = self.advantage.facts if self.advantage else ()
            self.facts_kept = {name: copy_of(facts[name]) for name in wanted if name in facts}
        for name in self._previous_names:
            self._previous[name] = copy_of(facts[name.removeprefix("previous_")])
        if self._scheduled and not self.frozen:
            self.steps += math.prod(context.shape)
        self.last_errors = context.errors
        self.errors += len(context.errors)
        return reward, context.terms

    def _part(self, node: Node, context: Context) -> Any:
        """The value of one addend, NaN where it does not apply. Terms are not computed twice: the context has them."""
        value, applicable = node.evaluate(context)
        value = self._as_reward(value, context)
        return value if applicable is None else context.xp.where(applicable, value, math.nan)

    def advantages(self, rollouts: Rollouts) -> list[Channel]:
        """Credit, then advantage (default: `none`, then `group_relative`): what a learner of groups learns from."""
        credit, advantage = (
            self.credit or get_stage("credit", "none"),
            self.advantage or get_stage("advantage", "group_relative"),
        )
        assert credit is not None and advantage is not None
        return advantage(credit(rollouts))

    def _context(self, facts: dict[str, Any]) -> Context:
        reference = facts[self._reference]
        if type(reference) is np.ndarray:
            shape, xp = reference.shape[: reference.ndim - self._features], np
        elif hasattr(reference, "shape"):
            shape, xp = tuple(reference.shape[: reference.ndim - self._features]), array_namespace(reference)
        else:  # a list with one Python object a row
            shape, xp = (len(reference),), np
            if any("torch" in type(fact).__module__ for fact in facts.values()):
                xp = array_namespace(*facts.values())
        if self._previous_names:
            facts = {**facts, **self._previous}
        return Context(facts, xp, shape, self._state, self.steps, self.on_error)

    def _as_reward(self, value: Any, context: Context) -> Any:
        xp = context.xp
        if not hasattr(value, "dtype"):
            return xp.full(context.shape, float(value), dtype=xp.float64)
        value = value.astype(np.float64) if xp is np else value.to(xp.float64)
        return value if value.shape == context.shape else xp.broadcast_to(value, context.shape)

    def _checked(self, reward: Any, context: Context) -> Any:
        """The reward if it is finite; else an error, or on a device 0 and a count."""
        if context.xp is np or reward.device.type == "cpu":
            total = reward.item() if context.shape == (1,) else float(reward.sum())
            if math.isfinite(total):
                return reward
            bad = ~context.xp.isfinite(reward)
            if not bad.any():
                return reward  # finite numbers whose sum is not
            row = tuple(int(i) for i in np.argwhere(np.asarray(bad))[0])
            culprits = [n for n, term in context.terms.items() if not math.isfinite(_at(term, row))]
            where = f"row {row[0] if len(row) == 1 else row}" if row else "the only row"
            raise RewardError(
                f"the reward of {where} is {_at(reward, row)}: term {', '.join(culprits) or 'none alone'} in {self.expression}"
            )
        finite = context.xp.isfinite(reward)
        self.errors = self.errors + (~finite).sum()
        return context.xp.where(finite, reward, 0.0)

    def update(self, batch: Any) -> dict[str, float]:
        """Let the nodes that learn learn from a batch of facts ``[time, row]``; their losses by name. Frozen: nothing."""
        losses: dict[str, float] = {}
        if not self.frozen:
            for node in self.expression.walk():
                learn = getattr(node, "update", None)
                if learn is not None:
                    losses[node.recorded_as() or str(node)] = learn(self._state, batch)
        return losses

    def freeze(self, frozen: bool = True) -> RewardLayer:
        """Stop schedules and learning where they are (or let them go on): for evaluation. Returns the layer."""
        self.frozen = frozen
        return self

    def state_dict(self) -> dict[str, Any]:
        """What training has made of the layer: to be saved with the agent."""
        return {"steps": self.steps, "errors": int(self.errors), "expression": str(self.expression)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Come back to a `state_dict`. ValueError if it is another expression's."""
        if state["expression"] != str(self.expression):
            raise ValueError(f"this state is of the reward {state['expression']}, not of {self.expression}")
        self.steps, self.errors = int(state["steps"]), int(state["errors"])

    def get_state(self) -> dict[str, Any]:
        """What the rows' episodes have made of the layer: previous facts, potentials, the count of steps."""
        return {"previous": copy_of(self._previous), "state": copy_of(self._state), "steps": self.steps}

    def set_state(self, state: dict[str, Any], rows: Any = None) -> None:
        """Come back to a `get_state`, for all rows or those of ``rows`` (bool mask or indices)."""
        for mine, theirs in ((self._previous, state["previous"]), (self._state, state["state"])):
            for name, value in theirs.items():
                mine[name] = write_rows(mine[name], value, rows) if name in mine and rows is not None else copy_of(value)
        if rows is None:
            self.steps = state["steps"]


def _at(values: Any, row: tuple[int, ...]) -> float:
    return float(values[row[: values.ndim]]) if hasattr(values, "ndim") else float(values)


__all__ = ["RewardError", "RewardLayer", "TermNode"]
