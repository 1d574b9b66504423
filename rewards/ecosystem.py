"""Rewards inside trainers of language models: TRL's reward functions and verl's ``compute_score``.

Neither library is imported here: both take plain functions. What a completion must be compared with (``target_box``,
``screen_size``, ...) are facts, and the trainer's dataset has them: a column named like a fact is that fact.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, cast, get_args

import numpy as np

from rewardscape.rewards.actions import kind_number
from rewardscape.rewards.core.facts import FACTS, require_fact
from rewardscape.rewards.core.layer import RewardLayer
from rewardscape.rewards.core.nodes import Node, Schedule
from rewardscape.rewards.core.operations import WhereApplicable
from rewardscape.rewards.core.registry import get_reward
from rewardscape.rewards.text import Style, facts_from_answers, facts_from_completions, parse_click

_CLICKS = frozenset(facts_from_completions([], np.zeros(4))) | {"proposal_labels"}
_ANSWERS = frozenset(facts_from_answers([], []))
_GIVEN = {"target_box", "screen_size", "reference_answer", "tool_call_count"}  # of these, what a dataset has to say
_SAID = (_CLICKS | _ANSWERS | {"target_given", "text_agreement"}) - _GIVEN  # what is read from, or made of, a completion
_TRAINER = frozenset({"trainer_state", "log_extra", "log_metric", "environments"})  # what TRL passes beside the columns


class TRLRewards(NamedTuple):
    """``GRPOTrainer(reward_funcs=functions, args=GRPOConfig(reward_weights=weights))``."""

    functions: list[Callable[..., list[float | None]]]
    weights: list[float]


def trl_rewards(reward: Any, *, style: Style | None = None, columns: Mapping[str, Any] | None = None) -> TRLRewards:
    """``reward`` (see `get_reward`) as reward functions and weights for TRL's ``GRPOTrainer`` and its like::

        rewards = trl_rewards("gui-g2", columns={"target_box": "bbox"})
        config = GRPOConfig(..., reward_weights=rewards.weights)
        GRPOTrainer(model, reward_funcs=rewards.functions, args=config, train_dataset=dataset)

    One function per addend of the reward, weighted as in it, so that TRL's weighted sum is the reward; and one of weight 0
    per term that is no addend by itself: a metric. ``__name__``, under which TRL logs ``rewards/<name>/mean``, is the
    term's name; an addend that is no term (a gate, a minimum) is called by its formula, the only one ``reward``. A function
    is called as ``f(prompts, completions, completion_ids=None, **columns)`` and returns one number a completion, None where
    it does not apply; the functions of a batch share one evaluation. Where nothing applies at all, the reward is 0 and TRL
    leaves the completion out.

    ``completions``: texts, or lists of messages, of which the last assistant's counts. What cannot be read gets what the
    reward pays for it. ``style``: how to read them (see `parse_click`), by default the preset's own, else ``"any"``.

    ``columns``: fact -> the dataset's column of another name, or (not text) one value for all rows. Boxes and sizes are in
    the units the completions use, JSON text of them is read too. A row with None in a column that is needed is left to
    other reward functions: all of ours are None. Steps of `scheduled` weights count completions judged in this process.

    Rewards of actions that need no place (``ui-r1``, ``gui-r1``, ``btl-ui``) or of tasks of several kinds take None as a
    target box; what was asked for stands in ``reference_kind``. Rewards of answers (``exact_match``, ``answer_accuracy`` ...) need a
    column ``reference_answer`` and read ``<answer>``; those that judge typed text take the column ``reference_text``.

    Raises ValueError for an unknown style or fact, for a reward with stages (``credit``, ``advantage``: TRL has its own), and
    when called without a column it needs.
    """
    layer = _layer(reward, "TRL")
    reader = _Reader(layer.expression, _style(reward, style), columns)
    layer.keep_parts = True
    addends = _names(layer)
    metrics = [name for name in layer.term_nodes if name not in addends]
    batch: dict[str, Any] = {"objects": None, "asked": set(), "values": {}}

    def value_of(name: str, completions: Sequence[Any], data: dict[str, Any]) -> list[float | None]:
        references = reader.references(data, len(completions), "the dataset")
        objects = [[*values] for values in (completions, *references.values())]
        if name in batch["asked"] or not _same(objects, batch["objects"]):
            _, terms, parts = _judge(layer, reader, [_text(completion) for completion in completions], references)
            values = {**terms, **{called: parts[part] for called, part in addends.items()}}
            batch.update(objects=objects, asked=set(), values=values)
        batch["asked"].add(name)
        return [None if math.isnan(value) else value for value in batch["values"][name].tolist()]

    def function_of(name: str) -> Callable[..., list[float | None]]:
        def function(prompts: Any, completions: Any, completion_ids: Any = None, **columns: Any) -> list[float | None]:
            data = {column: values for column, values in columns.items() if column not in _TRAINER}
            return value_of(name, completions, {"prompts": prompts, **data})

        function.__name__ = function.__qualname__ = name
        function.__doc__ = f"{name} of the reward {layer.expression}"
        return function

    weights = [weight for weight, _ in layer.addends.values()]
    return TRLRewards([function_of(name) for name in (*addends, *metrics)], weights + [0.0] * len(metrics))


def verl_compute_score(
    reward: Any, *, style: Style | None = None, columns: Mapping[str, Any] | None = None
) -> Callable[..., dict[str, float]]:
    """``reward`` (see `get_reward`) as verl's ``compute_score``. verl loads it from a file of yours, ``my_reward.py``::

        from rewardscape.rewards.ecosystem import verl_compute_score

        compute_score = verl_compute_score("gui-g2")

    named in its configuration: ``reward.custom_reward_function.path=my_reward.py
    reward.custom_reward_function.name=compute_score`` (older versions: without ``reward.``).

    ``compute_score(data_source, solution_str, ground_truth, extra_info=None, **kwargs)`` returns ``{"score": reward, term:
    raw value, ...}``, the same keys for every sample; a term that does not apply to it is 0.0, which cannot be told from a
    term that pays 0. ``ground_truth``: the target's box (list or JSON text; for rewards of answers the right answer), or a dict of
    facts (or JSON text of one); what the reward also needs is looked up in ``extra_info``. ``style``, ``columns``: as for
    `trl_rewards`, columns being entries of these two.

    Raises ValueError for an unknown style or fact, for a reward with stages, for weights that are `scheduled` (verl judges in
    several processes, none of which knows the step), for a term named ``score``, and when called without a fact it needs.
    """
    layer = _layer(reward, "verl")
    expression = layer.expression
    reader = _Reader(expression, _style(reward, style), columns)
    if "score" in layer.term_nodes:
        raise ValueError("verl keeps the reward itself under 'score': give the term another name with .named('...')")
    if any(isinstance(node, Schedule) for node in expression.walk()):
        raise ValueError(f"verl does not tell a reward the step of training, which scheduled weights need: {expression}")

    def compute_score(
        data_source: Any, solution_str: Any, ground_truth: Any, extra_info: Any = None, **kwargs: Any
    ) -> dict[str, float]:
        told = _json(ground_truth)
        told = told if isinstance(told, Mapping) else {reader.subject: ground_truth}
        known = {**(extra_info or {}), **told}
        data = {name: [value] for name, value in known.items() if value is not None or name in reader.may_lack}
        references = reader.references(data, 1, "ground_truth with extra_info")
        # a fresh layer: verl calls from several threads
        rewards, terms, _ = _judge(RewardLayer(expression, layer.on_error), reader, [_text(solution_str)], references)
        values = {name: float(terms[name][0]) for name in layer.term_nodes}
        return {"score": float(rewards[0]), **{name: 0.0 if math.isnan(value) else value for name, value in values.items()}}

    return compute_score


# ---------------------------------------------------------------------------------------------------- the parts of a reward


def _layer(reward: Any, trainer: str) -> RewardLayer:
    """A fresh layer. ValueError for None, and for one with stages that the trainer would leave out."""
    layer = get_reward(reward)
    if layer is None:
        raise ValueError("a reward is needed; None has no meaning for text")
    for kind, stage in (("credit", layer.credit), ("advantage", layer.advantage)):
        if stage:
            raise ValueError(
                f"this reward has {kind}={stage}, and {trainer} estimates advantages in its own way; "
                "for what the expression pays alone: get_reward(...).expression"
            )
    return RewardLayer(layer.expression, layer.on_error)


def _names(layer: RewardLayer) -> dict[str, str]:
    """Names of the functions of a reward's addends, and what the layer calls these addends."""
    names: dict[str, str] = {}
    for part, (_, node) in layer.addends.items():
        name = node.recorded_as() or (node.node.recorded_as() if isinstance(node, WhereApplicable) else None)
        if name is None and len(layer.addends) == 1:
            name = "reward"
        if name is None:
            name = re.sub(r"\W+", "_", str(node)).strip("_")[:60]
            name = name if name.isidentifier() else f"addend_{name}"
        while name in names:
            name += "_"
        names[name] = part
    return names


# ---------------------------------------------------------------------------------------------------- what a trainer knows


def _style(reward: Any, style: Style | None) -> Style:
    """The style asked for, else that of the preset, else "any". ValueError for an unknown one."""
    if style is None:
        name = reward if isinstance(reward, str) else ""
        own = (style for style in (name, name.rpartition("-")[0]) if style in get_args(Style))  # gui-g2-code reads as gui-g2
        style = cast("Style", next(own, "any"))
    parse_click("", style)
    return style


class _Reader:
    """How completions, and what a dataset knows of their tasks, become the facts of an expression."""

    def __init__(self, expression: Node, style: Style, columns: Mapping[str, Any] | None):
        self.expression, self.style, self.columns = expression, style, dict(columns or {})
        for name in self.columns:
            if name in _SAID:
                raise ValueError(f"columns: {name} is read from the completion, not from a column")
            if name != "reference_text":
                require_fact(name, "columns")
        needed, optional = ({n.removeprefix("previous_") for n in f()} for f in (expression.facts, expression.optional_facts))
        read = needed | optional
        self.answers = bool(read & (_ANSWERS - _CLICKS))
        self.clicks = not self.answers or bool(read & (_CLICKS - _ANSWERS))
        self.needed, self.optional = needed - _SAID, optional - _SAID
        if self.answers:
            (self.needed if needed & (_ANSWERS - _CLICKS) else self.optional).add("reference_answer")
        if "text_agreement" in read:
            self.optional.add("reference_text")
        self.may_lack = {"target_box"} if read & {"target_given", "task_kind"} else set()
        self.subject = "target_box" if self.clicks else "reference_answer"

    def references(self, data: Mapping[str, Any], rows: int, holder: str) -> dict[str, Sequence[Any]]:
        """What the expression must know beside the completions, by name: one value a row. ValueError naming what is missing."""
        found: dict[str, Sequence[Any]] = {}
        missing = []
        for name in sorted(self.needed | self.optional):
            source = self.columns.get(name, name)
            if not isinstance(source, str):
                found[name] = [source] * rows
            elif source in data:
                found[name] = data[source]
                if len(found[name]) != rows:
                    raise ValueError(f"column {source!r} has {len(found[name])} rows for {rows} completions")
            elif name in self.needed:
                missing.append(name if source == name else f"{name} (looked for as {source!r})")
        if missing:
            raise ValueError(
                f"the reward {self.expression} needs {', '.join(missing)}; {holder} has: "
                f"{', '.join(map(str, data)) or 'nothing'}. Name it with columns={{{missing[0].split()[0]!r}: ...}}"
            )
        return found

    def judged(self, references: dict[str, Sequence[Any]], rows: int) -> list[int]:
        """The rows whose task is one for this reward: nothing that it needs is None."""
        asked = [references[name] for name in self.needed - self.may_lack]
        return [row for row in range(rows) if all(values[row] is not None for values in asked)]

    def facts(self, texts: list[str], references: dict[str, list[tuple[int, Any]]]) -> dict[str, Any]:
        """The facts of texts; of the references each value comes with the number of its row."""
        raw = {name: [value for _, value in references.get(name, [])] for name in ("reference_kind", "reference_text")}
        given = {name: _array(name, values) for name, values in references.items() if name not in (*raw, *self.may_lack)}
        facts: dict[str, Any] = {}
        if self.answers and "reference_answer" in references:
            calls = given.pop("tool_call_count", 0)
            facts = facts_from_answers(texts, given.pop("reference_answer"), tool_calls=calls)
        if not self.clicks:
            return {**facts, **given}
        target = given.pop("target_box", np.zeros(4))
        if self.may_lack:
            target = [
                None if value is None else _array("target_box", [(row, value)])[0] for row, value in references["target_box"]
            ]
        size = given.pop("screen_size", None)
        facts |= facts_from_completions(
            texts, target, (1.0, 1.0) if size is None else size, self.style, **{n: v or None for n, v in raw.items()}, **given
        )
        if size is None:
            del facts["screen_size"]
        return facts


def _judge(
    layer: RewardLayer, reader: _Reader, texts: list[str], references: dict[str, Sequence[Any]]
) -> tuple[np.ndarray, dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Rewards, terms and the layer's parts, float64 ``[row]``; NaN in the rows of tasks for other rewards."""
    rows = reader.judged(references, len(texts))
    chosen = {name: [(row, values[row]) for row in rows] for name, values in references.items()}
    facts = reader.facts([texts[row] for row in rows], chosen)
    layer.reset(facts)
    reward, terms = layer.step(facts)

    def spread(recorded: dict[str, Any]) -> dict[str, np.ndarray]:
        wide = {name: np.full(len(texts), math.nan) for name in recorded}
        for name, values in recorded.items():
            wide[name][rows] = values
        return wide

    return spread({"reward": reward})["reward"], spread(terms), spread(layer.parts)


def _array(name: str, values: list[tuple[int, Any]]) -> Any:
    """The values of a fact, given with their row numbers, as an array ``[row, ...]``; Python objects stay a list. An extent the
    vocabulary leaves open (the elements of a screen) is filled up with zeros. ValueError naming the row that is wrong."""
    fact = FACTS[name]
    if fact.dtype in ("object", "any"):
        return [value for _, value in values]
    if name == "element_labels":  # as text in datasets, as numbers in facts
        values = [(row, [kind_number(v.lower()) if isinstance(v, str) else v for v in labels]) for row, labels in values]
    dtype = {"bool": bool, "int": np.int64}.get(fact.dtype, float)
    least = [extent if isinstance(extent, int) else 0 for extent in fact.shape]
    made = []
    for row, value in values:
        try:
            array = np.asarray(_json(value), dtype)
        except (TypeError, ValueError, OverflowError):
            array = np.full((), math.nan)
        array = array.reshape(least) if array.size == 0 == math.prod(least) else array
        pairs = zip(fact.shape, array.shape, strict=False)
        fits = array.ndim == len(least) and all(extent in (given, str(extent)) for extent, given in pairs)
        if not fits or not np.isfinite(array).all():
            takes = f"{' x '.join(map(str, fact.shape))} finite numbers" if fact.shape else "a finite number"
            raise ValueError(f"{name} of row {row} is {str(value)[:80]!r}; it takes {takes}")
        made.append(array)
    filled = np.zeros((len(made), *np.max([least, *(array.shape for array in made)], 0).astype(int)), dtype)
    for place, array in enumerate(made):
        corner: tuple[Any, ...] = (place, *(slice(extent) for extent in array.shape))
        filled[corner] = array
    return filled


def _json(value: Any) -> Any:
    """What JSON text says; anything else as it is."""
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            pass
    return value


def _text(completion: Any) -> str:
    """A completion as text: itself, or what the last assistant message says. "" if it says nothing."""
    if isinstance(completion, (list, tuple)):
        said = [m.get("content") for m in completion if isinstance(m, Mapping) and m.get("role") == "assistant"]
        completion = said[-1] if said else ""
        if isinstance(completion, (list, tuple)):  # parts: text, images
            parts = [part.get("text") for part in completion if isinstance(part, Mapping)]
            completion = "".join(part for part in parts if isinstance(part, str))
    return completion if isinstance(completion, str) else ""


def _same(objects: list[list[Any]], others: list[list[Any]] | None) -> bool:
    """Are these the same Python objects? A batch is recognised by them, which also sees a list that was refilled."""
    if others is None or [len(values) for values in objects] != [len(values) for values in others]:
        return False
    return all(a is b for values, kept in zip(objects, others, strict=True) for a, b in zip(values, kept, strict=True))
