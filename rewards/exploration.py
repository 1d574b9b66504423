"""ExploRS: exploration-guided reward shaping (Devidze, Kamalaruban and Singla, NeurIPS 2022), which an agent learns for itself.

The paid reward is ``r + R_phi(s, a) + B(s')``: a table of intrinsic rewards learned from returns (SelfRS) and a bonus that
falls with the visits to the next state (ExploB). SORS (Memarian et al. 2021), its baseline, learns the table from pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from rewardscape.rewards.core.arrays import array_namespace, indicator, sum_by
from rewardscape.rewards.core.nodes import Context
from rewardscape.rewards.core.operations import operation
from rewardscape.rewards.counts import as_array, cells, check_table, checked_facts
from rewardscape.rewards.intrinsic import Intrinsic, steps_that_count
from rewardscape.rewards.navigation import check_scale, count_form

Parts = Literal["both", "explore", "exploit"]


def returns_to_go(rewards: Any, gamma: float, ended: Any = None) -> tuple[Any, Any]:
    """``(G, whole)`` ``[time, ...]``: ``G_t = r_t + gamma * G_{t+1}``, and whether the episode's end is among the steps.

    ``ended`` (bool ``[time, ...]``): the episode ends in this step, and no later reward is its own (default: the last step).
    """
    xp = array_namespace(rewards)
    if ended is None:
        ended = xp.zeros_like(rewards) > 0
        ended[-1] = True
    later, whole, found = xp.zeros_like(rewards[0]), ended[-1] & False, []
    for time in reversed(range(len(rewards))):
        later = rewards[time] + gamma * xp.where(ended[time], 0.0 * later, later)
        whole = whole | ended[time]
        found.append((later, whole))
    returns, complete = zip(*found[::-1], strict=True)
    return xp.stack(returns), xp.stack(complete)


class Tables:
    """What ExploRS learns: ``phi`` ``[state, action]``, ``value`` ``[state]`` and ``visits`` ``[state]``, all 0 at first.

    ``scale`` and ``largest``: lambda and B_max of the bonus. ``parts``: the bonus ("explore", ExploB), the learned reward
    ("exploit", SelfRS), or both (ExploRS). ``like``: an array that says where the tables live (NumPy if None).
    """

    def __init__(
        self, states: int, actions: int, scale: float = 1.0, largest: float = 1.0, parts: Parts = "both", like: Any = None
    ):
        xp = array_namespace(like)
        made = {"dtype": xp.float64} if xp is np else {"dtype": xp.float64, "device": like.device}
        self.phi, self.value, self.visits = (xp.zeros(shape, **made) for shape in ((states, actions), states, states))
        self.scale, self.largest, self.parts = scale, largest, parts

    def explore(self, states: Any, absorbing: Any = None) -> Any:
        """``B(s) = lambda / sqrt((lambda / B_max)² + N(s))``, 0 where ``absorbing`` (bool): there is nothing after the end."""
        bonus = self.largest * count_form(self.visits[states], "inverse_sqrt", self.scale / self.largest)
        return bonus if absorbing is None else array_namespace(bonus).where(absorbing, 0.0 * bonus, bonus)

    def exploit(self, states: Any, actions: Any) -> Any:
        """``R_phi(s, a)``. Shape of ``states``."""
        return self.phi[states, actions]

    def bonus(self, states: Any, actions: Any, next_states: Any, absorbing: Any = None) -> Any:
        """What is paid beside the reward, by ``parts``. Shape of ``states``."""
        if self.parts == "explore":
            return self.explore(next_states, absorbing)
        learned = self.exploit(states, actions)
        return learned if self.parts == "exploit" else learned + self.explore(next_states, absorbing)

    def count(self, states: Any, weights: Any) -> None:
        """Count the states that were left, ``weights`` (1 or 0) each, unless ``parts`` has no bonus."""
        if self.parts != "exploit":
            self.visits = self.visits + sum_by(weights, states, len(self.visits))

    def shape(
        self, states: Any, actions: Any, policies: Any, returns: Any, weights: Any = None, rate: float = 0.01,
        critic_rate: float = 0.01, clip: float | None = None,
    ) -> None:  # fmt: skip
        """SelfRS: ``phi(s, .) += rate * sum_i pi(a_i|s_i) (G_i - V(s_i)) (1[. = a_i] - pi(.|s_i))``, then
        ``V(s) += critic_rate * sum_i (G_i - V(s)) / n``, summed over the steps in state s, n steps in all.

        ``states``, ``actions`` (int), ``returns`` (discounted, of the original reward) ``[n]``; ``policies`` ``[n, action]``:
        chances of the actions in the state; ``weights`` ``[n]``, 1 or 0: which of them count (default: all). ``clip``: phi is
        held within ±clip afterwards (None: not).
        """
        xp = array_namespace(returns)
        number, width = self.phi.shape
        weights = xp.ones_like(returns) if weights is None else weights
        surprise = weights * (returns - self.value[states])
        keys = states[:, None] * width + _each_action(width, states)
        taken = indicator(keys == (states * width + actions)[:, None])
        step = ((taken * policies).sum(-1) * surprise)[:, None] * (taken - policies)
        self.phi = self.phi + rate * sum_by(step, keys, number * width).reshape(number, width)
        if clip is not None:
            self.phi = xp.clip(self.phi, -clip, clip)
        self.value = self.value + critic_rate * sum_by(surprise, states, number) / xp.clip(weights.sum(), 1.0, None)

    def order(self, episodes: Sequence[tuple[Any, Any, float]], gamma: float, rate: float = 0.01) -> None:
        """SORS: one step down the mean logistic loss of the pairs of episodes whose returns differ, the better to be the better
        under ``phi``: ``-log sigmoid(G_phi(i) - G_phi(j))``, ``G_phi`` the discounted sum of phi.

        ``episodes``: ``(states, actions, original return)`` each, NumPy. Without a pair nothing changes.
        """
        number, width = self.phi.shape
        places = [
            sum_by(gamma ** np.arange(len(states)), np.asarray(states) * width + np.asarray(actions), number * width)
            for states, actions, _ in episodes
        ]
        returns = [total for _, _, total in episodes]
        pairs = [(i, j) for i, better in enumerate(returns) for j, worse in enumerate(returns) if better > worse]
        if not pairs:
            return
        apart = np.stack([places[i] - places[j] for i, j in pairs])
        missing = 1 / (1 + np.exp(np.clip(apart @ self.phi.reshape(-1), -500, 500)))
        self.phi = self.phi + rate * (missing @ apart / len(pairs)).reshape(number, width)

    def state_dict(self) -> dict[str, Any]:
        return {name: as_array(getattr(self, name), self.phi) for name in ("phi", "value", "visits")}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("phi", "value", "visits"):
            setattr(self, name, as_array(state[name], self.phi))


def _each_action(width: int, like: Any) -> Any:
    xp = array_namespace(like)
    return np.arange(width) if xp is np else xp.arange(width, device=like.device)


@dataclass(frozen=True)
class ExploRS(Intrinsic):
    """``R_phi(s, a) + B(s')`` with what was learned from the returns of the objective."""

    on: tuple[str, ...] = ("position",)
    actions: int = 4
    scale: float = 1.0
    largest: float = 1.0
    parts: Parts = "both"
    rate: float = 0.01
    critic_rate: float = 0.01
    clip: float = 0.0
    gamma: float = 0.99
    width: float = 1.0
    size: int = 4096
    label: str = "explors"

    def own_facts(self) -> tuple[str, ...]:
        before = tuple(f"previous_{name}" for name in self.on)
        return ("action", "action_valid", "objective", "previous_objective", "terminated", "truncated", *self.on, *before)

    def model(self, context: Context) -> Tables:
        if tuple(context.facts["action"].shape) != tuple(context.facts["action_valid"].shape):
            raise ValueError("explors: an action here is no whole number, but an array")
        return Tables(self.size, self.actions, self.scale, self.largest, self.parts, context.facts["action_valid"])

    def _states(self, facts: dict[str, Any], before: bool = False) -> Any:
        names = tuple(f"previous_{name}" for name in self.on) if before else self.on
        return cells(facts, names, self.size, self.width)

    def _actions(self, facts: dict[str, Any]) -> Any:
        actions = facts["action"]
        if array_namespace(actions) is np:
            if actions.dtype.kind not in "iu" or (actions >= self.actions).any() or (actions < 0).any():
                raise ValueError(f"explors(actions={self.actions}) met the action {actions.max()}: set the number of actions")
            return actions
        return actions.long()

    def bonus(self, model: Tables, facts: dict[str, Any]) -> Any:
        return model.bonus(self._states(facts, True), self._actions(facts), self._states(facts), facts["terminated"])

    def learn(self, model: Tables, batch: dict[str, Any]) -> float:
        ended = batch["terminated"] | batch["truncated"]
        returns, whole = returns_to_go(batch["objective"] - batch["previous_objective"], self.gamma, ended)
        states, actions, returns, whole, counted = (
            part.reshape(-1)
            for part in (self._states(batch, True), self._actions(batch), returns, whole, steps_that_count(batch))
        )
        model.count(states, indicator(counted))
        weights = indicator(whole & counted)
        keys = states * self.actions + actions
        taken = sum_by(weights, keys, self.size * self.actions).reshape(self.size, self.actions)[states]
        surprise = weights * (returns - model.value[states])
        if self.parts != "explore":
            often = array_namespace(taken).clip(taken.sum(-1), 1.0, None)
            clip = self.clip or None
            model.shape(states, actions, taken / often[:, None], returns, weights, self.rate, self.critic_rate, clip)
        return float((surprise * surprise).sum()) / max(float(weights.sum()), 1.0)


@operation
def explors(
    on: Any = "position",
    actions: int = 4,
    scale: float = 1.0,
    largest: float = 1.0,
    parts: Parts = "both",
    rate: float = 0.01,
    critic_rate: float = 0.01,
    clip: float = 0.0,
    gamma: float = 0.99,
    width: float = 1.0,
    size: int = 4096,
) -> ExploRS:
    """Shaping that the agent learns, and a bonus for states seldom seen: ``R_phi(s, a) + B(s')``, of ExploRS.

    Devidze, Kamalaruban and Singla, "Exploration-Guided Reward Shaping for Reinforcement Learning under Sparse Rewards", NeurIPS
    2022: ``B(s') = scale / sqrt((scale / largest)² + N(s'))``, 0 once terminated; phi and a critic V learn from the discounted
    (``gamma``) returns G of the objective (SelfRS; `Tables.shape` has the formulas) with ``rate`` and ``critic_rate``, phi held
    within ±``clip`` if that is not 0. ``parts``: "both", "explore" (ExploB) or "exploit" (SelfRS) alone. States are the values
    of the facts ``on``, hashed into ``size`` cells as in `count_bonus`; ``actions``: how many discrete actions there are.

    It learns when the layer updates, from episodes whose end is in the batch. The policy that the formula asks for is not a
    fact: the shares of the actions taken in a state in the batch stand in for it. The published code counts at once, this
    with the update. Recorded as ``explors``; its loss is the critic's mean squared error. ValueError for a setting out of range.
    """
    names = checked_facts("explors", on)
    if any(name.startswith("previous_") for name in names):
        raise ValueError(f"explors: on={on!r}; give the fact after the step, the one before is read too")
    check_table("explors", size, width)
    for name, value in (("scale", scale), ("largest", largest)):
        check_scale(f"explors: {name}", value)
    if isinstance(actions, bool) or not isinstance(actions, int) or actions < 1:
        raise ValueError(f"explors: actions={actions!r}; allowed: an integer of at least 1")
    if parts not in ("both", "explore", "exploit"):
        raise ValueError(f"explors: parts={parts!r}; allowed: 'both', 'explore', 'exploit'")
    for name, value in (("rate", rate), ("critic_rate", critic_rate), ("clip", clip), ("gamma", gamma)):
        if not value >= 0 or (name == "gamma" and value > 1):
            raise ValueError(f"explors: {name}={value!r}; allowed: {'0 to 1' if name == 'gamma' else 'at least 0'}")
    numbers = (float(scale), float(largest)), (float(rate), float(critic_rate), float(clip), float(gamma), float(width))
    return ExploRS(names, actions, *numbers[0], parts, *numbers[1], size)
