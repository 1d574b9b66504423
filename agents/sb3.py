"""Training with Stable-Baselines3: runs that are recorded, resumed and repeated exactly.

A run directory holds::

    config.yaml        everything that decides the outcome; `train(read_config(path))` repeats the run
    versions.json      packages, platform, threads
    metrics.jsonl      a line an update: steps, reward, objective, success, every term, losses, speed
    checkpoints/       the last two, written whole or not at all
    policy.pt          weights at the end
    tb/                the same metrics for TensorBoard

On the same machine with the same versions and threads a run of the same config, or one that was killed and resumed, ends in
the same weights, bit for bit.
"""

from __future__ import annotations

import ctypes
import json
import os
import pathlib
import platform
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import gymnasium as gym
import numpy as np
import torch
import yaml
from stable_baselines3 import A2C, PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

import rewardscape
from rewardscape.agents.networks import network_for
from rewardscape.agents.vec_env import SB3VecEnv
from rewardscape.envs.core.random import base_seed
from rewardscape.envs.core.single import full_id
from rewardscape.rewards import RewardLayer, get_reward

ALGORITHMS: dict[str, type[OnPolicyAlgorithm]] = {"ppo": PPO, "a2c": A2C}
_PACKAGES = ("rewardscape", "gymnasium", "numpy", "numba", "torch", "stable-baselines3")


@dataclass
class Config:
    """What decides a run. ``env_settings`` go to `gymnasium.make_vec`; ``reward``: preset, formula or YAML path, None pays
    the objective's increment; ``algorithm_settings`` to SB3's constructor, over the defaults of `defaults_for`."""

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

    def __post_init__(self) -> None:
        if self.algo not in ALGORITHMS:
            raise ValueError(f"algo={self.algo!r}; allowed: {', '.join(ALGORITHMS)}")
        for name, low in (("steps", 1), ("n_envs", 1), ("checkpoint_every", 1), ("threads", 0), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"{name}={value!r}; allowed: an integer of at least {low}")
        if not self.threads:
            self.threads = min(os.cpu_count() or 1, 8)
        self.env = full_id(self.env)
        if self.reward is not None:
            layer = get_reward(self.reward)
            assert layer is not None
            self.reward = str(self.reward) if str(self.reward) in _preset_names() else str(layer.expression)


def _preset_names() -> set[str]:
    from rewardscape.rewards import list_presets

    return set(list_presets())


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


def defaults_for(config: Config, space: gym.Space) -> dict[str, Any]:
    """Settings of the algorithm where the config is silent. In GUI worlds each instruction is answered at once: gamma is 0."""
    gui = isinstance(space, gym.spaces.Dict) and "instruction" in space.spaces
    common: dict[str, Any] = {"gamma": 0.0 if gui else 0.99, "gae_lambda": 0.0 if gui else 0.95}
    if config.algo == "a2c":
        return common | {"n_steps": 8, "learning_rate": 1e-3}
    rollout = 16
    batch = max(min(2048, config.n_envs * rollout), 2)
    return common | {
        "n_steps": rollout, "batch_size": batch, "n_epochs": 4, "learning_rate": 1.5e-3 if gui else 3e-4, "ent_coef": 0.0,
    }  # fmt: skip


def make_envs(config: Config, seed: int, n_envs: int | None = None, reward: Any = ..., **settings: Any) -> Any:
    """The vector environment of a config, seeded but not yet reset."""
    envs = gym.make_vec(
        config.env, num_envs=n_envs or config.n_envs, vectorization_mode="vector_entry_point", autoreset_mode="same_step",
        reward=config.reward if reward is ... else reward, **{**config.env_settings, **settings},
    )  # fmt: skip
    vec_env = SB3VecEnv(envs)  # type: ignore[arg-type]
    vec_env.seed(seed)
    return vec_env


def make_model(config: Config, vec_env: SB3VecEnv) -> OnPolicyAlgorithm:
    """The SB3 algorithm of a config on ``vec_env``."""
    network = network_for(vec_env.observation_space)
    settings = {**defaults_for(config, vec_env.observation_space), **config.algorithm_settings}
    kwargs = {**network["policy_kwargs"], **settings.pop("policy_kwargs", {})}
    policy = settings.pop("policy", network["policy"])
    seed = base_seed(config.seed, "train") % 2**31
    try:
        return ALGORITHMS[config.algo](policy, vec_env, policy_kwargs=kwargs, seed=seed, device="cpu", **settings)
    except TypeError as error:
        raise ValueError(f"algorithm_settings: {error}") from None


def check_reward(layer: RewardLayer | None, gamma: float) -> None:
    """ValueError if SB3 cannot learn soundly under this reward."""
    if layer is None:
        return
    for shaping in layer.shaping_gammas:
        if shaping != gamma:
            raise ValueError(
                f"the reward shapes with gamma={shaping}, the learner discounts with gamma={gamma}: make them equal"
            )


# --------------------------------------------------------------------------------------------------------------- training


class Run:
    """A run directory: ``config``, ``metrics()``, `load_policy`."""

    def __init__(self, folder: str | pathlib.Path):
        self.folder = pathlib.Path(folder)
        self.config = read_config(self.folder / "config.yaml")

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl."""
        path = self.folder / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def load_policy(self) -> Any:
        """The trained policy (of the last checkpoint while the run goes on), in evaluation mode."""
        final = self.folder / "policy.pt"
        checkpoint = None if final.exists() else last_checkpoint(self.folder)
        if not final.exists() and checkpoint is None:
            raise FileNotFoundError(f"{self.folder} has neither policy.pt nor a checkpoint")
        with own_randomness(0, torch.get_num_threads()):
            config = replace(
                self.config,
                n_envs=1,
                algorithm_settings={
                    **self.config.algorithm_settings,
                    "n_steps": 2,
                    **({"batch_size": 2} if self.config.algo == "ppo" else {}),
                },
            )
            model = make_model(config, make_envs(config, 0, reward=None))
        if checkpoint is None:
            weights = torch.load(final, weights_only=True)
        else:
            weights = torch.load(checkpoint, weights_only=False)["policy"]
        model.policy.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in weights.items()})
        model.policy.set_training_mode(False)
        return model.policy


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
    with own_randomness(base_seed(config.seed, "train") % 2**31, config.threads), Progress(config.steps, progress) as bar:
        _learn(config, folder, bar)
    return Run(folder)


class _Nothing(BaseCallback):
    def _on_step(self) -> bool:
        return True


def _learn(config: Config, folder: pathlib.Path, bar: Any) -> None:
    vec_env = make_envs(config, base_seed(config.seed, "train"))
    layer = vec_env.envs.reward_layer
    model = make_model(config, vec_env)
    check_reward(layer, model.gamma)
    model.set_logger(Logger(None, []))
    # only now: a config that cannot be trained leaves no folder behind
    (folder / "checkpoints").mkdir(parents=True, exist_ok=True)
    write_whole(folder / "config.yaml", yaml.safe_dump(asdict(config), sort_keys=False).encode())
    write_whole(folder / "versions.json", json.dumps(versions(config), indent=1).encode())
    checkpoint = last_checkpoint(folder)
    metrics = folder / "metrics.jsonl"
    updates, spent = 0, 0.0
    if checkpoint is None:
        _, callback = model._setup_learn(config.steps, _Nothing(), True, "run", False)
        metrics.write_bytes(b"")
    else:
        state = torch.load(checkpoint, weights_only=False)
        callback = _restore(state, model, vec_env)
        updates, spent = state["updates"], state["seconds"]
        with metrics.open("r+b") as file:  # what was logged after the checkpoint will be logged again
            file.truncate(state["logged"])
    board = _board(folder, model.num_timesteps)
    started = time.perf_counter() - spent
    callback.on_training_start(locals(), globals())
    while model.num_timesteps < config.steps:
        before, tick = model.num_timesteps, time.perf_counter()
        assert model.env is not None
        model.collect_rollouts(model.env, callback, model.rollout_buffer, n_rollout_steps=model.n_steps)
        model._update_current_progress_remaining(model.num_timesteps, config.steps)
        model.train()
        if layer is not None:  # nodes that learn: from the facts of the rollout's last step, [time = 1, row]
            layer.update({name: fact[None] for name, fact in vec_env.envs.facts.items() if isinstance(fact, np.ndarray)})
        updates += 1
        now = time.perf_counter()
        row = _row(model, vec_env, updates, now - started, (model.num_timesteps - before) / (now - tick))
        with metrics.open("a") as file:
            file.write(json.dumps(row) + "\n")
        _write_board(board, row)
        bar.update(row)
        if updates % config.checkpoint_every == 0 or model.num_timesteps >= config.steps:
            with metrics.open("rb+") as file:
                os.fsync(file.fileno())
            _save(folder, model, vec_env, updates, now - started, metrics.stat().st_size)
    save_weights(folder / "policy.pt", model.policy)
    board.close()
    vec_env.close()


def _row(model: OnPolicyAlgorithm, vec_env: SB3VecEnv, updates: int, seconds: float, speed: float) -> dict[str, Any]:
    log = vec_env.episode_log()
    losses = {k.removeprefix("train/"): float(v) for k, v in model.logger.name_to_value.items() if k.startswith("train/")}
    model.logger.name_to_value.clear()
    row = {"update": updates, "steps": model.num_timesteps, "seconds": round(seconds, 3), "steps_per_second": round(speed, 1)}
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


def _save(folder: pathlib.Path, model: Any, vec_env: SB3VecEnv, updates: int, seconds: float, logged: int) -> None:
    layer = vec_env.envs.reward_layer
    state = {
        "policy": model.policy.state_dict(),
        "optimizer": model.policy.optimizer.state_dict(),
        "counters": {name: getattr(model, name) for name in _COUNTERS},
        "last_obs": model._last_obs,
        "last_episode_starts": model._last_episode_starts,
        "env": vec_env.get_state(),
        "layer": None if layer is None else layer.state_dict(),
        "random": (random.getstate(), np.random.get_state(), torch.get_rng_state()),
        "updates": updates,
        "seconds": seconds,
        "logged": logged,
    }
    path = folder / "checkpoints" / f"update-{updates:07}.pt"
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    for old in sorted(path.parent.glob("update-*.pt"))[:-2]:
        old.unlink()


_COUNTERS = (
    "num_timesteps",
    "_n_updates",
    "_episode_num",
    "_current_progress_remaining",
    "_total_timesteps",
    "_num_timesteps_at_start",
)


def _restore(state: dict[str, Any], model: Any, vec_env: SB3VecEnv) -> BaseCallback:
    _, callback = model._setup_learn(state["counters"]["_total_timesteps"], _Nothing(), True, "run", False)
    model.policy.load_state_dict(state["policy"])
    model.policy.optimizer.load_state_dict(state["optimizer"])
    for name, value in state["counters"].items():
        setattr(model, name, value)
    model._last_obs, model._last_episode_starts = state["last_obs"], state["last_episode_starts"]
    vec_env.set_state(state["env"])
    if state["layer"] is not None:
        vec_env.envs.reward_layer.load_state_dict(state["layer"])
    random.setstate(state["random"][0])
    np.random.set_state(state["random"][1])
    torch.set_rng_state(state["random"][2])
    return callback


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
