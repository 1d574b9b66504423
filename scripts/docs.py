"""``rewardscape docs``: the pages of docs/: one for each world and each published reward, the terms, the trainer stages.

Texts come from docstrings, presets and the fact vocabulary; numbers from the code itself, and for agents from docs/scores.json,
which only ``--measure`` rewrites. Run it in the root of a checkout.
"""

from __future__ import annotations

import argparse
import inspect
import io
import json
import pathlib
import re
import sys
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any, NamedTuple

import gymnasium as gym
import numpy as np

import rewardscape
from rewardscape.envs.core.single import full_id, load_rules
from rewardscape.envs.core.world import fields
from rewardscape.envs.gui.common import ACTIONS
from rewardscape.rewards import FACTS, TERMS, Node, Preset, RewardLayer, Term, list_presets, load_terms
from rewardscape.rewards.core.operations import OPERATIONS
from rewardscape.rewards.core.registry import TERM_MODULES
from rewardscape.rewards.core.stages import STAGES, Part, Rollouts, Stage, StageMaker, load_stages
from rewardscape.rewards.core.terms import find_term
from rewardscape.scripts import compare, reproduce
from rewardscape.scripts.envs import attaches, example_reward, facts_of, settings_of
from rewardscape.scripts.reward_plots import panels_of, plot
from rewardscape.scripts.world_texts import guide_of

AGENTS = ("expert", "trained", "overlap", "role", "constant", "random")
EPISODES = 1000  # of a row of --measure
PICTURED = 9  # the episode of a world's picture
PAID = 256  # episodes from which a reward's page tells what agents are paid


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="rewardscape docs", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("docs"), help="folder the pages are written to")
    parser.add_argument(
        "--measure",
        nargs="*",
        metavar="ENV",
        help=f"first play {EPISODES:,} episodes with every agent, in these worlds or in all, and renew docs/scores.json",
    )
    options = parser.parse_args(argv)
    repository = pathlib.Path.cwd()
    if not (repository / "tests" / "parity" / "vectors").is_dir():
        raise ValueError(f"{repository} has no tests/parity/vectors: rewardscape docs runs in the root of a checkout")
    if options.measure is not None:
        measured = json.dumps(measure(repository, [full_id(env) for env in options.measure]), indent=1)
        (repository / "docs" / "scores.json").write_text(measured + "\n")
    written = generate(options.out, repository)
    print(f"{len(written)} files in {options.out}")
    return 0


def generate(out: pathlib.Path, repository: pathlib.Path) -> list[str]:
    """Write all pages and pictures into ``out`` and remove those of worlds and rewards that are no more; the names written."""
    made: dict[str, bytes] = {name: text.encode() for name, text in pages(repository).items()}
    made |= {f"rewards/{name}.svg": data for name in designs() if (data := plot(name)) is not None}
    made |= {f"worlds/{short(env)}.png": picture(env) for env in worlds()}
    for name, data in made.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(data)
    for folder in ("worlds", "rewards"):
        for path in (out / folder).iterdir():
            if f"{folder}/{path.name}" not in made:
                path.unlink()
    return sorted(made)


def pages(repository: pathlib.Path) -> dict[str, str]:
    """The Markdown of every page, by its path in docs/."""
    load_terms()
    load_stages()
    scores = repository / "docs" / "scores.json"
    measured = json.loads(scores.read_text()) if scores.is_file() else {}
    recorded = recorded_pages(repository)
    paid = what_agents_are_paid()
    made = recorded | {"README.md": index_page(repository, recorded), "terms.md": terms_page(), "stages.md": stages_page()}
    made |= {f"worlds/{short(env)}.md": world_page(env, measured) for env in worlds()}
    made |= {f"rewards/{name}.md": reward_page(name, paid[name], repository, recorded) for name in designs()}
    return {name: re.sub(r"\n{3,}", "\n\n", text).strip() + "\n" for name, text in made.items()}


def recorded_pages(repository: pathlib.Path) -> dict[str, str]:
    """Pages of what `reproduce` and `compare` measured and recorded as docs/claims/NAME.json and docs/comparisons/NAME.json."""
    made = {}
    for folder, page in (("claims", reproduce.page), ("comparisons", compare.page)):
        for path in sorted((repository / "docs" / folder).glob("*.json")):
            made[f"{folder}/{path.stem}.md"] = page(compare.read_results(path), f"{path.stem}.svg")
    return made


# ------------------------------------------------------------------------------------------------------------------ Markdown


def prose(text: str) -> str:
    """A docstring or a note as Markdown: lines joined, and nothing outside of code spans read as markup."""
    parts = re.split(r"(``.+?``|`[^`]+`)", "\n\n".join(" ".join(part.split()) for part in text.split("\n\n")))
    return "".join(
        part if i % 2 else re.sub(r"([*$\\]|<(?=[a-zA-Z/!])|\b_\B|\B_\b)", r"\\\1", part) for i, part in enumerate(parts)
    )


def cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("\\|", "|").replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [f"| {' | '.join(map(cell, row))} |" for row in (head, ["---"] * len(head), *rows)]
    return "\n".join(["", *lines, ""])


def code(text: str, language: str = "") -> str:
    return f"\n```{language}\n{text}\n```\n"


def first_line(doc: str) -> str:
    """The first sentence, or the first paragraph where that has none."""
    paragraph = " ".join(doc.split("\n\n")[0].split())
    sentence = re.match(r".+?\.(?= [A-Z`]|$)", paragraph)
    return prose(sentence[0] if sentence else paragraph)


def short(env: str) -> str:
    return env.split("/")[-1]


def term_link(name: str, up: str = "") -> str:
    return f"[`{name}`]({up}terms.md#{name})"


def reward_link(name: str, up: str = "") -> str:
    return f"[`{name}`]({up}rewards/{name}.md)"


def number(value: float) -> str:
    """Three decimals, fewer where the rest is 0, and no minus before 0."""
    return f"{round(float(value), 3) + 0.0:.3f}".rstrip("0").rstrip(".")


def default_of(value: Any) -> str:
    return f"`{value!r}`"


# --------------------------------------------------------------------------------------------------------------------- index


def index_page(repository: pathlib.Path, recorded: dict[str, str]) -> str:
    parts = [
        "# rewardscape, page by page",
        "Written by `rewardscape docs` from the code; [what it is](../README.md) is told elsewhere.",
    ]
    parts += [
        "## Worlds",
        table(["world", "what"], [[f"[`{e}`](worlds/{short(e)}.md)", first_line(docs_of(e))] for e in worlds()]),
    ]
    rows = [[reward_link(n), prose(p.title), prose(p.source)] for n, p in designs().items()]
    parts += ["## Published rewards", table(["preset", "title", "source"], rows)]
    parts += ["## Terms", "What rewards are made of, by what they judge.", table(["module", "what", "terms"], [
        [f"[`{module}`](terms.md#{module})", first_line(doc), ", ".join(term_link(made.name) for made in found)]
        for module, doc, found in modules()
    ])]  # fmt: skip
    parts += ["## Operations", "What terms are combined with, beside `+ - *`, and rewards that remember or learn.", table(["module", "what", "operations"], [
        [module, first_line(doc), ", ".join(f"[`{name}`](terms.md#operation-{name})" for name in found)]
        for module, doc, found in operations()
    ])]  # fmt: skip
    parts += ["## Trainer stages", "What a group-relative learner does with finished rollouts.", table(["stage", "kind", "what"], [
        [f"[`{name}`](stages.md#{kind}-{name})", kind, first_line(made.doc)]
        for kind, makers in STAGES.items() for name, made in sorted(makers.items())
    ])]  # fmt: skip
    for folder, head, what in (
        ("claims", "Claims", "What publications say a reward does, tried here by `rewardscape reproduce`."),
        ("comparisons", "Comparisons", "The same agent under many rewards, by `rewardscape compare`."),
    ):
        found = {name: text for name, text in recorded.items() if name.startswith(f"{folder}/")}
        if found:
            parts += [
                f"## {head}",
                what,
                "\n".join(f"- [{heading(text)}]({name})" for name, text in found.items()),
            ]
    guides = [
        ("../CONTRIBUTING.md", "Add a reward or a world"),
        ("hacked-reward.md", "A reward that is hacked, from end to end"),
    ]
    there = [f"- [{text}]({path})" for path, text in guides if (repository / "docs" / path).is_file()]
    return "\n\n".join([*parts, "## Guides", "\n".join(there)])


def heading(page: str) -> str:
    """The title of a page."""
    return page.splitlines()[0].removeprefix("# ")


def worlds() -> list[str]:
    """Ids of the suite's own worlds."""
    return [env for env in rewardscape.WORLDS if env.startswith("rewardscape/")]


def designs() -> dict[str, Preset]:
    """The presets of the suite itself, by name."""
    folder = files("rewardscape.rewards.presets")
    return {name: preset for name, preset in sorted(list_presets().items()) if (folder / f"{name}.yaml").is_file()}


def modules() -> list[tuple[str, str, list[Term]]]:
    """``(name, docstring, terms)`` of every module that defines terms."""
    found: dict[str, list[Term]] = {name: [] for name in TERM_MODULES}
    for made in TERMS.values():
        if made.__wrapped__.__module__ in found:
            found[made.__wrapped__.__module__].append(made)
    return [(name.split(".")[-1], inspect.getdoc(sys.modules[name]) or "", terms) for name, terms in found.items()]


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """``(name, docstring, operations by name)`` of every module of the suite that defines operations."""
    found: dict[str, dict[str, Any]] = {}
    for name, made in OPERATIONS.items():
        if made.__module__.startswith("rewardscape."):
            home = "rewardscape.rewards.core.operations" if ".core." in made.__module__ else made.__module__
            found.setdefault(home, {})[name] = made
    return [(name.split(".")[-1], inspect.getdoc(sys.modules[name]) or "", made) for name, made in found.items()]


# -------------------------------------------------------------------------------------------------------------------- worlds


def docs_of(env: str) -> str:
    return inspect.getdoc(rules_of(env)) or ""


def rules_of(env: str) -> Any:
    return load_rules(gym.spec(env).kwargs["rules"])


def made_rules(env: str, **settings: Any) -> Any:
    return rules_of(env)(**{k: v for k, v in gym.spec(env).kwargs.items() if k != "rules"} | settings)


def world_page(env: str, measured: dict[str, Any]) -> str:
    kind, settings = rules_of(env), settings_of(rules_of(env))
    guide, rules = guide_of(kind), made_rules(env)
    parts = [f"# {env}", prose(docs_of(env)), f"![{guide.caption}]({short(env)}.png)", guide.below]
    example = EXAMPLE if rules.agents is None else EXAMPLE_OF_SEVERAL
    reward = example_reward(env).removesuffix("()")
    parts += [
        "## Make it",
        code(example.format(env=env, reward=reward, settings=guide.example, others=rules.default_others), "python"),
    ]
    parts += [*_observation(env, settings), *_action(env, settings)]
    parts += ["## Objective", f'{guide.objective} `info["objective"]` in [0, 1], success from {number(kind.success_threshold)} on, '
              "whatever the reward says; `reward=None` pays its increments."]  # fmt: skip
    rows = [[f"`{n}`", default_of(d), *guide.settings.get(n, ("", ""))] for n, d in settings.items()]
    parts += [
        "## Settings",
        "Keywords of `gym.make` and `gym.make_vec`.",
        table(["setting", "default", "meaning", "allowed"], rows),
    ]
    parts += [*_several(rules), *_facts(env, rules), *_scores(env, measured)]
    fitting = [name for name, preset in designs().items() if attaches(preset.layer(), env)]
    parts += ["## Published rewards that attach", ", ".join(reward_link(name, "../") for name in fitting)]
    if rules.agents is not None:
        joined = next(made for name, _, made in operations() if name == "aggregate")
        parts += ["Agents' rewards are joined by " + ", ".join(f"[`{n}`](../terms.md#operation-{n})" for n in joined) + "."]
    return "\n\n".join(parts)


EXAMPLE = """import gymnasium as gym
import rewardscape

env = gym.make("{env}", reward="{reward}"{settings})
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(env.unwrapped.expert_action())
print(info["objective"], reward, info["reward_terms"])

envs = gym.make_vec("{env}", num_envs=64, reward="{reward}"{settings})
observation, info = envs.reset(seed=0)
observation, reward, terminated, truncated, info = envs.step(envs.action_space.sample())"""

EXAMPLE_OF_SEVERAL = """import gymnasium as gym
import rewardscape

env = rewardscape.parallel_env("{env}", reward="{reward}"{settings})  # everyone acts: PettingZoo
observations, infos = env.reset(seed=0)
observations, rewards, terminations, truncations, infos = env.step(env.expert_actions())
print(rewards, infos["agent_0"]["objective"], infos["agent_0"]["reward_terms"])

env = gym.make("{env}", reward="{reward}", others="{others}", learner=0{settings})  # one among others
observation, info = env.reset(seed=0)
observation, reward, terminated, truncated, info = env.step(env.action_space.sample())

envs = gym.make_vec("{env}", num_envs=64, reward="{reward}"{settings})  # everyone acts: arrays [row, agent]
observation, info = envs.reset(seed=0)
observation, reward, terminated, truncated, info = envs.step(envs.action_space.sample())"""


def _observation(env: str, settings: dict[str, Any]) -> list[str]:
    guide = guide_of(rules_of(env))
    setting = guide.observation_setting
    spaces = {kind: made_rules(env, **({setting: kind} if setting else {})).observation_space for kind in guide.observations}
    said = "Shapes under default settings." + (f" The default is `{settings[setting]}`." if setting else "")
    if made_rules(env).agents is not None:
        said += " The first axis is that of the agents; each is given its own part."
    head = ["shape", "dtype", "range", "meaning"]
    if any(isinstance(space, gym.spaces.Dict) for space in spaces.values()):
        found: dict[str, tuple[gym.Space, list[str]]] = {}
        for kind, space in spaces.items():
            for name, part in (space.spaces if isinstance(space, gym.spaces.Dict) else {"": space}).items():
                found.setdefault(name, (part, []))[1].append(f"`{kind}`")
        rows = [
            [f"`{name}`", _shape(part), part.dtype, _range(part), ", ".join(where), guide.observed[name]]
            for name, (part, where) in found.items()
        ]
        head[3:3] = [f"in `{setting}=`"]
        return ["## Observation", said, table(["entry", *head], rows)]
    rows = [[f"`{k}`", _shape(s), s.dtype, _range(s), guide.observed[k]] for k, s in spaces.items()]
    return ["## Observation", said, _kinds(setting, head, rows)]


def _action(env: str, settings: dict[str, Any]) -> list[str]:
    guide = guide_of(rules_of(env))
    setting = guide.action_setting
    spaces = {kind: made_rules(env, **({setting: kind} if setting else {})).action_space for kind in guide.acted}
    rows = [[f"`{kind}`", _shape(s), s.dtype, _range(s), guide.acted[kind]] for kind, s in spaces.items()]
    said = guide.invalid + (f" The default is `{settings[setting]}`." if setting else "")
    return ["## Action", said, _kinds(setting, ["shape", "dtype", "range", "meaning"], rows)]


def _kinds(setting: str, head: list[str], rows: list[list[Any]]) -> str:
    """A table with a row for each value of a setting, or with one row."""
    return table([f"`{setting}=`", *head], rows) if setting else table(head, [row[1:] for row in rows])


def _several(rules: Any) -> list[str]:
    if rules.agents is None:
        return []
    players = ", ".join(f"`{name}`" for name in ("random", *rules.strategies))
    return ["## Several agents", f"With `others=` or `learner=` (default 0) an environment is the face of one agent, and the other seats "
            f"are played by {players}, by a policy with `predict`, by a function of observations, or by a list of these, one a "
            f"seat. `gym.make` is always such a face; its default is `{rules.default_others}`. Facts are of every agent, and so "
            "is what is the same for all."]  # fmt: skip


def _shape(space: gym.Space) -> str:
    return f"`{tuple(space.shape or ())}`"


def _range(space: gym.Space) -> str:
    if isinstance(space, gym.spaces.Box):
        return f"{number(space.low.min())} to {number(space.high.max())}"
    if isinstance(space, gym.spaces.Discrete):
        return f"{space.start} to {space.start + space.n - 1}"
    return str(space)


def _facts(env: str, rules: Any) -> list[str]:
    own = fields(type(rules).Facts)
    rows = []
    for name in facts_of(env):
        fact = FACTS[name]
        dtype, shape = own.get(name, (fact.dtype, fact.shape))
        rows.append([f"`{name}`", f"`({', '.join(map(str, shape))})`" if shape else "", dtype, _unit(fact.unit), fact.meaning])
    said = "What rewards read, of the step just taken. They are for judging and may be privileged: the agent sees its observation only."
    return ["## Facts", said, table(["fact", "shape", "dtype", "unit", "meaning"], rows)]


def _unit(unit: str) -> str:
    return "" if unit == "-" else unit


def _scores(env: str, measured: dict[str, Any]) -> list[str]:
    parts, guide, shown = [], guide_of(rules_of(env)), set[str]()
    for name, found in measured.get("runs", {}).items():
        if found["env"] != env:
            continue
        splits = list(next(iter(found["agents"].values())))
        rows = [
            [
                agent,
                *(f"{r['objective']:.3f} [{r['interval'][0]:.3f}, {r['interval'][1]:.3f}]" for r in (rows[s] for s in splits)),
            ]
            for agent, rows in found["agents"].items()
        ]
        shown |= set(found["agents"])
        said = ", ".join(f"`{k}={v!r}`" for k, v in found["settings"].items()) or "default settings"
        learner = f"`trained` is [{name}](../../assets/baselines/{name}), {found['training']}." if found["training"] else ""
        parts += [
            f"With {said}. {learner}".strip(),
            table(["agent", *("objective" if s == "all" else f"{s} {guide.splits}" for s in splits)], rows),
        ]
    if not parts:
        return []
    about = (
        f"Mean objective with its 95 % bootstrap interval over {measured['episodes']:,} fresh episodes a row, measured by "
        f"`rewardscape docs --measure` with version {measured['version']}. "
    )
    about += ", ".join(f"`{agent}` {what}" for agent, what in GUESSES.items() if agent in shown) + "."
    return ["## Agents", about, *parts]


GUESSES = {
    "expert": "knows everything",
    "overlap": "takes the element that shares most words with the instruction",
    "role": "one of the best role",
    "constant": "is the best constant action",
    "random": "draws actions evenly",
}


def measure(repository: pathlib.Path, only: Sequence[str] = ()) -> dict[str, Any]:
    """Scores of every shipped baseline beside those of the guesses, and of worlds without a baseline; minutes.

    ``only``: the worlds measured now (default: all); of others stays what docs/scores.json says.
    """
    from rewardscape.agents.evaluate import baselines_of
    from rewardscape.agents.runs import Run
    from rewardscape.scripts.evaluate import compare

    def scores(env: str, settings: dict[str, Any], reward: Any, training: str, policy: Any) -> dict[str, Any]:
        fitting = baselines_of(env, settings)
        agents = {agent: agent for agent in AGENTS if agent in fitting}
        if policy is not None:
            agents = {agent: policy if agent == "trained" else agent for agent in AGENTS if agent in ("trained", *fitting)}
        return _entry(env, settings, training, compare(agents, env, reward, settings, EPISODES, 0))

    kept = json.loads((repository / "docs" / "scores.json").read_text())["runs"] if only else {}
    found = {name: entry for name, entry in kept.items() if entry["env"] not in only}
    trained = set()
    for path in sorted((repository / "assets" / "baselines").glob("*/config.yaml")):
        run, config = Run(path.parent), Run(path.parent).config
        trained.add(config.env)
        if not only or config.env in only:
            training = f"{config.algo.upper()} under `{config.reward}`, {config.steps:,} steps"
            found[path.parent.name] = scores(config.env, dict(config.env_settings), config.reward, training, run.load_policy())
    for env in only or worlds():
        if env not in trained:
            found[short(env)] = scores(env, {}, None, "", None)
    return {"version": rewardscape.__version__, "episodes": EPISODES, "runs": dict(sorted(found.items()))}


def _entry(env: str, settings: dict[str, Any], training: str, results: dict[str, Any]) -> dict[str, Any]:
    scores = {
        agent: {split: {"objective": r["objective"], "interval": r["interval"]} for split, r in rows.items()}
        for agent, rows in results.items()
    }
    return {"env": env, "settings": settings, "training": training, "agents": scores}


def picture(env: str) -> bytes:
    """A fixed episode as its expert plays it, at the moment its guide says, PNG."""
    from PIL import Image

    from rewardscape.scripts.render import frames

    pictures = list(frames(env, None, {}, "expert", 1, PICTURED, field=False))
    image = Image.fromarray(pictures[int(guide_of(rules_of(env)).picture * (len(pictures) - 1))])
    stream = io.BytesIO()
    image.quantize(256, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).save(stream, "png", optimize=True)
    return stream.getvalue()


# ------------------------------------------------------------------------------------------------------------------- rewards


class Recorded(NamedTuple):
    """Recorded cases of the reference implementation that stand behind a preset."""

    system: str
    functions: tuple[str, ...] = ()  # those that belong to it; () for all
    note: str = ""  # what they leave open


RECORDED = {
    "gui-g2-code": Recorded("gui_g2"),
    "gui-g1": Recorded("gui_g1"),
    "gui-g1-difficulty": Recorded("gui_g1", (), "They are of the terms; the weight is inferred from the paper and compared with nothing."),
    "se-gui": Recorded("se_gui"),
    "infigui-g1": Recorded("infigui_g1"),
    "ui-r1": Recorded("ui_r1", ("accuracy_reward_action", "accuracy_reward_coord", "format_reward")),
    "ui-r1-e": Recorded("ui_r1"),
    "gui-r1": Recorded("gui_r1"),
    "btl-ui": Recorded("btl_ui", (), "They leave out the format reward, which a misprint keeps at 0 there."),
    "hdpo": Recorded("act_wisely_hdpo"),
    "explors": Recorded("explors", (), "Two of them are of its baseline SORS."),
    "shaping-geodesic": Recorded("potential_shaping_imitation", (), "They are of the shaping; weight and potential are ours."),
    "shaping-euclidean": Recorded("potential_shaping_imitation", (), "They are of the shaping; weight and potential are ours."),
    "vlm-r1": Recorded("gui_g1", ("iou_reward",), "They are GUI-G1's, whose code takes the IoU from VLM-R1; the format reward has none."),
}  # fmt: skip
CHECKED = {  # what stands behind the others
    "gui-g2": ("tests/rewards/test_gui_terms.py", "the paper's equations worked out for a pair of boxes, and the coverage term "
               "with the integral of the overlap summed on a grid. The recorded cases are of the released code: [`gui-g2-code`](gui-g2-code.md)."),
    "iou": ("tests/rewards/test_gui_terms.py", "its definition."),
    "hit": ("tests/rewards/test_gui_terms.py", "its definition."),
    "distance": ("tests/rewards/test_gui_terms.py", "its definition."),
    "hyperclick": ("tests/rewards/test_gui_terms.py", "the second-hand formula worked out for three clicks."),
    "ssl": ("tests/rewards/test_gui_terms.py", "the formula, with the inferred zones, worked out for a few clicks."),
    "ui-genie": ("tests/rewards/test_gui_terms.py", "clicks on both sides of the stated distance."),
    "mixed-r1": ("tests/rewards/test_answers.py", "the formulas of the four kinds of task worked out for one case each."),
    "step-cost": ("tests/rewards/test_shaping.py", "its definition."),
    "closeness": ("tests/rewards/test_shaping.py", "its definition."),
    "episodic-count": ("tests/rewards/test_shaping.py", "the formula worked out for a few visits."),
    "g-ra": ("tests/rewards/test_shaping.py", "the second-hand formula worked out for episodes on both sides of the threshold."),
    "wmact": ("tests/rewards/test_shaping.py", "the second-hand formula worked out for a few steps."),
    "count-based": ("tests/rewards/test_intrinsic.py", "the formula, and counts that grow with each batch."),
    "rnd": ("tests/rewards/test_intrinsic.py", "the paper's parts one by one; its error and the running statistics also agree with "
            "[recorded numbers of RLeXplore](../../tests/parity/vectors/rlexplore_rllte.json)."),
    "vlm-r1-detection": ("tests/rewards/test_detection.py", "numbers that COCO's definition gives, and a plain implementation of it in Python."),
}  # fmt: skip


def best_action(node: Node) -> str:
    """The action setting that tells all a reward reads."""
    facts = {*node.facts(), *node.optional_facts()}
    if "proposals" in facts:
        return "attend"
    return "point+confidence" if "confidence" in facts else "box" if "predicted_box" in facts else "point"


class Paid(NamedTuple):
    """What two agents earn under a preset, on average (and of all agents): a step, and an episode."""

    env: str
    action: str
    expert: float
    random: float
    returns: tuple[float, float]


def what_agents_are_paid() -> dict[str, list[Paid]]:
    """Every preset in every world it attaches to; with screens, by the action that tells all it reads, and by bare clicks. A reward
    that learns pays as it does before it has learned anything."""
    from rewardscape.agents.episodes import record

    found: dict[str, list[Paid]] = {name: [] for name in designs()}
    for env in worlds():
        for action in ACTIONS if "action" in settings_of(rules_of(env)) else ("",):
            settings = {"action": action} if action else {}
            played = [record(who, env, None, PAID, settings=settings, agent=who) for who in ("expert", "random")]
            for name, preset in designs().items():
                layer = preset.layer()
                if action not in ("", "point", best_action(layer.expression)) or not attaches(layer, env):
                    continue
                judged = [
                    record(e.about.agent, env, name, PAID, settings=settings) if layer.learns else e.rescored(name)
                    for e in played
                ]
                steps = [float(e.rewards[e.mask].mean()) for e in judged]
                returns = [float(e.returns.mean()) for e in judged]
                found[name].append(Paid(env, action, steps[0], steps[1], (returns[0], returns[1])))
    return found


def reward_page(name: str, paid: list[Paid], repository: pathlib.Path, recorded: dict[str, str]) -> str:
    preset = designs()[name]
    layer = preset.layer()
    node = layer.expression
    parts = [f"# {name}", f"**{prose(preset.title)}**", prose(preset.notes)]
    parts += [f"Source: {prose(preset.source)}", code(preset.formula, "text"), "As an expression:", code(str(node), "python")]
    for kind, stage in (("credit", layer.credit), ("advantage", layer.advantage)):
        if stage is not None:
            said = first_line(STAGES[kind][stage.name].doc)
            parts += [f"Its stage of {kind} is [`{stage}`](../stages.md#{kind}-{stage.name}): {said}"]
    if panels := panels_of(node):
        parts += [f"![what it pays]({name}.svg)", " ".join(panel.caption for panel in panels)]
    parts += ["## Terms", _terms_of(node)]
    facts = [
        [f"`{f}`", "needed" if f in node.facts() else "if there", _unit(_fact(f).unit), _meaning(f)]
        for f in (*node.facts(), *node.optional_facts())
    ]
    parts += ["## Facts", table(["fact", "", "unit", "meaning"], facts)]
    parts += [*_where(name, preset, paid), "## Checked", _checked(name, repository)]
    if claim := recorded.get(f"claims/{name}.md"):
        tried = heading(claim)
        parts += [f"What its publication says it does was tried: [{tried}](../claims/{name}.md)."]
    return "\n\n".join(parts)


def _terms_of(node: Node) -> str:
    rows = []
    for made in dict.fromkeys(find_term(n.term) for n in node.walk() if hasattr(n, "term")):
        rows.append(
            [
                term_link(made.name, "../"),
                _bounds(made),
                ", ".join(f"`{n}={v!r}`" for n, v in made.settings.items()),
                first_line(made.doc),
            ]
        )
    for name, made in _operations_of(node).items():
        given = {p.name: p.default for p in inspect.signature(made).parameters.values() if p.default is not p.empty}
        settings = ", ".join(f"`{n}={v!r}`" for n, v in given.items())
        rows.append([f"[`{name}`](../terms.md#operation-{name})", "", settings, first_line(inspect.getdoc(made) or "")])
    return table(["term", "range", "settings and defaults", "what"], rows)


def _operations_of(node: Node) -> dict[str, Any]:
    """The operations, by name, that a reward is made with."""
    called = (re.match(r"\w+(?=\()", str(n)) for n in node.walk() if not hasattr(n, "term"))
    return {m[0]: OPERATIONS[m[0]] for m in called if m and m[0] in OPERATIONS and m[0] != "fact"}


def _fact(name: str) -> Any:
    return FACTS[name.removeprefix("previous_")]


def _meaning(name: str) -> str:
    return _fact(name).meaning + (", one step earlier" if name.startswith("previous_") else "")


def _where(name: str, preset: Preset, paid: list[Paid]) -> list[str]:
    node = preset.layer().expression
    if not paid:
        scorer = "score_answers" if "answer_correct" in node.facts() else "score"
        said = f"No world here reports all it needs. It scores texts (`rewardscape.rewards.text.{scorer}`) and recorded facts."
        return ["## Where", said]
    home = next((p for p in paid if not p.action), paid[0])  # a reward that fits other worlds too is not about screens
    action = best_action(node) if home.action else ""
    made = ", ".join([repr(home.env), f"reward={name!r}", *([f"action={action!r}"] if action else [])]).replace("'", '"')
    parts = ["## Where", code(f"gym.make({made})", "python")]
    parts += ["A bare click tells all it reads; it attaches under every other action too." if action == "point" else
              f"It attaches under every action; `{action}` tells all it reads." if action else ""]  # fmt: skip
    expert = {
        "box": ", and gives its box", "point+confidence": ", sure of it",
        "attend": ", and proposes its box each time, so that no proposal is new",
    }.get(action, "")  # fmt: skip
    learns = " It learns, and pays this before it has learned anything." if preset.layer().learns else ""
    if action:
        parts += [f"Paid a step, mean of {PAID} episodes; the expert clicks the target's centre{expert}:"]
        rows = [[_home(p), f"`{p.action}`", number(p.expert), number(p.random)] for p in paid]
        parts += [table(["world", "action", "expert", "random"], rows)]
    else:
        parts += [f"Paid on average over {PAID} episodes (where there are several agents, to one of them).{learns}"]
        rows = [[_home(p), *map(number, (p.expert, p.random, *p.returns))] for p in paid]
        parts += [table(["world", "expert, a step", "random, a step", "expert, an episode", "random, an episode"], rows)]
    parts += ["Its advantage needs a learner of groups: `rewardscape train ... --algo grpo`." if preset.advantage else ""]
    return parts


def _home(paid: Paid) -> str:
    return f"[{short(paid.env)}](../worlds/{short(paid.env)}.md)"


def _checked(name: str, repository: pathlib.Path) -> str:
    if name in RECORDED:
        recorded = RECORDED[name]
        path = f"tests/parity/vectors/{recorded.system}.json"
        vectors = json.loads((repository / path).read_text())
        number_of = sum(not recorded.functions or case["input"]["fn"] in recorded.functions for case in vectors["cases"])
        said = (
            f"{number_of} of {number_of} recorded cases of the reference implementation agree ([{path}](../../{path}), "
            f"recorded from {prose(vectors['source'].split(' ')[0])}; `python -m tests.parity` runs them, and so does every test run)."
        )
        return " ".join([said, recorded.note])
    if name not in CHECKED:
        return "No recorded cases of a reference implementation."
    path, what = CHECKED[name]
    return f"No recorded cases of a reference implementation. [{path}](../../{path}) compares it with {what}"


# ---------------------------------------------------------------------------------------------------- terms and operations


def terms_page() -> str:
    """All terms, by module, then the operations that combine them and the facts they read."""
    users: dict[str, list[str]] = {}
    for name, preset in designs().items():
        for node in preset.layer().expression.walk():
            if hasattr(node, "term") and name not in users.setdefault(node.term, []):
                users[node.term].append(name)
        for operation in _operations_of(preset.layer().expression):
            users.setdefault(operation, []).append(name)
    parts = ["# Terms", "A term is a function of facts; what it needs are its positional parameters, those with a default are used "
             "where a world has them, keyword-only parameters are settings. `gaussian_point(alpha=0.25)` is a term with a setting."]  # fmt: skip
    for module, doc, found in modules():
        parts += [f"## {module}", prose(doc)]
        for made in found:
            parts += [f"### {made.name}", code(signature(made.__wrapped__, made.name), "python"), prose(made.doc)]
            parts += ["\n".join(_about(made, users.get(made.name, [])))]
    for module, doc, operations_found in operations():
        parts += [f"## Operations: {module}", prose(doc)]
        for name, made_by in operations_found.items():
            parts += [f"### operation {name}", code(signature(made_by, name), "python"), prose(inspect.getdoc(made_by) or "")]
            known = users.get(name, [])
            parts += [f"- In {', '.join(reward_link(preset) for preset in known)}"] if known else []
    rows = [
        [f"`{f.name}`", f"`({', '.join(map(str, f.shape))})`" if f.shape else "", f.dtype, _unit(f.unit), f.meaning]
        for f in FACTS.values()
    ]
    parts += ["## Facts", "The vocabulary. `previous_<fact>` is a fact one step earlier; shapes leave out the leading axes.",
              table(["fact", "shape", "dtype", "unit", "meaning"], rows)]  # fmt: skip
    return "\n\n".join(parts)


def signature(function: Any, name: str) -> str:
    """``name(parameters)`` without annotations."""
    given = inspect.signature(function)
    plain = [p.replace(annotation=p.empty) for p in given.parameters.values()]
    return f"{name}{given.replace(parameters=plain, return_annotation=given.empty)}"


def _about(made: Term, users: list[str]) -> list[str]:
    lines = [f"- Range: {_bounds(made)}"] if _bounds(made) else []
    lines += [f"- `{name}`: {', '.join(map(repr, made.choices[name]))}" for name in made.settings if name in made.choices]
    lines += ["- One row at a time, on Python objects"] if made.rowwise else []
    lines += [f"- Source: {prose(made.source)}"] if made.source else []
    return [*lines, *([f"- In {', '.join(reward_link(name) for name in users)}"] if users else [])]


def _bounds(made: Term) -> str:
    return f"{number(made.bounds[0])} to {number(made.bounds[1])}" if made.bounds else ""


# -------------------------------------------------------------------------------------------------------------------- stages


def stages_page() -> str:
    """Credit and advantage stages, each with an example of four rollouts computed here."""
    parts = ["# Trainer stages", "What a learner of groups does with finished rollouts before it learns: *credit* says what each step is "
             "worth, *advantage* compares the rollouts of one task. A reward's stages are part of its preset, or chosen with "
             '`RewardLayer(expression, credit="per_turn()", advantage="leave_one_out()")`; the defaults are `none()` and '
             "`group_relative()`. The numbers below are computed when this page is written."]  # fmt: skip
    for kind, makers in STAGES.items():
        parts += [f"## {kind.capitalize()}"]
        if kind == "credit":
            parts += ["The example: four rollouts of one task, of three steps, the last one cut after two; the reward of each step. "
                      "The first two steps are one turn.", table(*_credit_table(CREDIT_EXAMPLE.rewards, "reward"))]  # fmt: skip
        for name, made in sorted(makers.items()):
            parts += [f"### {kind} {name}", code(signature(made.function, name), "python"), prose(made.doc)]
            parts += [f"- `{n}`: {', '.join(map(repr, allowed))}" for n, allowed in made.choices.items()]
            parts += list(_credit_example(made) if kind == "credit" else _advantage_example(made))
    return "\n\n".join(parts)


CREDIT_EXAMPLE = Rollouts(
    rewards=np.array([[0.0, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0]]),
    mask=np.array([[True] * 4, [True] * 4, [True, True, True, False]]),
    group=np.zeros(4, int),
    turn=np.array([[0] * 4, [0] * 4, [1] * 4]),
)


def _credit_table(values: np.ndarray, what: str) -> tuple[list[str], list[list[str]]]:
    shown = [
        [number(v) if taken else "" for v, taken in zip(*column, strict=True)]
        for column in zip(values.T, CREDIT_EXAMPLE.mask.T, strict=True)
    ]
    return ["rollout", *(f"{what}, step {t + 1}" for t in range(len(values)))], [
        [str(i + 1), *row] for i, row in enumerate(shown)
    ]


def _credit_example(made: StageMaker) -> list[str]:
    stage: Stage = made(**({"gamma": 0.9} if "gamma" in made.settings else {}))
    return [f"In the example, `{stage}`:", table(*_credit_table(stage(CREDIT_EXAMPLE).values, "worth"))]


class Example(NamedTuple):
    """Four rollouts of one step: what judges them, their facts, and the task each belongs to."""

    expression: str
    facts: dict[str, Any]
    group: Sequence[int] = (0, 0, 0, 0)


def _boxes(*sides: float) -> np.ndarray:
    return np.array([[100.0, 100, 100 + side, 100 + side] for side in sides])


TOOLS = Example(
    "0.9*answer_accuracy() + 0.1*format_reward() + tool_efficiency()",
    {"answer_correct": np.array([1.0, 1, 1, 0]), "format_valid": np.array([True, True, False, True]), "tool_call_count": np.array([0, 1, 3, 0])},
)  # fmt: skip
EXAMPLES = {  # of stages that look at more
    "difficulty_weighted": Example("hit()", {
        "predicted_point": np.array([[105.0, 105], [500, 500], [105, 105], [500, 500]]), "target_box": _boxes(20, 20, 80, 80),
        "screen_size": np.full((4, 2), 1000.0),
    }, (0, 0, 1, 1)),
    "length_adaptive": Example("action_match() + action_correct() + format_reward()", {
        "action_kind": np.ones(4, int), "predicted_point": np.array([[110.0, 110], [110, 110], [110, 110], [500, 500]]),
        "target_box": _boxes(20, 20, 20, 20), "format_valid": np.ones(4, bool), "completion_length": np.array([40, 80, 160, 80]),
    }),
}  # fmt: skip


def _advantage_example(made: StageMaker) -> list[str]:
    example = EXAMPLES.get(made.name, TOOLS)
    layer = RewardLayer(example.expression, credit="none()", advantage=made())
    layer.keep_parts = True
    facts = {**example.facts, "terminated": np.ones(4, bool)}
    layer.reset(facts)
    rewards = layer.step(facts)[0]
    kept = {name: values[None] for name, values in layer.facts_kept.items()}
    parts = {name: Part(weight, layer.parts[name][None]) for name, (weight, _) in layer.addends.items()}
    rollouts = Rollouts(rewards[None], np.ones((1, 4), bool), np.array(example.group), parts, facts=kept)
    columns: dict[str, list[Any]] = {"rollout": [1, 2, 3, 4]}
    if len(set(example.group)) > 1:
        columns["task"] = [g + 1 for g in example.group]
    for name, values in example.facts.items():
        if name == "target_box" and name in kept:
            columns["target, px"] = [f"{number(box[2] - box[0])}x{number(box[3] - box[1])}" for box in values]
        elif values.ndim == 1 and len(set(values.tolist())) > 1:
            columns[f"`{name}`"] = [number(v) for v in values]
    columns["reward"] = [number(v) for v in rewards]
    for channel in layer.advantages(rollouts):
        weight = "" if channel.weight == 1 else f", weight {number(channel.weight)}"
        columns[f"advantage {channel.name}{weight}" if weight else "advantage"] = [number(v) for v in channel.values[0]]
    rows = list(zip(*columns.values(), strict=True))
    return [f"Four rollouts under `{layer.expression}`, `{layer.advantage}`:", table(list(columns), rows)]
