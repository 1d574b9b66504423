"""How actions get from agents into a batch: as they are, or cast so that what was bad stays recognisably out of range."""

from __future__ import annotations

from typing import Any

import numpy as np


def put(raw: Any, actions: Any) -> None:
    """Write ``actions``, as agents gave them, into ``raw`` (NumPy array or torch tensor), where the rules sanitise them.

    Raises ValueError unless they are numbers of the shape of ``raw``.
    """
    if not isinstance(raw, np.ndarray):
        import torch

        actions = torch.as_tensor(actions, device=raw.device)
        if actions.shape != raw.shape:
            raise ValueError(f"actions are to have shape {tuple(raw.shape)}, not {tuple(actions.shape)}")
        if actions.is_floating_point() and not raw.is_floating_point():
            actions = torch.where(torch.isfinite(actions), actions.clamp(-1e15, 1e15), -1e15)
        raw.copy_(actions)
        return
    actions = np.asarray(actions)
    if actions.shape != raw.shape or actions.dtype.kind not in "biuf":
        raise ValueError(f"actions are to be numbers of shape {raw.shape}, not {actions.dtype} {actions.shape}")
    if actions.dtype == raw.dtype:
        raw[...] = actions
        return
    with np.errstate(invalid="ignore", over="ignore"):
        np.copyto(raw, as_kind(actions, raw.dtype), casting="unsafe")


def as_kind(action: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Numbers ready to be cast to ``dtype``: for integers, what is not finite becomes a number out of any range."""
    if dtype.kind in "iu" and action.dtype.kind == "f":
        return np.where(np.isfinite(action), np.clip(action, -1e15, 1e15), -1e15)
    return action
