"""``rewardscape envs [ENV]``: the worlds, or one world's observation, actions, settings and facts."""

from __future__ import annotations

import argparse
import inspect
from functools import cache
from typing import Any

import gymnasium as gym

import rewardscape
from rewardscape.envs.core.single import full_id, load_rules
from rewardscape.rewards import FACTS, get_reward

CORE_FACTS = (
    "objective", "observation", "next_observation", "action", "action_valid", "terminated", "truncated", "step", "seed",
)  # of every world  # fmt: skip


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="rewardscape envs", description=__doc__)
    parser.add_argument("env", nargs="?", help="id of a world, such as GUIScreens-v0")
    name = parser.parse_args(argv).env
    print(overview() if name is None else describe(name))
    return 0


def overview() -> str:
    """All worlds, a line each."""
    lines = []
    for env in rewardscape.WORLDS:
        rules = load_rules(gym.spec(env).kwargs["rules"])
        lines.append(f"{env:<32}{(inspect.getdoc(rules) or '').splitlines()[0]}")
    return "\n".join([*lines, "", "rewardscape envs ENV tells observation, actions, settings and facts."])


def describe(name: str) -> str:
    """Everything about one world. ValueError if it is unknown."""
    env = full_id(name)
    kwargs = gym.spec(env).kwargs
    if "rules" not in kwargs:
        raise ValueError(f"{env} is not a compiled world of this suite")
    kind = load_rules(kwargs["rules"])
    rules = kind(**{k: v for k, v in kwargs.items() if k != "rules"})
    lines = [env, "", *(f"  {line}" if line else "" for line in (inspect.getdoc(kind) or "").splitlines())]
    lines += ["", "observation:", *_space(rules.observation_space), "", "action:", *_space(rules.action_space)]
    lines += ["", "settings (keywords of gymnasium.make):"]
    for setting, default in settings_of(kind).items():
        lines.append(f"    {setting:<20}{default!r}")
    if rules.agents is not None:
        lines += ["", f"agents: {rules.agents}; who plays the others of one learner (others=...):"]
        lines += [f"    {', '.join(('random', *rules.strategies))}, a policy, a function; default {rules.default_others}"]
    lines += ["", "facts (what rewards read):"]
    for fact in facts_of(env):
        declared = FACTS[fact]
        unit = "" if declared.unit == "-" else f" [{declared.unit}]"
        lines.append(f"    {fact:<20}{declared.meaning}{unit}")
    lines += ["", f"success: objective >= {kind.success_threshold:g}", "", "example:"]
    reward = example_reward(env)
    if rules.agents is not None:
        lines += [
            f"    env = rewardscape.parallel_env({env!r}, reward={reward!r})",
            "    observations, infos = env.reset(seed=0)",
        ]
    lines += [f"    env = gymnasium.make({env!r}, reward={reward!r})", "    observation, info = env.reset(seed=0)"]
    return "\n".join(lines)


def settings_of(kind: type) -> dict[str, Any]:
    """Settings and defaults of a `Rules` class, its base classes' included where it passes them on."""
    found: dict[str, Any] = {}
    for cls in kind.__mro__:
        if "__init__" not in vars(cls):
            continue
        parameters = inspect.signature(vars(cls)["__init__"]).parameters.values()
        for p in parameters:
            if p.name != "self" and p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY):
                found.setdefault(p.name, p.default)
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return {name: value for name, value in found.items() if name not in getattr(kind, "without", ())}


def _space(space: gym.Space) -> list[str]:
    if isinstance(space, gym.spaces.Dict):
        return [f"    {key:<20}{part}" for key, part in space.spaces.items()]
    return [f"    {space}"]


def facts_of(env: str) -> list[str]:
    """The facts a world reports: first its own, then those of every world."""
    own = [name for name in _face(env).facts if name not in CORE_FACTS]
    return [*own, *CORE_FACTS]


def attaches(reward: Any, env: str) -> bool:
    """Does a world report what a reward needs, in the form it needs?"""
    face, layer = _face(env), get_reward(reward)
    assert layer is not None
    try:
        layer.attach(face.facts, env, face.rules.agents)
        layer.reset(face.facts)
    except ValueError:
        return False
    return True


@cache
def _face(env: str) -> Any:
    return gym.make(env).unwrapped


def example_reward(env: str) -> str:
    """A reward to begin with."""
    return next(reward for reward in ("gui-g2", "payoff_earned()", "shaping-geodesic", "step-cost") if attaches(reward, env))
