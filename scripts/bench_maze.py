"""Speed of the mazes, of rewards on them, and of learners: sections ``maze``, ``training`` and ``cuda`` of ``rewardscape bench``."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.scripts.peers import Peer

MAZE = "rewardscape/Maze-v0"
PEER = "MiniGrid-FourRooms-v0"
ROWS = (1024, 8192, 65_536)
REWARDS = {
    "sparse": None,
    "step cost": "objective_gain + 0.01*step_cost",
    "shaping": "objective_gain + potential(0.05*goal_geodesic, gamma=0.99)",
    "visit counts": "objective_gain + 0.1*episodic_count",
    "lifetime counts": "objective_gain + count_bonus()",
    "RND": "objective_gain + rnd()",
}
TRAINING = (1024, 32, 8192)  # rows, steps of each between two updates, steps of a minibatch
ASKED = {"pufferlib": 4.0, "gymnax": 3.0, "envpool": 100.0}  # times a peer's best


def stepping(rows: int, reward: str | None, **settings: Any) -> Callable[[int], int]:
    """Steps of a vector of mazes under random actions drawn beforehand, episodes reset inside."""
    envs: Any = gym.make_vec(
        MAZE, num_envs=rows, vectorization_mode="vector_entry_point", reward=reward, copy=False, **settings
    ).unwrapped
    actions: Any = np.random.default_rng(0).integers(0, 3, (16, rows))
    if envs.device != "cpu":
        import torch

        actions = torch.as_tensor(actions, device=envs.device)
    envs.reset(seed=0)
    if envs.reward_layer is not None:
        envs.reward_layer.freeze()  # what learning costs is the learner's time

    def task(number: int) -> int:
        for k in range(number):
            envs.step(actions[k % 16])
        return number * rows

    return task


def mazes(repeats: int, seconds: float, peers: dict[str, str]) -> dict[str, list[float]]:
    """Maze 16x16, four rooms, view 7x7: one environment, batches, rewards, and whatever peers are given."""
    from rewardscape.scripts.bench import alternate, ratio, show, walk

    asked_peers = [Peer(name, python, rows) for name, python in peers.items() for rows in (1024, 8192)]
    print("Maze 16x16, four rooms, view 7x7x3, random actions: one environment, gymnasium.make")
    tasks: dict[str, Any] = {
        f"one Maze, {name}": walk(gym.make(MAZE, reward=r)) for name, r in REWARDS.items() if name != "RND"
    }
    try:
        import minigrid  # noqa: F401

        tasks = {PEER: walk(gym.make(PEER)), **tasks}
    except ImportError:
        print("note: MiniGrid is not installed (pip install minigrid): no ratios")
    found = alternate(tasks, repeats, seconds)
    for name, rates in found.items():
        asked = 10.0 if name.endswith("sparse") else None
        show(name, rates, ratio(rates, found[PEER], asked) if PEER in found and name != PEER else "")

    print("\nbatches, gymnasium.make_vec(copy=False), all cores, reward included")
    tasks = {f"{name}, {rows:,} rows": stepping(rows, r) for name, r in REWARDS.items() for rows in ROWS}
    tasks |= {peer.name: (lambda calls, peer=peer: peer.timed(calls)[0]) for peer in asked_peers}
    batches = alternate(tasks, repeats, seconds)
    for peer in asked_peers:
        peer.close()
    best = max((n for n in batches if n.startswith("sparse")), key=lambda n: statistics.median(batches[n]))
    for name, rates in batches.items():
        more = f"{1e9 / statistics.median(rates):>8.1f} ns a row"
        if not name.startswith("sparse") and not name.startswith(tuple(peers)):
            plain = batches["sparse" + name[name.index(",") :]]
            extra = [1e9 / a - 1e9 / b for a, b in zip(rates, plain, strict=True)]
            more += f", {statistics.median(extra):.1f} of them the reward's"
        show(name, rates, "   " + more)
    for name in peers:
        strongest = max((n for n in batches if n.startswith(name)), key=lambda n: statistics.median(batches[n]))
        print(f"  {best} against {strongest}:{ratio(batches[best], batches[strongest], ASKED[name])}")
    print()
    return found | batches


def training(repeats: int) -> dict[str, Any]:
    """Training steps a second, end to end: ppo-device, and SB3's PPO on the same world with the same network, rows and batches."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env

    from rewardscape.agents.cells import Cells, planes
    from rewardscape.agents.networks import network_for
    from rewardscape.agents.ppo import DeviceLearner
    from rewardscape.agents.runs import Config, keep_memory, make_envs

    keep_memory()  # as every training run does
    rows, n_steps, batch = TRAINING
    settings: dict[str, Any] = {"n_steps": n_steps, "batch_size": batch, "n_epochs": 4, "learning_rate": 1e-3, "ent_coef": 0.01}
    config = Config(MAZE, n_envs=rows, algorithm_settings=settings, algo="ppo-device")
    torch.set_num_threads(config.threads)
    learners = {"ppo-device": DeviceLearner(config)}
    fast = Config(MAZE, n_envs=rows, algorithm_settings={**settings, "precision": "bfloat16"}, algo="ppo-device")
    learners["ppo-device, bfloat16"] = DeviceLearner(fast)

    class Dense(Cells):
        """The same layer, as torch multiplies it."""

        def forward(self, observations: torch.Tensor) -> torch.Tensor:
            return torch.relu(planes(observations, self.kinds).flatten(1) @ self.weight + self.bias)

    def sb3(vec_env: Any, **more: Any) -> PPO:
        network = network_for(vec_env.observation_space)
        kwargs = network["policy_kwargs"] | more
        return PPO(network["policy"], vec_env, policy_kwargs=kwargs, device="cpu", seed=0, **settings)

    dummy = make_vec_env(MAZE, n_envs=rows, seed=0)
    models = {
        "SB3's PPO, DummyVecEnv, torch's layers": sb3(dummy, features_extractor_class=Dense),
        "SB3's PPO, DummyVecEnv, rewardscape's layer": sb3(dummy),
        "SB3's PPO, rewardscape's vector and layer": sb3(make_envs(config, 0)),
    }
    found: dict[str, list[float]] = {name: [] for name in (*learners, *models)}
    shares: list[float] = []
    steps = rows * n_steps
    for repeat in range(repeats + 1):  # the first compiles
        for name in found:
            begun = time.perf_counter()
            if name in learners:
                for _ in range(4):
                    losses = learners[name].update()
                shares.append(losses["rules_share"] + losses["reward_share"])
                made = 4 * steps
            else:
                models[name].learn(steps, reset_num_timesteps=False)
                made = steps
            if repeat:
                found[name].append(made / (time.perf_counter() - begun))
    from rewardscape.scripts.bench import ratio, show

    print(f"training on Maze, sparse reward: {rows} rows, {n_steps} steps, minibatches of {batch}, 4 epochs, the same network")
    for name, rates in found.items():
        show(name, rates)
    for name in models:
        for learner in learners:
            asked = 5.0 if "torch's layers" in name else None  # the others are SB3 with parts of ours
            print(f"  {learner} against {name}:{ratio(found[learner], found[name], asked)}")
    middle, high = statistics.median(shares), max(shares)
    print(
        f"  rules and reward: {middle:.1%} of an update (at most {high:.1%}), asked at most 25 %: {'met' if high <= 0.25 else 'not met'}\n"
    )
    return found | {"share": shares}


# -------------------------------------------------------------------------------------------------------------------- CUDA


def has_cuda() -> bool:
    """Is there a GPU that torch can use?"""
    if "torch" not in sys.modules:
        try:
            import torch  # noqa: F401
        except ImportError:
            return False
    return bool(sys.modules["torch"].cuda.is_available())


def cuda(repeats: int, seconds: float) -> dict[str, Any]:
    """Mazes on a GPU: batches of 4k to 1M rows with and without rewards, and the share of the memory's bandwidth they use."""
    from rewardscape.scripts.bench import alternate, show

    if not has_cuda():
        raise ValueError("section cuda needs a GPU that torch can use")
    import torch

    name = torch.cuda.get_device_name()
    peak = bandwidth()
    print(f"{name}: {peak / 1e9:,.0f} GB/s when copying; Maze 16x16, view 7x7x3")
    tasks: dict[str, Any] = {}
    touched: dict[str, float] = {}
    for rows in (4096, 32_768, 262_144, 1_048_576):
        for reward in ("sparse", "shaping", "visit counts"):
            step = stepping(rows, REWARDS[reward], device="cuda")

            def task(number: int, step: Any = step) -> int:
                made = step(number)
                torch.cuda.synchronize()
                return made

            tasks[f"{reward}, {rows:,} rows"] = task
    found = alternate(tasks, repeats, seconds)
    each = row_bytes()
    for label, rates in found.items():
        touched[label] = statistics.median(rates) * each / peak
        show(label, rates, f"   {touched[label]:.0%} of the bandwidth, at {each} bytes a row and step")
    print()
    return {"device": name, "bandwidth": peak, **found}


def bandwidth() -> float:
    """Bytes a second that a large copy reads and writes on the GPU."""
    import torch

    source = torch.zeros(2**28, dtype=torch.float32, device="cuda")
    target = torch.empty_like(source)
    best = 0.0
    for _ in range(10):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        target.copy_(source)
        torch.cuda.synchronize()
        best = max(best, 2 * source.nbytes / (time.perf_counter() - begun))
    return best


def row_bytes() -> int:
    """Bytes a step reads and writes of a row, at least: everything but the fields of distances, visits and scratch, of which it
    touches a word each."""
    envs: Any = gym.make_vec(MAZE, num_envs=1, vectorization_mode="vector_entry_point").unwrapped
    arrays = envs._stepper.batch.arrays
    return sum(min(array.nbytes, 256) for array in arrays.values())
