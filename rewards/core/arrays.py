"""Which array library a term computes in: NumPy or torch, by the arrays it is given."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np


def array_namespace(*arrays: Any) -> Any:
    """The array API namespace of ``arrays``: NumPy itself, or `array_api_compat.torch` if one of them is a tensor.

    Anything else (numbers, lists) counts as NumPy. torch is never imported here: a tensor means that it already is.
    """
    torch = sys.modules.get("torch")
    if torch is not None and any(isinstance(array, torch.Tensor) for array in arrays):
        import array_api_compat.torch

        return array_api_compat.torch
    return np


def is_numpy(array: Any) -> bool:
    """Is this a NumPy array or scalar?"""
    return isinstance(array, (np.ndarray, np.generic))


def copy_of(value: Any) -> Any:
    """A copy of an array, a tensor, a list of row objects, or a dict of them."""
    if isinstance(value, dict):
        return {key: copy_of(part) for key, part in value.items()}
    if isinstance(value, list):
        return list(value)
    return value.clone() if hasattr(value, "clone") else np.array(value)


def write_rows(target: Any, source: Any, rows: Any) -> Any:
    """``target`` with ``source`` where the bool mask or index array ``rows`` (leading axis) says; all of it if None."""
    if rows is None:
        return copy_of(source)
    if isinstance(target, dict):
        return {key: write_rows(target[key], source[key], rows) for key in target}
    if isinstance(target, list):
        chosen = {int(i) for i in (np.flatnonzero(rows) if np.asarray(rows).dtype == bool else rows)}
        return [source[i] if i in chosen else value for i, value in enumerate(target)]
    if is_numpy(target):
        target[rows] = source[rows]
        return target
    import torch

    if rows.dtype is torch.bool:  # without a copy to the host
        mask = rows.reshape(rows.shape + (1,) * (target.ndim - rows.ndim))
        return torch.where(mask, source, target)
    target[rows] = source[rows]
    return target


def sum_by(values: Any, key: Any, number: int) -> Any:
    """Sums of ``values`` over equal ``key`` (int in ``0 .. number - 1``, the same shape): ``[number]``."""
    xp = array_namespace(values)
    if xp is np:
        return np.bincount(key.reshape(-1), weights=values.reshape(-1), minlength=number)
    return xp.zeros(number, dtype=values.dtype, device=values.device).index_add_(0, key.reshape(-1), values.reshape(-1))


def indicator(condition: Any, like: Any = None) -> Any:
    """1 where ``condition`` is true, else 0: float64, or in the precision of ``like``."""
    if is_numpy(condition):
        return condition.astype(np.float64 if like is None else like.dtype)
    return condition.to(array_namespace(condition).float64 if like is None else like.dtype)
