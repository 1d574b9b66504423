import json
import re
import subprocess
import sys

import imageio.v3 as iio
import numpy as np
import pytest

from rewardscape.rewards import as_expression
from rewardscape.scripts import docs
from rewardscape.scripts.envs import example_reward, settings_of
from rewardscape.scripts.reward_plots import ASIDE, panels_of, plot
from rewardscape.scripts.world_texts import guide_of

# in a process of its own, which knows no other test's terms, and finds the installed package, not the folder of this name
GENERATE = "import sys; sys.path[:] = filter(None, sys.path); from rewardscape.scripts.docs import main; main(sys.argv[1:])"


@pytest.fixture(scope="module")
def generated(repository, tmp_path_factory):
    out = tmp_path_factory.mktemp("docs")
    for name in ("worlds/Gone-v0.md", "rewards/gone.svg"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("left from a world or a reward that is no more")
    done = subprocess.run(
        [sys.executable, "-c", GENERATE, "--out", str(out)], cwd=repository, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


def markdown(folder):
    """The generated pages by name; others write guides and claims into docs/ too."""
    found = [
        *folder.glob("worlds/*.md"),
        *folder.glob("rewards/*.md"),
        *(folder / f"{n}.md" for n in ("README", "terms", "stages")),
    ]
    return {str(path.relative_to(folder)): path.read_text() for path in found}


def test_the_committed_pages_are_what_the_code_says(generated, repository):
    fresh, committed = markdown(generated), markdown(repository / "docs")
    assert set(fresh) == set(committed), "run rewardscape docs"
    stale = [name for name in fresh if fresh[name] != committed[name]]
    assert not stale, f"run rewardscape docs: {', '.join(stale)} differ from what it writes"


def test_every_world_and_reward_has_its_page_and_small_pictures(generated, repository):
    presets = {path.stem for path in (repository / "rewards" / "presets").glob("*.yaml")}
    assert {path.stem for path in generated.glob("rewards/*.md")} == presets == set(docs.designs())
    assert {path.stem for path in generated.glob("worlds/*.md")} == {env.split("/")[1] for env in docs.worlds()}
    for folder in (generated, repository / "docs"):
        for page in folder.glob("worlds/*.md"):
            assert 1_000 < page.with_suffix(".png").stat().st_size < 150_000
        drawn = list(folder.glob("rewards/*.svg"))
        assert {"gui-g2", "infigui-g1", "hdpo"} <= {path.stem for path in drawn} <= presets
        assert all(1_000 < path.stat().st_size < 60_000 for path in drawn)


def anchors(text):
    """The anchors GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_links_lead_somewhere(repository):
    seen = 0
    for page in [*(repository / "docs").rglob("*.md"), repository / "README.md", repository / "CONTRIBUTING.md"]:
        text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"[a-z]+:", target):
                continue
            path, _, anchor = target.partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), f"{page}: {target}"
            assert not anchor or anchor in anchors(there.read_text()), f"{page}: {target}"
            seen += 1
    assert seen > 200


@pytest.mark.parametrize("env", docs.worlds())
def test_the_code_on_a_worlds_page_runs(env, repository, tmp_path):
    page = (repository / "docs" / "worlds" / f"{env.split('/')[1]}.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert blocks
    for block in blocks:
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"
        paid = as_expression(example_reward(env)).terms()
        assert paid and all(f"'{name}'" in done.stdout for name in paid)


@pytest.mark.parametrize("env", docs.worlds())
def test_nothing_on_a_worlds_page_is_left_unexplained(env):
    settings, guide = settings_of(docs.rules_of(env)), guide_of(docs.rules_of(env))
    assert set(settings) <= set(guide.settings) and {guide.action_setting, guide.observation_setting} - {""} <= set(settings)
    page = docs.world_page(env, {})
    for setting, kinds in ((guide.action_setting, guide.acted), (guide.observation_setting, guide.observations)):
        assert all(docs.made_rules(env, **{setting: kind}) for kind in kinds if setting)
        assert all(f"`{kind}`" in page for kind in kinds if kind)
    assert all(f"| {docs.cell(guide.settings[name][0])} |" in page for name in settings)
    for name in ("next_observation", "caption" if env.endswith("Maze-v0") else "seed"):
        assert f"| `{name}` |" in page


def test_pages_say_what_a_reward_pays_where_it_attaches(repository):
    closeness = (repository / "docs" / "rewards" / "closeness.md").read_text()
    ((expert, random),) = re.findall(r"\[Maze-v0\].*\| ([\d.]+) \| ([\d.]+) \|\n", closeness)
    assert float(random) > 2 * float(expert), "the agent that stays away from the goal earns more"
    game = (repository / "docs" / "worlds" / "MatrixGame-v0.md").read_text()
    assert "rewards/rnd.md" in game and "rewards/closeness.md" not in game and "operation-inequity_averse" in game
    screens = (repository / "docs" / "worlds" / "GUIScreens-v0.md").read_text()
    assert "rewards/gui-g2.md" in screens and "rewards/rnd.md" not in screens, "its observation is a dict"
    assert not docs.attaches("team_mean(objective_gain)", "rewardscape/Maze-v0"), "one agent is no team"


def test_operations_are_told_like_terms(repository):
    terms = (repository / "docs" / "terms.md").read_text()
    for name in ("rnd", "count_bonus", "gated_accumulation", "team_mean", "potential"):
        told = terms.split(f"### operation {name}\n")[1].split("###")[0]
        assert f"```python\n{name}(" in told and len(told) > 150
    assert "[`rnd`](rewards/rnd.md)" in terms.split("### operation rnd\n")[1].split("###")[0]


def test_only_the_worlds_asked_for_are_measured(repository, monkeypatch):
    monkeypatch.setattr(docs, "AGENTS", ("expert",))
    monkeypatch.setattr(docs, "EPISODES", 16)
    recorded = json.loads((repository / "docs" / "scores.json").read_text())["runs"]
    measured = docs.measure(repository, ["rewardscape/MatrixGame-v0"])["runs"]
    assert list(measured["MatrixGame-v0"]["agents"]) == ["expert"] and set(measured) == set(recorded)
    assert all(measured[name] == recorded[name] for name in recorded if name != "MatrixGame-v0")


def test_every_design_says_what_stands_behind_it(repository):
    assert set(docs.RECORDED).isdisjoint(docs.CHECKED)
    for name in markdown(repository / "docs"):
        if name.startswith("rewards/"):
            assert name.removeprefix("rewards/")[:-3] in {**docs.RECORDED, **docs.CHECKED}, f"{name}: say it in scripts/docs.py"
    for name, recorded in docs.RECORDED.items():
        vectors = json.loads((repository / "tests" / "parity" / "vectors" / f"{recorded.system}.json").read_text())
        assert set(recorded.functions) <= {case["input"]["fn"] for case in vectors["cases"]}, name
    assert "43 of 43 recorded cases" in docs._checked("gui-g2-code", repository)
    assert "37 of 37 recorded cases" in docs._checked("ui-r1", repository)  # DAST's 5 are of ui-r1-e
    assert docs._checked("hyperclick", repository).startswith("No recorded cases")


def test_the_stages_page_has_the_numbers_of_the_sources(repository):
    page = (repository / "docs" / "stages.md").read_text()
    conditional = page.split("### advantage conditional")[1].split("### ")[0]
    tool = [row.split("|")[-2].strip() for row in conditional.splitlines() if re.match(r"\| \d", row)]
    assert tool == ["1.091", "-0.218", "-0.873", "0"]  # HDPO: tool calls 0, 1, 3 of the right answers
    weighted = page.split("### advantage difficulty_weighted")[1].split("### ")[0]
    assert [row.split("|")[-2].strip() for row in weighted.splitlines() if re.match(r"\| \d", row)] == [
        "0.8",
        "-0.8",
        "0.2",
        "-0.2",
    ]


def test_pictures_show_what_a_reward_pays():
    panels = {panel.title: panel for panel in panels_of(as_expression("gui-g2"))}
    field = panels["over the screen"].field
    y, x = np.unravel_index(field.argmax(), field.shape)
    assert abs(3 * x + 1.5 - ASIDE[0]) <= 2 and abs(3 * y + 1.5 - ASIDE[1]) <= 2
    assert all(values[0] == pytest.approx(2) and values[-1] < 1 for _, values in panels["by distance"].lines.values())
    scale, centred = panels["by the box's size"].lines["centred"]
    assert scale[centred.argmax()] == pytest.approx(1)
    hits = panels_of(as_expression("hit"))[1].lines["target 16x16 px"]
    assert hits[1].tolist() == (hits[0] <= 8).tolist()
    (explored,) = [p for p in panels_of(as_expression("infigui-g1")) if p.title == "by regions proposed"]
    counts, first = explored.lines["the target first"]
    assert np.allclose(first, 1 + 1 / np.sqrt(counts)) and np.allclose(explored.lines["the target last"][1], 1 + 1 / counts)
    assert np.allclose(explored.lines["the target not"][1], 1 - 1 / counts)
    assert panels_of(as_expression("objective_gain()")) == []
    (shaped,) = panels_of(as_expression("shaping-geodesic"))
    left, nearer = shaped.lines["one cell nearer"]
    assert np.allclose(nearer, -0.099 * (left - 1) + 0.1 * left)
    assert np.allclose(shaped.lines["no move"][1], 0.001 * left) and (shaped.lines["one cell away"][1] < 0).all()
    (counted,) = panels_of(as_expression("episodic-count"))
    visits, bonus = counted.lines["a place visited so often"]
    assert np.allclose(bonus, 0.1 / np.sqrt(visits))


def test_pictures_are_the_same_every_time():
    assert plot("gui-g2") == plot("gui-g2")
    assert docs.picture(docs.worlds()[0]) == docs.picture(docs.worlds()[0])


def test_pictures_of_gui_worlds_show_target_and_click(repository):
    for path in (repository / "docs" / "worlds").glob("GUI*.png"):
        pixels = iio.imread(path)[..., :3].astype(int)
        for colour in ((40, 170, 70), (214, 50, 40)):
            assert (abs(pixels - colour).max(-1) < 12).sum() > 20, f"{path}: {colour}"


def test_prose_is_no_markup():
    assert docs.prose("a * b <think> ``x * y`` _z_") == "a \\* b \\<think> ``x * y`` \\_z\\_"
    assert docs.prose("snake_case, 0 <= x\nnext line\n\nnext paragraph") == "snake_case, 0 <= x next line\n\nnext paragraph"
    assert docs.cell("a|b\nc") == "a\\|b c" and docs.number(-0.0001) == "0" and docs.number(2) == "2"


def test_measuring_gives_what_the_pages_show(repository, monkeypatch):
    monkeypatch.setattr(docs, "AGENTS", ("expert", "random"))
    monkeypatch.setattr(docs, "EPISODES", 16)
    measured = docs.measure(repository)
    recorded = json.loads((repository / "docs" / "scores.json").read_text())
    assert set(measured["runs"]) == set(recorded["runs"]) and recorded["episodes"] == 1000
    for found in measured["runs"].values():
        assert all(scores["objective"] == 1 for scores in found["agents"]["expert"].values())
    page = docs.world_page("rewardscape/GUIScreens-v0", measured)
    assert "16 fresh episodes" in page and "| expert | 1.000 [1.000, 1.000] |" in page and "held-out pages" in page


def test_it_runs_in_a_checkout_only(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="root of a checkout"):
        docs.main([])
