"""Runs: one agent trained under one reward, recorded, resumed and repeated exactly.

A run directory holds::

    config.yaml        everything that decides the outcome; `train(read_config(path))` repeats the run
    versions.json      packages, platform, threads
    metrics.jsonl      a line an update: steps, reward, objective and success (see `EpisodeMeans`), every term, losses, speed
    checkpoints/       the last two, written whole or not at all
    policy.pt          weights at the end
    reward.pt          what a reward that learns had learned by then
    episodes.npz       episodes of the trained agent: what `inspect` and `rescore` look at
    tb/                the same metrics for TensorBoard

On the same machine with the same versions and threads a run of the same config, or one that was killed and resumed, ends in
the same weights, bit for bit.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import pathlib
import platform
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Protocol

import gymnasium as gym
import numpy as np
import torch
import yaml
from torch import distributed

import rewardscape
from rewardscape.agents.baselines import run_folder
from rewardscape.agents.vec_env import SB3VecEnv
from rewardscape.envs.core.random import base_seed
from rewardscape.envs.core.single import full_id
from rewardscape.rewards import RewardLayer, get_reward, list_presets
from rewardscape.rewards.core.stages import Stage

LEARNERS = {  # algorithm -> module:class of its `Learner`
    "ppo": "rewardscape.agents.sb3:SB3Learner",
    "a2c": "rewardscape.agents.sb3:SB3Learner",
    "grpo": "rewardscape.agents.group:GroupLearner",
    "ppo-device": "rewardscape.agents.ppo:DeviceLearner",
}
_PACKAGES = ("rewardscape", "gymnasium", "numpy", "numba", "torch", "stable-baselines3")
EPISODES = 256  # recorded of the trained agent


@dataclass
class Config:
    """What decides a run. ``env_settings`` go to `gymnasium.make_vec`; ``reward``: preset, formula or YAML path, None pays
    the objective's increment; ``credit`` and ``advantage``: stages of a learner that has them, default those of the reward;
    ``algorithm_settings``: the learner's, over its defaults; ``start``: a run directory, or a world's id for its shipped
    baseline, whose weights the policy begins with."""

    env: str
    reward: str | None = None
    algo: str = "ppo"
    steps: int = 200_000
    seed: int = 0
    n_envs: int = 512
    env_settings: dict[str, Any] = field(default_factory=dict)
    algorithm_settings: dict[str, Any] = field(default_factory=dict)
    threads: int = 0  # of torch; 0: as many as there are cores, up to 8
    checkpoint_every: int = 5  # updates
    credit: str | None = None
    advantage: str | None = None
    start: str | None = None

    def __post_init__(self) -> None:
        if self.algo not in LEARNERS:
            raise ValueError(f"algo={self.algo!r}; allowed: {', '.join(LEARNERS)}")
        for name, low in (("steps", 1), ("n_envs", 1), ("checkpoint_every", 1), ("threads", 0), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name}={value!r}; allowed: an integer of at least {low}")
        if not self.threads:
            self.threads = min(os.cpu_count() or 1, 8)
        self.env = full_id(self.env)
        if self.start is not None:
            run_folder(self.start)
        layer = self.layer()
        if layer is None:
            if self.credit or self.advantage:
                raise ValueError("credit and advantage are stages of a reward: reward=None has none")
            return
        self.reward = str(self.reward) if str(self.reward) in list_presets() else str(layer.expression)
        self.credit, self.advantage = (str(stage) if stage else None for stage in (layer.credit, layer.advantage))

    def layer(self) -> RewardLayer | None:
        """A fresh reward layer, with the stages of this config."""
        layer = get_reward(self.reward)
        if layer is None:
            return None
        return RewardLayer(layer.expression, layer.on_error, self.credit or layer.credit, self.advantage or layer.advantage)


def read_config(path: str | pathlib.Path) -> Config:
    """A config from YAML. ValueError naming what is unknown or missing."""
    path = pathlib.Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no config at {path}")
    try:
        data = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not valid YAML ({error})") from None
    known = {f.name for f in fields(Config)}
    if not isinstance(data, dict) or "env" not in data or not set(data) <= known:
        unknown = sorted(set(data) - known) if isinstance(data, dict) else []
        raise ValueError(f"{path}: a config has 'env' and perhaps {', '.join(sorted(known - {'env'}))}; unknown: {unknown}")
    return Config(**data)


def make_envs(config: Config, seed: int, n_envs: int | None = None, reward: Any = ..., **settings: Any) -> SB3VecEnv:
    """The vector environment of a config, seeded but not yet reset. ValueError for a setting that the world does not have."""
    try:
        envs = gym.make_vec(
            config.env, num_envs=n_envs or config.n_envs, vectorization_mode="vector_entry_point", autoreset_mode="same_step",
            reward=config.layer() if reward is ... else reward, **{**config.env_settings, **settings},
        )  # fmt: skip
    except TypeError as error:
        raise ValueError(f"env_settings: {error}") from None
    vec_env = SB3VecEnv(envs)  # type: ignore[arg-type]
    vec_env.seed(seed)
    return vec_env


def check_shaping(layer: RewardLayer, gamma: float) -> None:
    """ValueError if the reward's potentials have another discount than the learner: they would change what is best."""
    for shaping in layer.shaping_gammas:
        if shaping != gamma:
            raise ValueError(
                f"the reward shapes with gamma={shaping}, the learner discounts with gamma={gamma}: make them equal"
            )


def discount_of(credit: Stage) -> float:
    """The discount that a credit stage comes to: a turn looks at nothing after it, a return does not discount."""
    return {"per_turn": 0.0}.get(credit.name, dict(credit.settings).get("gamma", 1.0))


class Learner(Protocol):
    """What `train` asks of an algorithm. It is made from a config alone; ``vec_env`` is seeded and has ``envs``, ``episode_log``,
    ``get_state``, ``set_state``, ``close``; ``policy`` is a torch module with SB3's ``predict``, ``steps`` the number of environment
    steps taken."""

    vec_env: Any
    policy: Any
    steps: int

    def __init__(self, config: Config) -> None: ...

    def update(self) -> dict[str, float]:
        """Collect rollouts and learn from them once; losses by name."""

    def get_state(self) -> dict[str, Any]:
        """Everything of the learner, environments and reward apart, that decides how it goes on."""

    def set_state(self, state: dict[str, Any]) -> None:
        """Come back to a `get_state`."""

    @staticmethod
    def build_policy(config: Config) -> Any:
        """A policy of this config with fresh weights, without environments to train on."""


def learner_of(algo: str) -> type[Learner]:
    """The class of an algorithm."""
    module, _, name = LEARNERS[algo].partition(":")
    return getattr(importlib.import_module(module), name)


# --------------------------------------------------------------------------------------------------------------- training


class Run:
    """A run directory: ``config``, ``metrics()``, ``episodes()``, ``load_policy()``."""

    def __init__(self, folder: str | pathlib.Path):
        self.folder = pathlib.Path(folder)
        self.config = read_config(self.folder / "config.yaml")

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        path = self.folder / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def finished(self) -> bool:
        """Has training come to its end?"""
        return (self.folder / "policy.pt").exists()

    def weights(self) -> dict[str, torch.Tensor]:
        """State of the trained policy (of the last checkpoint while the run goes on), in 32 bits."""
        final = self.folder / "policy.pt"
        checkpoint = None if final.exists() else last_checkpoint(self.folder)
        if not final.exists() and checkpoint is None:
            raise FileNotFoundError(f"{self.folder} has neither policy.pt nor a checkpoint")
        if checkpoint is None:
            weights = torch.load(final, weights_only=True, map_location="cpu")
        else:
            weights = torch.load(checkpoint, weights_only=False, map_location="cpu")["processes"][0]["learner"]["policy"]
        return {k: v.float() if v.is_floating_point() else v for k, v in weights.items()}

    def load_policy(self) -> Any:
        """The trained policy (of the last checkpoint while the run goes on), in evaluation mode."""
        weights = self.weights()
        with own_randomness(0, torch.get_num_threads()):
            policy = learner_of(self.config.algo).build_policy(self.config)
        policy.load_state_dict(weights)
        policy.set_training_mode(False)
        return policy

    def layer(self) -> RewardLayer | None:
        """The reward it was trained under, frozen, with what it had learned at the end."""
        layer, path = self.config.layer(), self.folder / "reward.pt"
        if layer is not None and path.exists():
            layer.load_state_dict(torch.load(path, weights_only=False, map_location="cpu"))
        return layer and layer.freeze()

    def episodes(self) -> Any:
        """The recorded `Episodes` of the trained agent; recorded now if the run has none."""
        from rewardscape.agents.episodes import Episodes, record

        path = self.folder / "episodes.npz"
        if path.exists():
            return Episodes.load(path)
        config = self.config
        return record(self.load_policy(), config.env, self.layer(), EPISODES, config.seed, settings=config.env_settings)


@contextmanager
def own_randomness(seed: int, threads: int) -> Iterator[None]:
    """Seed the global generators and set torch's threads, and put both back as they were."""
    kept = random.getstate(), np.random.get_state(), torch.get_rng_state(), torch.get_num_threads()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        random.setstate(kept[0])
        np.random.set_state(kept[1])
        torch.set_rng_state(kept[2])
        torch.set_num_threads(kept[3])


def keep_memory() -> None:
    """Tell glibc to keep freed memory: the large tensors of pixel networks are else mapped anew in every step, half the time.

    For a process that trains and nothing else; does nothing where there is no glibc.
    """
    try:
        library = ctypes.CDLL(None)
        library.mallopt(-4, 0)  # M_MMAP_MAX
        library.mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD
    except (OSError, AttributeError, TypeError):
        return


def train(config: Config, out: str | pathlib.Path, resume: bool = False, progress: str = "auto") -> Run:
    """Train as ``config`` says into the run directory ``out``.

    ``resume``: go on from the last checkpoint there (from the start if there is none). ``progress``: "bar", "lines", "none",
    or "auto" (a bar on a terminal, else lines). Raises FileExistsError if ``out`` holds a run and ``resume`` is False.
    """
    from rewardscape.agents.progress import Progress

    folder = pathlib.Path(out)
    if (folder / "config.yaml").exists():
        if not resume:
            raise FileExistsError(f"{folder} holds a run already; pass resume to go on with it, or another folder")
        if asdict(read_config(folder / "config.yaml")) != asdict(config):
            raise ValueError(f"{folder}/config.yaml is of another run")
    with processes() as rank:
        seed = (base_seed(config.seed, "train") + rank) % 2**31
        with own_randomness(seed, config.threads), Progress(config.steps, progress if rank == 0 else "none") as bar:
            _learn(config, folder, bar, rank)
    return Run(folder)


@contextmanager
def processes() -> Iterator[int]:
    """Join the other processes of ``torchrun``, if there are any: this one's number. The first writes the run."""
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield 0
        return
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
    distributed.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield distributed.get_rank()
    finally:
        distributed.destroy_process_group()


def gathered(value: Any) -> list[Any]:
    """``value`` of every process, in the first; elsewhere nothing."""
    if not distributed.is_initialized():
        return [value]
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.gather_object(value, found if distributed.get_rank() == 0 else None)
    return found if distributed.get_rank() == 0 else []


def _learn(config: Config, folder: pathlib.Path, bar: Any, rank: int) -> None:
    learner = learner_of(config.algo)(config)
    if distributed.is_initialized() and config.algo != "ppo-device":
        raise ValueError(f"algo={config.algo!r} learns in one process; in several: ppo-device")
    if config.start is not None:
        _begin_with(learner, config.start)
    envs = learner.vec_env.envs
    # only now: a config that cannot be trained leaves no folder behind
    checkpoint = last_checkpoint(folder)
    metrics = folder / "metrics.jsonl"
    updates, spent = 0, 0.0
    if rank == 0:
        (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        write_whole(folder / "config.yaml", yaml.safe_dump(asdict(config), sort_keys=False).encode())
        write_whole(folder / "versions.json", json.dumps(versions(config), indent=1).encode())
        if checkpoint is None:
            metrics.write_bytes(b"")
    if checkpoint is not None:
        state = torch.load(checkpoint, weights_only=False)
        _restore(state, learner, rank)
        updates, spent = state["updates"], state["seconds"]
        if rank == 0:
            with metrics.open("r+b") as file:  # what was logged after the checkpoint will be logged again
                file.truncate(state["logged"])
    board = _board(folder, learner.steps) if rank == 0 else None
    started = time.perf_counter() - spent
    while learner.steps < config.steps:
        before, tick = learner.steps, time.perf_counter()
        losses = learner.update()
        if envs.reward_layer is not None:
            losses |= envs.reward_layer.update()
        updates += 1
        now = time.perf_counter()
        row = _row(learner, losses, updates, now - started, (learner.steps - before) / (now - tick))
        if rank == 0:
            with metrics.open("a") as file:
                file.write(json.dumps(row) + "\n")
            _write_board(board, row)
            bar.update(row)
        if updates % config.checkpoint_every == 0 or learner.steps >= config.steps:
            _save(folder, learner, updates, now - started, rank)
    learner.policy.set_training_mode(False)
    if rank == 0:
        if envs.reward_layer is not None and envs.reward_layer.learns:
            torch.save(envs.reward_layer.state_dict(), folder / "reward.pt")
        save_weights(folder / "policy.pt", learner.policy)
        Run(folder).episodes().save(folder / "episodes.npz")
    if board is not None:
        board.close()
    learner.vec_env.close()


def _begin_with(learner: Learner, start: str) -> None:
    run = Run(run_folder(start))
    try:
        learner.policy.load_state_dict(run.weights())
    except RuntimeError:
        raise ValueError(
            f"start={start!r}: its policy, trained on {run.config.env} with {run.config.env_settings}, has another shape"
        ) from None


def _row(learner: Learner, losses: dict[str, float], updates: int, seconds: float, speed: float) -> dict[str, Any]:
    log = learner.vec_env.episode_log()
    row = {"update": updates, "steps": learner.steps, "seconds": round(seconds, 3), "steps_per_second": round(speed, 1)}
    row |= {name: log[name] for name in ("reward", "objective", "success", "return", "length", "invalid", "episodes")}
    return row | {"terms": log["terms"], "losses": losses}


def _board(folder: pathlib.Path, steps: int) -> Any:
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tb"), purge_step=steps or None)


def _write_board(board: Any, row: dict[str, Any]) -> None:
    tags = {f"rollout/{name}": row[name] for name in ("reward", "objective", "success", "return", "invalid")}
    tags |= {f"terms/{name}": value for name, value in row["terms"].items()}
    tags |= {f"train/{name}": value for name, value in row["losses"].items()} | {
        "time/steps_per_second": row["steps_per_second"]
    }
    for tag, value in tags.items():
        board.add_scalar(tag, value, row["steps"])


# ------------------------------------------------------------------------------------------------------------- checkpoints


def last_checkpoint(folder: pathlib.Path) -> pathlib.Path | None:
    """The newest checkpoint of a run, or None."""
    found = sorted((folder / "checkpoints").glob("update-*.pt"))
    return found[-1] if found else None


def _save(folder: pathlib.Path, learner: Learner, updates: int, seconds: float, rank: int) -> None:
    layer = learner.vec_env.envs.reward_layer
    own = {  # of each process its own
        "learner": learner.get_state(),
        "env": learner.vec_env.get_state(),
        "layer": None if layer is None else layer.state_dict(),
        "random": (random.getstate(), np.random.get_state(), torch.get_rng_state()),
    }
    every = gathered(own)
    if rank > 0:
        return
    metrics = folder / "metrics.jsonl"
    with metrics.open("rb+") as file:
        os.fsync(file.fileno())
    state = {"processes": every, "updates": updates, "seconds": seconds, "logged": metrics.stat().st_size}
    path = folder / "checkpoints" / f"update-{updates:07}.pt"
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    for old in sorted(path.parent.glob("update-*.pt"))[:-2]:
        old.unlink()


def _restore(state: dict[str, Any], learner: Learner, rank: int) -> None:
    if rank >= len(state["processes"]):
        raise ValueError(f"this run was made by {len(state['processes'])} processes: go on with as many")
    own = state["processes"][rank]
    learner.set_state(own["learner"])
    learner.vec_env.set_state(own["env"])
    if own["layer"] is not None:
        learner.vec_env.envs.reward_layer.load_state_dict(own["layer"])
    random.setstate(own["random"][0])
    np.random.set_state(own["random"][1])
    torch.set_rng_state(own["random"][2])


def write_whole(path: pathlib.Path, data: bytes) -> None:
    """Write a file so that a reader sees all of it or nothing."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def save_weights(path: pathlib.Path, policy: Any, half: bool = False) -> None:
    """A policy's weights alone; ``half``: in 16 bits, for a small file."""
    weights = {k: v.half() if half and v.is_floating_point() else v for k, v in policy.state_dict().items()}
    draft = path.with_suffix(".draft")
    torch.save(weights, draft)
    draft.replace(path)


def versions(config: Config) -> dict[str, Any]:
    """What else decides a run bit for bit."""

    def of(package: str) -> str:
        try:
            return version(package)
        except PackageNotFoundError:
            return rewardscape.__version__ if package == "rewardscape" else "unknown"

    return {
        "packages": {name: of(name) for name in _PACKAGES}, "python": platform.python_version(),
        "platform": platform.platform(), "threads": config.threads,
    }  # fmt: skip
