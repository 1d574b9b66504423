"""``rewardscape evaluate RUN|ENV``: the objective of a trained agent, with an interval, beside those of guesses."""

from __future__ import annotations

import argparse
import json
import pathlib
from typing import Any

from rewardscape.agents.evaluate import BASELINES, baselines_of, evaluate, splits_of
from rewardscape.scripts.options import add_world_settings, find_run, settings


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="rewardscape evaluate", description=__doc__)
    parser.add_argument("target", help="a run directory, or a world: then its shipped baseline")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0, help="run number of the test episodes")
    parser.add_argument("--reward", help="judge by this reward; default: the one it was trained under")
    parser.add_argument("--baselines", nargs="*", help=f"of: {' '.join(BASELINES)}; default: those that fit the world")
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here too")
    add_world_settings(parser)
    options = parser.parse_args(argv)
    if options.episodes < 1:
        raise ValueError(f"--episodes={options.episodes}; allowed: an integer of at least 1")
    run = find_run(options.target)
    world = {**run.config.env_settings, **settings(options.settings)}
    reward = options.reward or run.layer()
    names = baselines_of(run.config.env, world) if options.baselines is None else options.baselines
    agents = {"trained": run.load_policy(), **{name: name for name in names}}
    results = compare(agents, run.config.env, reward, world, options.episodes, options.seed)
    print(f"{run.config.env}, {options.episodes} episodes a row, reward {options.reward or run.config.reward}")
    print(table(results))
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1))
    return 0


def compare(
    agents: dict[str, Any], env: str, reward: Any, world: dict[str, Any], episodes: int, seed: int
) -> dict[str, dict[str, Any]]:
    """``{agent: {split: summary}}``; a world without splits has one, "all". Agents that do not fit the world are left out."""
    splits = splits_of(env, world)
    results: dict[str, dict[str, Any]] = {}
    for name, agent in agents.items():
        try:
            results[name] = {
                split: evaluate(agent, env, reward, episodes, seed, settings={**world, **({"split": split} if splits else {})})
                for split in splits or ("all",)
            }
        except (TypeError, KeyError) as error:
            if not isinstance(agent, str):
                raise
            print(f"note: {name} does not fit this world ({error})")
    return results


def table(results: dict[str, dict[str, Any]]) -> str:
    """The results as lines of text."""
    terms = list(dict.fromkeys(t for rows in results.values() for r in rows.values() for t in r["terms"]))
    head = f"{'agent':<12}{'episodes':<10}{'objective':>10}  {'95 % interval':<16}{'success':>8}{'return':>8}"
    lines = [head + "".join(f"  {t:>{max(len(t), 6)}}" for t in terms)]
    for name, rows in results.items():
        for split, r in rows.items():
            low, high = r["interval"]
            line = f"{name:<12}{split:<10}{r['objective']:>10.3f}  [{low:.3f}, {high:.3f}]  {r['success']:>8.3f}{r['return']:>8.2f}"
            lines.append(line + "".join(f"  {r['terms'].get(t, float('nan')):>{max(len(t), 6)}.3f}" for t in terms))
    return "\n".join(lines)
