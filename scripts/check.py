"""``rewardscape check ENV|REWARD|MODULE``: run the whole contract on a world or a reward, ours or yours.

MODULE is the name of an importable module or the path of a .py file: every term it defines and every world it registers with
`rewardscape.register_world` is checked.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import pathlib
import sys
from collections.abc import Iterator
from typing import Any

import rewardscape
from rewardscape.envs.core.check import Finding, check_world, run_checks
from rewardscape.envs.core.single import full_id
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
    return importlib.import_module(path.stem).__name__


def _module(name: str, world: dict[str, Any], simulator: bool) -> Iterator[tuple[str, Iterator[Finding]]]:
    terms = [made.name for made in TERMS.values() if made.__wrapped__.__module__ == name]
    worlds = [env for env, rules in rewardscape.WORLDS.items() if rules.partition(":")[0] == name]
    if not terms and not worlds:
        raise ValueError(f"{name} defines no terms (@term) and registers no worlds (rewardscape.register_world)")
    for term in terms:
        yield f"term {term}", run_checks(reward_checks(term))
    for env in worlds:
        yield f"world {env}", check_world(env, world, simulator)
