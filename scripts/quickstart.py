"""``rewardscape quickstart``: train GUIScreens-v0 under two rewards, evaluate on pages never seen, write a report.

The same agent, screens and seed; only the reward differs: `hit` (the click lies in the target) and `gui-g2` (GUI-G²'s dense
Gaussian reward).
"""

from __future__ import annotations

import argparse
import pathlib
import time
from typing import Any

from rewardscape.scripts.report import Report, curves

ENV = "rewardscape/GUIScreens-v0"
WORLD = {"observation": "elements", "action": "box"}


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape quickstart", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--rewards", nargs="+", default=["hit", "gui-g2"])
    parser.add_argument("--steps", type=int, default=200_000, help="for each reward")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--episodes", type=int, default=1000, help="of each evaluation")
    parser.add_argument("--out", type=pathlib.Path, help="folder; default: runs/quickstart-TIME")
    options = parser.parse_args(argv)

    from rewardscape.agents.runs import Config, keep_memory, train
    from rewardscape.scripts.evaluate import compare, table
    from rewardscape.scripts.render import frames, save

    out = options.out or pathlib.Path("runs") / f"quickstart-{time.strftime('%Y%m%d-%H%M%S')}"
    keep_memory()
    started = time.perf_counter()
    runs: dict[str, Any] = {}
    results: dict[str, Any] = {}
    for reward in options.rewards:
        print(f"training {ENV} under {reward}")
        config = Config(ENV, reward, steps=options.steps, seed=options.seed, env_settings=dict(WORLD))
        runs[reward] = train(config, out / reward)
    trained = time.perf_counter() - started
    for reward, run in runs.items():
        results |= compare({reward: run.load_policy()}, ENV, reward, WORLD, options.episodes, options.seed)
    guesses = compare(
        {n: n for n in ("random", "constant", "role", "overlap")}, ENV, "hit", WORLD, options.episodes, options.seed
    )
    print(table(results | guesses))

    report = Report("rewardscape quickstart", f"{ENV}, elements, boxes; {options.steps:,} steps a reward, seed {options.seed}")
    report.text(
        "One agent, trained twice: only the reward differs. The objective is the share of instructions whose click lies in the "
        "target. Held-out pages are whole pages that training never showed."
    )
    rows = []
    for name, splits in (results | guesses).items():
        for split, r in splits.items():
            low, high = r["interval"]
            rows.append([name, split, r["objective"], f"[{low:.3f}, {high:.3f}]", r["success"]])
    report.heading("Objective")
    report.table(["agent", "pages", "objective", "95 % interval", "all instructions hit"], rows)
    report.text(
        f"{options.episodes} fresh episodes a row. random, constant, role and overlap do not learn: a random click, the best "
        "constant click, the best guess by role, the element that shares most words with the instruction."
    )
    report.heading("While training")
    report.figure(
        curves({name: run.metrics() for name, run in runs.items()}, ["objective", "reward"]),
        "Per update, with exploration noise: lower than the objective of the evaluated agent, which clicks where it means to.",
    )
    report.heading("Episodes on held-out pages")
    for reward, run in runs.items():
        pictures = list(frames(ENV, reward, {**WORLD, "split": "held-out"}, run.load_policy(), episodes=3, seed=options.seed))
        path = out / f"{reward}.gif"
        save(pictures, path, fps=0.7)
        report.picture(path.read_bytes(), "gif", f"{reward}: target green, the agent's box red, the reward for a click as heat")
    report.heading("Again")
    again = [f"rewardscape evaluate {out / name}\nrewardscape render {out / name} --out episodes.mp4" for name in runs]
    report.code("\n".join([*again, f"rewardscape train --config {out / options.rewards[0] / 'config.yaml'}"]))
    path = out / "report.html"
    report.write(path)
    print(f"trained for {trained:.0f} s, all in {time.perf_counter() - started:.0f} s")
    print(f"report: {path}")
    return 0
