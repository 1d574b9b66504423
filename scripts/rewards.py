"""``rewardscape rewards [NAME]``: what rewards there are."""

from __future__ import annotations

import argparse
import inspect

from rewardscape.rewards import FACTS, TERMS, Term, get_reward, list_presets, load_terms
from rewardscape.rewards.core.operations import OPERATIONS
from rewardscape.rewards.core.stages import STAGES, StageMaker, load_stages


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="rewardscape rewards", description=__doc__)
    parser.add_argument("name", nargs="?", help="a preset, a term, an expression, or a YAML file")
    name = parser.parse_args(argv).name
    load_terms()
    load_stages()
    print(overview() if name is None else describe(name))
    return 0


def overview() -> str:
    """All presets, terms, operations and stages, a line each."""
    lines = ["presets (a published design each):"]
    lines += [f"  {name:<28}{preset.title}" for name, preset in sorted(list_presets().items())]
    lines += ["", "terms (what expressions are made of):"]
    lines += [f"  {name:<28}{_first_line(made)}" for name, made in sorted(TERMS.items())]
    lines += ["", "operations (what joins terms, and bonuses that keep or learn something):"]
    lines += [f"  {name:<28}{_operation_doc(name).splitlines()[0]}" for name in sorted(OPERATIONS)]
    for kind, makers in STAGES.items():
        lines += ["", f"{kind} (a stage of a group-relative learner):"]
        lines += [f"  {name:<28}{_first_line(made)}" for name, made in sorted(makers.items())]
    return "\n".join([*lines, "", "rewardscape rewards NAME tells formula, settings, facts and source."])


def describe(name: str) -> str:
    """Formula, settings, facts and source of a preset, a term, an expression or a YAML file. ValueError if unknown."""
    presets = list_presets()
    for makers in STAGES.values():
        if name in makers:
            return "\n".join(
                [str(makers[name](**{})), "", *(f"    {line}" if line else "" for line in makers[name].doc.splitlines())]
            )
    if name in TERMS and name not in presets:
        return "\n".join(_term_lines(TERMS[name]))
    if name in OPERATIONS and name not in presets:
        return "\n".join(_operation_lines(name))
    layer = get_reward(name)
    assert layer is not None
    node = layer.expression
    lines: list[str] = []
    if name in presets:
        preset = presets[name]
        lines += [preset.title, "", f"  source      {preset.source}", f"  formula     {preset.formula}"]
        if preset.notes:
            lines.append(f"  notes       {preset.notes}")
    lines += [f"  expression  {node}"]
    lines += [f"  {kind:<12}{stage}" for kind, stage in (("credit", layer.credit), ("advantage", layer.advantage)) if stage]
    lines += ["", "facts needed:", *_fact_lines(node.facts())]
    if node.optional_facts():
        lines += ["", "facts used where a world has them:", *_fact_lines(node.optional_facts())]
    for term_name in dict.fromkeys(n.term for n in node.walk() if hasattr(n, "term")):
        lines += ["", *_term_lines(TERMS[term_name])]
    for used in dict.fromkeys(getattr(type(n), "label", "") for n in node.walk()):
        if used in OPERATIONS:
            lines += ["", *_operation_lines(used)]
    return "\n".join(lines)


def _term_lines(made: Term) -> list[str]:
    lines = [f"{made.name}({', '.join((*made.facts_needed, *(f'{f}?' for f in made.facts_optional)))})"]
    lines += [f"    {line}" if line else "" for line in made.doc.splitlines()]
    if made.bounds:
        lines.append(f"    range: {made.bounds[0]} to {made.bounds[1]}")
    for setting, default in made.settings.items():
        allowed = f", of {', '.join(map(repr, made.choices[setting]))}" if setting in made.choices else ""
        lines.append(f"    setting: {setting}={default!r}{allowed}")
    if made.source:
        lines.append(f"    source: {made.source}")
    return lines


def _operation_lines(name: str) -> list[str]:
    signature = inspect.signature(OPERATIONS[name])
    bare = [p.replace(annotation=inspect.Parameter.empty) for p in signature.parameters.values()]
    return [f"{name}{inspect.Signature(bare)}", *(f"    {line}" if line else "" for line in _operation_doc(name).splitlines())]


def _operation_doc(name: str) -> str:
    return inspect.getdoc(OPERATIONS[name]) or ""


def _fact_lines(names: tuple[str, ...]) -> list[str]:
    lines = []
    for name in names:
        fact = FACTS[name.removeprefix("previous_")]
        before = ", one step earlier" if name.startswith("previous_") else ""
        unit = "" if fact.unit == "-" else f" [{fact.unit}]"
        lines.append(f"    {name:<18}{fact.meaning}{before}{unit}")
    return lines


def _first_line(made: Term | StageMaker) -> str:
    return made.doc.splitlines()[0] if made.doc else ""
