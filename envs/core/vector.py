"""The vector face: N rows of a compiled world as a `gymnasium.vector.VectorEnv`, in NumPy arrays or torch tensors."""

from __future__ import annotations

import secrets
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector import AutoresetMode
from gymnasium.vector.utils import batch_space

from rewardscape.envs.core.actions import put
from rewardscape.envs.core.others import Others, agent_space, part
from rewardscape.envs.core.random import as_seed
from rewardscape.envs.core.single import load_rules
from rewardscape.envs.core.stepper import Stepper, copy_of
from rewardscape.envs.core.world import Rules

MODES = {"next_step": AutoresetMode.NEXT_STEP, "same_step": AutoresetMode.SAME_STEP}


def make(
    rules: str,
    num_envs: int,
    reward: Any = None,
    device: str = "cpu",
    output: str | None = None,
    autoreset_mode: str | AutoresetMode = "next_step",
    copy: bool = True,
    max_episode_steps: int | None = None,
    render_mode: str | None = None,
    others: Any = None,
    learner: int | None = None,
    **settings: Any,
) -> CompiledVectorEnv:
    """What `gymnasium.make_vec` calls. ``rules``: ``"module:Class"``; ``settings``: of the world."""
    return CompiledVectorEnv(
        load_rules(rules)(**settings), num_envs, reward, device, output, autoreset_mode, copy, max_episode_steps, render_mode,
        others, learner,
    )  # fmt: skip


class CompiledVectorEnv(gym.vector.VectorEnv):
    """``num_envs`` rows of ``rules``. Row ``i`` seeded ``s`` is, step for step, the single environment seeded ``s + i``.

    ``device``: ``"cpu"`` or ``"cuda"``; ``output``: ``"numpy"`` (CPU only) or ``"torch"``. ``autoreset_mode``:
    ``"next_step"`` (an ended row's next step is its reset: it pays 0 and ignores the action) or ``"same_step"``
    (``info["final_obs"][row]`` and ``info["final_info"]`` hold the ended episode's last). ``copy=False`` returns the
    environment's own buffers, in ``info`` too, overwritten by the next step.

    In a world of several agents, actions, observations and rewards are ``[row, agent]``. With ``others`` or ``learner`` it is
    the face of one agent, ``[row]``: ``learner`` (default 0), while the other seats are played by ``others`` (see `Others`;
    default: the world's). The attribute ``learner`` is None where nobody was singled out.

    ``info`` holds arrays over rows, each with Gymnasium's ``_key`` mask: ``objective``, ``success``, ``invalid_action``,
    ``reward_terms`` (name -> array; those of the step just made, in both modes), ``agent_objective`` where there are several
    agents and the world scores each, and the world's texts, made when read.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array", "ansi"], "render_fps": 4}  # noqa: RUF012

    def __init__(
        self,
        rules: Rules,
        num_envs: int = 1,
        reward: Any = None,
        device: str = "cpu",
        output: str | None = None,
        autoreset_mode: str | AutoresetMode = "next_step",
        copy: bool = True,
        max_episode_steps: int | None = None,
        render_mode: str | None = None,
        others: Any = None,
        learner: int | None = None,
    ):
        mode = MODES.get(str(getattr(autoreset_mode, "name", autoreset_mode)).lower())
        if mode is None:
            raise ValueError(f"autoreset_mode={autoreset_mode!r}; allowed: {', '.join(MODES)}")
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise ValueError(f"render_mode={render_mode!r}; allowed: {', '.join(self.metadata['render_modes'])} or None")
        self.metadata = {**type(self).metadata, "autoreset_mode": mode}
        self.rules, self.num_envs, self.render_mode, self.copy = rules, num_envs, render_mode, copy
        self.autoreset_mode = mode
        self._next_step = mode is AutoresetMode.NEXT_STEP
        self._stepper = Stepper(rules, num_envs, reward, device, output, max_episode_steps or 0)
        self._others = None if others is None and learner is None else Others(rules, others, learner)
        self.learner = None if self._others is None else self._others.learner
        self.single_observation_space, self.single_action_space = rules.observation_space, rules.action_space
        one = self.single_action_space
        if self.learner is not None:
            self.single_observation_space = agent_space(rules.observation_space, self.learner)
        elif rules.agents is not None:
            one = batch_space(one, rules.agents)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(one, num_envs)
        self._all = self._full(True)
        self._seeded = False

    def _full(self, value: bool) -> Any:
        if self._stepper.output == "numpy":
            return np.full(self.num_envs, value)
        import torch

        return torch.full((self.num_envs,), value, device=self._stepper.raw.device)

    def _own(self, value: Any) -> Any:
        """The learner's column of arrays ``[row, agent, ...]``; all of them where nobody was singled out."""
        return value if self.learner is None else part(value, self.learner)

    @property
    def device(self) -> str:
        """Where the rows live."""
        return self._stepper.batch.device

    @property
    def reward_layer(self):
        """The `RewardLayer` that judges, or None: then the increment of the objective is paid."""
        return self._stepper.layer

    @property
    def facts(self) -> dict[str, Any]:
        """What happened in the last reset or step, ``[row, ...]``. Views: copy what you keep."""
        return self._stepper.facts

    def set_reward(self, reward: Any) -> None:
        """Judge by another reward from each row's next reset on."""
        self._stepper.set_reward(reward)

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None):
        """Open episodes in all rows, or in those of ``options["reset_mask"]`` (bool ``[row]``).

        ``seed``: an integer ``s`` (row ``i`` gets ``s + i``), one integer or None a row, or None: every row's next episode.
        """
        mask = (options or {}).get("reset_mask")
        if mask is not None and (tuple(mask.shape) != (self.num_envs,) or str(mask.dtype).split(".")[-1] != "bool"):
            raise ValueError(f"reset_mask is to be bool of shape ({self.num_envs},), not {mask.dtype} {tuple(mask.shape)}")
        rows = range(self.num_envs) if mask is None else [int(i) for i in np.flatnonzero(np.asarray(mask.tolist()))]
        if seed is None and not self._seeded:
            seed = secrets.randbits(62)
        episode = self._stepper.episode
        if seed is None:
            self._advance(mask)
        else:
            seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, (int, np.integer)) else list(seed)
            if len(seeds) != self.num_envs:
                raise ValueError(f"{len(seeds)} seeds for {self.num_envs} environments")
            for i in rows:
                if seeds[i] is None:
                    self._write("index", i, int(episode["index"][i]) + 1)
                else:
                    self._write("seed", i, int(as_seed(seeds[i])))
                    self._write("index", i, 0)
        self._seeded = True
        self._stepper.reset(self._all if mask is None else self._as_mask(mask))
        return self._observe(), self._info(at_reset=True)

    def _as_mask(self, mask: Any) -> Any:
        if self._stepper.output == "numpy":
            return np.asarray(mask)
        import torch

        return torch.as_tensor(mask, device=self._stepper.raw.device)

    def _write(self, name: str, row: int, value: int) -> None:
        array = self._stepper.episode[name]
        if self._stepper.output == "torch":  # torch's uint64 has no arithmetic: write through its signed view
            import torch

            array.view(torch.int64)[row] = value if value < 2**63 else value - 2**64
        else:
            array[row] = value

    def _advance(self, mask: Any) -> None:
        index = self._stepper.episode["index"]
        if self._stepper.output == "torch":
            import torch

            signed = index.view(torch.int64)
            signed += 1 if mask is None else self._as_mask(mask).to(torch.int64)
        else:
            index += np.uint64(1) if mask is None else np.asarray(mask).astype(np.uint64)

    def step(self, actions: Any):
        """Act in every row. Returns ``(observations, rewards, terminations, truncations, infos)``."""
        if not self._seeded:
            raise gym.error.ResetNeeded("call reset before step")
        stepper = self._stepper
        put(self._own(stepper.raw), actions)
        if self._others is not None:
            self._others.act(stepper)
        stepper.step(self._next_step)
        episode = stepper.episode
        if self._next_step:
            out = self._own(stepper.reward), episode["terminated"], episode["truncated"], self._info()
            return self._observe(), *(map(copy_of, out[:3]) if self.copy else out[:3]), out[3]
        reward = self._own(stepper.reward)
        reward = copy_of(reward) if stepper.layer is None or self.copy else reward
        terminated, truncated = copy_of(episode["terminated"]), copy_of(episode["truncated"])
        done = terminated | truncated
        info = self._info()
        if self.device != "cpu" or done.any():
            final = {key: value for key, value in info.items() if not key.startswith("_")}
            final_obs = FinalObservations(copy_of(self._own(stepper.observation)), done)
            self._advance(done)
            stepper.reset(done)
            info = self._info(terms=info["reward_terms"]) | {"final_obs": final_obs, "_final_obs": done}
            info |= {"final_info": final | {f"_{key}": done for key in final}, "_final_info": done}
        return self._observe(), reward, terminated, truncated, info

    def _observe(self) -> Any:
        observation = self._own(self._stepper.observation)
        return copy_of(observation) if self.copy else observation

    def _info(self, at_reset: bool = False, terms: dict[str, Any] | None = None) -> dict[str, Any]:
        stepper, every = self._stepper, self._all
        kept: Any = copy_of if self.copy or not self._next_step else lambda value: value
        objective = kept(stepper.episode["objective"])
        if terms is None:
            terms = {} if at_reset else dict(stepper.terms)
            if self.learner is not None:
                terms = {name: self._own(values) if values.ndim > 1 else values for name, values in terms.items()}
            terms |= {f"_{name}": every for name in terms}
        acted = ~stepper.episode["fresh"]
        valid = self._own(stepper.facts["action_valid"])
        acted = acted.reshape(acted.shape + (1,) * (valid.ndim - acted.ndim))
        info = {
            "objective": objective,
            "success": objective >= self.rules.success_threshold,
            "invalid_action": acted & ~valid,
            "reward_terms": terms,
        }
        if self.rules.agents is not None and "agent_objective" in stepper.facts:
            info["agent_objective"] = kept(self._own(stepper.facts["agent_objective"]))
        if self.device == "cpu":
            info |= kept(self.rules.texts(stepper.batch.world))
        return info | {f"_{key}": every for key in info}

    def expert_actions(self) -> np.ndarray:
        """Expert actions of all rows, one by one: for tests."""
        world = self._stepper.host_world()
        return self._own(np.stack([self.rules.expert(world, row) for row in range(self.num_envs)]))

    def get_state(self) -> dict[str, Any]:
        """Everything needed to come back to this moment."""
        return self._stepper.get_state() | {"seeded": self._seeded}

    def set_state(self, state: dict[str, Any], rows: Any = None) -> None:
        """Come back to the moment of `get_state`, in all rows or those of ``rows`` (bool mask or indices)."""
        self._stepper.set_state(state, rows)
        self._seeded = state["seeded"]

    def render(self, rows: Any = None) -> Any:
        """Pictures (rgb_array) or texts (ansi) of ``rows`` (indices, default all), as a tuple."""
        if self.render_mode is None:
            gym.logger.warn("render() without a render_mode: pass render_mode to gym.make_vec")
            return None
        world = self._stepper.host_world()
        draw = self.rules.draw if self.render_mode == "rgb_array" else self.rules.describe
        return tuple(draw(world, row) for row in (range(self.num_envs) if rows is None else rows))


class FinalObservations:
    """Last observations of the rows that ended: ``[row]`` gives one row's, None where the row did not end.

    ``batched`` is the whole batch's arrays, valid where ``mask`` is True.
    """

    def __init__(self, batched: Any, mask: Any):
        self.batched, self.mask = batched, mask

    def __len__(self) -> int:
        return len(self.mask)

    def __getitem__(self, row: int) -> Any:
        if not self.mask[row]:
            return None
        if isinstance(self.batched, dict):
            return {key: array[row] for key, array in self.batched.items()}
        return self.batched[row]

    def __iter__(self):
        return (self[row] for row in range(len(self)))
