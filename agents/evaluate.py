"""How good an agent is: objective with an interval, success, and what each term of a reward says about it."""

from __future__ import annotations

import inspect
import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.agents.scripted import (
    Actor,
    PolicyActor,
    constant_agent,
    expert_agent,
    overlap_agent,
    random_agent,
    role_agent,
)
from rewardscape.envs.core.random import base_seed
from rewardscape.envs.core.single import load_rules
from rewardscape.envs.core.world import Rules
from rewardscape.envs.gui.vocabulary import INTERACTIVE
from rewardscape.rewards import get_reward

BASELINES = ("random", "constant", "role", "overlap", "expert")


def baselines_of(env: str, settings: dict[str, Any] | None = None) -> tuple[str, ...]:
    """Those of BASELINES that fit a world: guesses by role and by words are for screens whose elements are told."""
    envs = make_evaluation(env, None, settings or {}, 1)
    space, action, rules = envs.single_observation_space, envs.single_action_space, type(envs.rules)
    envs.close()
    told = isinstance(space, gym.spaces.Dict) and {"boxes", "roles", "names", "instruction"} <= set(space.spaces)
    clicks = isinstance(action, gym.spaces.Box) and action.shape in _CLICKS
    fits = {
        "random": True, "constant": clicks or isinstance(action, gym.spaces.Discrete), "role": told, "overlap": told,
        "expert": rules.expert is not Rules.expert,
    }  # fmt: skip
    return tuple(name for name in BASELINES if fits[name])


def splits_of(env: str, settings: dict[str, Any] | None = None) -> tuple[str, ...]:
    """The splits an evaluation tells apart: that of ``settings``, or all of the world's, or () if its episodes are all alike
    (mazes are alike unless there is a fixed number of them)."""
    settings = settings or {}
    kwargs = {**gym.spec(env).kwargs, **settings}
    known = inspect.signature(load_rules(kwargs["rules"]).__init__).parameters if "rules" in kwargs else {}
    if "split" not in known or ("mazes" in known and not kwargs.get("mazes", known["mazes"].default)):
        return ()
    return (settings["split"],) if "split" in settings else ("train", "held-out")


def interval(values: np.ndarray, level: float = 0.95, resamples: int = 2000, seed: int = 0) -> tuple[float, float]:
    """Bootstrap percentile interval of the mean of ``values`` (one an episode)."""
    values = np.asarray(values, float)
    if len(values) < 2:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    chosen = rng.integers(0, len(values), (resamples, len(values)))
    means = values[chosen].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def run_episodes(envs: Any, actor: Actor, episodes: int, seed: int) -> dict[str, Any]:
    """Play ``episodes`` episodes on ``envs`` (same-step autoreset, NumPy), the same number in every row, so that short ones
    are not counted more often. Returns per episode ``objective``, ``success``, ``return``, ``length``; per step ``terms``. With
    several agents rewards and terms are their means."""
    rows = envs.num_envs
    each = -(-episodes // rows)
    observation, _ = envs.reset(seed=seed)
    done_count, returns, lengths = np.zeros(rows, int), np.zeros(rows), np.zeros(rows, int)
    out: dict[str, list[np.ndarray]] = {name: [] for name in ("objective", "success", "return", "length")}
    terms: dict[str, list[float]] = {}
    invalid, steps = 0.0, 0
    while (done_count < each).any():
        counted = done_count < each
        observation, reward, terminated, truncated, info = envs.step(actor(observation))
        returns += reward if reward.ndim == 1 else reward.mean(1)
        lengths += 1
        steps += int(counted.sum())
        ended = terminated | truncated
        if hasattr(actor, "ended"):
            actor.ended(ended)
        final = info["final_info"] if ended.any() else info
        invalid += float(final["invalid_action"][counted].reshape(int(counted.sum()), -1).mean(1).sum())
        for name, values in info["reward_terms"].items():
            if name[0] != "_":
                known = counted.reshape(-1, *[1] * (values.ndim - 1)) & ~np.isnan(values)
                entry = terms.setdefault(name, [0.0, 0])
                entry[0] += float(values[known].sum())
                entry[1] += int(known.sum())
        take = ended & counted
        if take.any():
            for name, values in (
                ("objective", final["objective"]),
                ("success", final["success"]),
                ("return", returns),
                ("length", lengths),
            ):
                out[name].append(np.array(values)[take].astype(float))
        done_count[ended] += 1
        returns[ended] = 0
        lengths[ended] = 0
    result: dict[str, Any] = {name: np.concatenate(parts) for name, parts in out.items()}
    result["terms"] = {name: total / count if count else float("nan") for name, (total, count) in terms.items()}
    return result | {"invalid": invalid / max(steps, 1)}


def summary(played: dict[str, Any]) -> dict[str, Any]:
    """Means and intervals of `run_episodes`, ready for JSON."""
    low, high = interval(played["objective"])
    return {
        "episodes": len(played["objective"]), "objective": float(played["objective"].mean()), "interval": [low, high],
        "success": float(played["success"].mean()), "return": float(played["return"].mean()),
        "length": float(played["length"].mean()), "invalid": played["invalid"], "terms": played["terms"],
    }  # fmt: skip


def make_evaluation(env: str, reward: Any, settings: dict[str, Any], rows: int = 256) -> Any:
    """The vector environment episodes are played on; its reward layer is frozen."""
    return make_rows(env, reward, settings, rows, autoreset_mode="same_step", copy=False)


def make_rows(env: str, reward: Any, settings: dict[str, Any], rows: int, **face: Any) -> Any:
    """A vector environment in NumPy whose reward layer is frozen; ``face``: as of its making. ValueError for a setting that the
    world does not have."""
    layer = get_reward(reward)
    layer = layer and layer.twin().freeze()
    try:
        made = gym.make_vec(env, num_envs=rows, vectorization_mode="vector_entry_point", reward=layer, **face, **settings)
    except TypeError as error:
        raise ValueError(f"settings of {env}: {error}") from None
    return made.unwrapped


def evaluate(
    actor: Any,
    env: str,
    reward: Any = None,
    episodes: int = 1000,
    seed: int = 0,
    seeds: str = "test",
    settings: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Play ``episodes`` fresh episodes of ``env`` and summarise them.

    ``actor``: an SB3 policy, a name of BASELINES, or a function of ``envs`` that gives an `Actor`. ``seed``: run number;
    ``seeds``: "test" or "validation": episodes that no training run with any seed sees. ``settings``: of the world.
    Returns ``objective`` with its 95 % bootstrap ``interval``, ``success``, ``return``, ``length``, ``invalid``, ``terms``.
    """
    settings = settings or {}
    envs = make_evaluation(env, reward, settings, min(256, episodes))
    chosen = as_actor(actor, envs, seed, settings, env)
    with own_draws(seed):
        result = summary(run_episodes(envs, chosen, episodes, base_seed(seed, seeds)))
    envs.close()
    return result


@contextmanager
def own_draws(seed: int) -> Iterator[None]:
    """Draws of policies from a generator of their own; torch's is left as it was. Without torch there is nothing to do."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


def as_actor(actor: Any, envs: Any, seed: int, settings: dict[str, Any], env: str) -> Actor:
    """An `Actor` for ``envs``; arguments as of `evaluate`. Policies take the likeliest of continuous actions, and draw whole-numbered
    ones: what they have learned is a distribution, and in a maze its likeliest action walks in circles."""
    if isinstance(actor, str):
        if actor not in BASELINES:
            raise ValueError(f"unknown baseline {actor!r}; there are: {', '.join(BASELINES)}")
        training = {**settings, "split": "train"} if "split" in settings else settings
        return baseline(actor, env, training, seed)(envs)
    if hasattr(actor, "predict"):
        return PolicyActor(actor, isinstance(envs.single_action_space, gym.spaces.Box))
    return actor(envs)


def baseline(name: str, env: str, training: dict[str, Any], seed: int = 0, episodes: int = 256) -> Callable[[Any], Actor]:
    """A baseline as a function of ``envs``. "constant" and "role" are the best of many, chosen on training episodes."""
    simple: dict[str, Callable[[Any], Actor]] = {
        "random": lambda envs: random_agent(envs, seed),
        "expert": expert_agent,
        "overlap": overlap_agent,
    }
    if name in simple:
        return simple[name]
    key = (name, env, repr(sorted(training.items())), seed, episodes)
    if key not in _BEST:
        envs = make_evaluation(env, None, training, rows=256)
        candidates: list[Callable[[Any], Actor]] = _constants(envs) if name == "constant" else _roles(seed)

        def score(candidate: Callable[[Any], Actor]) -> float:
            return float(run_episodes(envs, candidate(envs), episodes, base_seed(seed, "validation"))["objective"].mean())

        _BEST[key] = max(candidates, key=score)
        envs.close()
    return _BEST[key]


_BEST: dict[tuple, Callable[[Any], Actor]] = {}  # training and held-out episodes ask for the same guess
_CLICKS = ((2,), (3,), (4,))  # shapes of an action that is a click: a point, with confidence, a box


def _constants(envs: Any) -> list[Callable[[Any], Actor]]:
    space = envs.single_action_space
    if isinstance(space, gym.spaces.Discrete):
        return [lambda e, a=a: constant_agent(e, np.array(a)) for a in range(int(space.start), int(space.start + space.n))]  # type: ignore[misc]
    if not isinstance(space, gym.spaces.Box) or space.shape not in _CLICKS:
        raise TypeError(f"no constant actions to try for {space}")
    found: list[Callable[[Any], Actor]] = []
    for x, y in itertools.product(np.linspace(-0.95, 0.95, 20), np.linspace(-0.95, 0.95, 15)):
        rest = {2: [x, y], 3: [x, y, 1], 4: [x - 0.05, y - 0.05, x + 0.05, y + 0.05]}[space.shape[0]]
        found.append(lambda e, a=rest: constant_agent(e, np.clip(a, -1, 1)))  # type: ignore[misc]
    return found


def _roles(seed: int) -> list[Callable[[Any], Actor]]:
    return [
        lambda e, role=role, which=which: role_agent(e, role, which, seed)  # type: ignore[misc]
        for role in INTERACTIVE
        for which in ("any", "first", "last")
    ]
