"""Networks for maps of cells.

What a cell holds is one of a few kinds, so the planes a network sees are 0 but for one in a cell, and a product of them with weights
spends nearly all its time on zeros. On the CPU the first layer adds up the rows of its weights that count, and its gradient adds to
those rows only. Most cells hold what they usually hold, too: the sum for the usual view is made once, and an observation adds what
its unusual cells change (`forward_rows`); a usual kind's gradient is what the others leave of the whole (`backward_rows`). On a GPU,
and where Numba is switched off, planes are multiplied. Both give the same numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from rewardscape.envs.core.compile import DEBUG

WIDTH = 128  # of the features: a constant, for which loops over it are unrolled


class Cells(BaseFeaturesExtractor):
    """Maps of cells, uint8 ``[height, width, channel]``: what is in a cell (channel 0) as one plane a kind, further channels as
    they are. Small ones (views) go through one layer, larger ones (maps) through two convolutions first."""

    def __init__(self, observation_space: gym.spaces.Box):
        super().__init__(observation_space, WIDTH)
        height, wide, channels = observation_space.shape
        self.kinds = int(observation_space.high[..., 0].max()) + 1
        planes = self.kinds + channels - 1
        self.view = max(height, wide) <= 9
        if self.view:
            self.weight = nn.Parameter(nn.init.orthogonal_(torch.empty(height * wide * planes, WIDTH), 2**0.5))
            self.bias = nn.Parameter(torch.zeros(WIDTH))
        else:
            self.convolutions = nn.Sequential(
                nn.Conv2d(planes, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 32, 3, stride=2, padding=1), nn.ReLU(),
                nn.Flatten(), nn.Linear(-(-height // 2) * -(-wide // 2) * 32, WIDTH), nn.ReLU(),
            )  # fmt: skip

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Whole numbers ``[batch, height, width, channel]``, of any type, to features ``[batch, WIDTH]``, not below 0."""
        cells = observations.to(torch.uint8)
        if not self.view:
            return self.convolutions(planes(cells, self.kinds).permute(0, 3, 1, 2))
        if cells.device.type == "cpu" and not DEBUG:
            return _Rows.apply(cells.flatten(1, 2).contiguous(), self.weight, self.bias, self.kinds)
        return torch.relu(planes(cells, self.kinds).flatten(1) @ self.weight + self.bias)


def planes(cells: torch.Tensor, kinds: int) -> torch.Tensor:
    """Float ``[..., plane]`` of ``cells`` ``[..., channel]``: the kinds 0 to ``kinds`` - 1, then the further channels."""
    kind = torch.arange(kinds, dtype=cells.dtype, device=cells.device)
    return torch.cat([(cells[..., :1] == kind).float(), cells[..., 1:].float()], -1)


class _Rows(torch.autograd.Function):
    """relu(planes @ weight + bias) of ``cells``, uint8 ``[batch, cell, channel]``, on the CPU."""

    @staticmethod
    def forward(ctx: Any, cells: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, kinds: int) -> torch.Tensor:
        table = weight.detach().view(cells.shape[1], -1, WIDTH)
        change, base, features = torch.empty_like(table), torch.empty(WIDTH), torch.empty(len(cells), WIDTH)
        usual = usual_kinds(cells.numpy(), kinds)
        differences(table.numpy(), bias.detach().numpy(), usual, kinds, change.numpy(), base.numpy())
        given = cells.numpy(), usual, change.numpy(), base.numpy(), kinds, features.numpy()
        if (parts := torch.get_num_threads()) > 1:
            _forward_parallel(*given, parts)
        else:
            forward_rows(*given)
        ctx.save_for_backward(cells, features)
        ctx.usual, ctx.kinds, ctx.shape = usual, kinds, table.shape
        return features

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        cells, features = ctx.saved_tensors
        parts = torch.get_num_threads()
        table, bias = torch.zeros(parts, *ctx.shape), torch.zeros(parts, WIDTH)
        given = cells.numpy(), gradient.contiguous().numpy(), features.numpy(), ctx.usual, ctx.kinds
        if parts > 1:
            _backward_parallel(*given, table.numpy(), bias.numpy())
            return None, table.sum(0).flatten(0, 1), bias.sum(0), None
        backward_rows(*given, table[0].numpy(), bias[0].numpy())
        return None, table[0].flatten(0, 1), bias[0], None


_rule = njit(error_model="numpy", nogil=True, cache=True, fastmath=True)


def _vectors(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> list[Any]:
    """Where the row of that number in ``array`` lies, in the widest vectors of processors, which compilers would not take by
    themselves."""
    vector = ir.VectorType(ir.FloatType(), 16)
    start = builder.bitcast(context.make_array(kind)(context, builder, array).data, vector.as_pointer())
    first = builder.mul(row, ir.Constant(row.type, WIDTH // 16))
    return [builder.gep(start, [builder.add(first, ir.Constant(row.type, part))]) for part in range(WIDTH // 16)]


@contextmanager
def _over(context: Any, builder: Any, table: tuple[Any, Any], rows: tuple[Any, Any], count: Any) -> Iterator[list[Any]]:
    """A loop over the first ``count`` of ``rows``, uint32: where each lies in ``table``. Both are pairs of a type and an array."""
    numbers = context.make_array(rows[0])(context, builder, rows[1]).data
    with cgutils.for_range(builder, count) as loop:
        row = builder.zext(builder.load(builder.gep(numbers, [loop.index])), ir.IntType(64))
        yield _vectors(context, builder, *table, row)


def _gather_rows(typing: Any, to: Any, table: Any, rows: Any, count: Any) -> Any:
    """Add to ``to`` the first ``count`` ``rows`` of ``table``; what is below 0 becomes 0. The sum stays in registers."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target = _vectors(context, builder, to, arguments[0], ir.Constant(ir.IntType(64), 0))
        sums = [cgutils.alloca_once_value(builder, builder.load(place, align=4)) for place in target]
        with _over(context, builder, (table, arguments[1]), (rows, arguments[2]), arguments[3]) as places:
            for total, place in zip(sums, places, strict=True):
                builder.store(builder.fadd(builder.load(total), builder.load(place, align=4)), total)
        for place, total in zip(target, sums, strict=True):
            value, zero = builder.load(total), ir.Constant(total.type.pointee, None)
            builder.store(builder.select(builder.fcmp_ordered("<", value, zero), zero, value), place, align=4)
        return context.get_dummy_value()

    return types.void(to, table, rows, count), generate


def _scatter_rows(typing: Any, table: Any, rows: Any, count: Any, added: Any) -> Any:
    """Add ``added`` to the first ``count`` ``rows`` of ``table``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source = _vectors(context, builder, added, arguments[3], ir.Constant(ir.IntType(64), 0))
        terms = [builder.load(place, align=4) for place in source]
        with _over(context, builder, (table, arguments[0]), (rows, arguments[1]), arguments[2]) as places:
            for term, place in zip(terms, places, strict=True):
                builder.store(builder.fadd(builder.load(place, align=4), term), place, align=4)
        return context.get_dummy_value()

    return types.void(table, rows, count, added), generate


_gather: Any = intrinsic(_gather_rows)
_scatter: Any = intrinsic(_scatter_rows)


@_rule
def _add_times(to: Any, row: Any, factor: Any) -> None:
    for k in range(WIDTH):
        to[k] += np.float32(factor) * row[k]


@_rule
def usual_kinds(cells: Any, kinds: int) -> Any:
    """The kind that stands most often in every cell, by some of the observations ``[batch, cell, channel]``."""
    batch, many, _ = cells.shape
    counts = np.zeros((many, kinds), np.int64)
    for i in range(0, batch, max(batch // 64, 1)):
        for c in range(many):
            counts[c, min(cells[i, c, 0], kinds - 1)] += 1
    usual = np.empty(many, np.uint32)
    for c in range(many):
        usual[c] = np.argmax(counts[c])
    return usual


@_rule
def differences(weight: Any, bias: Any, usual: Any, kinds: int, change: Any, base: Any) -> None:
    """Into ``base`` ``[WIDTH]`` the sum for the usual view, into ``change`` what every other row of ``weight`` ``[cell, plane, WIDTH]``
    adds to it in the place of the usual one."""
    base[:] = bias
    for c in range(len(weight)):
        row = weight[c, usual[c]]
        for k in range(WIDTH):
            base[k] += row[k]
        for plane in range(weight.shape[1]):
            for k in range(WIDTH):
                change[c, plane, k] = weight[c, plane, k] - (row[k] if plane < kinds else np.float32(0.0))


@_rule
def _unusual(cells: Any, usual: Any, kinds: int, planes: int, rows: Any) -> int:
    """The rows of a table ``[cell * plane]`` for cells that hold another kind than usual, into ``rows``. How many."""
    count, first = 0, np.uint32(0)
    for c in range(len(usual)):
        kind = min(np.uint32(cells[c, 0]), np.uint32(kinds - 1))
        rows[count] = first + kind
        count += kind != usual[c]
        first += np.uint32(planes)
    return count


@_rule
def _further(flat: Any, channels: int) -> Any:
    """Where numbers of further channels ever stand in observations ``[batch, number]``."""
    seen = np.zeros(flat.shape[1], np.uint8)
    for i in range(len(flat)):
        for place in range(flat.shape[1]):
            seen[place] |= flat[i, place]
    places = np.flatnonzero(seen)
    return places[places % channels > 0].astype(np.uint32)


@_rule
def forward_rows(cells: Any, usual: Any, change: Any, base: Any, kinds: int, features: Any) -> None:
    """``features`` ``[batch, WIDTH]`` of ``cells`` ``[batch, cell, channel]``, by what `differences` gave."""
    batch, many, channels = cells.shape
    flat, planes = cells.reshape(batch, many * channels), change.shape[1]
    places = _further(flat, channels)
    table, rows = change.reshape(many * planes, WIDTH), np.empty(many + 1, np.uint32)
    for i in range(batch):
        for k in range(WIDTH):
            features[i, k] = base[k]
        for place in places:
            if flat[i, place]:
                _add_times(features[i], change[place // channels, kinds - 1 + place % channels], flat[i, place])
        _gather(features[i], table, rows, _unusual(cells[i], usual, kinds, planes, rows))


@_rule
def backward_rows(cells: Any, gradient: Any, features: Any, usual: Any, kinds: int, weight: Any, bias: Any) -> None:
    """What ``gradient`` ``[batch, WIDTH]`` of ``features`` says of ``weight`` and ``bias``, which are 0 at first. Every cell holds one
    kind, so the usual one's share is what others leave of the bias's."""
    batch, many, channels = cells.shape
    flat, planes = cells.reshape(batch, many * channels), weight.shape[1]
    places = _further(flat, channels)
    table, rows = weight.reshape(many * planes, WIDTH), np.empty(many + 1, np.uint32)
    passed = np.empty(WIDTH, np.float32)
    for i in range(batch):
        for k in range(WIDTH):
            passed[k] = gradient[i, k] if features[i, k] > 0 else np.float32(0.0)
            bias[k] += passed[k]
        _scatter(table, rows, _unusual(cells[i], usual, kinds, planes, rows), passed)
        for place in places:
            if flat[i, place]:
                _add_times(weight[place // channels, kinds - 1 + place % channels], passed, flat[i, place])
    for c in range(many):
        _add_times(weight[c, usual[c]], bias, 1)
        for k in range(kinds):
            if k != usual[c]:
                _add_times(weight[c, usual[c]], weight[c, k], -1)


_parallel = njit(error_model="numpy", nogil=True, cache=True, parallel=True)


@_parallel
def _forward_parallel(cells: Any, usual: Any, change: Any, base: Any, kinds: int, features: Any, parts: int) -> None:
    for p in prange(parts):
        low, high = len(cells) * p // parts, len(cells) * (p + 1) // parts
        forward_rows(cells[low:high], usual, change, base, kinds, features[low:high])


@_parallel
def _backward_parallel(cells: Any, gradient: Any, features: Any, usual: Any, kinds: int, weight: Any, bias: Any) -> None:
    parts = len(weight)
    for p in prange(parts):
        low, high = len(cells) * p // parts, len(cells) * (p + 1) // parts
        backward_rows(cells[low:high], gradient[low:high], features[low:high], usual, kinds, weight[p], bias[p])
