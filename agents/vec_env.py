"""A compiled vector environment as a Stable-Baselines3 `VecEnv`, without Python per row in the common path."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from stable_baselines3.common.vec_env import VecEnv

from rewardscape.agents.episode_means import EpisodeMeans
from rewardscape.envs.core.vector import CompiledVectorEnv


class SB3VecEnv(VecEnv):
    """``envs``: made by ``gymnasium.make_vec(..., autoreset_mode="same_step", output="numpy")``, one agent a row.

    Observations are copies, since SB3 keeps the last ones. Only rows that ended have something in ``infos``:
    ``terminal_observation``, ``TimeLimit.truncated``, ``episode`` (``r``, ``l``, ``t`` as of SB3's Monitor), ``objective``,
    ``success``. `episode_log` says what happened since it was last called.
    """

    def __init__(self, envs: CompiledVectorEnv):
        envs = getattr(envs, "unwrapped", envs)
        if not isinstance(envs, CompiledVectorEnv):
            raise TypeError(f"SB3VecEnv adapts a compiled vector environment, not {type(envs).__name__}")
        if envs.autoreset_mode.name != "SAME_STEP" or envs._stepper.output != "numpy":
            raise ValueError('SB3VecEnv needs autoreset_mode="same_step" and output="numpy"')
        if envs.rules.agents is not None and envs.learner is None:
            raise ValueError("SB3VecEnv takes one agent a row: make the vector of a world of several with others= or learner=")
        self.envs = envs
        envs.copy = True
        super().__init__(envs.num_envs, envs.single_observation_space, envs.single_action_space)
        self.render_mode = envs.render_mode
        self._actions: Any = None
        self._seed: int | list[int | None] | None = None
        self._started = time.time()
        self._returns, self._lengths = np.zeros(self.num_envs), np.zeros(self.num_envs, np.int64)
        self._infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        self._filled: list[int] = []
        self._means = EpisodeMeans(self.num_envs)
        self._clear()

    def _clear(self) -> None:
        self._log: dict[str, float] = {"steps": 0, "reward": 0.0, "invalid": 0.0}
        self._terms: dict[str, list[float]] = {}
        self._episodes, self._sums = np.zeros(self.num_envs, np.int64), np.zeros((len(EpisodeMeans.NAMES), self.num_envs))

    def episode_log(self) -> dict[str, Any]:
        """Means since the last call: ``reward`` a step, ``invalid`` share of actions, ``terms`` a step; of episodes ``objective``,
        ``success``, ``return``, ``length``, see `EpisodeMeans`; and the counts ``steps``, and ``episodes`` that ended."""
        log, steps = self._log, max(self._log["steps"], 1)
        out: dict[str, Any] = {"steps": int(log["steps"]), "episodes": int(self._episodes.sum())}
        out |= {name: log[name] / steps for name in ("reward", "invalid")}
        objective = self.envs._stepper.episode["objective"]
        so_far = [objective, objective >= self.envs.rules.success_threshold, self._returns, self._lengths]
        out |= self._means.take(self._sums, self._episodes, np.stack(so_far))
        out["terms"] = {name: total / count if count else float("nan") for name, (total, count) in self._terms.items()}
        self._clear()
        return out

    # ------------------------------------------------------------------------------------------------------------- VecEnv

    def seed(self, seed: int | list[int] | None = None) -> list[int | None]:
        """Rows get ``seed + i`` at the next reset, or each its own seed of a list."""
        self._seed = seed  # type: ignore[assignment]
        if isinstance(seed, list):
            return list(seed)
        return [None if seed is None else seed + i for i in range(self.num_envs)]

    def reset(self) -> Any:
        observation, _ = self.envs.reset(seed=self._seed)
        self._seed = None
        self._returns[:] = 0
        self._lengths[:] = 0
        return observation

    def step_async(self, actions: np.ndarray) -> None:
        self._actions = actions

    def step_wait(self) -> Any:
        observation, reward, terminated, truncated, info = self.envs.step(self._actions)
        done = terminated | truncated
        self._returns += reward
        self._lengths += 1
        for row in self._filled:
            self._infos[row] = {}
        self._filled = np.flatnonzero(done).tolist()
        if self._filled:
            self._end(done, truncated & ~terminated, info)
        log = self._log
        log["steps"] += self.num_envs
        log["reward"] += float(reward.sum())
        log["invalid"] += float((info["final_info"] if self._filled else info)["invalid_action"].sum())
        for name, values in info["reward_terms"].items():
            if name[0] != "_":
                entry = self._terms.setdefault(name, [0.0, 0])
                known = ~np.isnan(values)
                entry[0] += float(values[known].sum())
                entry[1] += int(known.sum())
        return observation, reward.astype(np.float32), done, list(self._infos)

    def _end(self, done: np.ndarray, cut: np.ndarray, info: dict[str, Any]) -> None:
        final, last, now = info["final_info"], info["final_obs"], time.time() - self._started
        objective, success = final["objective"], final["success"]
        for row in self._filled:
            self._infos[row] = {
                "terminal_observation": last[row],
                "TimeLimit.truncated": bool(cut[row]),
                "episode": {"r": float(self._returns[row]), "l": int(self._lengths[row]), "t": round(now, 6)},
                "objective": float(objective[row]),
                "success": bool(success[row]),
            }
        self._episodes += done
        self._sums += np.stack([objective, success, self._returns, self._lengths]) * done
        self._returns[done] = 0
        self._lengths[done] = 0

    def get_state(self) -> dict[str, Any]:
        """The rows, and what `episode_log` and the running returns have gathered."""
        mine = {"returns": self._returns.copy(), "lengths": self._lengths.copy(), "log": dict(self._log)}
        mine |= {"episodes": self._episodes.copy(), "sums": self._sums.copy(), "last": self._means.last.copy()}
        return mine | {"terms": {k: list(v) for k, v in self._terms.items()}, "envs": self.envs.get_state()}

    def set_state(self, state: dict[str, Any]) -> None:
        """Come back to a `get_state`."""
        self.envs.set_state(state["envs"])
        self._returns[:], self._lengths[:] = state["returns"], state["lengths"]
        self._episodes[:], self._sums[:], self._means.last[:] = state["episodes"], state["sums"], state["last"]
        self._log, self._terms = dict(state["log"]), {k: list(v) for k, v in state["terms"].items()}

    def close(self) -> None:
        self.envs.close()

    def render(self, mode: str | None = None) -> Any:
        pictures = self.envs.render()
        return pictures[0] if pictures else None

    def get_images(self) -> list[np.ndarray | None]:
        return list(self.envs.render() or ()) if self.render_mode == "rgb_array" else [None] * self.num_envs

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        return [getattr(self.envs, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        if len(list(self._get_indices(indices))) != self.num_envs:
            raise ValueError("all rows share one environment object: set_attr takes indices=None only")
        setattr(self.envs, attr_name, value)

    def env_method(self, method_name: str, *method_args: Any, indices: Any = None, **method_kwargs: Any) -> list[Any]:
        result = getattr(self.envs, method_name)(*method_args, **method_kwargs)
        return [result] * len(list(self._get_indices(indices)))

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        return [False] * len(list(self._get_indices(indices)))
