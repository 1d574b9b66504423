"""A batch of rows of one world: their arrays, and the kernels that reset and step them. The faces are built on it."""

from __future__ import annotations

import math
from typing import Any

import gymnasium as gym
import numpy as np

from rewardscape.envs.core import compile as compiling
from rewardscape.envs.core.engine import Bounds
from rewardscape.envs.core.handle import layout
from rewardscape.envs.core.world import Empty, Episode, Rules, World, fields

DEVICES = ("cpu", "cuda")


def seen_as(array: Any, space: gym.Space) -> Any:
    """An observation (NumPy array or tensor) as agents see it: a view with shape and dtype of its space. Rules may keep it flat,
    and in longer words, of which the last may be used in part."""
    shape, dtype = space.shape or (), str(space.dtype)
    if not isinstance(array, np.ndarray):
        import torch

        dtype = getattr(torch, dtype)
    array = array.view(dtype)
    used = math.prod(shape) // math.prod(array.shape[1:-1])
    return array[..., :used].reshape(array.shape[0], *shape) if shape else array


class Batch:
    """``rows`` rows of ``rules`` on ``device``.

    ``world``: the arrays as the rules see them. ``arrays``: the same by path (``"facts/target_box"``), as NumPy arrays on
    the CPU and torch tensors on CUDA, sharing memory with ``world``. ``raw``: where a face puts the agent's actions.
    Under Numba's CUDA simulator ``device="cuda"`` runs the CUDA kernels on NumPy arrays.
    """

    def __init__(self, rules: Rules, rows: int = 1, device: str = "cpu", limit: int = 0):
        if str(device).split(":")[0] not in DEVICES:
            raise ValueError(f"device={device!r}; allowed: {', '.join(DEVICES)}")
        if isinstance(rows, bool) or not isinstance(rows, (int, np.integer)) or rows < 1:
            raise ValueError(f"num_envs={rows!r}; allowed: an integer of at least 1")
        self.rules, self.rows, self.device, self.limit = rules, int(rows), str(device), int(limit)
        self.simulated = False
        if self.device != "cpu":
            from numba import cuda

            self.simulated = type(cuda).__name__ == "FakeCUDAModule" or "simulator" in str(cuda.cudadrv)
        self._tensors = self.device != "cpu" and not self.simulated
        self._allocate()
        self._compile()

    # ------------------------------------------------------------------------------------------------------------ arrays

    def _new(self, shape: tuple[int, ...], dtype: str) -> Any:
        if not self._tensors:
            return np.zeros(shape, dtype)
        import torch

        return torch.zeros(shape, dtype=getattr(torch, dtype), device=self.device)

    def _constant(self, array: Any) -> Any:
        """A shared read-only array where the kernels run."""
        array = np.ascontiguousarray(array)
        if not self._tensors:
            return array
        import torch

        return torch.from_numpy(array).to(self.device)

    def _view(self, array: Any) -> Any:
        """An array as the kernels take it."""
        if not self._tensors:
            return array
        from numba import cuda

        return cuda.as_cuda_array(array)

    def _allocate(self) -> None:
        rules, kind = self.rules, type(self.rules)
        self.arrays: dict[str, Any] = {}
        groups: dict[str, Any] = {"settings": rules.settings}
        shared = {name: self._constant(value) for name, value in zip(rules.shared._fields, rules.shared, strict=True)}
        groups["shared"] = type(rules.shared)(**{name: self._view(value) for name, value in shared.items()})
        self._shared = shared
        declared = {"episode": Episode, "state": kind.State, "facts": kind.Facts, "observation": kind.Observation}
        for group, cls in declared.items():
            views = {}
            for name, (dtype, trailing) in fields(cls).items():
                shape = tuple(self._extent(extent, cls, name) for extent in trailing)
                self.arrays[f"{group}/{name}"] = array = self._new((self.rows, *shape), dtype)
                views[name] = self._view(array)
            groups[group] = cls(**views)
        self._allocate_action(groups)
        self.world = World(**groups)

    def _extent(self, extent: int | str, cls: type, name: str) -> int:
        if isinstance(extent, str):
            if extent not in self.rules.extents:
                raise TypeError(f"{cls.__name__}.{name}: unknown extent {extent!r}; known: {sorted(self.rules.extents)}")
            return int(self.rules.extents[extent])
        return extent

    def _allocate_action(self, groups: dict[str, Any]) -> None:
        space, agents = self.rules.action_space, self.rules.agents
        low, high, dtype = action_bounds(space)
        leading = (self.rows,) if agents is None else (self.rows, agents)
        self.raw = self._new((*leading, *(space.shape or ())), dtype)
        self.arrays["action"] = value = self._new(tuple(self.raw.shape), dtype)
        self.arrays["action_valid"] = valid = self._new(leading, "bool")
        shape = (self.rows, agents or 1, low.size)
        self._edges = [self._constant(edge.astype(dtype)) for edge in (low, high)]
        parts = (self.raw.reshape(shape), value.reshape(shape), valid.reshape(shape[:2]), *self._edges)
        self.bounds = Bounds(*(self._view(a) for a in parts))
        groups["action"], groups["action_valid"] = self._view(value), self._view(valid)

    # ----------------------------------------------------------------------------------------------------------- kernels

    def _compile(self) -> None:
        words: list[int] = []
        self._held: list[np.ndarray] = []  # their addresses are in the table
        host = self.world if not self._tensors else _host(self.world)
        limits = self.bounds if not self._tensors else _host(self.bounds)
        world, bounds = layout(host, words, self._held), layout(limits, words, self._held)
        self.module = compiling.generate(self.rules, world, bounds)
        if self.device != "cpu":
            self._cuda = compiling.generate_cuda(self.module)
            return
        self._table = np.array(words, np.int64)
        self._chunks = 0
        if self.rows >= self.rules.parallel_from and not compiling.DEBUG:
            import numba

            threads = numba.get_num_threads()
            self._chunks = 4 * threads if threads > 1 else 0

    def step(self, autoreset: bool = False) -> None:
        """Step every row with the actions in ``raw``. ``autoreset``: a row that has ended opens its next episode instead."""
        if self.device != "cpu":
            self._launch(self._cuda.step_cuda, self.world, self.bounds, self.rows, self.limit, autoreset)
        elif compiling.DEBUG:
            with np.errstate(over="ignore"):  # the hash of a draw wraps around
                for row in range(self.rows):
                    self.module.step_row(self.world, self.bounds, row, self.limit, autoreset)
        elif self._chunks:
            self.module.step_parallel(self._table, self.rows, self.limit, autoreset, self._chunks)
        else:
            self.module.step_serial(self._table, 0, self.rows, self.limit, autoreset)

    def reset(self, mask: Any) -> None:
        """Open the episode (seed, index) of every row where ``mask`` (bool ``[rows]``) is True."""
        if self.device != "cpu":
            self._launch(self._cuda.reset_cuda, self.world, self._view(mask), self.rows)
        elif compiling.DEBUG:
            with np.errstate(over="ignore"):
                for row in range(self.rows):
                    self.module.reset_row(self.world, mask, row)
        elif self._chunks:
            self.module.reset_parallel(self._table, mask, self.rows, self._chunks)
        else:
            self.module.reset_serial(self._table, mask, 0, self.rows)

    def _launch(self, kernel: Any, *arguments: Any) -> None:
        threads = 1 if self.simulated else 128
        stream: Any = 0
        if not self.simulated:
            import torch
            from numba import cuda

            stream = cuda.external_stream(torch.cuda.current_stream(self.device).cuda_stream)
        kernel[math.ceil(self.rows / threads), threads, stream](*arguments)

    # ------------------------------------------------------------------------------------------------------------- state

    def get_state(self) -> dict[str, Any]:
        """A copy of every array, by path."""
        return {name: a.clone() if self._tensors else a.copy() for name, a in self.arrays.items()}

    def set_state(self, state: dict[str, Any], rows: Any = None) -> None:
        """Write back what `get_state` gave; ``rows``: a bool mask or indices, None for all.

        Raises ValueError if the state is of another world, batch size or settings.
        """
        for name, array in self.arrays.items():
            if name not in state or tuple(state[name].shape) != tuple(array.shape):
                found = tuple(state[name].shape) if name in state else "nothing"
                raise ValueError(f"this state does not fit: {name} is to have shape {tuple(array.shape)}, found {found}")
        where = slice(None) if rows is None else rows
        for name, array in self.arrays.items():
            array[where] = state[name][where]

    def __reduce__(self) -> Any:
        raise TypeError("a batch holds addresses of its arrays and cannot be pickled or copied: keep what get_state gives")


def _host(group: Any) -> Any:
    """A NamedTuple of device arrays with empty NumPy arrays of the same kind in their place: enough to lay out."""
    parts = (_host(v) if isinstance(v, tuple) else np.empty((0,) * v.ndim, v.dtype) if hasattr(v, "ndim") else v for v in group)
    return type(group)(*parts)


def action_bounds(space: gym.Space) -> tuple[np.ndarray, np.ndarray, str]:
    """Lowest and highest allowed action of one agent, flat, and the dtype they are kept in.

    Raises TypeError for a space other than bounded Box, Discrete, MultiDiscrete, MultiBinary.
    """
    if isinstance(space, gym.spaces.Box) and space.is_bounded():
        return space.low.reshape(-1), space.high.reshape(-1), str(space.dtype)
    if isinstance(space, gym.spaces.Discrete):
        return np.array([space.start]), np.array([space.start + space.n - 1]), "int64"
    if isinstance(space, gym.spaces.MultiDiscrete):
        start = np.asarray(space.start).reshape(-1)
        return start, start + space.nvec.reshape(-1) - 1, "int64"
    if isinstance(space, gym.spaces.MultiBinary):
        size = int(np.prod(space.shape))
        return np.zeros(size, np.int64), np.ones(size, np.int64), "int64"
    raise TypeError(f"a compiled world acts in a bounded Box, Discrete, MultiDiscrete or MultiBinary, not {space}")


__all__ = ["DEVICES", "Batch", "Empty", "action_bounds"]
