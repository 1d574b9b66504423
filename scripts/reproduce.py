"""``rewardscape reproduce NAME``: does the claim of a publication hold here? Arms trained with the same seeds, and a verdict.

A claim is a YAML file: arms that differ in reward or settings, and tests, each a difference of a metric between two arms, or a
metric of one against a bound. The verdict is "holds", "does not hold" or "undecided", by 95 % bootstrap intervals over seeds.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pathlib
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from importlib.resources import files
from typing import Any

import numpy as np
import yaml

from rewardscape.scripts.compare import Arm, add_training, curve, curves_figure, evaluated, markdown, plain, train_arms
from rewardscape.scripts.report import Report

RULE = (
    "A test holds if the 95 % bootstrap interval over seeds (over pairs of the same seed, for a difference) lies wholly on the "
    "claimed side of its margin, does not hold if it lies wholly on the other side, and is undecided else or with fewer than three "
    "seeds. The claim holds if all its tests do, and does not hold if one of them does not."
)
QUICK = 16  # --quick trains a sixteenth of the steps, with two seeds


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape reproduce", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", nargs="?", help="a claim (--list shows them), or a YAML file of your own")
    parser.add_argument("--list", action="store_true", help="the claims, a line each")
    parser.add_argument("--seeds", type=int, help="only the first of the claim's seeds")
    parser.add_argument("--steps", type=int, help="of each run, in place of the claim's")
    parser.add_argument(
        "--development", action="store_true", help="the seeds that settings are chosen on, not the reported ones"
    )
    parser.add_argument("--quick", action="store_true", help="two development seeds and a sixteenth of the steps: does it run?")
    parser.add_argument("--out", type=pathlib.Path, help="folder; default: runs/reproduce-NAME")
    parser.add_argument("--record", type=pathlib.Path, metavar="NAME", help="also keep the result as NAME.json and NAME.svg")
    add_training(parser)
    options = parser.parse_args(argv)
    if options.list or options.name is None:
        for name in names():
            print(f"  {name:<14}{read_claim(name).claim}")
        return 0
    claim = read_claim(options.name)
    folder = options.out or pathlib.Path("runs") / f"reproduce-{pathlib.Path(options.name).stem}"
    result = reproduce(
        claim, folder, options.seeds, options.steps, options.development, options.quick, options.workers, options.ray
    )
    if options.record is not None:
        options.record.parent.mkdir(parents=True, exist_ok=True)
        for file, suffix in (("results.json", ".json"), ("figure.svg", ".svg")):
            shutil.copyfile(folder / file, options.record.with_suffix(suffix))
    print(summary(result))
    print(f"report: {folder / 'report.html'}    figures: {folder / 'results.json'}    page: {folder / 'page.md'}")
    return 0


# ------------------------------------------------------------------------------------------------------------------- claims


@dataclass
class Comparison:
    """One comparison. ``metric``: see `measured`; it is compared with that of the arm ``versus``, or with the number
    ``bound``; it is claimed to be ``direction`` ("higher" or "lower") by more than ``margin`` (negative: not worse by more)."""

    metric: Any
    arm: str
    direction: str
    versus: str | None = None
    bound: float | None = None
    margin: float = 0.0


@dataclass
class Claim:
    """What is claimed, and how it is tested. ``common`` and each of ``arms``: fields of `Config`, the arm's over the common
    ones, ``env_settings`` and ``algorithm_settings`` merged; ``report``: metrics that are measured without a test."""

    name: str
    title: str
    claim: str
    source: str
    common: dict[str, Any]
    arms: dict[str, dict[str, Any]]
    seeds: dict[str, list[int]]  # "development" and "reporting"
    test: list[Comparison]
    report: list[Any]
    episodes: int = 1000
    notes: str = ""


def names() -> list[str]:
    """The claims that are shipped."""
    return sorted(path.name.removesuffix(".yaml") for path in _folder().iterdir() if path.name.endswith(".yaml"))


def _folder() -> Any:
    return files("rewardscape.assets") / "claims"


def read_claim(name: str) -> Claim:
    """A claim by name or from a YAML file. ValueError naming what is unknown or missing."""
    if name.endswith((".yaml", ".yml")):
        path: Any = pathlib.Path(name)
        if not path.is_file():
            raise FileNotFoundError(f"no claim at {path}")
    elif name in names():
        path = _folder() / f"{name}.yaml"
    else:
        raise ValueError(f"unknown claim {name!r}; there are: {', '.join(names())}")
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{name}: not valid YAML ({error})") from None
    known = {f.name for f in fields(Claim)} - {"name"}
    required = known - {"episodes", "notes", "report"}
    if not isinstance(data, dict) or set(data) - known or required - set(data):
        keys = set(data) if isinstance(data, dict) else set()
        raise ValueError(
            f"{name}: a claim has {', '.join(sorted(known))}; unknown: {sorted(keys - known)}, missing: {sorted(required - keys)}"
        )
    try:
        data["test"] = [Comparison(**test) for test in data["test"]]
    except TypeError as error:
        raise ValueError(f"{name}: a test has {', '.join(f.name for f in fields(Comparison))} ({error})") from None
    claim = Claim(name, report=data.pop("report", []), **data)
    for test in claim.test:
        if test.direction not in ("higher", "lower"):
            raise ValueError(f"{name}: direction={test.direction!r}; allowed: higher, lower")
        if (test.versus is None) == (test.bound is None):
            raise ValueError(f"{name}: a test has either 'versus' or 'bound'")
        for arm in (test.arm, *([test.versus] if test.versus is not None else [])):
            if arm not in claim.arms:
                raise ValueError(f"{name}: unknown arm {arm!r}; there are: {', '.join(claim.arms)}")
    for metric in [*(test.metric for test in claim.test), *claim.report]:
        metric_name(metric)
    if not set(claim.seeds) >= {"development", "reporting"} or set(claim.seeds["development"]) & set(claim.seeds["reporting"]):
        raise ValueError(f"{name}: seeds has two lists without a common number, development and reporting")
    return claim


def configs_of(claim: Claim, arm: str, seeds: list[int], steps: int | None = None, shorter: int = 1) -> list[Any]:
    """The `Config`s of an arm, one a seed. ``shorter``: divides the claim's steps."""
    from rewardscape.agents.runs import Config

    settings: dict[str, Any] = {"threads": 1, **claim.common}
    for key, value in claim.arms[arm].items():
        settings[key] = {**settings.get(key, {}), **value} if isinstance(value, dict) else value
    for key in ("env_settings", "algorithm_settings"):
        settings[key] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.get(key, {}).items()}
    settings["steps"] = steps or settings["steps"] // shorter
    try:
        return [Config(**settings, seed=seed) for seed in seeds]
    except TypeError as error:
        raise ValueError(f"{claim.name}: arm {arm}: {error}") from None


# ------------------------------------------------------------------------------------------------------------------ metrics


def _size(episodes: Any) -> np.ndarray:
    """``log(area of the predicted box / area of the target)`` of every answer; areas are at least one square pixel."""
    predicted, target = (episodes.facts[name][episodes.mask].astype(float) for name in ("predicted_box", "target_box"))
    areas = [np.maximum(np.prod(box[..., 2:] - box[..., :2], -1), 1.0) for box in (predicted, target)]
    return np.log(areas[0] / areas[1])


def _hits(episodes: Any) -> np.ndarray:
    from rewardscape.rewards import hit

    facts = (episodes.facts[name][episodes.mask] for name in ("predicted_point", "target_box", "parsed"))
    return hit.compute(*facts)


def _calibration(judge: str) -> Callable[[Any], float]:
    def measure(episodes: Any) -> float:
        from rewardscape.agents import statistics

        return getattr(statistics, judge)(episodes.facts["confidence"][episodes.mask], _hits(episodes))

    return measure


def _proposals_hit(episodes: Any) -> np.ndarray:
    """Does the middle of each proposal lie in the target, ``[answer, proposal]``; all proposals are given."""
    proposals, target = (episodes.facts[name][episodes.mask] for name in ("proposals", "target_box"))
    middles = 0.5 * (proposals[..., :2] + proposals[..., 2:])
    return ((middles >= target[:, None, :2]) & (middles <= target[:, None, 2:])).all(-1)


METRICS: dict[str, tuple[str, Callable[[Any], float]]] = {  # of the recorded episodes: what it is, and how it is computed
    "size_error": ("mean |log(box area / target area)|", lambda episodes: float(np.abs(_size(episodes)).mean())),
    "size_ratio": ("mean log(box area / target area)", lambda episodes: float(_size(episodes).mean())),
    "accuracy": ("share of answers that hit", lambda episodes: float(_hits(episodes).mean())),
    "first_proposal": ("share of answers whose first proposal hits", lambda episodes: float(_proposals_hit(episodes)[:, 0].mean())),
    "found": ("share of answers with a proposal that hits", lambda episodes: float(_proposals_hit(episodes).any(1).mean())),
    "calibration_error": ("expected calibration error, 10 bins", _calibration("expected_calibration_error")),
    "brier_score": ("Brier score of the confidence", _calibration("brier_score")),
    "confidence": ("mean confidence", lambda episodes: float(episodes.facts["confidence"][episodes.mask].mean())),
}  # fmt: skip
_EVALUATED = {
    "objective": "objective", "held_out": "objective, held out", "success": "success", "return": "return",
    "area": "mean objective over training", "end": "objective in the last tenth of training",
}  # fmt: skip


def metric_name(metric: Any) -> str:
    """A metric in words. ValueError if it is none of those that `measured` knows."""
    if isinstance(metric, dict) and len(metric) == 1:
        ((kind, value),) = metric.items()
        if kind == "steps_to" and isinstance(value, (int, float)):
            return f"steps to objective {value:g}"
        if kind == "expression" and isinstance(value, str):
            return f"mean of {value}"
        if kind == "return_of" and isinstance(value, str):
            return f"return under {value}"
    if isinstance(metric, str) and metric in _EVALUATED:
        return _EVALUATED[metric]
    if isinstance(metric, str) and metric in METRICS:
        return METRICS[metric][0]
    allowed = [*_EVALUATED, *METRICS, "{steps_to: THRESHOLD}", "{expression: FORMULA}", "{return_of: FORMULA}"]
    raise ValueError(f"unknown metric {metric!r}; allowed: {', '.join(allowed)}")


def measured(run: Any, metric: Any, episodes: int) -> float:
    """A metric of one run.

    "objective", "held_out", "success", "return": of the trained agent on test episodes; "area": mean objective over training, "end":
    in its last tenth, both with actions as the policy draws them (test episodes take the likeliest);
    ``{steps_to: THRESHOLD}``: steps until the objective while training reaches it, at most the run's steps (so that means
    over seeds are restricted means); ``{expression: FORMULA}``: mean over the steps of the recorded episodes; ``{return_of:
    FORMULA}``: mean over episodes of what they would have been paid in all; and `METRICS`.
    """
    from rewardscape.agents.statistics import area_under, steps_to

    if isinstance(metric, dict):
        ((kind, value),) = metric.items()
        if kind == "steps_to":
            return min(steps_to(*curve(run, "objective"), value), float(run.config.steps))
        judged = run.episodes().rescored(value)
        if kind == "return_of":
            return float(judged.returns.mean())
        return float(judged.rewards[judged.mask].mean())
    if metric in METRICS:
        return METRICS[metric][1](run.episodes())
    if metric in ("area", "end"):
        steps, values = curve(run, "objective")
        late = steps >= (0.9 * steps[-1] if metric == "end" else 0)
        return area_under(steps[late], values[late])
    first, *others = evaluated(run, episodes).values()
    if metric == "held_out":
        return others[0]["objective"] if others else math.nan
    return float(first[metric])


# ------------------------------------------------------------------------------------------------------------------ verdicts


def verdict(low: float, high: float, margin: float = 0.0) -> str:
    """Of one test, by the interval of the difference in the claimed direction."""
    if math.isnan(low) or math.isnan(high):
        return "undecided"
    return "holds" if low > margin else "does not hold" if high < margin else "undecided"


def overall(verdicts: list[str]) -> str:
    """Of a claim, by those of its tests."""
    if "does not hold" in verdicts:
        return "does not hold"
    return "holds" if verdicts and all(v == "holds" for v in verdicts) else "undecided"


def judge(test: Comparison, values: dict[int, float], versus: dict[int, float] | None) -> dict[str, Any]:
    """One test on metrics by seed: mean difference in the claimed direction with its interval, and the verdict."""
    from rewardscape.agents.statistics import mean_interval, paired_difference

    sign = 1.0 if test.direction == "higher" else -1.0
    seeds = [seed for seed in values if versus is None or seed in versus]
    mine = sign * np.array([values[seed] for seed in seeds])
    if versus is None:
        assert test.bound is not None
        found = mean_interval(mine - sign * test.bound)
    else:
        found = paired_difference(mine, sign * np.array([versus[seed] for seed in seeds]))
    decided = verdict(found.low, found.high, test.margin) if len(seeds) >= 3 else "undecided"
    return {"statement": statement(test), **asdict(test), "advantage": found._asdict(), "seeds": len(seeds), "verdict": decided}


def statement(test: Comparison) -> str:
    """A test in words."""
    other = f"under {test.versus}" if test.versus is not None else f"{test.bound:g}"
    than = f"{test.direction} than {other}"
    if test.margin > 0:
        than += f" by more than {test.margin:g}"
    elif test.margin < 0:
        than = f"not {'lower' if test.direction == 'higher' else 'higher'} than {other} by more than {-test.margin:g}"
    return f"{metric_name(test.metric)} under {test.arm} is {than}"


def reproduce(
    claim: Claim,
    folder: pathlib.Path,
    seeds: int | None = None,
    steps: int | None = None,
    development: bool = False,
    quick: bool = False,
    workers: int | None = None,
    ray: str | None = None,
) -> dict[str, Any]:
    """Train the arms of a claim, test it, write results.json, report.html and page.md into ``folder``; the result."""
    from rewardscape.agents.runs import versions

    started = time.perf_counter()
    kind = "development" if development or quick else "reporting"
    chosen = claim.seeds[kind]
    if seeds is not None and not 1 <= seeds <= len(chosen):
        raise ValueError(f"--seeds={seeds}; this claim has 1 to {len(chosen)}")
    chosen = chosen[: seeds or (2 if quick else None)]
    arms = {name: Arm(name, configs_of(claim, name, chosen, steps, QUICK if quick else 1)) for name in claim.arms}
    failures = train_arms(arms, folder, workers, ray)
    metrics: dict[str, Any] = {}
    for metric in [*(test.metric for test in claim.test), *claim.report]:
        metrics.setdefault(metric_name(metric), metric)
    table = {
        words: {arm.name: {run.config.seed: measured(run, metric, claim.episodes) for run in arm.runs} for arm in arms.values()}
        for words, metric in metrics.items()
    }
    tests = [
        judge(
            test,
            table[metric_name(test.metric)][test.arm],
            table[metric_name(test.metric)][test.versus] if test.versus else None,
        )
        for test in claim.test
    ]
    config = next(iter(arms.values())).configs[0]
    command = [
        "rewardscape reproduce",
        claim.name,
        *(["--quick"] if quick else []),
        *(["--development"] if development else []),
    ]
    command += ([f"--seeds {seeds}"] if seeds else []) + ([f"--steps {steps}"] if steps else [])
    result = {
        "name": claim.name, "title": claim.title, "claim": claim.claim, "source": claim.source, "notes": claim.notes.strip(),
        "rule": RULE, "seeds": chosen, "of": kind, "quick": quick,
        "episodes": claim.episodes, "arms": {name: _setting(arm.configs[0]) for name, arm in arms.items()},
        "measured": table, "tests": tests, "verdict": overall([test["verdict"] for test in tests]), "failures": failures,
        "training_seconds": sum(run.metrics()[-1]["seconds"] for arm in arms.values() for run in arm.runs),
        "seconds": time.perf_counter() - started, "cores": os.cpu_count(), "versions": versions(config),
        "command": " ".join(command),
    }  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(plain(result), indent=1))
    (folder / "page.md").write_text(page(result, "figure.svg"), encoding="utf-8")
    write_report(result, arms, folder)
    return result


def _setting(config: Any) -> dict[str, Any]:
    """What an arm is, without what does not decide it."""
    return {k: v for k, v in asdict(config).items() if k not in ("seed", "checkpoint_every") and v not in (None, {})}


# ------------------------------------------------------------------------------------------------------------------- showing


def _rows(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of what was measured: mean over seeds, and their lowest and highest."""
    rows = []
    for words, of_arm in result["measured"].items():
        cells = []
        for values in of_arm.values():
            known = [v for v in values.values() if not math.isnan(v)]
            cells.append(f"{_say(np.mean(known))} ({_say(min(known))} to {_say(max(known))})" if known else "–")
        rows.append([words, *cells])
    return ["mean over seeds (lowest to highest)", *result["arms"]], rows


def _say(value: float, sign: str = "") -> str:
    return f"{value:{sign},.0f}" if abs(value) >= 1000 else f"{value:{sign}.3f}"


def _test_rows(result: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    rows = []
    for test in result["tests"]:
        value, low, high = (test["advantage"][k] for k in ("value", "low", "high"))
        rows.append([test["statement"], f"{_say(value, '+')} [{_say(low, '+')}, {_say(high, '+')}]", test["verdict"]])
    return ["test", "by how much, 95 % interval", "verdict"], rows


def _budget(result: dict[str, Any]) -> str:
    steps = sorted({f"{arm['steps']:,}" for arm in result["arms"].values()})
    return (
        f"{' or '.join(steps)} steps a run, {result['of']} seeds {', '.join(map(str, result['seeds']))}; "
        f"{result['training_seconds'] / 60:.1f} minutes of training in all runs together, {result['seconds'] / 60:.1f} minutes for this "
        f"command on {result['cores']} cores (runs found again cost nothing)"
    )


def _differences(result: dict[str, Any]) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """What all arms share, and what sets each apart."""
    arms = result["arms"]
    keys = list(dict.fromkeys(key for arm in arms.values() for key in arm))
    first = next(iter(arms.values()))
    shared = {k: first[k] for k in keys if all(k in arm and arm[k] == first.get(k) for arm in arms.values())}
    return shared, {name: {k: v for k, v in arm.items() if k not in shared} for name, arm in arms.items()}


def _listed(settings: dict[str, Any]) -> str:
    return ", ".join(
        f"{k} ({_listed(v)})" if isinstance(v, dict) else f"{k}={list(v) if isinstance(v, tuple) else v}"
        for k, v in settings.items()
    )


def summary(result: dict[str, Any]) -> str:
    """The result as lines of text."""
    lines = [result["title"], result["claim"], ""]
    for row in _test_rows(result)[1]:
        lines.append(f"  {row[2]:<14}{row[0]}: {row[1]}")
    lines += ["", f"verdict: {result['verdict']}{_caution(result)}"]
    return "\n".join(lines)


def _caution(result: dict[str, Any]) -> str:
    if result["quick"]:
        return " (quick: too few steps and seeds to say anything about the claim)"
    return " (on the seeds its settings were chosen on)" if result["of"] == "development" else ""


def page(result: dict[str, Any], figure: str) -> str:
    """The result as a Markdown page: claim, verdict, setting, budget, numbers, command. ``figure``: path of its picture."""
    shared, apart = _differences(result)
    lines = [f"# {result['title']}", "", f"{result['claim']} ({result['source']})", ""]
    lines += [f"**{result['verdict'].capitalize()}**{_caution(result)}.", ""]
    lines += ["## Tests", "", *markdown(*_test_rows(result)), "", result["rule"], ""]
    lines += ["## Measured", "", *markdown(*_rows(result)), "", f"![objective and reward over training]({figure})", ""]
    lines += [
        f"Objectives of trained agents: {result['episodes']} test episodes a run.",
        "",
        "## Setting",
        "",
        _listed(shared),
        "",
    ]
    lines += [f"- `{name}`: {_listed(settings)}" for name, settings in apart.items()]
    lines += ["", f"Budget: {_budget(result)}.", ""]
    if result["notes"]:
        lines += ["## Notes", "", result["notes"], ""]
    return "\n".join([*lines, "## Again", "", f"    {result['command']}", ""])


def write_report(result: dict[str, Any], arms: dict[str, Arm], folder: pathlib.Path) -> None:
    """report.html, and the figure alone as figure.svg."""
    report = Report(result["title"], result["source"])
    report.text(result["claim"])
    report.heading(f"{result['verdict'].capitalize()}{_caution(result)}")
    report.table(*_test_rows(result))
    report.text(result["rule"])
    report.heading("Measured")
    report.table(*_rows(result))
    report.text(f"Objectives of trained agents: {result['episodes']} test episodes a run, the same for all arms with one seed.")
    report.heading("While training")
    figure = curves_figure(list(arms.values()), ["objective", "reward"])
    figure.savefig(folder / "figure.svg", bbox_inches="tight", metadata={"Date": None})
    report.figure(figure, "Interquartile mean over seeds with its 95 % band, with exploration noise.")
    shared, apart = _differences(result)
    report.heading("Setting")
    report.text(_listed(shared))
    report.table(["arm", "settings"], [[name, _listed(settings)] for name, settings in apart.items()])
    report.text(f"Budget: {_budget(result)}.")
    if result["notes"]:
        report.text(result["notes"])
    if result["failures"]:
        report.heading("Failed")
        report.table(["run", "why"], [[name, text.strip().splitlines()[-1]] for name, text in result["failures"].items()])
    report.heading("Again")
    report.code(result["command"])
    report.write(folder / "report.html")
