"""``rewardscape train ENV --reward R``: train an agent into a run directory, with PPO, A2C, group-relative, or PPO on the device.

In several processes: ``torchrun --nproc-per-node N --no-python rewardscape train ENV --algo ppo-device ...``.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import re
import time
from typing import Any

from rewardscape.scripts.options import add_world_settings, settings


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="rewardscape train", description=__doc__)
    parser.add_argument("env", nargs="?", help="id of the world, such as GUIScreens-v0")
    parser.add_argument("--reward", help="preset, formula or YAML file; default: the increment of the objective")
    parser.add_argument(
        "--algo",
        default="ppo",
        help="ppo (default), a2c; grpo: group-relative, without a critic; ppo-device: thousands of rows, CPU or GPU",
    )
    parser.add_argument("--credit", help="stage of grpo and ppo-device: none, reward_to_go(gamma=...) or per_turn")
    parser.add_argument(
        "--advantage", help="stage of grpo and ppo-device: group_relative(scale=...), leave_one_out, decoupled ..."
    )
    parser.add_argument("--start", help="begin with the weights of this run, or of a world's shipped baseline")
    parser.add_argument("--steps", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0, help="run number")
    parser.add_argument("--n-envs", type=int, default=512, help="rows stepped together")
    parser.add_argument("--threads", type=int, default=0, help="of torch; default: one a core, up to 8")
    parser.add_argument("--out", type=pathlib.Path, help="run directory; default: runs/ENV-REWARD-SEED-TIME")
    parser.add_argument("--hyper", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the algorithm")
    parser.add_argument("--config", type=pathlib.Path, help="repeat the run of this config.yaml; other options are refused")
    parser.add_argument("--resume", type=pathlib.Path, metavar="RUN", help="go on with this run from its last checkpoint")
    parser.add_argument("--progress", default="auto", choices=("auto", "bar", "lines", "none"))
    add_world_settings(parser)
    options = parser.parse_args(argv)

    from rewardscape.agents.runs import keep_memory, read_config, train

    chosen = sum(value is not None for value in (options.env, options.config, options.resume))
    if chosen != 1:
        raise ValueError("give one of: a world, --config FILE, --resume RUN")
    if options.env is None:
        used = [n for n in ("reward", "settings", "hyper", "credit", "advantage", "start") if getattr(options, n)]
        if used:
            raise ValueError(f"--config and --resume repeat a run as it is; leave out --{', --'.join(used)}")
    if options.resume is not None:
        folder = options.resume
        config = read_config(folder / "config.yaml")
    else:
        config = read_config(options.config) if options.config is not None else from_options(options)
        folder = options.out or default_folder(config)
    keep_memory()
    started = time.perf_counter()
    run = train(config, folder, resume=options.resume is not None, progress=options.progress)
    if int(os.environ.get("RANK", 0)) > 0:
        return 0  # the first process writes the run
    last = run.metrics()[-1]
    print(f"{last['steps']} steps in {time.perf_counter() - started:.0f} s: objective {last['objective']:.3f} while training")
    print(f"run: {run.folder}    next: rewardscape evaluate {run.folder}    rewardscape render {run.folder}")
    return 0


def from_options(options: argparse.Namespace) -> Any:
    """The `Config` that the command line describes."""
    from rewardscape.agents.runs import Config

    return Config(
        env=options.env, reward=options.reward, algo=options.algo, steps=options.steps, seed=options.seed, n_envs=options.n_envs,
        env_settings=settings(options.settings), algorithm_settings=settings(options.hyper), threads=options.threads,
        credit=options.credit, advantage=options.advantage, start=options.start,
    )  # fmt: skip


def default_folder(config: Any) -> pathlib.Path:
    """runs/ENV-REWARD-SEED-TIME."""
    reward = re.sub(r"\W+", "-", str(config.reward or "objective"))[:40].strip("-")
    stamp = time.strftime("%Y%m%d-%H%M%S")
    return pathlib.Path("runs") / f"{config.env.split('/')[-1]}-{reward}-{config.seed}-{stamp}"
