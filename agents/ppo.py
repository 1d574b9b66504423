"""PPO where the data is: rules, reward, learner work on the same tensors, thousands of rows a step, on the CPU or a GPU.

An update steps every row ``n_steps`` times into buffers of tensors, estimates advantages, and improves the policy by minibatches
(PPO's clipped surrogate, arXiv:1707.06347; generalised advantage estimation, arXiv:1506.02438). Nothing waits for the device
inside an update: no draw, mask or mean is copied to the host, sizes never depend on data, so a step can be captured in a CUDA
graph. What is logged is summed on the device and read once an update.

Rows reset themselves one step after their episode ended (Gymnasium's next-step mode), so the observation an episode ended in
stands in the buffer, and a cut episode is valued by it; the step of the reset is masked.

A reward's stages are used as they are: with a ``credit`` or an ``advantage`` stage every row plays one episode an update, from its
beginning and for at most ``n_steps``. Credit says what a step is worth, in the place of estimated returns (the critic is its
baseline); advantage, where there is one, takes the critic's place too.

``torchrun --nproc-per-node N -m rewardscape.scripts.main train ...`` runs N processes: each steps ``n_envs`` rows of its own, gradients are
averaged, and the first writes the run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any, NamedTuple, cast

import gymnasium as gym
import torch
from torch import distributed, nn

from rewardscape.agents.actor_critic import ActorCritic, Critic, each
from rewardscape.agents.curriculum import TurnLimit
from rewardscape.agents.episode_means import EpisodeMeans
from rewardscape.agents.runs import Config, check_shaping, discount_of
from rewardscape.agents.surrogate import LOGGED, Batch, Coefficients, backward
from rewardscape.envs.core.others import agent_space
from rewardscape.envs.core.random import base_seed
from rewardscape.envs.core.vector import CompiledVectorEnv
from rewardscape.rewards.core.stages import Channel, Part, Rollouts


@dataclass
class Settings:
    """``algorithm_settings`` of an on-device run; names and meanings as in SB3's PPO."""

    n_steps: int = 32
    n_epochs: int = 4
    batch_size: int = 8192  # steps
    learning_rate: float = 1e-3
    anneal: bool = False  # let the learning rate fall to 0, linearly
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_range: float = 0.2
    ent_coef: float = 0.01
    vf_coef: float = 0.5
    max_grad_norm: float = 0.5
    memory: int = 0  # width of a recurrent memory (GRU); minibatches are then rows, with all their steps
    critic: Critic = "independent"  # or "central": it sees what all agents of the row see
    normalize_observation: bool = False
    turn_limit: int = 0  # cut episodes after so many steps at first, then by `TurnLimit`; 0: only the world's own limit
    turn_limit_every: int = 100  # updates between changes of that limit
    group_size: int = 1  # rows that play the same episode: what an advantage stage compares
    precision: str = "float32"  # or "bfloat16": what matrices are multiplied in, where the processor can
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name, low in (("n_steps", 1), ("n_epochs", 1), ("batch_size", 2), ("memory", 0), ("group_size", 1),
                          ("turn_limit", 0), ("turn_limit_every", 1)):  # fmt: skip
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < low:
                raise ValueError(f"algorithm_settings: {name}={value!r}; allowed: an integer of at least {low}")
        for name, allowed in (("critic", ("independent", "central")), ("precision", ("float32", "bfloat16"))):
            if getattr(self, name) not in allowed:
                raise ValueError(f"algorithm_settings: {name}={getattr(self, name)!r}; allowed: {', '.join(allowed)}")
        if self.device.split(":")[0] not in ("cpu", "cuda"):
            raise ValueError(f"algorithm_settings: device={self.device!r}; allowed: cpu, cuda")


class Rollout(NamedTuple):
    """What an update learns from, tensors ``[time, row, ...]``; with several agents ``[time, row, agent, ...]``."""

    observations: Any
    actions: torch.Tensor
    before: torch.Tensor  # log probabilities of the actions when they were taken
    values: torch.Tensor
    starts: torch.Tensor  # bool [time, row]: the first step of an episode
    acted: torch.Tensor  # bool [time, row]: False for the steps of resets, and after the end where episodes are whole
    memory: torch.Tensor  # [row, ...]: the memory at the first step


class Rows:
    """A vector of tensors in next-step mode, with a log of its episodes that stays on the device. What `runs` asks of a
    learner's ``vec_env``."""

    def __init__(self, config: Config, device: str, layer: Any):
        try:
            made = gym.make_vec(
                config.env, num_envs=config.n_envs, vectorization_mode="vector_entry_point", output="torch", device=device,
                reward=layer, copy=False, **config.env_settings,
            )  # fmt: skip
        except TypeError as error:
            raise ValueError(f"env_settings: {error}") from None
        self.envs: CompiledVectorEnv = cast(CompiledVectorEnv, made.unwrapped)
        self.stepper = self.envs._stepper
        if self.envs.learner is not None:
            raise ValueError("ppo-device learns for all agents of a row together; for one learner among others: algo='ppo'")
        self.agents = self.envs.rules.agents
        episode = self.stepper.episode
        self.terminated, self.truncated, self.fresh = episode["terminated"], episode["truncated"], episode["fresh"]
        self.returns = torch.zeros_like(episode["objective"])
        self.device = self.returns.device
        self._turns = torch.zeros(3, dtype=torch.float64, device=self.device)
        self._means = EpisodeMeans(config.n_envs)
        self._clear()

    @property
    def observation(self) -> Any:
        """What the agents see now: the world's own buffers, overwritten by the next step."""
        return self.stepper.observation

    def open(self, seeds: torch.Tensor) -> None:
        """Begin the first episode of ``seeds`` (int64 ``[row]``) in every row."""
        episode = self.stepper.episode
        episode["seed"].view(torch.int64).copy_(seeds)
        episode["index"].view(torch.int64).zero_()
        self.stepper.reset(torch.ones_like(self.fresh))
        self.envs._seeded = True
        self.returns.zero_()

    def step(self, actions: torch.Tensor, clock: Clock) -> torch.Tensor:
        """Act in every row. The reward ``[row(, agent)]``, float32."""
        stepper = self.stepper
        stepper.raw.copy_(actions)
        stepper.act(True)
        clock.mark("rules")
        stepper.judge(True)
        reward = stepper.reward
        clock.mark("reward")
        self._note(reward)
        return reward.float()

    def _note(self, reward: torch.Tensor) -> None:
        stepper = self.stepper
        acted = ~self.fresh
        own = reward if self.agents is None else reward.mean(-1)
        invalid = ~stepper.facts["action_valid"]
        if self.agents is not None:
            invalid = invalid.double().mean(-1)
        self.returns += own
        done = acted & (self.terminated | self.truncated)
        results = self._results()
        self._log[:4] += torch.stack([acted, done, own, invalid]) * acted
        self._log[4:] += results * done
        for name, term in stepper.terms.items():
            known = ~torch.isnan(term)
            sums = torch.stack([torch.where(known, term, 0.0).double().sum(), known.double().sum()])
            self._terms[name] = self._terms[name] + sums if name in self._terms else sums
        if stepper.batch.limit:
            turns = results[3] * done
            self._turns[:2] += torch.stack([done.sum(), turns.sum()])
            self._turns[2] = torch.maximum(self._turns[2], turns.max())
        self.returns *= ~done

    def _results(self) -> torch.Tensor:
        """What the rows' episodes came to so far, ``[name, row]`` by the names of `EpisodeMeans`."""
        episode = self.stepper.episode
        objective = episode["objective"]
        return torch.stack([objective, objective >= self.envs.rules.success_threshold, self.returns, episode["step"]])

    def cut(self, rows: torch.Tensor) -> None:
        """Count the episodes of ``rows`` (bool ``[row]``) as ended: they are not played on."""
        self._log[1] += rows
        self._log[4:] += self._results() * rows

    def limit_turns(self, limit: int) -> None:
        """Cut episodes after ``limit`` steps, if the world does not sooner."""
        self.stepper.batch.limit = limit

    def turns_used(self) -> tuple[int, int, int]:
        """Number of episodes that ended since the last call, their steps in all, and the most steps of one; counted under a limit."""
        episodes, turns, longest = (int(n) for n in self._turns.tolist())
        self._turns.zero_()
        return episodes, turns, longest

    def _clear(self) -> None:
        self._log: torch.Tensor = torch.zeros(8, len(self.returns), dtype=torch.float64, device=self.device)
        self._terms: dict[str, torch.Tensor] = {}

    def episode_log(self) -> dict[str, Any]:
        """See `rewardscape.agents.vec_env.SB3VecEnv.episode_log`."""
        steps, episodes, reward, invalid = self._log[:4].sum(1).tolist()
        out: dict[str, Any] = {"steps": int(steps), "episodes": int(episodes)}
        out |= {"reward": reward / max(steps, 1), "invalid": invalid / max(steps, 1)}
        out |= self._means.take(self._log[4:].cpu().numpy(), self._log[1].cpu().numpy(), self._results().cpu().numpy())
        out["terms"] = {n: (t[0] / t[1]).item() for n, t in self._terms.items()}
        self._clear()
        return out

    def get_state(self) -> dict[str, Any]:
        terms = {name: value.clone() for name, value in self._terms.items()}
        return {"envs": self.envs.get_state(), "returns": self.returns.clone(), "log": self._log.clone(), "terms": terms,
                "turns": self._turns.clone(), "last": self._means.last.copy()}  # fmt: skip

    def set_state(self, state: dict[str, Any]) -> None:
        self.envs.set_state(state["envs"])
        self.returns.copy_(state["returns"])
        self._log, self._terms, self._turns = state["log"], dict(state["terms"]), state["turns"]
        self._means.last[:] = state["last"]

    def close(self) -> None:
        self.envs.close()


class Clock:
    """Where the time of an update goes: `mark` charges what passed since the last mark to a name. On a GPU by its own events,
    read when `seconds` is."""

    def __init__(self, device: torch.device):
        self.cuda = device.type == "cuda"
        self.marks: list[tuple[str, Any]] = []
        self.mark("")

    def mark(self, name: str) -> None:
        now: Any = torch.cuda.Event(enable_timing=True) if self.cuda else time.perf_counter()
        if self.cuda:
            now.record()
        self.marks.append((name, now))

    def seconds(self) -> dict[str, float]:
        """Seconds by name. Waits for the device."""
        found: dict[str, float] = {}
        if self.cuda:
            torch.cuda.synchronize()
        for (_, before), (name, after) in zip(self.marks, self.marks[1:], strict=False):
            took = before.elapsed_time(after) / 1000 if self.cuda else after - before
            found[name] = found.get(name, 0.0) + took
        return found


class DeviceLearner:
    """See `rewardscape.agents.runs.Learner`."""

    def __init__(self, config: Config):
        self.settings = s = read_settings(config)
        self.rank, self.ranks = (
            (distributed.get_rank(), distributed.get_world_size()) if distributed.is_initialized() else (0, 1)
        )
        if config.n_envs % s.group_size:
            raise ValueError(f"n_envs={config.n_envs} is to be a multiple of group_size={s.group_size}")
        layer = config.layer()
        self.whole = layer is not None and (layer.credit is not None or layer.advantage is not None)
        if layer is not None:
            layer.keep_parts = self.whole
            check_shaping(layer, s.gamma if layer.credit is None else discount_of(layer.credit))
            if self.ranks > 1 and layer.learns:
                raise ValueError(f"the reward {layer.expression} learns, and would learn apart in {self.ranks} processes")
        self.vec_env = self.rows = Rows(config, s.device, layer)
        self.layer = layer
        self.limit = TurnLimit(s.turn_limit, s.turn_limit_every) if s.turn_limit else None
        if self.limit is not None:
            self.rows.limit_turns(self.limit.limit)
        if s.group_size > 1 and not self.whole:
            raise ValueError(f"group_size={s.group_size}: rows play the same episode for a reward with an advantage stage")
        self.policy = build(config, self.rows.envs).to(s.device)
        self.weights, self.gradient = flatten(list(self.policy.parameters()))
        for value in (self.weights, *self.policy.buffers()) if self.ranks > 1 else ():
            distributed.broadcast(value.data, 0)
        self.optimizer = torch.optim.Adam([self.weights], lr=s.learning_rate, eps=1e-5, fused=True)
        self.steps, self.total, self.opened = 0, config.steps, 0
        self.group = torch.arange(config.n_envs, device=self.rows.device) // s.group_size
        self.base = base_seed(config.seed, "train")
        self._open()
        self.memory = self.policy.start_memory(config.n_envs)
        self.start = torch.ones_like(self.rows.fresh)

    def _open(self) -> None:
        """Begin episodes no other process plays, the same in all rows of a group."""
        groups = int(self.group[-1]) + 1
        first = self.base + (self.opened * self.ranks + self.rank) * groups
        self.rows.open(self.group + first % 2**63)  # beyond 2**63 they wrap around, as uint64 means them
        self.opened += 1

    def update(self) -> dict[str, float]:
        s, clock = self.settings, Clock(self.rows.device)
        for group in self.optimizer.param_groups:
            group["lr"] = s.learning_rate * (max(1 - self.steps / self.total, 0.0) if s.anneal else 1.0)
        with products_in(s.precision):
            rollout, advantages, returns = self._play(clock)
            losses = self._learn(rollout, advantages, returns)
        clock.mark("learner")
        if self.limit is not None:
            self.rows.limit_turns(self.limit.update(*self.rows.turns_used()))
            losses["turn_limit"] = torch.tensor(float(self.limit.limit))
        seconds = clock.seconds()
        total = sum(seconds.values())
        return {name: value.item() for name, value in losses.items()} | {f"{n}_share": t / total for n, t in seconds.items()}

    # ------------------------------------------------------------------------------------------------------------ rollouts

    @torch.no_grad()
    def _play(self, clock: Clock) -> tuple[Rollout, list[Channel], torch.Tensor]:
        """Step every row ``n_steps`` times: the rollout, its advantages, and what the critic is to say."""
        rows, s, policy = self.rows, self.settings, self.policy
        policy.set_training_mode(False)
        if self.whole:
            if self.opened > 1 or self.steps:
                self._open()
            self.start = torch.ones_like(rows.fresh)
        memory, first = self.memory, self.memory
        alive = torch.ones_like(rows.fresh)
        observations, numbers, actions, values, starts, acted = [], [], [], [], [], []
        rewards, ends, cuts = [], [], []
        parts: dict[str, list[Any]] = {}
        facts: dict[str, list[Any]] = {}
        for noise in policy.actions.noise(s.n_steps, *self.memory.shape[:-1], device=rows.device):
            observations.append(each(torch.clone, rows.observation))
            found, value, memory = policy(observations[-1], memory, self.start)
            numbers.append(found)
            actions.append(policy.actions.draw(found, policy.log_std, noise))
            values.append(value)
            starts.append(self.start)
            clock.mark("learner")
            rewards.append(rows.step(policy.actions.for_world(actions[-1]), clock))
            acted.append(~rows.fresh & alive)
            ended = rows.terminated | rows.truncated
            if self.whole:
                alive = alive & ~ended
                for name, part in (self.layer.parts if self.layer else {}).items():
                    parts.setdefault(name, []).append(part.clone())
                for name, fact in (self.layer.facts_kept if self.layer else {}).items():
                    facts.setdefault(name, []).append(fact)
            ends.append(rows.terminated.clone())
            cuts.append(rows.truncated.clone())
            self.start = rows.fresh.clone()
            clock.mark("learner")
        if self.whole:
            rows.cut(alive)
        self.memory = memory
        self.steps += s.n_steps * len(rows.fresh) * self.ranks
        last = policy(rows.observation, memory, self.start)[1]
        taken = torch.stack(actions)
        before = policy.actions.judge(torch.stack(numbers), policy.log_std, taken)[0]
        rollout = Rollout(
            each(lambda *steps: torch.stack(steps), *observations), taken, before,
            torch.stack(values), torch.stack(starts), torch.stack(acted), first,
        )  # fmt: skip
        if policy.normalize:
            self._observe(rollout)
        paid = torch.stack(rewards)
        advantages, returns = self._estimate(rollout, paid, torch.stack(ends), torch.stack(cuts), last)
        mask = self._wide(rollout.acted, paid)
        channels = [Channel("policy", 1.0, advantages, mask)]
        if self.whole:
            assert self.layer is not None
            kept = {name: Part(self.layer.addends[name][0], torch.stack(steps)) for name, steps in parts.items()}
            group = self._wide(self.group, paid[0])
            rollouts = Rollouts(paid.double(), mask, group, kept, facts={n: torch.stack(f) for n, f in facts.items()})
            if self.layer.advantage is not None:
                channels = self.layer.advantages(rollouts)
            else:
                returns = self.layer.credit(rollouts).values.float()  # type: ignore[misc]
                channels = [Channel("policy", 1.0, returns - rollout.values, mask)]
        return rollout, channels, returns

    def _estimate(
        self, rollout: Rollout, rewards: torch.Tensor, ends: torch.Tensor, cuts: torch.Tensor, last: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Generalised advantages, and returns for the critic. The value after a step is that of the observation it led to."""
        s, advantage = self.settings, torch.zeros_like(last)
        found = torch.empty_like(rewards)
        ends, done = self._wide(ends, rewards), self._wide(ends | cuts, rewards)
        for t in reversed(range(len(rewards))):
            after = rollout.values[t + 1] if t + 1 < len(rewards) else last
            delta = rewards[t] + s.gamma * after * ~ends[t] - rollout.values[t]
            found[t] = advantage = delta + s.gamma * s.gae_lambda * advantage * ~done[t]
        return found, found + rollout.values

    def _wide(self, rows: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
        """What holds for a row, for each of its agents."""
        return rows.reshape(rows.shape + (1,) * (like.ndim - rows.ndim)).expand(like.shape)

    def _observe(self, rollout: Rollout) -> None:
        seen = rollout.observations.double().flatten(0, rollout.observations.ndim - 1 - len(self.policy.space.shape or ()))
        count = torch.tensor(float(len(seen)), dtype=torch.float64, device=seen.device)
        sums = [count, seen.sum(0), (seen**2).sum(0)]
        for value in sums if self.ranks > 1 else ():
            distributed.all_reduce(value)
        self.policy.observe(sums[0], sums[1] / sums[0], sums[2] / sums[0])

    # ------------------------------------------------------------------------------------------------------------ learning

    def _learn(self, rollout: Rollout, channels: list[Channel], returns: torch.Tensor) -> dict[str, torch.Tensor]:
        """Epochs of minibatches: of steps, or with a memory of rows."""
        s, policy = self.settings, self.policy
        policy.set_training_mode(True)
        steps, rows = rollout.acted.shape
        table = Batch(
            rollout.actions, rollout.before, returns, self._wide(rollout.acted, returns).float(),
            torch.stack([channel.values.float() for channel in channels], -1), torch.stack([channel.mask for channel in channels], -1).float(),
        )  # fmt: skip
        by = Coefficients(s.clip_range, s.vf_coef, s.ent_coef, [channel.weight for channel in channels])
        standard = [channel.name for channel in channels] == ["policy"]
        size = max(s.batch_size // steps, 1) if s.memory else min(s.batch_size, steps * rows)
        whole, axis, observations = rows, 1, rollout.observations
        if not s.memory:
            whole, axis = steps * rows, 0
            table = Batch(*(field.flatten(0, 1) for field in table))
            observations = each(lambda o: o.flatten(0, 1), rollout.observations)
        logged, norms, batches = torch.zeros(len(LOGGED) + len(channels), device=self.rows.device), 0.0, 0
        for _ in range(s.n_epochs):
            order = torch.randperm(whole, device=self.rows.device)
            mixed = [field.index_select(axis, order).split(size, axis) for field in table]
            for chosen, *values in zip(order.split(size), *mixed, strict=True):
                logged += self._pull(rollout, observations, chosen, weigh(Batch(*values), standard), by)
                norm = self.gradient.norm()
                self.gradient *= (s.max_grad_norm / (norm + 1e-6)).clamp(max=1)
                self.optimizer.step()
                norms, batches = norms + norm, batches + 1
        names = (*LOGGED, *(f"{channel.name}_loss" for channel in channels))
        return dict(zip(names, logged / batches, strict=True)) | {"grad_norm": norms / batches}

    def _pull(self, rollout: Rollout, observations: Any, chosen: torch.Tensor, batch: Batch, by: Coefficients) -> torch.Tensor:
        """Find the gradient of a minibatch, the steps ``chosen`` (with a memory: the rows), as the mean of all processes'. What is
        logged of it."""
        policy, axis = self.policy, 1 if self.settings.memory else 0
        seen = each(lambda o: o.index_select(axis, chosen), observations)
        if self.settings.memory:
            numbers, values = policy.unroll(seen, rollout.memory[chosen], rollout.starts.index_select(1, chosen))
        else:
            numbers, values = policy.heads(policy.features(seen))
        self.gradient.zero_()
        logged = backward(policy.actions, numbers, values, policy.log_std, batch, by)
        if self.ranks > 1:
            distributed.all_reduce(self.gradient)
            self.gradient /= self.ranks
        return logged

    # --------------------------------------------------------------------------------------------------------------- state

    def get_state(self) -> dict[str, Any]:
        cuda = torch.cuda.get_rng_state() if self.rows.device.type == "cuda" else None
        return {
            "policy": self.policy.state_dict(), "optimizer": self.optimizer.state_dict(), "steps": self.steps,
            "opened": self.opened, "memory": self.memory, "start": self.start, "cuda": cuda,
            "limit": self.limit and self.limit.state_dict(),
        }  # fmt: skip

    def set_state(self, state: dict[str, Any]) -> None:
        self.policy.load_state_dict(state["policy"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps, self.opened = state["steps"], state["opened"]
        self.memory, self.start = state["memory"], state["start"]
        if self.limit is not None:
            self.limit.load_state_dict(state["limit"])
            self.rows.limit_turns(self.limit.limit)
        if state["cuda"] is not None:
            torch.cuda.set_rng_state(state["cuda"].cpu())

    @staticmethod
    def build_policy(config: Config) -> Any:
        envs = gym.make_vec(config.env, num_envs=1, vectorization_mode="vector_entry_point", **config.env_settings)
        policy = build(config, cast(CompiledVectorEnv, envs.unwrapped))
        envs.close()
        return policy


def read_settings(config: Config) -> Settings:
    """The settings of a config. ValueError naming what is unknown."""
    known = {f.name for f in fields(Settings)}
    if unknown := set(config.algorithm_settings) - known:
        raise ValueError(f"algorithm_settings: unknown {sorted(unknown)}; allowed: {', '.join(sorted(known))}")
    return Settings(**config.algorithm_settings)


def build(config: Config, envs: CompiledVectorEnv) -> ActorCritic:
    """A policy for the rows of ``envs``, with fresh weights."""
    s = read_settings(config)
    agents = envs.rules.agents if envs.learner is None else None
    space = envs.rules.observation_space
    if envs.rules.agents is not None:
        space = agent_space(space)
    return ActorCritic(space, envs.rules.action_space, agents, s.memory, s.critic, s.normalize_observation)


def weigh(batch: Batch, standard: bool) -> Batch:
    """Make the masks of a whole minibatch its weights; ``standard``: bring its advantages to mean 0 and deviation 1, too."""
    steps = tuple(range(batch.weights.ndim))
    weights = batch.weights / batch.weights.sum().clamp(min=1)
    masks = batch.masks / batch.masks.sum(steps).clamp(min=1)
    advantages = batch.advantages
    if standard:
        advantages = advantages - (advantages * masks).sum(steps)
        advantages = advantages / ((advantages**2 * masks).sum(steps).sqrt() + 1e-8)
    return batch._replace(weights=weights, advantages=advantages, masks=masks)


def flatten(parameters: list[nn.Parameter]) -> tuple[nn.Parameter, torch.Tensor]:
    """One vector of all parameters and one of their gradients, of which they are views from now on, so that an optimiser's step is few
    operations. Every parameter begins at a multiple of 64 bytes."""
    sizes = [-(-parameter.numel() // 16) * 16 for parameter in parameters]
    flat = nn.Parameter(parameters[0].new_zeros(sum(sizes)))
    flat.grad = gradient = torch.zeros_like(flat)
    for parameter, values, change in zip(parameters, flat.data.split(sizes), gradient.split(sizes), strict=True):
        view = values[: parameter.numel()].view_as(parameter)
        view.copy_(parameter.data)
        parameter.data = view
        parameter.grad = change[: parameter.numel()].view_as(parameter)
    return flat, gradient


@contextmanager
def products_in(precision: str) -> Iterator[None]:
    """Multiply matrices of float32 in "bfloat16" where the processor can, or as they are; sums stay float32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if precision == "bfloat16" else before)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
