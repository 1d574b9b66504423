"""``rewardscape envs [ENV]``: the worlds, or one world's observation, actions, settings and facts."""

from __future__ import annotations

import argparse
import inspect
from typing import Any

import gymnasium as gym

import rewardscape
from rewardscape.envs.core.single import full_id, load_rules
from rewardscape.envs.core.world import fields
from rewardscape.rewards import FACTS


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
    lines += ["", "facts (what rewards read):"]
    own = [*fields(kind.Facts), "objective", "action", "action_valid", "terminated", "truncated", "step", "seed"]
    for fact in own:
        declared = FACTS[fact]
        unit = "" if declared.unit == "-" else f" [{declared.unit}]"
        lines.append(f"    {fact:<20}{declared.meaning}{unit}")
    lines += ["", f"success: objective >= {kind.success_threshold:g}", "", "example:"]
    lines += [f"    env = gymnasium.make({env!r}, reward={_example(set(own))!r})", "    observation, info = env.reset(seed=0)"]
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


def _example(facts: set[str]) -> str | None:
    from rewardscape.rewards import as_expression, list_presets

    for preset in sorted(list_presets(), key=lambda p: p != "gui-g2"):
        if set(as_expression(preset).facts()) <= facts:
            return preset
    return None
