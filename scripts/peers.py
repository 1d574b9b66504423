"""Other people's grid worlds, timed in processes of their own: each needs an environment that has it installed.

``rewardscape bench maze --peer pufferlib=PYTHON gymnax=PYTHON envpool=PYTHON`` names the interpreters. A peer steps under random actions
drawn beforehand (gymnax draws them inside its compiled loop), episodes reset as the library does it, and every process is asked in
turn, so that peers and worlds here meet the same machine.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from typing import Any

PROGRAMS = {
    # PufferLib's C grid, single process: its maps of up to 9x9, a view of 11x11
    "pufferlib": """
import numpy as np, pufferlib.ocean.grid.grid as grid
env = grid.Grid(num_envs=rows, num_maps=1000)
env.reset(seed=0)
actions = np.random.default_rng(0).integers(0, 5, (64, rows)).astype(np.int32)
def run(calls):
    for k in range(calls):
        env.step(actions[k % 64])
""",
    # gymnax FourRooms: 13x13, always the same walls, observes two positions
    "gymnax": """
import functools, jax, gymnax
env, params = gymnax.make("FourRooms-misc")
@functools.partial(jax.jit, static_argnums=1)
def loop(key, calls):
    first, rest = jax.random.split(key)
    state = jax.vmap(env.reset, (0, None))(jax.random.split(first, rows), params)[1]
    def body(carry, _):
        state, key = carry
        key, a, s = jax.random.split(key, 3)
        action = jax.random.randint(a, (rows,), 0, 4)
        out = jax.vmap(env.step, (0, 0, 0, None))(jax.random.split(s, rows), state, action, params)
        return (out[1], key), out[2].sum() + 1e-9 * out[0].sum()
    return jax.lax.scan(body, (state, rest), None, length=calls)[1].sum()
def run(calls):
    for _ in range(-(-calls // 100)):
        loop(jax.random.PRNGKey(0), 100).block_until_ready()
    return 100 * -(-calls // 100)
""",
    # EnvPool's C++ MiniGrid, FourRooms of 19x19, a view of 7x7x3, a thread a core
    "envpool": """
import os, numpy as np, envpool
threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
env = envpool.make("MiniGrid-FourRooms-v0", env_type="gymnasium", num_envs=rows, num_threads=threads)
env.reset()
actions = np.random.default_rng(0).integers(0, 3, (64, rows)).astype(np.int32)
def run(calls):
    for k in range(calls):
        env.step(actions[k % 64])
""",
}
_SERVE = """
import json, sys, time
answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    begun = time.perf_counter()
    made = run(int(line)) or int(line)
    print(json.dumps([made * rows, time.perf_counter() - begun]), file=answers, flush=True)
"""


class Peer:
    """A peer's process. ``rate(calls)``: its steps a second over so many calls."""

    def __init__(self, name: str, python: str, rows: int):
        if name not in PROGRAMS:
            raise ValueError(f"unknown peer {name!r}; allowed: {', '.join(PROGRAMS)}")
        code = f"rows = {rows}\n{PROGRAMS[name]}\n{_SERVE}"
        try:
            self._process = subprocess.Popen(
                [python, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                cwd=tempfile.gettempdir(),  # some leave files where they are started
            )  # fmt: skip
        except OSError as error:
            raise ValueError(f"peer {name}: {python} does not start ({error})") from None
        self.name = f"{name}, {rows:,} rows"

    def timed(self, calls: int) -> tuple[int, float]:
        """Steps made by so many calls, and the seconds they took."""
        process: Any = self._process
        try:
            process.stdin.write(f"{calls}\n")
            process.stdin.flush()
            steps, seconds = json.loads(process.stdout.readline())
        except (BrokenPipeError, ValueError):
            raise ValueError(f"peer {self.name}: its process ended; is the library installed there?") from None
        return steps, seconds

    def close(self) -> None:
        """End the process."""
        self._process.stdin.close()  # type: ignore[union-attr]
        self._process.wait()
