"""The contract of a world, run against any world: also a stranger's. ``rewardscape check ENV`` prints what this finds."""

from __future__ import annotations

import contextlib
import copy
import dis
import hashlib
import io
import json
import os
import pathlib
import pickle
import random
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import gymnasium as gym
import numpy as np

import rewardscape
from rewardscape.envs.core import compile as compiling
from rewardscape.envs.core.batch import Batch
from rewardscape.envs.core.single import load_rules
from rewardscape.envs.core.world import Rules, fields
from rewardscape.rewards import FACTS, get_reward, list_presets

ROWS, STEPS, SEED = 3, 12, 1234


@dataclass(frozen=True)
class Finding:
    """One check: ``ok`` is None if it was skipped; ``detail`` says why, or what was expected and what was found."""

    name: str
    ok: bool | None
    detail: str = ""

    def __str__(self) -> str:
        word = {True: "ok", False: "FAILED", None: "skipped"}[self.ok]
        detail = " ".join(self.detail.split())  # one line, whatever it quotes
        return f"{word:<8}{self.name}{': ' if detail else ''}{detail}"


class Skip(Exception):
    """A check that cannot be made here; the message says why."""


def run_checks(checks: dict[str, Callable[[], None]]) -> Iterator[Finding]:
    """Run each; an AssertionError or any other exception is a failure, `Skip` is not."""
    for name, check in checks.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                check()
            yield Finding(name, True)
        except Skip as reason:
            yield Finding(name, None, str(reason))
        except AssertionError as error:
            yield Finding(name, False, str(error) or "assertion")
        except Exception as error:
            yield Finding(name, False, f"{type(error).__name__}: {error}")


def check_world(env: str, settings: dict[str, Any] | None = None, simulator: bool = True) -> Iterator[Finding]:
    """All checks of the registered world ``env``. ``simulator``: also in plain Python and in the CUDA simulator (subprocesses).

    A world of several agents is checked with all of them, and as the single environment of its first agent among the others.
    """
    world = _World(env, settings or {})
    checks: dict[str, Callable[[], None]] = {
        "facts are in the vocabulary, with its kinds and shapes": world.facts,
        "rules use no random, no np.random": world.no_foreign_randomness,
        "observations lie in their space": world.spaces,
        "the objective starts at 0, stays in [0, 1], and reward=None sums to it": world.objective,
        "next-step and same-step autoreset show the same episodes": world.autoreset,
        "all cores make of many rows what one makes of them": world.cores,
        "torch output equals NumPy output": world.torch_output,
        "a saved state comes back": world.state,
        "bad actions are replaced, reported, and touch no other row": world.bad_actions,
        "nobody's global generator is touched": world.global_generators,
        "a row is the same whoever its neighbours are": world.neighbours,
        "what was returned stays as it was": world.copies,
        "Gymnasium's checker": world.gymnasium_checker,
        "Stable-Baselines3's checker": world.sb3_checker,
        "a vector's row is the single environment of its seed": world.rows,
        "the same seed repeats, reset() moves on": world.seeds,
        "its spec makes it again": world.spec,
        "render modes": world.render,
        "the expert succeeds, random actions do worse": world.expert if world.agents is None else world.experts,
    }
    if world.agents is not None:
        checks |= {
            "PettingZoo's parallel tests": world.pettingzoo_parallel,
            "PettingZoo's tests of agents in turn": world.pettingzoo_in_turn,
            "the PettingZoo face is the vector's row of its seed": world.pettingzoo_row,
            "scripted players act within the space": world.players,
        }
    if simulator:
        checks["plain Python rules give the same numbers"] = lambda: world.elsewhere("cpu", NUMBA_DISABLE_JIT="1")
        checks["the CUDA simulator gives the same numbers"] = lambda: world.elsewhere(
            "cuda", NUMBA_DISABLE_JIT="1", NUMBA_ENABLE_CUDASIM="1"
        )
    yield from run_checks(checks)


def fitting_preset(facts: set[str]) -> str | None:
    """A preset, the plainest, that needs nothing beyond ``facts``."""
    for name in sorted(list_presets(), key=lambda n: (len(str(get_reward(n))), n)):
        layer = get_reward(name)
        if layer is not None and set(layer.expression.facts()) <= facts:
            return name
    return None


class _World:
    def __init__(self, env: str, settings: dict[str, Any]):
        self.env, self.settings = env, settings
        spec = gym.spec(env)
        if "rules" not in spec.kwargs:
            raise ValueError(f"{env} is not a compiled world: it was not registered with rewardscape.register_world")
        self.kind: type[Rules] = load_rules(spec.kwargs["rules"])
        self.rules = self.kind(**settings)
        self.agents = self.rules.agents
        names = {*fields(self.kind.Facts), "objective", "action", "action_valid", "terminated", "truncated", "step", "seed"}
        self.preset = fitting_preset(names)

    def single(self, reward: Any = None, **more: Any) -> Any:
        return gym.make(self.env, reward=reward, disable_env_checker=True, **self.settings, **more)

    def vector(self, rows: int = ROWS, **more: Any) -> Any:
        return gym.make_vec(self.env, num_envs=rows, vectorization_mode="vector_entry_point", **self.settings, **more)

    def alone(self, rows: int = ROWS, **more: Any) -> Any:
        """The vector face with one agent a row."""
        return self.vector(rows, **more, **({} if self.agents is None else {"learner": 0}))

    def parallel(self, reward: Any = None, **more: Any) -> Any:
        return rewardscape.parallel_env(self.env, reward, **more, **self.settings)

    @property
    def drawn(self) -> bool:
        """Can it be drawn? Worlds of one agent must, those of several may."""
        return self.agents is None or self.kind.draw is not Rules.draw

    def actions(self, number: int, rows: int = ROWS, alone: bool = False) -> np.ndarray:
        """Random actions ``[number, rows, ...]``, the same each time."""
        envs = self.alone(rows) if alone else self.vector(rows)
        envs.action_space.seed(SEED)
        return np.stack([envs.action_space.sample() for _ in range(number)])

    # ------------------------------------------------------------------------------------------------------------- checks

    def facts(self) -> None:
        envs = self.vector()
        envs.reset(seed=SEED)
        declared = {name: extents for name, (_, extents) in fields(self.kind.Facts).items()}
        for name, extents in declared.items():
            assert name in FACTS, f"{name} is not in the vocabulary; add it with declare_fact"
            fact, array = FACTS[name], envs.unwrapped.facts[name]
            kinds = {"bool": "b", "int": "iu", "float": "f", "any": "biuf"}.get(fact.dtype, "O")
            assert array.dtype.kind in kinds, f"{name} is {array.dtype}, the vocabulary says {fact.dtype}"
            leading = 1 if self.agents is None or array.ndim == 1 + len(fact.shape) else 2
            assert array.ndim == leading + len(fact.shape), f"{name} has shape {array.shape}, the vocabulary says {fact.shape}"
            for found, said in zip(array.shape[leading:], fact.shape, strict=True):
                assert not isinstance(said, int) or found == said, (
                    f"{name} has extents {extents}, the vocabulary says {fact.shape}"
                )
        for step, action in enumerate(self.actions(4 * STEPS)):
            for name in declared:
                found = np.asarray(envs.unwrapped.facts[name], float)
                assert np.isfinite(found).all(), f"{name} is not finite after {step} steps: {found}"
            envs.step(action)

    def no_foreign_randomness(self) -> None:
        foreign = {id(module): module.__name__ for module in (random, np.random)}
        for module in (random, np.random):
            foreign |= {id(getattr(module, name)): f"{module.__name__}.{name}" for name in module.__all__}
        seen: set[int] = set()
        queue: list[Any] = [self.kind.reset, self.kind.step, self.kind.observe]
        while queue:
            function = queue.pop()
            python = getattr(function, "py_func", function)
            if not isinstance(python, types.FunctionType) or python.__module__.partition(".")[0] in ("numpy", "numba"):
                continue
            if id(python) in seen:
                continue
            seen.add(id(python))
            for value in _read(python, python.__code__):
                assert id(value) not in foreign, f"{python.__module__}.{python.__name__} uses {foreign[id(value)]}"
                queue.append(value)

    def spaces(self) -> None:
        envs = self.vector()
        observation, _ = envs.reset(seed=SEED)
        for action in self.actions(STEPS):
            assert envs.observation_space.contains(observation), f"outside {envs.observation_space}"
            observation = envs.step(action)[0]

    def objective(self) -> None:
        envs = self.vector(autoreset_mode="same_step")
        _, info = envs.reset(seed=SEED)
        assert (info["objective"] == 0).all(), f"at reset it is {info['objective']}"
        paid = np.zeros(ROWS)
        for action in self.actions(4 * STEPS):
            _, reward, terminated, truncated, info = envs.step(action)
            paid += reward.reshape(ROWS, -1).mean(1)
            now = info["final_info"]["objective"] if (terminated | truncated).any() else info["objective"]
            assert ((now >= 0) & (now <= 1)).all(), f"it is {now}"
            assert np.allclose(paid, now, atol=1e-9), f"reward=None paid {paid}, the objective is {now}"
            paid[terminated | truncated] = 0

    def rows(self) -> None:
        for reward in dict.fromkeys((None, self.preset)):
            envs = self.alone(reward=reward, autoreset_mode="same_step")
            actions = self.actions(4 * STEPS, alone=True)
            singles = [self.single(reward) for _ in range(ROWS)]
            seen, _ = envs.reset(seed=SEED)
            alone = [single.reset(seed=SEED + i)[0] for i, single in enumerate(singles)]
            for step, action in enumerate(actions):
                for i, single in enumerate(singles):
                    _same(_row(seen, i), alone[i], f"step {step}, row {i}: observation")
                    self._same_facts(envs, i, single, 0, f"step {step}, row {i}")
                seen, reward_now, terminated, truncated, info = envs.step(action)
                for i, single in enumerate(singles):
                    alone[i], paid, ended, cut, said = single.step(action[i])
                    where = f"step {step}, row {i}, reward {reward}"
                    assert paid == reward_now[i], f"{where}: vector paid {reward_now[i]}, single {paid}"
                    assert (ended, cut) == (terminated[i], truncated[i]), f"{where}: ends differ"
                    _same_info(info["final_info"] if ended or cut else info, i, said, where)
                    if ended or cut:
                        _same(info["final_obs"][i], alone[i], f"{where}: last observation")
                        alone[i], _ = single.reset()

    def neighbours(self) -> None:
        for reward in dict.fromkeys((None, self.preset)):
            together, apart = self.vector(reward=reward), [self.vector(1, reward=reward) for _ in range(ROWS)]
            together.reset(seed=SEED)
            for i, one in enumerate(apart):
                one.reset(seed=SEED + i)
            for step, action in enumerate(self.actions(3 * STEPS)):
                seen = together.step(action)
                for i, one in enumerate(apart):
                    where = f"step {step}, row {i} of {ROWS}, beside itself alone"
                    found = one.step(action[i : i + 1])
                    _same(_row(seen[0], i), _row(found[0], 0), f"{where}: observation")
                    for name, a, b in zip(("reward", "terminated", "truncated"), seen[1:4], found[1:4], strict=True):
                        assert np.array_equal(a[i], b[0]), f"{where}: {name} {a[i]}, {b[0]}"
                    self._same_facts(together, i, one, 0, where)

    def _same_facts(self, one: Any, row: int, two: Any, other: int, where: str) -> None:
        for name in (*fields(self.kind.Facts), "action", "action_valid", "objective"):
            a, b = one.unwrapped.facts[name][row], two.unwrapped.facts[name][other]
            assert np.array_equal(a, b), f"{where}: {name} is {a}, and {b}"

    def autoreset(self) -> None:
        """In next-step mode a row that ended spends one step on its reset; leaving those out, both show the same."""
        actions = self.actions(3 * STEPS)
        same, following = self.vector(autoreset_mode="same_step"), self.vector(autoreset_mode="next_step")
        same.reset(seed=SEED)
        following.reset(seed=SEED)
        history: list[list[tuple]] = [[] for _ in range(ROWS)]
        for action in actions:
            seen, reward, terminated, truncated, info = same.step(action)
            for i in range(ROWS):
                last = info["final_obs"][i] if terminated[i] or truncated[i] else _row(seen, i)
                history[i].append((float(np.sum(reward[i])), bool(terminated[i]), bool(truncated[i]), _digest(last)))
        position, ended = [0] * ROWS, np.zeros(ROWS, bool)
        for _ in range(len(actions)):
            batch = np.stack([actions[position[i]][i] for i in range(ROWS)])
            seen, reward, terminated, truncated, _ = following.step(batch)
            for i in range(ROWS):
                now = (float(np.sum(reward[i])), bool(terminated[i]), bool(truncated[i]), _digest(_row(seen, i)))
                if ended[i]:
                    assert now[:3] == (0.0, False, False), f"row {i}: the reset step gave {now[:3]}"
                else:
                    then = history[i][position[i]]
                    assert now[:3] == then[:3], (
                        f"row {i}: next-step (reward, terminated, truncated) {now[:3]}, same-step {then[:3]}"
                    )
                    assert now == then, f"row {i}: the observations of the two modes differ"
                    position[i] += 1
            ended = terminated | truncated

    def cores(self) -> None:
        """Through several resets, since those run in the same kernel."""
        import numba

        rows, threads = self.kind.parallel_from, numba.get_num_threads()
        if threads == 1 or compiling.DEBUG:
            raise Skip("one core")
        many = self.vector(rows, max_episode_steps=4)
        numba.set_num_threads(1)
        try:
            one = self.vector(rows, max_episode_steps=4)
        finally:
            numba.set_num_threads(threads)
        for envs in (many, one):
            envs.reset(seed=SEED)
        for step, action in enumerate(self.actions(4 * 5, rows)):
            many.step(action)
            one.step(action)
            for path, array in many.unwrapped._stepper.batch.arrays.items():
                other = one.unwrapped._stepper.batch.arrays[path]
                assert array.tobytes() == other.tobytes(), f"step {step}: {path} differs"

    def torch_output(self) -> None:
        try:
            import torch
        except ImportError:
            raise Skip("torch is not installed") from None
        for reward in dict.fromkeys((None, self.preset)):
            plain, tensors = self.vector(reward=reward), self.vector(reward=reward, output="torch")
            _same(plain.reset(seed=SEED)[0], tensors.reset(seed=SEED)[0], "observation at reset")
            for action in self.actions(STEPS):
                one, two = plain.step(action), tensors.step(torch.from_numpy(action))
                _same(one[0], two[0], "observation")
                for name, a, b in zip(("reward", "terminated", "truncated"), one[1:4], two[1:4], strict=True):
                    assert np.allclose(a, b.numpy(), rtol=1e-5, atol=1e-6), f"{name}: NumPy {a}, torch {b}"

    def state(self) -> None:
        envs = self.vector(reward=self.preset)
        envs.reset(seed=SEED)
        first, rest = self.actions(STEPS), self.actions(STEPS)
        for action in first:
            envs.step(action)
        kept = envs.unwrapped.get_state()
        before = [_digest(*envs.step(action)[:4]) for action in rest]
        envs.unwrapped.set_state(kept)
        after = [_digest(*envs.step(action)[:4]) for action in rest]
        assert before == after, "the same actions after set_state led elsewhere"

    def bad_actions(self) -> None:
        space = self.rules.action_space
        bad: list[Any] = (
            [np.nan, np.inf, -np.inf, 1e30, -1e30] if isinstance(space, gym.spaces.Box) else [-(10**6), 10**9, -(10**12)]
        )
        for value in bad:
            clean, dirty = self.vector(reward=self.preset), self.vector(reward=self.preset)
            clean.reset(seed=SEED)
            dirty.reset(seed=SEED)
            for action in self.actions(STEPS):
                spoiled = action.astype(float) if isinstance(space, gym.spaces.Box) else action.copy()
                spoiled[0] = value
                one, two = clean.step(action), dirty.step(spoiled)
                if not two[4]["invalid_action"][0].any():  # a reset step takes no action
                    assert dirty.unwrapped._stepper.episode["fresh"][0], f"{value} was not reported as invalid"
                assert not one[4]["invalid_action"].any(), "a good action was reported as invalid"
                assert np.isfinite(two[1]).all(), f"{value} led to the reward {two[1]}"
                assert dirty.observation_space.contains(two[0]), f"{value} led out of the observation space"
                for i in range(1, ROWS):
                    self._same_facts(clean, i, dirty, i, f"row {i}, while row 0 acted {value}")
                    _same(_row(one[0], i), _row(two[0], i), f"row {i}, while row 0 acted {value}")
                    assert np.array_equal(one[1][i], two[1][i]), f"row {i} was paid otherwise because row 0 acted {value}"

    def global_generators(self) -> None:
        before = random.getstate(), np.random.get_state()[1].tobytes()  # type: ignore[index, union-attr]
        torch = sys.modules.get("torch")
        drawn = None if torch is None else torch.get_rng_state().numpy().tobytes()
        self.spaces()
        assert random.getstate() == before[0], "random"
        assert np.random.get_state()[1].tobytes() == before[1], "np.random"  # type: ignore[index, union-attr]
        assert torch is None or torch.get_rng_state().numpy().tobytes() == drawn, "torch"

    def gymnasium_checker(self) -> None:
        from gymnasium.utils.env_checker import check_env

        mode = "rgb_array" if self.drawn else None
        check_env(self.single(self.preset, render_mode=mode).unwrapped, skip_render_check=not self.drawn)

    def sb3_checker(self) -> None:
        try:
            from stable_baselines3.common.env_checker import check_env
        except ImportError:
            raise Skip("stable-baselines3 is not installed") from None
        check_env(self.single(self.preset).unwrapped, warn=False)

    def seeds(self) -> None:
        env = self.single(**({} if self.agents is None else {"others": "random"}))
        # a game may always open in the same way
        actions: Any = [] if self.agents is None else self.actions(4, 1, alone=True)

        def opening(seed: int | None = None) -> str:
            seen = [env.reset(seed=seed)[0]]
            for action in actions:
                observation, _, terminated, truncated, _ = env.step(action[0])
                seen.append(observation)
                if terminated or truncated:
                    break
            return _digest(*seen)

        first, second = opening(SEED), opening()
        assert first == opening(SEED), "two resets with one seed differ"
        assert second == opening(), "the episode after it differs"
        assert len({opening() for _ in range(8)}) > 1, "eight resets without a seed gave the same observation"

    def spec(self) -> None:
        env = self.single(self.preset)
        written = gym.envs.registration.EnvSpec.from_json(env.spec.to_json())
        for how, spec in (("JSON", written), ("pickle", pickle.loads(pickle.dumps(env.spec)))):
            _same(env.reset(seed=SEED)[0], gym.make(spec).reset(seed=SEED)[0], f"made from its spec by {how}: observation")

    def copies(self) -> None:
        for env in (self.vector(), self.vector(autoreset_mode="same_step"), self.single()):
            whole = isinstance(env.unwrapped, gym.vector.VectorEnv)
            given: list[Any] = [env.reset(seed=SEED)[0]]
            kept = copy.deepcopy(given)
            for action in self.actions(STEPS, alone=not whole):
                given.append(env.step(action if whole else action[0])[:4])
                kept.append(copy.deepcopy(given[-1]))
                if not whole and (given[-1][2] or given[-1][3]):
                    env.reset()
            assert _digest(given[0]) == _digest(kept[0]), "the observation of reset changed later"
            for step, (now, then) in enumerate(zip(given[1:], kept[1:], strict=True)):
                assert _digest(now[0]) == _digest(then[0]), f"the observation of step {step} changed later"
                assert _digest(*now[1:]) == _digest(*then[1:]), f"reward or ends of step {step} changed later"

    def render(self) -> None:
        if not self.drawn:
            raise Skip("it cannot be drawn")
        env = self.single(render_mode="rgb_array")
        env.reset(seed=SEED)
        picture = env.render()
        assert picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3, f"{picture.dtype} {picture.shape}"
        env = self.single(render_mode="ansi")
        env.reset(seed=SEED)
        assert isinstance(env.render(), str), "ansi is to be text"

    def expert(self) -> None:
        env = self.single()
        scores = {}
        for who in ("expert", "random"):
            env.action_space.seed(SEED)
            scores[who] = 0.0
            for episode in range(10):
                env.reset(seed=SEED if episode == 0 else None)
                done, steps, info = False, 0, {"objective": 0.0}
                while not done and steps < 2000:
                    action = env.unwrapped.expert_action() if who == "expert" else env.action_space.sample()
                    _, _, terminated, truncated, info = env.step(action)
                    done, steps = terminated or truncated, steps + 1
                scores[who] += info["objective"] / 10
        wanted = self.kind.success_threshold
        assert scores["expert"] >= wanted - 1e-9, f"the expert's objective is {scores['expert']:.3f}, success is {wanted}"
        assert scores["random"] < scores["expert"], f"random actions reach {scores['random']:.3f} too"

    def experts(self) -> None:
        """The joint actions of the expert, and random ones, over the first episode of ten rows."""
        if self.kind.expert is Rules.expert:
            raise Skip("it has no expert")
        scores = {}
        for who in ("expert", "random"):
            envs = self.vector(10, autoreset_mode="same_step")
            envs.reset(seed=SEED)
            envs.action_space.seed(SEED)
            final = np.full(10, np.nan)
            for _ in range(2000):
                action = envs.unwrapped.expert_actions() if who == "expert" else envs.action_space.sample()
                _, _, terminated, truncated, info = envs.step(action)
                ended = (terminated | truncated) & np.isnan(final)
                if ended.any():
                    final[ended] = info["final_info"]["objective"][ended]
                if not np.isnan(final).any():
                    break
            scores[who] = float(np.nanmean(final))
        wanted = self.kind.success_threshold
        assert scores["expert"] >= wanted - 1e-9, f"the experts' objective is {scores['expert']:.3f}, success is {wanted}"
        assert scores["random"] < scores["expert"], f"random actions reach {scores['random']:.3f} too"

    def pettingzoo_parallel(self) -> None:
        tests = _pettingzoo_tests()
        with contextlib.redirect_stdout(io.StringIO()):
            tests.parallel_api_test(self.parallel(self.preset), num_cycles=200)
            tests.parallel_seed_test(self.parallel, num_cycles=200)

    def pettingzoo_in_turn(self) -> None:
        tests = _pettingzoo_tests()

        def in_turn() -> Any:
            return rewardscape.aec_env(self.env, self.preset, **self.settings)

        with contextlib.redirect_stdout(io.StringIO()):
            tests.api_test(in_turn(), num_cycles=200)
            tests.seed_test(in_turn, num_cycles=200)

    def pettingzoo_row(self) -> None:
        for reward in dict.fromkeys((None, self.preset)):
            envs, parallel = self.vector(1, reward=reward, autoreset_mode="same_step"), self.parallel(reward)
            names = parallel.possible_agents
            seen, found = envs.reset(seed=SEED)[0], parallel.reset(seed=SEED)[0]
            for step, action in enumerate(self.actions(4 * STEPS, 1)):
                for k, name in enumerate(names):
                    _same(_row(_row(seen, 0), k), found[name], f"step {step}, {name}, reward {reward}: observation")
                self._same_facts(envs, 0, parallel, 0, f"step {step}")
                seen, paid, terminated, truncated, info = envs.step(action)
                found, earned, ended, cut, said = parallel.step(dict(zip(names, action[0], strict=True)))
                for k, name in enumerate(names):
                    where = f"step {step}, {name}, reward {reward}"
                    assert earned[name] == paid[0, k], f"{where}: vector paid {paid[0, k]}, PettingZoo {earned[name]}"
                    assert (ended[name], cut[name]) == (terminated[0], truncated[0]), f"{where}: ends differ"
                    now = info["final_info"] if terminated[0] or truncated[0] else info
                    assert said[name]["objective"] == now["objective"][0], f"{where}: objectives differ"
                if terminated[0] or truncated[0]:
                    assert not parallel.agents, "agents are left after the end"
                    found = parallel.reset()[0]

    def players(self) -> None:
        envs = self.vector()
        envs.reset(seed=SEED)
        stepper, space = envs.unwrapped._stepper, self.rules.action_space
        assert self.rules.default_others in ("random", *self.rules.strategies), f"there is no {self.rules.default_others}"
        for action in self.actions(STEPS):
            for strategy in self.rules.strategies:
                planned = self.rules.act_as(strategy, stepper.host_world())
                assert planned.shape == stepper.raw.shape, f"{strategy}: {planned.shape} for actions {stepper.raw.shape}"
                flat = planned.reshape(-1, *(space.shape or ())).astype(space.dtype)
                assert all(space.contains(one) for one in flat), f"{strategy} leaves {space}: {planned}"
            envs.step(action)

    def elsewhere(self, device: str, **environment: str) -> None:
        if device == "cuda":
            try:
                import numba.cuda  # noqa: F401
            except ImportError:
                raise Skip("numba-cuda is not installed") from None
        asked: dict[str, Any] = {
            "rules": f"{self.kind.__module__}:{self.kind.__qualname__}",
            "settings": self.settings,
            "device": device,
        }
        program = "import json, sys; from rewardscape.envs.core.check import trace; trace(**json.loads(sys.argv[1]))"
        with tempfile.TemporaryDirectory() as folder:
            paths = [str(pathlib.Path(folder) / name) for name in ("here.npz", "there.npz")]
            trace(**{**asked, "device": "cpu"}, path=paths[0])
            done = subprocess.run(
                [sys.executable, "-c", program, json.dumps({**asked, "path": paths[1]})], capture_output=True, text=True, check=False,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p), **environment}, cwd=folder,
            )  # fmt: skip
            assert done.returncode == 0, (done.stderr.strip().splitlines() or ["it failed silently"])[-1]
            with np.load(paths[0]) as here, np.load(paths[1]) as there:
                for name in here.files:
                    one, two = here[name], there[name]
                    # compilers may fuse a multiplication with an addition, so floats agree but for the last digits
                    alike = np.allclose(one, two, rtol=1e-5, atol=1e-5) if one.dtype.kind == "f" else np.array_equal(one, two)
                    assert alike, f"after step {name.replace(':', ', ')} differs"


def trace(rules: str, settings: dict[str, Any], device: str, path: str) -> None:
    """Write all arrays of three rows after each of six steps to ``path`` (.npz), for comparing devices."""
    made = load_rules(rules)(**{k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()})
    batch = Batch(made, ROWS, device)
    batch.world.episode.seed[:] = np.arange(SEED, SEED + ROWS).astype(np.uint64)
    batch.reset(np.ones(ROWS, bool))
    space = made.action_space
    space.seed(SEED)
    found: dict[str, Any] = {}
    for step in range(6):
        actions = [space.sample() for _ in range(ROWS * (made.agents or 1))]
        batch.raw[...] = np.stack(actions).reshape(batch.raw.shape)
        batch.step(True)
        found |= {f"{step}:{name.replace('/', '.')}": np.array(array) for name, array in batch.arrays.items()}
    np.savez(path, **found)


def _pettingzoo_tests() -> Any:
    try:
        import pettingzoo.test
    except ImportError as missing:
        raise Skip(f"PettingZoo's tests need {missing.name}") from None
    return pettingzoo.test


def _read(function: types.FunctionType, code: types.CodeType) -> Iterator[Any]:
    """What a function reads from outside: globals, cells, and what it reads of modules (``np.random.rand``: three things)."""
    cells = dict(zip(function.__code__.co_freevars, (c.cell_contents for c in function.__closure__ or ()), strict=True))
    value: Any = None
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_GLOBAL", "LOAD_DEREF"):
            value = cells.get(instruction.argval, function.__globals__.get(instruction.argval))
        elif instruction.opname in ("LOAD_ATTR", "LOAD_METHOD") and isinstance(value, types.ModuleType):
            value = getattr(value, instruction.argval, None)
        else:
            value = None
        if value is not None:
            yield value
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _read(function, constant)


def _same_info(info: dict[str, Any], row: int, said: dict[str, Any], where: str) -> None:
    """One row of a vector's ``info`` and the ``info`` of a single environment."""
    for key, value in said.items():
        assert key in info, f"{where}: info has {key} in the single environment only"
        if key == "reward_terms":
            terms = {name: array[row] for name, array in info[key].items() if not name.startswith("_")}
            assert terms.keys() == value.keys(), f"{where}: terms {sorted(terms)}, and {sorted(value)}"
            for name in terms:
                assert np.array_equal(terms[name], value[name], equal_nan=True), f"{where}: {name} {terms[name]}, {value[name]}"
        else:
            assert np.array_equal(info[key][row], value), f"{where}: {key} is {info[key][row]!r}, and {value!r}"


def _row(observation: Any, row: int) -> Any:
    return {key: value[row] for key, value in observation.items()} if isinstance(observation, dict) else observation[row]


def _same(one: Any, two: Any, where: str) -> None:
    if not isinstance(one, dict):
        one, two = {"": one}, {"": two}
    for key in one:
        assert np.array_equal(np.asarray(one[key]), np.asarray(two[key])), f"{where} {key}".strip() + " differs"


def _digest(*parts: Any) -> str:
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        for key in sorted(part) if isinstance(part, dict) else [None]:
            digest.update(np.ascontiguousarray(part if key is None else part[key]).tobytes())
    return digest.hexdigest()
