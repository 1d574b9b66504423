"""Networks for maps of cells.

What a cell holds is one of a few kinds, so the planes a network sees are 0 but for one in a cell, and a product of them with weights
spends nearly all its time on zeros. On the CPU the first layer adds up the rows of its weights that count (`forward_rows`), and
its gradient adds to those rows only (`backward_rows`); on a GPU, and where Numba is switched off, planes are multiplied. Both
give the same numbers.
"""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import nn

from rewardscape.envs.core.compile import DEBUG

WIDTH = 128  # of the features: a constant, for which loops over it are unrolled
_BLOCK = 32  # observations whose features stay in the first cache


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
        features = torch.empty(len(cells), WIDTH)
        table = weight.detach().view(cells.shape[1], -1, WIDTH)
        given = cells.numpy(), table.numpy(), bias.detach().numpy(), kinds, features.numpy()
        if (parts := torch.get_num_threads()) > 1:
            _forward_parallel(*given, parts)
        else:
            forward_rows(*given)
        ctx.save_for_backward(cells, features)
        ctx.kinds, ctx.shape = kinds, table.shape
        return features

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> Any:
        cells, features = ctx.saved_tensors
        parts = torch.get_num_threads()
        table, bias = torch.zeros(parts, *ctx.shape), torch.zeros(parts, WIDTH)
        given = cells.numpy(), gradient.contiguous().numpy(), features.numpy(), ctx.kinds
        if parts > 1:
            _backward_parallel(*given, table.numpy(), bias.numpy())
            return None, table.sum(0).flatten(0, 1), bias.sum(0), None
        backward_rows(*given, table[0].numpy(), bias[0].numpy())
        return None, table[0].flatten(0, 1), bias[0], None


_rule = njit(error_model="numpy", nogil=True, cache=True, fastmath=True)


def _add_rows(typing: Any, to: Any, rows: Any) -> Any:
    """Add ``rows``, a tuple, to the row ``to``: in the widest vectors of the processor, which the compiler would not take by itself."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        vector = ir.VectorType(ir.FloatType(), 16)

        def start(kind: Any, array: Any) -> Any:
            return builder.bitcast(context.make_array(kind)(context, builder, array).data, vector.as_pointer())

        total = start(to, arguments[0])
        added = [start(rows.dtype, builder.extract_value(arguments[1], k)) for k in range(rows.count)]
        for part in range(WIDTH // 16):
            index = ir.Constant(ir.IntType(64), part)
            places = [builder.gep(row, [index]) for row in (total, *added)]
            sums = [builder.load(place, align=4) for place in places]
            while len(sums) > 1:  # in pairs, which do not wait for each other
                pairs = zip(sums[::2], sums[1::2], strict=False)
                sums = [builder.fadd(*pair) for pair in pairs] + sums[len(sums) & ~1 :]
            builder.store(sums[0], places[0], align=4)
        return context.get_dummy_value()

    return types.void(to, rows), generate


_add: Any = intrinsic(_add_rows)


@_rule
def _add_times(to: Any, row: Any, factor: Any) -> None:
    for k in range(WIDTH):
        to[k] += factor * row[k]


@_rule
def _further(cells: Any, places: Any, found: Any) -> int:
    """Which of ``places`` in ``cells``, flat, are not 0, into ``found``. How many: few."""
    count = 0
    for place in places:
        if cells[place]:
            found[count] = place
            count += 1
    return count


@_rule
def _places(many: int, channels: int) -> Any:
    """Where numbers of further channels lie in an observation, flat."""
    every = np.arange(many * channels)
    return every[every % channels > 0].astype(np.uint32)


@_rule
def forward_rows(cells: Any, weight: Any, bias: Any, kinds: int, features: Any) -> None:
    """``features`` ``[batch, WIDTH]`` of ``cells`` ``[batch, cell, channel]`` by ``weight`` ``[cell, plane, WIDTH]``."""
    batch, many, channels = cells.shape
    flat = cells.reshape(batch, many * channels)
    places = _places(many, channels)
    found = np.empty(len(places), np.uint32)
    last = kinds - 1
    for low in range(0, batch, _BLOCK):
        high = min(low + _BLOCK, batch)
        for i in range(low, high):
            features[i] = bias
            for e in range(_further(flat[i], places, found)):
                c, j = found[e] // channels, found[e] % channels
                _add_times(features[i], weight[c, last + j], np.float32(cells[i, c, j]))
        whole = many // 7 * 7
        for c in range(0, whole, 7):  # seven at a time: a sum is read and written once for all of them
            for i in range(low, high):
                w0, w1 = weight[c, min(cells[i, c, 0], last)], weight[c + 1, min(cells[i, c + 1, 0], last)]
                w2, w3 = weight[c + 2, min(cells[i, c + 2, 0], last)], weight[c + 3, min(cells[i, c + 3, 0], last)]
                w4, w5 = weight[c + 4, min(cells[i, c + 4, 0], last)], weight[c + 5, min(cells[i, c + 5, 0], last)]
                _add(features[i], (w0, w1, w2, w3, w4, w5, weight[c + 6, min(cells[i, c + 6, 0], last)]))
        for c in range(whole, many):
            for i in range(low, high):
                _add(features[i], (weight[c, min(cells[i, c, 0], last)],))
        for i in range(low, high):
            total = features[i]
            for k in range(WIDTH):
                total[k] = max(total[k], np.float32(0.0))


@_rule
def backward_rows(cells: Any, gradient: Any, features: Any, kinds: int, weight: Any, bias: Any) -> None:
    """Add to ``weight`` and ``bias`` what ``gradient`` ``[batch, WIDTH]`` of ``features`` says of them."""
    batch, many, channels = cells.shape
    flat = cells.reshape(batch, many * channels)
    places = _places(many, channels)
    found = np.empty(len(places), np.uint32)
    passed = np.empty((_BLOCK, WIDTH), np.float32)
    last = kinds - 1
    for low in range(0, batch, _BLOCK):
        size = min(_BLOCK, batch - low)
        for i in range(size):
            given, feature, row = gradient[low + i], features[low + i], passed[i]
            for k in range(WIDTH):
                row[k] = given[k] if feature[k] > 0 else np.float32(0.0)
            _add(bias, (row,))
            for e in range(_further(flat[low + i], places, found)):
                c, j = found[e] // channels, found[e] % channels
                _add_times(weight[c, last + j], row, np.float32(cells[low + i, c, j]))
        for c in range(many):
            for i in range(size):
                _add(weight[c, min(cells[low + i, c, 0], last)], (passed[i],))


_parallel = njit(error_model="numpy", nogil=True, cache=True, parallel=True)


@_parallel
def _forward_parallel(cells: Any, weight: Any, bias: Any, kinds: int, features: Any, parts: int) -> None:
    for p in prange(parts):
        low, high = len(cells) * p // parts, len(cells) * (p + 1) // parts
        forward_rows(cells[low:high], weight, bias, kinds, features[low:high])


@_parallel
def _backward_parallel(cells: Any, gradient: Any, features: Any, kinds: int, weight: Any, bias: Any) -> None:
    parts = len(weight)
    for p in prange(parts):
        low, high = len(cells) * p // parts, len(cells) * (p + 1) // parts
        backward_rows(cells[low:high], gradient[low:high], features[low:high], kinds, weight[p], bias[p])
