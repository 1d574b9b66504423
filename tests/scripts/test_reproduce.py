import json
import math

import numpy as np
import pytest
import yaml

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents.episodes import record
from rewardscape.agents.runs import make_envs
from rewardscape.scripts import reproduce
from rewardscape.scripts.compare import read_results
from rewardscape.scripts.reproduce import METRICS, Comparison, configs_of, judge, names, overall, read_claim, verdict

CORRIDOR = "rewardscape-tests/Corridor-v0"
CLAIM = {
    "title": "Paying for nearness is hacked",
    "claim": "Who is paid for success walks to the end; who is paid for standing near it does not.",
    "source": "this test",
    "common": {
        "env": CORRIDOR, "steps": 6144, "n_envs": 16,
        "algorithm_settings": {"n_steps": 8, "batch_size": 64, "learning_rate": 0.003},
    },
    "arms": {"meant": {"reward": "2*success - 0.1"}, "hacked": {"reward": "1 - 0.1*fact('corridor_left')"}},
    "seeds": {"development": [100, 101, 102], "reporting": [0, 1, 2]},
    "episodes": 64,
    "test": [
        {"metric": "objective", "arm": "meant", "versus": "hacked", "direction": "higher", "margin": 0.3},
        {"metric": {"steps_to": 0.8}, "arm": "meant", "versus": "hacked", "direction": "lower"},
        {"metric": "objective", "arm": "hacked", "bound": 0.5, "direction": "lower"},
    ],
    "report": [{"expression": "fact('corridor_left')"}, {"return_of": "success"}, "area", "end"],
}  # fmt: skip


def written(tmp_path, **changes):
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**CLAIM, **changes}, sort_keys=False))
    return str(path)


@pytest.mark.parametrize(
    ("low", "high", "margin", "expected"),
    [
        (0.1, 0.3, 0.0, "holds"),
        (-0.1, 0.3, 0.0, "undecided"),
        (-0.3, -0.1, 0.0, "does not hold"),
        (0.1, 0.3, 0.2, "undecided"),
        (0.1, 0.3, 0.4, "does not hold"),
        (-0.01, 0.01, -0.02, "holds"),
        (0.0, 0.0, 0.0, "undecided"),
        (math.nan, math.nan, 0.0, "undecided"),
    ],
)
def test_verdicts(low, high, margin, expected):
    assert verdict(low, high, margin) == expected


def test_a_claim_holds_if_all_its_tests_do():
    assert overall(["holds", "holds"]) == "holds"
    assert overall(["holds", "undecided"]) == "undecided"
    assert overall(["undecided", "holds", "does not hold"]) == "does not hold"


def test_tests_are_judged_by_pairs_of_seeds():
    a, b = {0: 0.2, 1: 0.5, 2: 0.8}, {0: 0.1, 1: 0.4, 2: 0.7, 3: 0.0}
    higher = judge(Comparison("objective", "a", "higher", versus="b"), a, b)
    assert higher["verdict"] == "holds" and higher["advantage"]["value"] == pytest.approx(0.1) and higher["seeds"] == 3
    assert judge(Comparison("objective", "a", "lower", versus="b"), a, b)["verdict"] == "does not hold"
    assert judge(Comparison("objective", "a", "higher", versus="b", margin=0.15), a, b)["verdict"] == "does not hold"
    assert judge(Comparison("objective", "b", "higher", versus="a", margin=-0.2), b, a)["verdict"] == "holds"
    assert judge(Comparison("objective", "a", "higher", bound=0.1), a, None)["verdict"] == "holds"
    assert judge(Comparison("objective", "a", "lower", bound=0.5), a, None)["verdict"] == "undecided"
    two = judge(Comparison("objective", "a", "higher", versus="b"), {0: 0.9, 1: 0.9}, b)
    assert two["verdict"] == "undecided", "two seeds are too few"


def test_every_shipped_claim_can_be_run():
    assert set(names()) >= {"gui-g1", "gui-g2", "hyperclick", "infigui-g1", "potential-shaping", "rnd"}
    for name in names():
        claim = read_claim(name)
        assert len(claim.seeds["reporting"]) >= 5 and claim.test
        for arm in claim.arms:
            config = configs_of(claim, arm, [0])[0]
            assert config.threads == 1 and config.steps <= (4_000_000 if config.algo == "ppo-device" else 400_000)
            make_envs(config, 0, n_envs=1).close()


def test_the_list_shows_them(capsys):
    assert reproduce.main(["--list"]) == 0
    out = capsys.readouterr().out
    assert len(out.splitlines()) == len(names()) and "gui-g2" in out and "fewer steps" in out


def test_metrics_of_boxes_and_confidence():
    """The expert's box is the target, its confidence 1: sizes agree, calibration is perfect."""
    expert = lambda envs: lambda _: envs.expert_actions()  # noqa: E731
    boxes = record(expert, "rewardscape/GUIScreens-v0", "hit", 16, settings={"action": "box"})
    assert METRICS["size_error"][1](boxes) == pytest.approx(0, abs=1e-3) and METRICS["accuracy"][1](boxes) == 1
    middle = 0.5 * (boxes.facts["target_box"][..., :2] + boxes.facts["target_box"][..., 2:])
    half = 0.5 * (boxes.facts["target_box"][..., 2:] - boxes.facts["target_box"][..., :2])
    boxes.facts["predicted_box"] = np.concatenate([middle - 2 * half, middle + 2 * half], -1)
    assert METRICS["size_ratio"][1](boxes) == pytest.approx(np.log(4), abs=1e-4)
    boxes.facts["predicted_box"] = np.concatenate([middle, middle], -1)
    assert METRICS["size_ratio"][1](boxes) < -1 and np.isfinite(METRICS["size_error"][1](boxes))
    sure = record(expert, "rewardscape/GUIScreens-v0", "hyperclick", 16, settings={"action": "point+confidence"})
    assert METRICS["calibration_error"][1](sure) == 0 == METRICS["brier_score"][1](sure)
    sure.facts["confidence"][:] = 0.7
    assert METRICS["calibration_error"][1](sure) == pytest.approx(0.3) and METRICS["confidence"][1](sure) == pytest.approx(0.7)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reproduce")
    assert reproduce.main([written(folder), "--out", str(folder / "out")]) == 0
    return folder / "out"


def test_a_claim_is_tested_and_told(folder, tmp_path):
    result = json.loads((folder / "results.json").read_text())
    assert [test["verdict"] for test in result["tests"]] == ["holds"] * 3 and result["verdict"] == "holds"
    assert result["seeds"] == [0, 1, 2] and result["training_seconds"] > 0 and result["versions"]["threads"] == 1
    assert result["measured"]["objective"]["meant"] == {"0": 1.0, "1": 1.0, "2": 1.0}
    never = result["measured"]["steps to objective 0.8"]["hacked"]
    assert set(never.values()) == {6144.0}, "who never arrives counts as the whole run"
    assert set(result["measured"]) == {
        "objective",
        "steps to objective 0.8",
        "mean of fact('corridor_left')",
        "return under success",
        "mean objective over training",
        "objective in the last tenth of training",
    }
    learned = [
        result["measured"][f"{part} training"]["meant"]["0"]
        for part in ("mean objective over", "objective in the last tenth of")
    ]
    assert 0.3 < learned[0] < learned[1] <= 1
    page = (folder / "page.md").read_text()
    assert page.startswith("# Paying for nearness is hacked") and "**Holds**." in page and "--quick" not in page
    assert "objective under meant is higher than under hacked by more than 0.3" in page
    assert "`meant`: reward=" in page and "n_envs=16" in page and "mine.yaml" in page
    kept = tmp_path / "kept" / "mine"
    assert reproduce.main([written(tmp_path), "--out", str(folder), "--record", str(kept)]) == 0
    assert reproduce.page(read_results(kept.with_suffix(".json")), "mine.svg").startswith("# Paying for nearness is hacked")
    assert "<svg" in kept.with_suffix(".svg").read_text()
    assert "<svg" in (folder / "report.html").read_text() and (folder / "figure.svg").stat().st_size > 1000


def test_quick_runs_are_marked_and_leave_reporting_seeds_alone(tmp_path, capsys):
    assert reproduce.main([written(tmp_path), "--quick", "--seeds", "1", "--out", str(tmp_path / "out")]) == 0
    assert "too few steps and seeds" in capsys.readouterr().out
    result = json.loads((tmp_path / "out" / "results.json").read_text())
    assert result["seeds"] == [100] and result["verdict"] == "undecided"
    assert result["arms"]["meant"]["steps"] == 6144 // 16


def test_wrong_claims(tmp_path):
    def wrong(message, error=ValueError, **changes):
        with pytest.raises(error, match=message):
            read_claim(written(tmp_path, **changes))

    test = CLAIM["test"][0]
    wrong("unknown: \\['color'\\]", color=3)
    wrong("direction='up'; allowed: higher, lower", test=[{**test, "direction": "up"}])
    wrong("either 'versus' or 'bound'", test=[{**test, "bound": 0.1}])
    wrong("unknown arm 'other'; there are: meant, hacked", test=[{**test, "versus": "other"}])
    wrong("unknown metric 'speed'; allowed: objective", test=[{**test, "metric": "speed"}])
    wrong("a test has metric, arm", test=[{**test, "arms": 2}])
    wrong("without a common number", seeds={"development": [0], "reporting": [0, 1]})
    with pytest.raises(ValueError, match="unknown claim 'gui-g3'; there are: gui-g1"):
        read_claim("gui-g3")
    with pytest.raises(FileNotFoundError):
        read_claim(str(tmp_path / "none.yaml"))
    with pytest.raises(ValueError, match="arm meant.*speed"):
        configs_of(read_claim(written(tmp_path, common={**CLAIM["common"], "speed": 3})), "meant", [0])
    with pytest.raises(ValueError, match="--seeds=4; this claim has 1 to 3"):
        reproduce.main([written(tmp_path), "--seeds", "4"])
