"""`RewardLayer`: a reward expression at work on a batch of rows."""

from __future__ import annotations

import collections
import difflib
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from rewardscape.rewards.core.arrays import array_namespace, copy_of, write_rows
from rewardscape.rewards.core.facts import FACTS
from rewardscape.rewards.core.formula import parse
from rewardscape.rewards.core.nodes import Context, Learning, Node, RewardError, Schedule, TermNode, as_node
from rewardscape.rewards.core.operations import Potential
from rewardscape.rewards.core.stages import Channel, Rollouts, get_stage

KEPT_STEPS = 256  # as many of the last steps a layer keeps for `RewardLayer.update`


class RewardLayer:
    """Judges facts by ``expression`` (a node, a term, or a formula as text).

    ``reset(facts)`` opens episodes, ``step(facts)`` pays for one step; facts are arrays with any leading axes, often
    ``[row]`` or ``[row, agent]``, in NumPy or torch. Between them the layer keeps what the expression needs of the past:
    ``previous_<fact>``, potentials, the count of steps that schedules read; and the ``models`` of nodes that learn, which
    `update` improves.

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
        shaped = (name for name in self.expression.facts() if not name.startswith("previous_") and FACTS[name].dtype != "any")
        self._reference = next(shaped, "terminated")
        self._features = len(FACTS[self._reference].shape)
        self._scheduled = any(isinstance(node, Schedule) for node in self.expression.walk())
        self._previous: dict[str, Any] = {}
        self._learning = {str(n.recorded_as()): n for n in self.expression.walk() if isinstance(n, Learning)}
        self._kept: collections.deque[dict[str, Any]] = collections.deque(maxlen=KEPT_STEPS)
        self._saved_models: dict[str, Any] = {}
        self.state: dict[str, Any] = {}
        self.models: dict[str, Any] = {}
        self.steps = 0
        self.frozen = False
        self.errors: Any = 0
        self.last_errors: list[str] = []

    def __repr__(self) -> str:
        stages = "".join(f", {k}={str(v)!r}" for k, v in (("credit", self.credit), ("advantage", self.advantage)) if v)
        return f"RewardLayer({str(self.expression)!r}{stages})"

    @property
    def learns(self) -> bool:
        """Has the expression nodes that learn?"""
        return bool(self._learning)

    def twin(self) -> RewardLayer:
        """Another layer with the same expression and stages, which has learned the same; not yet attached to rows."""
        made = RewardLayer(self.expression, self.on_error, self.credit, self.advantage).freeze(self.frozen)
        made.load_state_dict(self.state_dict())
        return made

    @property
    def shaping_gammas(self) -> tuple[float, ...]:
        """The discount of every potential in the expression: a learner with another one is not shaped soundly."""
        return tuple(node.gamma for node in self.expression.walk() if isinstance(node, Potential))

    def attach(self, available: Iterable[str], world: str = "this world", agents: int | None = None) -> None:
        """Raise ValueError naming the facts that the expression needs and ``world`` does not report, or the operation over
        agents that a world without them (``agents`` None) cannot serve."""
        over = [node for node in self.expression.walk() if node.over_agents]
        if over and agents is None:
            raise ValueError(f"{over[0]} is for worlds of several agents, and {world} has one")
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
        if self._starting or len(self.models) < len(self._learning):
            context = self._context(facts)
            for name, learner in self._learning.items():
                if name not in self.models:
                    self.models[name] = learner.model(context)
                    if name in self._saved_models:
                        self.models[name].load_state_dict(self._saved_models.pop(name))
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
        if self._learning and not self.frozen:
            learned = {name for node in self._learning.values() for name in node.learns_from()}
            kept = {name: copy_of(context.facts[name]) for name in sorted(learned)}
            self._kept.append(kept | {"mask": xp.ones(context.shape[:1], dtype=bool) if rows is None else copy_of(rows)})
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
        return Context(facts, xp, shape, self)

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

    def update(self, batch: dict[str, Any] | None = None) -> dict[str, float]:
        """Let the nodes that learn learn; their losses by name. Frozen: nothing.

        ``batch``: facts ``[time, row, ...]`` and ``mask`` ``[time, row]``; None: the steps judged since the last update (the last
        `KEPT_STEPS` of them), which the layer keeps.
        """
        if self.frozen or not self._learning:
            return {}
        if batch is None:
            if not self._kept:
                return {}
            steps = list(self._kept)
            xp = array_namespace(steps[0]["mask"])
            batch = {name: xp.stack([step[name] for step in steps]) for name in steps[0]}
        self._kept.clear()
        return {name: node.learn(self.models[name], batch) for name, node in self._learning.items()}

    def freeze(self, frozen: bool = True) -> RewardLayer:
        """Stop schedules and learning where they are (or let them go on): for evaluation. Returns the layer."""
        self.frozen = frozen
        return self

    def state_dict(self) -> dict[str, Any]:
        """What training has made of the layer: to be saved with the agent."""
        models = self._saved_models | {name: model.state_dict() for name, model in self.models.items()}
        return {"steps": self.steps, "errors": int(self.errors), "expression": str(self.expression), "models": models}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Come back to a `state_dict`. ValueError if it is another expression's."""
        if state["expression"] != str(self.expression):
            raise ValueError(f"this state is of the reward {state['expression']}, not of {self.expression}")
        self.steps, self.errors = int(state["steps"]), int(state["errors"])
        self._saved_models = {}
        for name, saved in state["models"].items():
            if name in self.models:
                self.models[name].load_state_dict(saved)
            else:  # made at the first reset
                self._saved_models[name] = saved

    def get_state(self) -> dict[str, Any]:
        """What the rows' episodes have made of the layer: previous facts, potentials, the count of steps."""
        return {"previous": copy_of(self._previous), "state": copy_of(self.state), "steps": self.steps}

    def set_state(self, state: dict[str, Any], rows: Any = None) -> None:
        """Come back to a `get_state`, for all rows or those of ``rows`` (bool mask or indices)."""
        for mine, theirs in ((self._previous, state["previous"]), (self.state, state["state"])):
            for name, value in theirs.items():
                mine[name] = write_rows(mine[name], value, rows) if name in mine and rows is not None else copy_of(value)
        if rows is None:
            self.steps = state["steps"]


def _at(values: Any, row: tuple[int, ...]) -> float:
    return float(values[row[: values.ndim]]) if hasattr(values, "ndim") else float(values)


__all__ = ["RewardError", "RewardLayer", "TermNode"]
