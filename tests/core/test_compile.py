import os
import pathlib
import subprocess
import sys
import textwrap

HELPER = """
from rewardscape.envs.core import rule

@rule
def gain(w, i):  # {comment}
    return {gain}
"""
WORLD = """
from typing import Annotated, NamedTuple
import gymnasium as gym, numpy as np
import rewardscape
from rewardscape.envs.core import Array, Rules, rule
from cachehelper import gain

class Observation(NamedTuple):
    seen: Annotated[Array, "float32", 1]

@rule
def reset(w, i):
    pass

@rule
def step(w, i):
    w.episode.objective[i] += gain(w, i)

@rule
def observe(w, i):
    w.observation.seen[i, 0] = w.episode.step[i]

class Tiny(Rules):
    Observation = Observation
    reset, step, observe = staticmethod(reset), staticmethod(step), staticmethod(observe)
    def __init__(self):
        self.extents = {}
        self.observation_space = gym.spaces.Box(0, 1e6, (1,), np.float32)
        self.action_space = gym.spaces.Discrete(2)

rewardscape.register_world("cachetest/Tiny-v0", "cacheworld:Tiny")
"""
PROGRAM = """
import gymnasium as gym, cacheworld
env = gym.make("cachetest/Tiny-v0")
env.reset(seed=0)
kernels = env.unwrapped._stepper.batch.module
print(env.step(0)[1], sum(kernels.step_serial.stats.cache_hits.values()), sum(kernels.step_serial.stats.cache_misses.values()))
"""


def run(folder: pathlib.Path, gain: float, comment: str = "") -> tuple[float, int, int]:
    (folder / "cachehelper.py").write_text(textwrap.dedent(HELPER.format(gain=gain, comment=comment)))
    (folder / "cacheworld.py").write_text(WORLD)
    paths = os.pathsep.join([str(folder), *[p for p in sys.path if p]])
    environment = {
        **os.environ,
        "PYTHONPATH": paths,
        "REWARDSCAPE_CACHE": str(folder / "cache"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    environment.pop("NUMBA_DISABLE_JIT", None)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    reward, hits, misses = done.stdout.split()
    return float(reward), int(hits), int(misses)


def test_a_second_process_finds_the_kernels_and_a_changed_helper_is_noticed(tmp_path):
    assert run(tmp_path, 0.25) == (0.25, 0, 1)
    assert run(tmp_path, 0.25) == (0.25, 1, 0), "the second process compiled again"
    assert run(tmp_path, 0.5) == (0.5, 0, 1), "the helper in another file changed: the old kernel must not be used"
    assert run(tmp_path, 0.5, comment="only a comment") == (0.5, 1, 0), "a comment is not a change"
    assert run(tmp_path, 0.25) == (0.25, 1, 0), "the first kernel is still there"
