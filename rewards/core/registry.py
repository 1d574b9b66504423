"""Names: terms, and presets (published designs, one YAML file a paper)."""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import os
import pathlib
from typing import Any, NamedTuple

from rewardscape.rewards.core.formula import parse
from rewardscape.rewards.core.layer import RewardLayer
from rewardscape.rewards.core.nodes import Node, as_node
from rewardscape.rewards.core.stages import get_stage
from rewardscape.rewards.core.terms import TERMS, Term

TERM_MODULES = (
    "rewardscape.rewards.gui",
    "rewardscape.rewards.actions",
    "rewardscape.rewards.detection",
    "rewardscape.rewards.answers",
    "rewardscape.rewards.completion",
    "rewardscape.rewards.navigation",
    "rewardscape.rewards.games",
    "rewardscape.rewards.general",
)
PLUGINS = "rewardscape.plugins"


class Preset(NamedTuple):
    """A published reward design."""

    name: str
    title: str
    source: str
    formula: str
    reward: str  # the expression, as `parse` reads it
    notes: str = ""
    credit: str = ""  # stages of a trainer, as text; "" for none
    advantage: str = ""

    def layer(self) -> RewardLayer:
        """A fresh layer of this design."""
        return RewardLayer(parse(self.reward), credit=self.credit or None, advantage=self.advantage or None)


_EXTRA: dict[str, Preset] = {}


def load_terms() -> dict[str, Term]:
    """All terms by name: ours, and those of installed plug-ins."""
    for module in TERM_MODULES:
        importlib.import_module(module)
    load_plugins()
    return TERMS


@functools.cache
def load_plugins() -> tuple[str, ...]:
    """Import what other distributions offer in the entry-point group ``rewardscape.plugins``; the names found.

    An entry point is a module, imported for its ``@term`` and `register_preset` calls, or a function, called without
    arguments.
    """
    found = []
    for entry in importlib.metadata.entry_points(group=PLUGINS):
        loaded = entry.load()
        if callable(loaded):
            loaded()
        found.append(entry.name)
    return tuple(found)


def register_preset(name: str, reward: Any, *, title: str = "", source: str = "", formula: str = "", notes: str = "") -> Preset:
    """Give an expression a name. ValueError if the name is taken by another one."""
    layer = reward if isinstance(reward, RewardLayer) else RewardLayer(reward)
    stages = (str(stage or "") for stage in (layer.credit, layer.advantage))
    preset = Preset(name, title or name, source, formula, str(layer.expression), notes, *stages)
    if _EXTRA.setdefault(name, preset) != preset or name in _shipped():
        raise ValueError(f"a reward named {name!r} exists already")
    return preset


def read_yaml(path: str | os.PathLike) -> Preset:
    """The reward in a YAML file: ``reward`` (the expression) and, if you like, name, title, source, formula, notes.

    ValueError, naming the file, if it has no ``reward``, an unknown key, or an expression that cannot be read.
    """
    import yaml

    path = pathlib.Path(path)
    if not path.is_file():
        raise ValueError(f"no reward file {path}")
    try:
        entries = yaml.safe_load(path.read_text())
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {error}") from None
    if isinstance(entries, str):
        entries = {"reward": entries}
    if not isinstance(entries, dict) or "reward" not in entries:
        raise ValueError(f"{path}: a reward file has a key 'reward' with the expression")
    unknown = set(entries) - set(Preset._fields)
    if unknown:
        raise ValueError(f"{path}: unknown keys {sorted(unknown)}; allowed: {', '.join(Preset._fields)}")
    try:
        node = parse(str(entries["reward"]))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    name = str(entries.get("name", path.stem))
    rest = {key: str(entries.get(key) or "").strip() for key in ("source", "formula", "notes", "credit", "advantage")}
    for kind in ("credit", "advantage"):
        try:
            rest[kind] = str(get_stage(kind, rest[kind] or None) or "")
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from None
    return Preset(name=name, title=str(entries.get("title", name)), reward=str(node), **rest)


def to_yaml(reward: Any, path: str | os.PathLike | None = None, **about: str) -> str:
    """A reward as YAML text, written to ``path`` if given; ``about``: name, title, source, formula, notes."""
    import yaml

    layer = _as_layer(reward)
    stages = {kind: str(stage) for kind, stage in (("credit", layer.credit), ("advantage", layer.advantage)) if stage}
    entries = {**about, "reward": str(layer.expression), **stages}
    text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=100)
    if path is not None:
        pathlib.Path(path).write_text(text)
    return text


@functools.cache
def _shipped() -> dict[str, pathlib.Path]:
    return {path.stem: path for path in sorted((pathlib.Path(__file__).parents[1] / "presets").glob("*.yaml"))}


@functools.cache
def _read_shipped(name: str) -> Preset:
    return read_yaml(_shipped()[name])


def list_presets() -> dict[str, Preset]:
    """All presets by name."""
    load_plugins()
    return {**{name: _read_shipped(name) for name in _shipped()}, **_EXTRA}


def as_expression(reward: Any) -> Node:
    """The expression that ``reward`` (preset name, expression or its text, YAML path, `RewardLayer`) means.

    Raises ValueError naming the closest presets and terms for an unknown name, TypeError for another kind of thing.
    """
    return _as_layer(reward).expression


def get_reward(reward: Any) -> RewardLayer | None:
    """A fresh `RewardLayer` for ``reward`` (preset name, expression or its text, YAML path); one that is a layer already is
    used as it is; None is None. Errors as of `as_expression`."""
    return None if reward is None else _as_layer(reward)


def _as_layer(reward: Any) -> RewardLayer:
    if isinstance(reward, RewardLayer):
        return reward
    if isinstance(reward, os.PathLike):
        return read_yaml(reward).layer()
    if not isinstance(reward, str):
        return RewardLayer(as_node(reward))
    if reward in _shipped():
        return _read_shipped(reward).layer()
    if reward.endswith((".yaml", ".yml")):
        return read_yaml(reward).layer()
    load_terms()
    if reward in _EXTRA:
        return _EXTRA[reward].layer()
    if "(" not in reward and not any(c in reward for c in "+*/ ") and reward not in TERMS:
        names = [*_shipped(), *_EXTRA, *TERMS]
        close = difflib.get_close_matches(reward, names, 4, 0.4)
        hint = f"; did you mean {', '.join(close)}?" if close else ";"
        raise ValueError(f"unknown reward {reward!r}{hint} `rewardscape rewards` lists all presets and terms")
    return RewardLayer(parse(reward))
