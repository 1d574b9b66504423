"""Recorded episodes: what happened, step by step, and what a reward made of it.

A recording holds facts, not pictures: with seeds and actions every picture can be drawn again, and with the facts the episodes
can be judged by any reward without running the world.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from rewardscape.agents.scripted import Actor
from rewardscape.envs.core.random import base_seed
from rewardscape.rewards import RewardLayer, get_reward

_ARRAYS = ("seed", "length", "actions", "rewards", "objective")
_TABLES = ("terms", "facts", "start")
_NOT_KEPT = ("observation", "next_observation")  # large, and drawn again by a replay


@dataclass
class About:
    """Where a recording comes from: enough to play it again."""

    env: str
    reward: str | None
    settings: dict[str, Any] = field(default_factory=dict)
    agent: str = "agent"
    threshold: float = 1.0  # of the objective: from it on an episode is a success


@dataclass
class Episodes:
    """Episodes of one agent, ``[episode, time, ...]``, padded to the longest (``length`` ``[episode]`` says how far they go).

    ``seed`` ``[episode]``: which episodes they are (the first of a row with that seed). ``actions``: as the agent gave them.
    ``facts``: of every step, by name; ``start``: facts of the reset, ``[episode, ...]``. ``rewards`` ``[episode, time]``,
    ``terms``: raw values by name (NaN: did not apply). ``objective`` ``[episode, time]``: the true score so far.

    In a world of several agents facts have an axis of agents after time. So have actions, rewards and terms, unless the agent was
    one `learner` among others: then they are its own.
    """

    about: About
    seed: np.ndarray
    length: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    objective: np.ndarray
    terms: dict[str, np.ndarray]
    facts: dict[str, np.ndarray]
    start: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.seed)

    @property
    def mask(self) -> np.ndarray:
        """Which steps were taken, bool ``[episode, time]``."""
        return np.arange(self.rewards.shape[1]) < self.length[:, None]

    @property
    def agents(self) -> int | None:
        """How many agents the world has; None where there is no axis of agents."""
        terminated = self.facts["terminated"]
        return terminated.shape[2] if terminated.ndim > 2 else None

    @property
    def learner(self) -> int | None:
        """Whose actions and rewards these are, in a world of several agents; None: everyone's."""
        asked = [self.about.settings.get(name) for name in ("others", "learner")]
        return None if asked == [None, None] else int(asked[1] or 0)

    def acted(self, values: np.ndarray) -> np.ndarray:
        """``values`` ``[episode, time, ...]`` with 0 after the end of each episode."""
        return np.where(self.mask.reshape(self.mask.shape + (1,) * (values.ndim - 2)), values, 0)

    @property
    def returns(self) -> np.ndarray:
        """Undiscounted sum of the rewards, ``[episode]``; where every agent is paid, the mean of theirs."""
        summed = self.acted(self.rewards).sum(1)
        return summed if summed.ndim == 1 else summed.mean(1)

    @property
    def final_objective(self) -> np.ndarray:
        """The objective at the end, ``[episode]``."""
        return self.objective[np.arange(len(self)), self.length - 1]

    @property
    def success(self) -> np.ndarray:
        """Did the episode reach what the world calls success, bool ``[episode]``."""
        return self.final_objective >= self.about.threshold

    @property
    def gap(self) -> np.ndarray:
        """How much better the reward thinks of an episode than the objective does, ``[episode]`` in [-1, 1]: the share of the
        recorded episodes with a lower return less the share of those with a lower objective (ties count half)."""
        return ranks(self.returns) - ranks(self.final_objective)

    def select(self, episodes: Any) -> Episodes:
        """Some of the episodes (indices or bool mask)."""
        chosen: dict[str, Any] = {n: getattr(self, n)[episodes] for n in _ARRAYS}
        chosen |= {n: {k: v[episodes] for k, v in getattr(self, n).items()} for n in _TABLES}
        return replace(self, **chosen)

    def rescored(self, reward: Any) -> Episodes:
        """The same episodes judged by another reward. ValueError if the recording lacks a fact it needs."""
        layer = get_reward(reward)
        if layer is None:
            gains = np.diff(self.objective, axis=1, prepend=0.0)
            gains = np.broadcast_to(gains.reshape(gains.shape + (1,) * (self.rewards.ndim - 2)), self.rewards.shape)
            return replace(self, rewards=gains, terms={}, about=replace(self.about, reward=None))
        if layer.learns:
            raise ValueError(f"{layer.expression} learns beside an agent: a recording cannot be judged by it")
        rewards, terms = np.zeros(self.rewards.shape), dict[str, np.ndarray]()
        for t, (paid, found) in enumerate(self.judged(RewardLayer(layer.expression, layer.on_error))):
            rewards[:, t] = paid
            for name, values in found.items():
                terms.setdefault(name, np.full(rewards.shape, np.nan))[:, t] = values
        name = reward if isinstance(reward, str) else str(layer.expression)
        return replace(self, rewards=rewards, terms=terms, about=replace(self.about, reward=name))

    def judged(self, layer: RewardLayer) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]]]:
        """What ``layer``, frozen from now on, pays for each step, and its terms: ``[episode]`` or, where everyone is paid,
        ``[episode, agent]``. With ``layer.keep_parts``, the addends stand in its ``parts`` meanwhile, of all agents.

        ValueError if the recording lacks a fact that the layer needs.
        """
        layer.freeze().attach(self.facts, "this recording", self.agents)
        layer.reset({**self.facts_at(0), **self.start})
        for t, rows in enumerate(self.mask.T):
            rewards, terms = layer.step(self.facts_at(t), rows)
            yield self.own(rewards), {name: self.own(values) for name, values in terms.items()}

    def own(self, values: np.ndarray) -> np.ndarray:
        """The learner's column of ``[episode, agent]``; all of it where nobody was singled out."""
        return values if self.learner is None or values.ndim == 1 else values[:, self.learner]

    def facts_at(self, t: int) -> dict[str, Any]:
        """Facts of step ``t``, ``[episode, ...]``, where an episode has ended those of its last step."""
        t_of = np.minimum(t, self.length - 1)
        rows = np.arange(len(self))
        return {name: values[rows, t_of] for name, values in self.facts.items()}

    def save(self, path: str | pathlib.Path) -> None:
        """Write to one .npz file."""
        arrays = {n: getattr(self, n) for n in _ARRAYS}
        for table in _TABLES:
            arrays |= {f"{table}/{name}": values for name, values in getattr(self, table).items()}
        path = pathlib.Path(path)
        draft = path.with_name(path.name + ".draft.npz")
        np.savez_compressed(draft, about=np.array(json.dumps(asdict(self.about))), **arrays)  # type: ignore[arg-type]
        draft.replace(path)

    @staticmethod
    def load(path: str | pathlib.Path) -> Episodes:
        """Read what `save` wrote. ValueError if it is something else."""
        try:
            with np.load(path) as file:
                about = About(**json.loads(str(file["about"])))
                found: dict[str, Any] = {n: file[n] for n in _ARRAYS} | {n: {} for n in _TABLES}
                for name in file.files:
                    table, _, entry = name.partition("/")
                    if entry:
                        found[table][entry] = file[name]
            return Episodes(about, **found)
        except (ValueError, KeyError, TypeError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{path} holds no recorded episodes ({error})") from None


def ranks(values: np.ndarray) -> np.ndarray:
    """Share of the values below each, ties counting half, in [0, 1]."""
    ordered = np.sort(values)
    below, upto = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return (below + upto) / (2 * max(len(values), 1))


def record(
    actor: Any,
    env: str,
    reward: Any = None,
    episodes: int = 256,
    seed: int = 0,
    seeds: str = "validation",
    settings: dict[str, Any] | None = None,
    agent: str = "trained",
) -> Episodes:
    """Play and record episodes; arguments as of `evaluate`.

    Every row plays one episode, so that long ones are not left out.
    """
    from rewardscape.agents.evaluate import as_actor, make_rows, own_draws

    settings = settings or {}
    layer = get_reward(reward)
    envs = make_rows(env, layer, settings, episodes)
    act: Actor = as_actor(actor, envs, seed, settings, env)
    observation, _ = envs.reset(seed=base_seed(seed, seeds))
    kept = [name for name in envs.facts if name not in _NOT_KEPT]
    seeds_played = np.array(envs._stepper.episode["seed"])
    start = {name: np.array(envs.facts[name]) for name in kept}
    steps: list[dict[str, Any]] = []
    alive, length = np.ones(episodes, bool), np.zeros(episodes, np.int64)
    with own_draws(seed):
        while alive.any():
            action = act(observation)
            observation, rewards, terminated, truncated, info = envs.step(action)
            # rows that have ended play on unseen: what is kept of them is their padding
            terms = {n: np.array(v, float) for n, v in info["reward_terms"].items() if n[0] != "_"}
            facts = {name: np.array(envs.facts[name]) for name in kept}
            steps.append({"actions": np.array(action), "rewards": np.array(rewards, float), "terms": terms, "facts": facts})
            steps[-1]["objective"] = np.array(info["objective"], float)
            length += alive
            alive &= ~(terminated | truncated)
    name = None if layer is None else reward if isinstance(reward, str) else str(layer.expression)
    stacked: dict[str, Any] = {n: np.stack([step[n] for step in steps], 1) for n in ("actions", "rewards", "objective")}
    tables: dict[str, Any] = {
        n: {k: np.stack([step[n][k] for step in steps], 1) for k in steps[0][n]} for n in ("terms", "facts")
    }
    found = Episodes(
        About(env, name, settings, agent, envs.rules.success_threshold), seeds_played, length,
        start=start, **stacked, **tables,
    )  # fmt: skip
    envs.close()
    return found
