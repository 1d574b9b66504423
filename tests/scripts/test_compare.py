import json
import math
import re

import numpy as np
import pytest

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents.runs import Config, Run, train
from rewardscape.scripts import compare

CORRIDOR = "rewardscape-tests/Corridor-v0"
MEANT, HACKED = "2*success - 0.1", "1 - 0.1*fact('corridor_left')"
ARGUMENTS = [CORRIDOR, "--n-envs", "16", "--hyper", "n_steps=8", "batch_size=64", "learning_rate=0.003", "--episodes", "64"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three rewards: one that means it, one that pays for staying near the end, and one that does not fit the world."""
    folder = tmp_path_factory.mktemp("compare")
    arguments = [*ARGUMENTS, "--rewards", MEANT, HACKED, "hit", "--steps", "6144", "--seeds", "2", "--out", str(folder)]
    assert compare.main(arguments) == 0
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "results.json").read_text())


def test_the_objective_decides_and_seeds_are_paired(results):
    meant, hacked = results["rewards"][MEANT], results["rewards"][HACKED]
    assert meant["objective"]["value"] == 1 and hacked["objective"]["value"] < 0.5
    assert [run["seed"] for run in meant["runs"]] == [run["seed"] for run in hacked["runs"]] == [0, 1]
    difference = hacked["to_first"]["objective"]
    assert difference["pairs"] == 2 and difference["high"] < -0.5 and difference["probability_of_improvement"] == 0
    assert hacked["return"] > meant["return"], "its own reward is content"
    assert meant["held_out"]["value"] is None, "this world has no held-out split"


def test_steps_to_the_threshold_count_those_that_never_arrive(results):
    meant, hacked = (results["rewards"][name]["steps_to"] for name in (MEANT, HACKED))
    assert meant["arrived"] == 2 and 0 < meant["median"] < 6144
    assert hacked["arrived"] == 0 and hacked["median"] is None


def test_the_hacked_reward_raises_the_alarm(results, folder):
    assert results["rewards"][MEANT]["alarms"] == {"falls": 0, "stays": 0, "short": 0}
    assert results["rewards"][HACKED]["alarms"]["falls"] + results["rewards"][HACKED]["alarms"]["stays"] >= 1
    page = (folder / "report.html").read_text()
    assert re.search(r"1 - 0\.1\*fact\(&#x27;corridor_left&#x27;\): the objective (falls|stays) in", page)
    assert "The rule, for each run" in page


def test_what_does_not_fit_is_told_and_left_out(results, folder):
    assert list(results["rewards"]) == [MEANT, HACKED]
    assert "predicted_point" in results["skipped"]["hit"]
    assert "predicted_point" in (folder / "report.html").read_text()


def test_the_same_command_trains_and_evaluates_nothing_again(folder, results, capsys, monkeypatch):
    monkeypatch.setattr("rewardscape.agents.evaluate.evaluate", lambda *_, **__: pytest.fail("evaluated again"))
    arguments = [*ARGUMENTS, "--rewards", MEANT, HACKED, "--steps", "6144", "--seeds", "2", "--out", str(folder)]
    assert compare.main(arguments) == 0
    out = capsys.readouterr().out
    assert "4 of 4 runs are there already" in out and MEANT in out and "never" in out
    assert json.loads((folder / "results.json").read_text())["rewards"] == results["rewards"]


def test_results_are_kept_for_a_page_of_docs(folder, results, tmp_path):
    arguments = [*ARGUMENTS, "--rewards", MEANT, HACKED, "--steps", "6144", "--seeds", "2", "--out", str(folder)]
    assert compare.main([*arguments, "--record", str(tmp_path / "kept" / "corridor")]) == 0
    read = compare.read_results(tmp_path / "kept" / "corridor.json")
    assert (
        math.isnan(read["rewards"][HACKED]["steps_to"]["median"]) and "<svg" in (tmp_path / "kept" / "corridor.svg").read_text()
    )
    page = compare.page(read, "corridor.svg")
    assert (
        page.startswith(f"# Corridor-v0: {MEANT}, {HACKED}\n")
        and "![objective by reward](corridor.svg)" in page
        and "rewardscape compare" in page
    )
    rows = [line for line in page.splitlines() if line.startswith(f"| {HACKED}")]
    assert "never" in rows[0] and len(rows) == 4  # two tables, and two differences to the first reward


def test_other_episodes_are_another_evaluation(folder, results):
    run = Run(folder / "runs" / results["rewards"][MEANT]["runs"][0]["folder"])
    assert compare.evaluated(run, 64)["all"]["episodes"] == 64
    kept = (run.folder / "evaluation.json").read_text()
    assert compare.evaluated(run, 32)["all"]["episodes"] == 32
    (run.folder / "evaluation.json").write_text(kept)


def test_held_out_screens_are_evaluated_too(tmp_path):
    config = Config("GUIScreens", "hit", steps=256, n_envs=16, threads=1, algorithm_settings={"n_steps": 4, "batch_size": 64})
    run = train(config, tmp_path / "run", progress="none")
    assert list(compare.evaluated(run, 16)) == ["train", "held-out"]
    found = compare.measure_run(run, 0.5, 16)
    assert 0 <= found["held_out"] <= 1 and found["hacking"]["kind"] == "short" and found["correlation"] > 0.99


def test_curves_do_not_begin_with_the_first_to_end(tmp_path):
    """These are the short ones: here the successes."""
    config = Config(CORRIDOR, MEANT, steps=512, n_envs=16, threads=1, algorithm_settings={"n_steps": 2, "batch_size": 32})
    run = train(config, tmp_path / "run", progress="none")
    _, objective = compare.curve(run, "objective")
    rows, ended = run.metrics(), 0
    for k in range(5):  # a row counts for nothing until it has reached something
        ended += rows[k]["episodes"]
        assert objective[k] <= ended / 16 < 1
    assert not np.isnan(objective).any() and objective[-1] > 0
    assert compare.curve(run, "terms/success")[1][-1] == rows[-1]["terms"]["success"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--rewards", "hit"], "no reward fits.*predicted_point"),
        (["--rewards", "gui-g3"], "did you mean gui-g2"),
        (["--rewards", MEANT, "--seeds", "0"], "at least 1"),
        (["--rewards", MEANT, "--set", "speed=3"], "speed"),
        (["--rewards", MEANT, "--advantage", "group_relative", "--steps", "64", "--seeds", "1"], "algo='grpo'"),
    ],
)
def test_wrong_usage(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        compare.main([*ARGUMENTS, *arguments, "--out", str(tmp_path)])


def test_numbers_that_json_does_not_know():
    assert compare.plain({"a": [math.inf, math.nan, 1.0], 2: (3,)}) == {"a": [None, None, 1.0], "2": [3]}
