"""``rewardscape check ENV|REWARD|MODULE``: run the whole contract on a world or a reward, ours or yours.

MODULE is the name of an importable module (also one in the current folder) or the path of a .py file: every term it defines and
every world it registers with `rewardscape.register_world` is checked. MODULE:NAME is one of them: a class of rules, a term, or
the id of a world.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import rewardscape
from rewardscape.envs.core.check import Finding, check_world, run_checks
from rewardscape.envs.core.single import full_id
from rewardscape.envs.core.world import Rules
from rewardscape.rewards import TERMS, list_presets, load_terms
from rewardscape.rewards.core.check import reward_checks
from rewardscape.scripts.options import add_world_settings, settings


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape check", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("target", help="world, preset, term, formula, YAML file, module or .py file")
    parser.add_argument("--no-simulator", action="store_true", help="leave out plain Python and the CUDA simulator")
    add_world_settings(parser)
    options = parser.parse_args(argv)
    failed = total = 0
    for title, findings in checks_of(options.target, settings(options.settings), not options.no_simulator):
        print(title)
        for finding in findings:
            print(f"  {finding}", flush=True)
            total += 1
            failed += finding.ok is False
    print(f"{total} checks, {failed} failed")
    return 1 if failed else 0


def checks_of(target: str, world: dict[str, Any], simulator: bool) -> Iterator[tuple[str, Iterator[Finding]]]:
    """``(title, findings)`` of everything that ``target`` means. ValueError if it means nothing."""
    load_terms()
    if (folder := os.getcwd()) not in sys.path:
        sys.path.append(folder)  # as `python -m` would
    module, colon, name = target.partition(":")
    if colon and (module.endswith(".py") or _importable(module)):
        yield from _one_of(_load(module), name, world, simulator)
        return
    if colon and all(part.isidentifier() for part in module.split(".")):
        raise ValueError(f"no module called {module!r}")
    if target.endswith(".py") or (_importable(target) and target not in TERMS and target not in list_presets()):
        yield from _module(_load(target), world, simulator)
        return
    try:
        env = full_id(target)
    except ValueError as unknown_world:
        try:
            checks = reward_checks(target)
        except (ValueError, TypeError) as unknown_reward:
            raise ValueError(f"{unknown_world}; as a reward: {unknown_reward}") from None
        yield f"reward {target}", run_checks(checks)
        return
    yield f"world {env}", check_world(env, world, simulator)


def _importable(name: str) -> bool:
    try:
        return all(part.isidentifier() for part in name.split(".")) and importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _load(target: str) -> str:
    """Import the module and return its name."""
    if not target.endswith(".py"):
        return importlib.import_module(target).__name__
    path = pathlib.Path(target).resolve()
    if not path.is_file():
        raise FileNotFoundError(f"no file {target}")
    sys.path.insert(0, str(path.parent))  # so that the subprocesses find it too
    module = importlib.import_module(path.stem)
    if pathlib.Path(module.__file__ or "").resolve() != path:
        sys.path.remove(str(path.parent))
        raise ValueError(f"{target}: another module is called {path.stem} ({module.__file__}); rename the file")
    return module.__name__


def _one_of(module: str, name: str, world: dict[str, Any], simulator: bool) -> Iterator[tuple[str, Iterator[Finding]]]:
    """What ``name`` is in ``module``: a class of rules, a term, or the id of a world."""
    thing = getattr(sys.modules[module], name, None)
    if isinstance(thing, type) and issubclass(thing, Rules):
        path = f"{module}:{name}"
        known = [env for env, rules in rewardscape.WORLDS.items() if rules == path]
        if not known:
            known = [f"check/{name}-v0"]
            rewardscape.register_world(known[0], path)
        yield f"world {known[0]}", check_world(known[0], world, simulator)
    elif name in TERMS:
        yield f"term {name}", run_checks(reward_checks(name))
    else:
        try:
            env = full_id(name)
        except ValueError as unknown:
            raise ValueError(f"{module} has no class of rules and no term called {name!r}; {unknown}") from None
        yield f"world {env}", check_world(env, world, simulator)


def _module(name: str, world: dict[str, Any], simulator: bool) -> Iterator[tuple[str, Iterator[Finding]]]:
    terms = [made.name for made in TERMS.values() if made.__wrapped__.__module__ == name]
    worlds = [env for env, rules in rewardscape.WORLDS.items() if rules.partition(":")[0] == name]
    if not terms and not worlds:
        raise ValueError(f"{name} defines no terms (@term) and registers no worlds (rewardscape.register_world)")
    for term in terms:
        yield f"term {term}", run_checks(reward_checks(term))
    for env in worlds:
        yield f"world {env}", check_world(env, world, simulator)
