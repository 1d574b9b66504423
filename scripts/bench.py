"""``rewardscape bench [gui|maze|training|cuda ...]``: how fast worlds, rewards and learners run here, beside peers in the same run.

Every row is the median of alternating repeats with its spread (lowest to highest); a ratio is met when its whole interval is.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

import gymnasium as gym
import numpy as np

PEER = "MiniGrid-Empty-8x8-v0"
WORLDS = ("rewardscape/GUIGrounding-v0", "rewardscape/GUIScreens-v0")
_START = """
import time; start = time.perf_counter()
import rewardscape, gymnasium
gymnasium.make({env!r}).reset(seed=0)
print(time.perf_counter() - start)
"""


SECTIONS = ("gui", "maze", "training", "cuda")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape bench", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; default: all, cuda where there is one")
    parser.add_argument("--repeats", type=int, default=7, help="of every row, at least 3; alternating")
    parser.add_argument("--seconds", type=float, default=1.0, help="each repeat takes about this long")
    parser.add_argument("--rows", type=int, default=1024, help="of the GUI vectors")
    parser.add_argument("--reward", default="gui-g2", help="of the GUI worlds")
    parser.add_argument(
        "--peer",
        nargs="+",
        default=[],
        metavar="NAME=PYTHON",
        help="beside mazes: pufferlib, gymnax, envpool, each the Python\nof an environment that has it",
    )
    parser.add_argument("--json", type=pathlib.Path, help="write the figures here too")
    options = parser.parse_args(argv)
    if options.repeats < 3 or options.rows < 1 or options.seconds <= 0:
        raise ValueError("--repeats is at least 3, --rows at least 1, --seconds above 0")
    if unknown := set(options.sections) - set(SECTIONS):
        raise ValueError(f"unknown section {min(unknown)!r}; allowed: {', '.join(SECTIONS)}")
    import rewardscape  # noqa: F401
    from rewardscape.scripts import bench_maze

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    print(
        f"{cores} cores, Python {sys.version.split()[0]}, NumPy {np.__version__}; medians of {options.repeats} alternating repeats\n"
    )
    chosen = options.sections or [name for name in SECTIONS if name != "cuda" or bench_maze.has_cuda()]
    found: dict[str, Any] = {}
    if "gui" in chosen:
        found |= {
            "single": single(options.repeats, options.seconds, options.reward),
            "vector": vector(options.repeats, options.seconds, options.rows, options.reward),
            "memory": memory(options.rows),
            "start": start(min(options.repeats, 5)),
        }
    if "maze" in chosen:
        peers = dict(peer.split("=", 1) for peer in options.peer if "=" in peer)
        if len(peers) != len(options.peer):
            raise ValueError(f"--peer takes NAME=PYTHON, not {options.peer}")
        found["maze"] = bench_maze.mazes(options.repeats, options.seconds, peers)
    if "training" in chosen:
        found["training"] = bench_maze.training(options.repeats)
    if "cuda" in chosen:
        found["cuda"] = bench_maze.cuda(options.repeats, options.seconds)
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))
    return 0


def alternate(tasks: Mapping[str, Callable[[int], int | None]], repeats: int, seconds: float) -> dict[str, list[float]]:
    """Steps a second of every task, ``repeats`` times each, in turns. A task is a function of the number of calls, which returns the
    steps it made where that is another number."""
    calls = {}
    for name, task in tasks.items():
        task(1)  # compiles
        number, took = 1, 0.0
        while took < seconds / 8:
            number *= 4
            begun = time.perf_counter()
            task(number)
            took = time.perf_counter() - begun
        calls[name] = max(int(number * seconds / took), 1)
    rates: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            begun = time.perf_counter()
            made = task(calls[name]) or calls[name]
            rates[name].append(made / (time.perf_counter() - begun))
    return rates


def show(name: str, rates: list[float], more: str = "", unit: str = "steps/s") -> None:
    middle, low, high = statistics.median(rates), min(rates), max(rates)
    print(f"  {name:<44}{middle:>12,.0f} {unit:<9}({low:,.0f} to {high:,.0f}){more}")


def ratio(rates: list[float], peer: list[float], asked: float | None = None) -> str:
    """The ratio of medians, and its range over the repeats made side by side."""
    pairs = [a / b for a, b in zip(rates, peer, strict=True)]
    text = f"   {statistics.median(rates) / statistics.median(peer):.1f}x ({min(pairs):.1f} to {max(pairs):.1f})"
    if asked is None:
        return text
    return text + (f", asked {asked:g}x: " + ("met" if min(pairs) >= asked else "not met"))


def walk(env: gym.Env) -> Callable[[int], None]:
    """Steps of one environment under random actions drawn beforehand, resets included."""
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(1000)]
    env.reset(seed=0)

    def task(number: int) -> None:
        for k in range(number):
            _, _, terminated, truncated, _ = env.step(actions[k % 1000])
            if terminated or truncated:
                env.reset()

    return task


def single(repeats: int, seconds: float, reward: str) -> dict[str, list[float]]:
    """`gymnasium.make` as a user calls it, observation "elements", against MiniGrid."""
    tasks = {f"{env.split('/')[1]} reward={r}": walk(gym.make(env, reward=r)) for env in WORLDS for r in (None, "hit", reward)}
    try:
        import minigrid  # noqa: F401

        tasks = {PEER: walk(gym.make(PEER)), **tasks}
    except ImportError:
        print("note: MiniGrid is not installed (pip install minigrid): no ratios")
    rates = alternate(tasks, repeats, seconds)
    print("one environment, gymnasium.make, observation='elements'")
    for name, found in rates.items():
        asked = None if "GUIGrounding" not in name else 8.0 if name.endswith("None") else 2.0 if name.endswith(reward) else None
        show(name, found, ratio(found, rates[PEER], asked) if PEER in rates and name != PEER else "")
    print()
    return rates


def vector(repeats: int, seconds: float, rows: int, reward: str) -> dict[str, list[float]]:
    """`gymnasium.make_vec`: drawn screens of 64x64 pixels, and element tables."""

    def task_of(envs: Any) -> Callable[[int], None]:
        envs.action_space.seed(0)
        actions = [envs.action_space.sample() for _ in range(8)]
        envs.reset(seed=0)

        def task(number: int) -> None:
            for k in range(number):
                envs.step(actions[k % 8])

        return task

    pixels: dict[str, Any] = {"observation": "pixels", "screen_size": (64, 64), "instructions": 1}
    worlds: dict[str, dict[str, Any]] = {
        "GUIGrounding 64x64 pixels": {"id": WORLDS[0], **pixels},
        "GUIGrounding elements": {"id": WORLDS[0]},
        "GUIScreens elements": {"id": WORLDS[1]},
    }
    tasks = {}
    for name, settings in worlds.items():
        for r in (None, reward):
            made = gym.make_vec(
                **settings, num_envs=rows, vectorization_mode="vector_entry_point", reward=r, copy=False, autoreset_mode="same_step"
            )  # fmt: skip
            tasks[f"{name} reward={r}"] = task_of(made)
            if r is not None:
                tasks[f"{name}, {r} alone"] = _judge(made.unwrapped)
    rates = {name: [rate * rows for rate in found] for name, found in alternate(tasks, repeats, seconds).items()}
    print(f"{rows} rows, gymnasium.make_vec(autoreset_mode='same_step', copy=False), all cores")
    for name, found in rates.items():
        more = ""
        if name.endswith(f"reward={reward}"):
            alone = rates[name.replace(" reward=", ", ") + " alone"]
            shares = [whole / part for whole, part in zip(found, alone, strict=True)]
            more = f"   reward: {statistics.median(shares):.1%} of the step ({min(shares):.1%} to {max(shares):.1%})"
        show(name, found, more)
    found = rates[f"GUIGrounding 64x64 pixels reward={reward}"]
    print(f"  asked of 64x64 pixels: 50,000 frames/s: {'met' if min(found) >= 50_000 else 'not met'}\n")
    return rates


def _judge(envs: Any) -> Callable[[int], None]:
    """The reward layer of a vector by itself, on the facts of its last step."""

    def task(number: int) -> None:
        for _ in range(number):
            envs.reward_layer.step(envs.facts)

    return task


def memory(rows: int) -> dict[str, float]:
    """Bytes a row and bytes shared by all rows, by world and observation."""
    found: dict[str, float] = {}
    print("memory")
    for env in WORLDS:
        kinds: tuple[dict[str, Any], ...] = ({}, {"observation": "pixels", "screen_size": (64, 64)})
        for settings in kinds:
            made: Any = gym.make_vec(env, num_envs=rows, vectorization_mode="vector_entry_point", **settings)
            batch = made.unwrapped._stepper.batch
            each = (sum(array.nbytes for array in batch.arrays.values()) + batch.raw.nbytes) / rows
            shared = sum(array.nbytes for array in batch._shared.values())
            name = f"{env.split('/')[1]} {'64x64 pixels' if settings else 'elements'}"
            print(f"  {name:<44}{each:>12,.0f} bytes a row, {shared / 2**20:.1f} MiB shared")
            found[name] = each
    print()
    return found


def start(repeats: int) -> dict[str, list[float]]:
    """Seconds from starting Python's imports to the first reset, in a fresh process whose kernels are cached."""
    found: dict[str, list[float]] = {}
    print("a second process, import to first reset")
    for env in WORLDS:
        code = _START.format(env=env)
        runs = [
            subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tempfile.gettempdir())
            for _ in range(repeats)
        ]
        found[env] = [float(run.stdout.split()[-1]) for run in runs]
        print(
            f"  {env.split('/')[1]:<44}{statistics.median(found[env]):>12.2f} s        ({min(found[env]):.2f} to {max(found[env]):.2f})"
        )
    return found
