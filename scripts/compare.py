"""``rewardscape compare ENV --rewards hit gui-g2``: the same agent trained under several rewards, with the same seeds.

Every run is evaluated on fresh test episodes, by the objective. The folder gets results.json and report.html: objectives with
intervals, steps to a threshold, learning curves of objective, reward and every term, and an alarm where the reward rises while
the objective does not. Finished runs are found again, so the same command goes on after a stop, and more seeds or rewards
train only what is new.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from rewardscape.scripts.options import add_world_settings, settings
from rewardscape.scripts.report import Report

COLOURS = ("#1f6f78", "#c8553d", "#7a5ea8", "#b58900", "#3b6fb6", "#5f8a3a", "#a8476f", "#6b7280")
SMOOTH = 3  # updates


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape compare", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("env", help="id of the world, such as GUIScreens-v0")
    parser.add_argument(
        "--rewards", nargs="+", required=True, help="presets, formulas or YAML files; the first is compared with"
    )
    parser.add_argument("--algo", default="ppo", help="ppo (default), ppo-device, a2c or grpo")
    parser.add_argument("--steps", type=int, default=200_000, help="of each run")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each reward")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--n-envs", type=int, default=512, help="rows stepped together")
    parser.add_argument("--threads", type=int, default=1, help="of torch, in each run; results hold for this number")
    parser.add_argument("--hyper", nargs="+", default=[], metavar="NAME=VALUE", help="settings of the algorithm")
    parser.add_argument("--credit", help="credit stage, in place of each reward's own (grpo)")
    parser.add_argument("--advantage", help="advantage stage, in place of each reward's own (grpo)")
    parser.add_argument("--start", help="begin with the weights of this run, or of a world's shipped baseline")
    parser.add_argument("--threshold", type=float, default=0.8, help="objective while training, for the steps to it")
    parser.add_argument("--episodes", type=int, default=1000, help="of each evaluation")
    parser.add_argument("--out", type=pathlib.Path, help="folder; default: runs/compare-ENV")
    parser.add_argument("--record", type=pathlib.Path, metavar="NAME", help="also keep the results as NAME.json and NAME.svg")
    add_training(parser)
    add_world_settings(parser)
    options = parser.parse_args(argv)
    if options.seeds < 1 or options.episodes < 1:
        raise ValueError("--seeds and --episodes are at least 1")

    from rewardscape.agents.runs import Config

    started = time.perf_counter()
    arms: dict[str, Arm] = {}
    skipped: dict[str, str] = {}
    for reward in dict.fromkeys(options.rewards):
        configs = [
            Config(
                env=options.env, reward=reward, algo=options.algo, steps=options.steps, seed=seed, n_envs=options.n_envs,
                env_settings=settings(options.settings), algorithm_settings=settings(options.hyper), threads=options.threads,
                credit=options.credit, advantage=options.advantage, start=options.start,
            )
            for seed in range(options.first_seed, options.first_seed + options.seeds)
        ]  # fmt: skip
        if reason := unfit(configs[0]):
            skipped[reward] = reason
            print(f"skipped {reward}: {reason}")
        else:
            arms[name_of(reward)] = Arm(name_of(reward), configs)
    if not arms:
        raise ValueError(f"no reward fits {options.env}: " + "; ".join(f"{k}: {v}" for k, v in skipped.items()))
    folder = options.out or pathlib.Path("runs") / f"compare-{next(iter(arms.values())).configs[0].env.split('/')[-1]}"
    failures = train_arms(arms, folder, options.workers, options.ray)
    results = measure(list(arms.values()), options.threshold, options.episodes)
    results |= {"skipped": skipped, "failures": failures, "seconds": time.perf_counter() - started}
    results["command"] = shlex.join(["rewardscape", "compare", *_without(argv, "--out", "--record", "--workers", "--ray")])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(plain(results), indent=1))
    print(table(results))
    write_report(results, arms, folder / "report.html")
    if options.record is not None:
        keep(results, finals_figure(results), options.record)
    print(f"report: {folder / 'report.html'}    figures: {folder / 'results.json'}    runs: {folder / 'runs'}")
    return 0


def _without(argv: list[str], *names: str) -> list[str]:
    """A command line without options that do not decide what it finds."""
    return [word for k, word in enumerate(argv) if word not in names and (k == 0 or argv[k - 1] not in names)]


def add_training(parser: argparse.ArgumentParser) -> None:
    """``--workers`` and ``--ray``."""
    parser.add_argument("--workers", type=int, help="runs at a time; default: cores divided by --threads")
    parser.add_argument("--ray", metavar="ADDRESS", help="train on a Ray cluster: an address, auto, or local to start one here")


def name_of(reward: str) -> str:
    """What a reward is called in tables: a file by its stem, others as they are."""
    return pathlib.Path(reward).stem if reward.endswith((".yaml", ".yml")) else reward


def unfit(config: Any) -> str:
    """Why a config's reward does not fit its world, or ""."""
    from rewardscape.agents.evaluate import make_rows
    from rewardscape.agents.runs import learner_of

    # what is wrong with the world or the learner is wrong under every reward
    envs = make_rows(config.env, None, config.env_settings, 1)
    learner_of(config.algo).build_policy(config)
    try:
        envs.set_reward(config.layer())
        envs.reset(seed=0)
    except ValueError as error:
        return str(error)
    return ""


@dataclass
class Arm:
    """Runs that differ by their seeds only."""

    name: str
    configs: list[Any]
    runs: list[Any] = field(default_factory=list)

    @property
    def seeds(self) -> list[int]:
        return [run.config.seed for run in self.runs]


def train_arms(arms: dict[str, Arm], folder: pathlib.Path, workers: int | None, ray: str | None) -> dict[str, str]:
    """Train all runs of all arms and give them to the arms; what failed, by run. ValueError if everything did."""
    from rewardscape.agents.sweep import SweepError, run_name, sweep

    # seeds on the outside: a stopped comparison is a comparison with fewer seeds
    order = sorted(((k, arm, c) for arm in arms.values() for k, c in enumerate(arm.configs)), key=lambda entry: entry[0])
    failures: dict[str, str] = {}
    try:
        found: list[Any] = list(sweep([config for _, _, config in order], folder, workers, ray))
    except SweepError as error:
        found = error.runs
        failures = {run_name(order[k][2]): text for k, text in error.failures.items()}
        if not any(found):
            raise ValueError(str(error)) from None
    except KeyboardInterrupt:
        raise ValueError("stopped; the same command goes on from here") from None
    for (_, arm, _), run in zip(order, found, strict=True):
        if run is not None:
            arm.runs.append(run)
    return failures


# ---------------------------------------------------------------------------------------------------------------- measuring


def evaluated(run: Any, episodes: int = 1000) -> dict[str, dict[str, Any]]:
    """``{split: summary}`` of a run on fresh test episodes of its own seed, kept in its evaluation.json."""
    from rewardscape.agents.evaluate import evaluate, splits_of
    from rewardscape.agents.runs import write_whole

    path = run.folder / "evaluation.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    if kept.get("episodes") == episodes:
        return kept["splits"]
    config = run.config
    splits = splits_of(config.env, config.env_settings)
    policy = run.load_policy()
    found = {
        split: evaluate(policy, config.env, config.layer(), episodes, config.seed, "test",
                        {**config.env_settings, **({"split": split} if splits else {})})
        for split in splits or ("all",)
    }  # fmt: skip
    write_whole(path, json.dumps({"episodes": episodes, "splits": found}, indent=1).encode())
    return found


def curve(run: Any, name: str) -> tuple[np.ndarray, np.ndarray]:
    """``(steps, values)`` of a metric, or of a term as ``terms/NAME``, over training, one an update."""
    rows = run.metrics()
    steps = np.array([row["steps"] for row in rows], float)
    term = name.removeprefix("terms/")
    values = np.array([row[name] if term == name else row["terms"].get(term, np.nan) for row in rows], float)
    return steps, values


def measure_run(run: Any, threshold: float, episodes: int) -> dict[str, Any]:
    """The numbers of one run."""
    from rewardscape.agents.statistics import area_under, correlation, hacking, steps_to

    splits = evaluated(run, episodes)
    first, *others = splits.values()
    recorded = run.episodes()
    steps, objective = curve(run, "objective")
    return {
        "seed": run.config.seed, "folder": run.folder.name, "objective": first["objective"],
        "held_out": others[0]["objective"] if others else math.nan, "success": first["success"], "return": first["return"],
        "invalid": first["invalid"], "steps_to": steps_to(steps, objective, threshold), "area": area_under(steps, objective),
        "correlation": correlation(recorded.returns, recorded.final_objective), "seconds": run.metrics()[-1]["seconds"],
        "hacking": hacking(curve(run, "return")[1], objective)._asdict(),
    }  # fmt: skip


def measure(arms: Sequence[Arm], threshold: float, episodes: int) -> dict[str, Any]:
    """All numbers of a comparison, of the arms that have runs."""
    from rewardscape.agents.runs import versions
    from rewardscape.agents.statistics import iqm_interval, median_reached, paired_difference, probability_of_improvement

    arms = [arm for arm in arms if arm.runs]
    config = arms[0].configs[0]
    results: dict[str, Any] = {
        "env": config.env, "env_settings": config.env_settings, "algo": config.algo, "steps": config.steps,
        "algorithm_settings": config.algorithm_settings, "n_envs": config.n_envs, "threshold": threshold, "episodes": episodes,
        "versions": versions(config), "rewards": {},
    }  # fmt: skip
    for arm in arms:
        runs = [measure_run(run, threshold, episodes) for run in arm.runs]

        def mean(name: str, runs: list[dict[str, Any]] = runs) -> float:
            known = [run[name] for run in runs if not math.isnan(run[name])]
            return float(np.mean(known)) if known else math.nan

        results["rewards"][arm.name] = {
            "formula": str(arm.configs[0].layer().expression) if arm.configs[0].reward is not None else "objective",
            "objective": iqm_interval([run["objective"] for run in runs])._asdict(),
            "held_out": iqm_interval([run["held_out"] for run in runs])._asdict(),
            "steps_to": median_reached([run["steps_to"] for run in runs])._asdict(),
            **{name: mean(name) for name in ("area", "return", "success", "correlation", "invalid", "seconds")},
            "alarms": {kind: sum(run["hacking"]["kind"] == kind for run in runs) for kind in ("falls", "stays", "short")},
            "runs": runs,
        }
    base, *rest = results["rewards"].values()
    for other in rest:
        pairs = [(a, b) for a in other["runs"] for b in base["runs"] if a["seed"] == b["seed"]]
        other["to_first"] = {
            name: {
                **paired_difference([a[name] for a, _ in pairs], [b[name] for _, b in pairs])._asdict(),
                "pairs": len(pairs),
                "probability_of_improvement": probability_of_improvement(
                    [run[name] for run in other["runs"]], [run[name] for run in base["runs"]]
                ),
            }
            for name in ("objective", "held_out", "area")
            if pairs and not math.isnan(base[name] if name == "area" else base[name]["value"])
        }
    return results


def plain(value: Any) -> Any:
    """``value`` as JSON can say it: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, (float, np.floating)):
        return float(f"{value:.7g}") if math.isfinite(value) else None
    return value


# ------------------------------------------------------------------------------------------------------------------ showing


def keep(results: dict[str, Any], figure: Any, name: pathlib.Path) -> None:
    """Results and their figure as NAME.json and NAME.svg: what pages of docs/ are written from."""
    name.parent.mkdir(parents=True, exist_ok=True)
    name.with_suffix(".json").write_text(json.dumps(plain(results), indent=1) + "\n")
    figure.savefig(name.with_suffix(".svg"), bbox_inches="tight", metadata={"Date": None})


def read_results(path: pathlib.Path) -> dict[str, Any]:
    """Results as `keep` wrote them, with NaN where a number was none."""
    told = ("versus", "bound")  # of a claim's tests: None means None there

    def numbers(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: math.nan if v is None and k not in told else numbers(v) for k, v in value.items()}
        return [numbers(v) for v in value] if isinstance(value, list) else value

    return numbers(json.loads(path.read_text()))


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A table as lines of Markdown."""
    return [f"| {' | '.join(str(c).replace('|', chr(92) + '|') for c in row)} |" for row in [head, ["---"] * len(head), *rows]]


def page(results: dict[str, Any], figure: str) -> str:
    """A comparison as a Markdown page; ``figure``: path of its picture."""
    seeds = sorted({run["seed"] for r in results["rewards"].values() for run in r["runs"]})
    said = ", ".join(f"{k}={v}" for k, v in results["env_settings"].items())
    world = results["env"].split("/")[-1]
    rewards = list(results["rewards"])
    listed = ", ".join(rewards) if len(rewards) < 5 else f"{len(rewards)} rewards"
    lines = [f"# {world}{f', {said}' if said else ''}: {listed}", ""]
    lines += [f"{results['algo']}, {results['steps']:,} steps a run, seeds {', '.join(map(str, seeds))}; {results['episodes']} test "
              f"episodes a run. Intervals: 95 % bootstrap over seeds around the interquartile mean.", ""]  # fmt: skip
    lines += [f"![objective by reward]({figure})", "", *markdown(*rows_of(results)), ""]
    lines += [f"Steps to {results['threshold']:g}: of the objective while training, with exploration noise, which is lower than the "
              "objective of the evaluated agent; the median of the seeds. Area: mean height of that curve. Alarm: in how many "
              "runs the reward rises while the objective falls or stays.", "", *markdown(*other_rows(results)), ""]  # fmt: skip
    head, rows = difference_rows(results)
    if rows:
        lines += [f"## Against {next(iter(results['rewards']))}", "", *markdown(head, rows), ""]
        lines += ["Mean difference over pairs of the same seed; with few seeds intervals are narrow.", ""]
    lines += [
        "## Formulas",
        "",
        *(f"- {name}: `{r['formula']}`" for name, r in results["rewards"].items() if name != r["formula"]),
        "",
    ]
    skipped = [f"- {name}: {reason}" for name, reason in results.get("skipped", {}).items()]
    lines += ["## Not compared", "", *skipped, ""] if skipped else []
    return "\n".join([*lines, "## Again", "", f"    {results['command']}", ""])


def number(value: float, digits: int = 3) -> str:
    return "–" if math.isnan(value) else f"{value:.{digits}f}"


def spread(estimate: dict[str, float], sign: str = "") -> str:
    """A number with its interval."""
    if math.isnan(estimate["value"]):
        return "–"
    if math.isnan(estimate["low"]):
        return f"{estimate['value']:{sign}.3f}"
    return f"{estimate['value']:{sign}.3f} [{estimate['low']:{sign}.3f}, {estimate['high']:{sign}.3f}]"


def reached(found: dict[str, Any]) -> str:
    """Median steps to the threshold, and how many runs never got there."""
    missed = found["runs"] - found["arrived"]
    median = f"{found['median']:,.0f}" if math.isfinite(found["median"]) else "never"
    return median if not missed else f"{median} (not in {missed} of {found['runs']})"


def alarm(result: dict[str, Any]) -> str:
    """The alarm of a reward in words."""
    kinds, runs = result["alarms"], len(result["runs"])
    said = [f"{kind} in {kinds[kind]} of {runs}" for kind in ("falls", "stays") if kinds[kind]]
    return ", ".join(said) or ("too short to say" if kinds["short"] == runs else "no")


def rows_of(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the main table."""
    held_out = any(not math.isnan(r["held_out"]["value"]) for r in results["rewards"].values())
    head = ["reward", "alarm", "objective", *(["held-out"] if held_out else []), f"steps to {results['threshold']:g}", "area"]
    rows = []
    for name, r in results["rewards"].items():
        row = [short(name), alarm(r), spread(r["objective"]), *([spread(r["held_out"])] if held_out else [])]
        rows.append([*row, reached(r["steps_to"]), number(r["area"])])
    return head, rows


def other_rows(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of what else was measured, means over seeds."""
    rows = [
        [
            short(name),
            number(r["return"]),
            number(r["correlation"], 2),
            number(r["success"]),
            number(r["invalid"]),
            number(r["seconds"], 0),
        ]
        for name, r in results["rewards"].items()
    ]
    return ["reward", "return", "correlation", "success", "invalid", "seconds"], rows


def difference_rows(results: dict[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Head and rows of the differences to the first reward."""
    names = {"objective": "objective", "held_out": "held-out objective", "area": "area under the curve"}
    rows = [
        [short(reward), names[name], spread(d, "+"), number(d["probability_of_improvement"], 2), str(d["pairs"])]
        for reward, r in results["rewards"].items()
        for name, d in r.get("to_first", {}).items()
    ]
    return ["reward", "measure", "difference", "probability of improvement", "pairs"], rows


def short(name: str, width: int = 34) -> str:
    return name if len(name) <= width else name[: width - 1] + "…"


def text_table(head: list[str], rows: list[list[str]]) -> str:
    """Columns of text."""
    widths = [max(len(row[k]) for row in [head, *rows]) for k in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in [head, *rows]
    )


def table(results: dict[str, Any]) -> str:
    """The results as lines of text."""
    seeds = max(len(r["runs"]) for r in results["rewards"].values())
    lines = [f"{results['env']}, {results['steps']:,} steps, {seeds} seeds, {results['episodes']} test episodes a run", ""]
    lines += [text_table(*rows_of(results)), "", text_table(*other_rows(results))]
    head, rows = difference_rows(results)
    if rows:
        lines += ["", f"against {short(next(iter(results['rewards'])))}, pairs of the same seed", text_table(head, rows)]
    lines += [f"skipped {name}: {reason}" for name, reason in results.get("skipped", {}).items()]
    return "\n".join(lines)


def style() -> Any:
    """How figures look."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt.rc_context({
        "svg.hashsalt": "rewardscape", "font.size": 9, "axes.spines.top": False, "axes.spines.right": False,
        "axes.titlesize": 10, "axes.titlelocation": "left", "axes.edgecolor": "#9aa5b1", "axes.grid": True, "grid.alpha": 0.25,
        "legend.frameon": False, "axes.axisbelow": True,
    })  # fmt: skip


def curves_figure(arms: Sequence[Arm], names: Sequence[str] = (), threshold: float | None = None) -> Any:
    """A panel for each of ``names`` (default: objective, reward and every term): IQM over seeds with its 95 % band."""
    import matplotlib.pyplot as plt

    from rewardscape.agents.statistics import band, smoothed

    arms = [arm for arm in arms if arm.runs]
    if not names:
        terms = [term for arm in arms for row in arm.runs[0].metrics()[-1:] for term in row["terms"]]
        names = ["objective", "reward", *(f"terms/{term}" for term in dict.fromkeys(terms))]
    columns = min(3, len(names))
    lines = -(-len(names) // columns)
    with style():
        figure, axes = plt.subplots(lines, columns, figsize=(3.7 * columns, 2.7 * lines), squeeze=False)
        for axis, name in zip(axes.flat, names, strict=False):
            for k, arm in enumerate(arms):
                found = [(steps, smoothed(values, SMOOTH)) for steps, values in (curve(run, name) for run in arm.runs)]
                if all(np.isnan(values).all() for _, values in found):
                    continue
                b, colour = band(found), COLOURS[k % len(COLOURS)]
                axis.fill_between(b.steps / 1000, b.low, b.high, color=colour, alpha=0.18, linewidth=0)
                axis.plot(b.steps / 1000, b.centre, color=colour, linewidth=1.6, label=short(arm.name))
            axis.set_title(name.removeprefix("terms/"))
            axis.set_xlabel("thousand steps")
            if name == "objective" and threshold is not None:
                axis.axhline(threshold, color="#9aa5b1", linewidth=0.8, linestyle=":")
        for axis in list(axes.flat)[len(names) :]:
            axis.set_visible(False)
        named: dict[str, Any] = {}  # of all panels: one may have no curves
        for axis in axes.flat:
            lines_drawn, labels = axis.get_legend_handles_labels()
            named |= dict(zip(labels, lines_drawn, strict=True))
        figure.tight_layout()
        figure.legend(
            list(named.values()), list(named), loc="lower left", bbox_to_anchor=(0.01, 1.0), ncols=min(4, max(len(named), 1))
        )
    plt.close(figure)
    return figure


def finals_figure(results: dict[str, Any]) -> Any:
    """The objective at the end: a dot a seed, IQM and interval; full on training episodes, hollow held out."""
    import matplotlib.pyplot as plt

    rewards = results["rewards"]
    with style():
        figure, axis = plt.subplots(figsize=(7.4, 0.7 + 0.5 * len(rewards)))
        for k, r in enumerate(rewards.values()):
            colour = COLOURS[k % len(COLOURS)]
            for split, shift, face in (("objective", -0.13, colour), ("held_out", 0.13, "white")):
                if math.isnan(r[split]["value"]):
                    continue
                place = k + shift
                values = [run[split] for run in r["runs"]]
                axis.plot([r[split]["low"], r[split]["high"]], [place, place], color=colour, linewidth=5, alpha=0.25)
                axis.plot(values, [place] * len(values), "o", color=colour, markersize=3, alpha=0.6)
                label = {"objective": "training", "held_out": "held out"}[split] if k == 0 else None
                axis.plot(r[split]["value"], place, "D", markerfacecolor=face, color=colour, markersize=6, label=label)
        axis.set_yticks(range(len(rewards)), [short(name) for name in rewards])
        axis.set_ylim(len(rewards) - 0.5, -0.5)
        axis.set_xlabel("objective")
        axis.grid(axis="y", visible=False)
        if any(not math.isnan(r["held_out"]["value"]) for r in rewards.values()):
            axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    plt.close(figure)
    return figure


def alarm_figure(arm: Arm) -> Any:
    """Return, scaled to [0, 1] over training, against the objective: mean over seeds."""
    import matplotlib.pyplot as plt

    from rewardscape.agents.statistics import band, smoothed

    with style():
        figure, axis = plt.subplots(figsize=(5.6, 2.7))
        for name, colour in (("return", "#c8553d"), ("objective", "#1f6f78")):
            curves = [(steps, smoothed(values, SMOOTH)) for steps, values in (curve(run, name) for run in arm.runs)]
            b = band(curves, np.mean)
            low, span = (float(b.centre.min()), float(np.ptp(b.centre))) if name == "return" else (0.0, 1.0)
            scaled = [(part - low) / (span or 1.0) for part in (b.centre, b.low, b.high)]
            label = f"reward of an episode, {low:.2f} to {low + span:.2f} drawn as 0 to 1" if name == "return" else name
            axis.plot(b.steps / 1000, scaled[0], color=colour, linewidth=1.8, label=label)
            axis.fill_between(b.steps / 1000, scaled[1], scaled[2], color=colour, alpha=0.15, linewidth=0)
        axis.set_xlabel("thousand steps")
        axis.set_ylim(-0.05, 1.08)
        axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    plt.close(figure)
    return figure


def write_report(results: dict[str, Any], arms: dict[str, Arm], path: pathlib.Path) -> None:
    """The page of a comparison."""
    from rewardscape.agents.statistics import HACKING_RULE

    seeds = sorted({run["seed"] for r in results["rewards"].values() for run in r["runs"]})
    said = ", ".join(f"{k}={v}" for k, v in results["env_settings"].items())
    report = Report(
        f"Rewards on {results['env'].split('/')[-1]}",
        f"{results['algo']}, {results['steps']:,} steps, seeds {', '.join(map(str, seeds))}{f'; {said}' if said else ''}",
    )
    report.heading("Objective")
    report.figure(
        finals_figure(results), "Interquartile mean over seeds (diamond), 95 % bootstrap interval (bar), seeds (dots)."
    )
    report.table(*rows_of(results))
    report.text(
        "Alarm: in how many runs the objective falls or stays while the reward rises, see below. "
        f"Every run is evaluated on {results['episodes']} test episodes that training never saw, of continuous actions the likeliest; the "
        "same seed means the same episodes under every reward. Steps to the threshold: median over seeds, of the objective while "
        f"training, averaged over {SMOOTH} updates; a run that never reached it counts as later than any other. Area: mean height "
        "of that curve."
    )
    report.table(*other_rows(results))
    report.text(
        "Means over seeds. Return: of the trained agent's episodes, in the reward's own units. Correlation: of return and objective "
        "over 256 recorded episodes; – where one of them does not vary. Success: share of episodes. Invalid: share of actions. "
        "Seconds: of training, for one run, beside the others."
    )
    head, rows = difference_rows(results)
    if rows:
        report.heading(f"Against {short(next(iter(results['rewards'])))}")
        report.table(head, rows)
        report.text(
            "Mean difference over pairs of the same seed, with the 95 % bootstrap interval over pairs: an interval "
            "without 0 is a difference. Probability of improvement: that a run of this reward beats one of the first. "
            "With few seeds intervals are narrow."
        )
    report.heading("Alarm: does the reward rise where the objective does not?")
    flagged = {n: r for n, r in results["rewards"].items() if r["alarms"]["falls"] or r["alarms"]["stays"]}
    if flagged:
        for name, r in flagged.items():
            report.figure(alarm_figure(arms[name]), f"{name}: the objective {alarm(r)} runs.")
    else:
        unsaid = [n for n, r in results["rewards"].items() if r["alarms"]["short"] == len(r["runs"])]
        report.text("The runs are too short to say." if unsaid else "No reward is flagged.")
    report.text(f"The rule, for each run: {HACKING_RULE}")
    report.heading("While training")
    report.figure(
        curves_figure(list(arms.values()), threshold=results["threshold"]),
        f"Interquartile mean over seeds with its 95 % band, averaged over {SMOOTH} updates, with exploration noise: lower than the "
        "objective of the evaluated agent. Terms are raw, before their weights.",
    )
    report.heading("Rewards")
    report.code(
        "\n".join(f"{name}\n    {r['formula']}" if name != r["formula"] else name for name, r in results["rewards"].items())
    )
    if results.get("skipped") or results.get("failures"):
        report.heading("Not compared")
        told = [[name, reason] for name, reason in results.get("skipped", {}).items()]
        told += [[name, text.strip().splitlines()[-1]] for name, text in results.get("failures", {}).items()]
        report.table(["reward or run", "why"], told)
    report.heading("Again")
    report.code(results["command"])
    report.text(
        "Each run again by rewardscape train --config FOLDER/config.yaml; a look into its episodes by rewardscape inspect FOLDER:"
    )
    report.code("\n".join(f"runs/{run['folder']}" for r in results["rewards"].values() for run in r["runs"][:1]))
    packages = ", ".join(f"{k} {v}" for k, v in results["versions"]["packages"].items())
    report.text(f"{packages}; Python {results['versions']['python']}; {results['versions']['threads']} thread a run.")
    report.write(path)
