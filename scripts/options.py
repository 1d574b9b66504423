"""What several commands parse alike."""

from __future__ import annotations

import argparse
from typing import Any

import yaml

from rewardscape.agents.baselines import run_folder


def settings(pairs: list[str]) -> dict[str, Any]:
    """``["action=box", "screen_size=[640,480]"]`` as a dict; values are YAML. ValueError for a pair without "="."""
    found = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise ValueError(f"a setting is NAME=VALUE, not {pair!r}")
        try:
            parsed = yaml.safe_load(value)
        except yaml.YAMLError:
            raise ValueError(f"{pair!r}: the value is not valid YAML") from None
        found[name] = tuple(parsed) if isinstance(parsed, list) else parsed
    return found


def add_world_settings(parser: argparse.ArgumentParser) -> None:
    """``--set NAME=VALUE``."""
    parser.add_argument("--set", dest="settings", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the world")


def find_run(target: str) -> Any:
    """The `Run` at a path, or the shipped baseline of an environment id. ValueError if there is neither."""
    from rewardscape.agents.runs import Run

    return Run(run_folder(target))
