import json
import pathlib

import imageio.v3 as iio
import numpy as np
import pytest

import tests.worlds.corridor  # noqa: F401
from rewardscape.scripts.main import main
from rewardscape.scripts.options import settings

CORRIDOR = "rewardscape-tests/Corridor-v0"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "screens"
    arguments = ["train", "GUIScreens", "--reward", "gui-g2", "--set", "action=box", "--steps", "512", "--n-envs", "32"]
    assert main([*arguments, "--hyper", "n_steps=4", "--threads", "1", "--out", str(folder), "--progress", "none"]) == 0
    return folder


def said(capsys, *arguments, code=0):
    assert main([str(a) for a in arguments]) == code
    caught = capsys.readouterr()
    return caught.out if code != 2 else caught.err


def test_help_and_version(capsys):
    assert "rewardscape COMMAND" in said(capsys)
    assert said(capsys, "--version").strip()[0].isdigit()
    assert "did you mean train" in said(capsys, "trian", code=2)


def test_worlds_are_listed_and_described(capsys):
    out = said(capsys, "envs")
    assert "rewardscape/GUIGrounding-v0" in out and "rewardscape/GUIScreens-v0" in out
    out = said(capsys, "envs", "GUIScreens")
    for part in ("observation:", "boxes", "action:", "split               'train'", "target_box", "[px]", "gymnasium.make("):
        assert part in out
    assert "difficulty" not in out.split("settings (")[1]
    assert "difficulty" in said(capsys, "envs", "GUIGrounding")
    out = said(capsys, "envs", "MatrixGame")
    assert "rewardscape.parallel_env('rewardscape/MatrixGame-v0', reward='payoff_earned()')" in out and "tit_for_tat" in out
    assert "caption" in said(capsys, "envs", "Maze")
    assert "there are: rewardscape/GUIGrounding-v0" in said(capsys, "envs", "Nowhere", code=2)


def test_rewards_are_listed_and_described(capsys):
    assert "gui-g2" in said(capsys, "rewards")
    out = said(capsys, "rewards", "gui-g2")
    assert "arXiv:2507.15846" in out and "setting: alpha=0.5" in out and "predicted_box" in out


def test_training_makes_a_run_that_can_be_evaluated(run, capsys, tmp_path):
    out = said(
        capsys, "evaluate", run, "--episodes", "64", "--baselines", "random", "expert", "--json", tmp_path / "scores.json"
    )
    assert "held-out" in out and "gaussian_coverage" in out
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert set(scores) == {"trained", "random", "expert"} and set(scores["trained"]) == {"train", "held-out"}
    assert scores["expert"]["held-out"]["objective"] == 1
    low, high = scores["trained"]["train"]["interval"]
    assert low <= scores["trained"]["train"]["objective"] <= high


def test_a_run_is_repeated_and_resumed(run, capsys, tmp_path):
    said(capsys, "train", "--config", run / "config.yaml", "--out", tmp_path / "again", "--progress", "none")
    assert (tmp_path / "again" / "config.yaml").read_text() == (run / "config.yaml").read_text()
    assert "512 steps" in said(capsys, "train", "--resume", run, "--progress", "none")
    assert "leave out --reward" in said(capsys, "train", "--config", run / "config.yaml", "--reward", "hit", code=2)
    assert "give one of" in said(capsys, "train", code=2)


@pytest.mark.parametrize("suffix", [".png", ".gif", ".mp4"])
def test_episodes_become_pictures(run, capsys, tmp_path, suffix):
    path = tmp_path / f"episode{suffix}"
    assert "4 frames" in said(capsys, "render", run, "--out", path, "--episodes", "1")
    pictures = iio.imread(path)
    assert pictures.ndim == (3 if suffix == ".png" else 4) and pictures.std() > 5
    if suffix == ".gif":
        assert len(pictures) == 4


def test_gymnasium_records_a_film(tmp_path):
    import gymnasium as gym

    env = gym.wrappers.RecordVideo(gym.make("rewardscape/GUIScreens-v0", render_mode="rgb_array"), str(tmp_path))
    env.reset(seed=0)
    while not env.step(env.action_space.sample())[2]:
        pass
    env.close()
    assert next(tmp_path.glob("*.mp4")).stat().st_size > 1000


def test_the_reward_field_is_highest_on_the_target():
    import gymnasium as gym

    from rewardscape.envs.gui.field import reward_field

    for action in ("point", "box"):
        env = gym.make("rewardscape/GUIScreens-v0", reward="gui-g2", action=action)
        for seed in range(5):
            env.reset(seed=seed)
            env.step(env.unwrapped.expert_action())
            field = reward_field(env.unwrapped, 320, 240)
            world = env.unwrapped.world
            x1, y1, x2, y2 = env.unwrapped.rules.on_canvas(world, 0, world.facts.target_box[0])
            y, x = np.unravel_index(field.argmax(), field.shape)
            assert x1 - 1 <= x <= x2 + 1 and y1 - 1 <= y <= y2 + 1 and field.max() == 1 and field.min() >= 0
    assert reward_field(gym.make(CORRIDOR).unwrapped) is None


def test_shipped_baselines_are_evaluated_and_drawn(capsys, tmp_path):
    for env in ("GUIScreens", "GUIGrounding"):
        out = said(capsys, "evaluate", env, "--episodes", "128", "--baselines", "random", "role", "--json", tmp_path / "s.json")
        assert "trained" in out
        scores = json.loads((tmp_path / "s.json").read_text())
        for split, trained in scores["trained"].items():
            assert trained["interval"][0] > scores["role"][split]["interval"][1] > scores["random"][split]["objective"]
    assert "4 frames" in said(capsys, "render", "GUIScreens", "--episodes", "1", "--out", tmp_path / "e.png")


def test_worlds_without_a_baseline_are_drawn_by_the_expert(capsys, tmp_path):
    assert "--agent expert" in said(capsys, "render", CORRIDOR, "--out", tmp_path / "c.png", code=2)
    said(capsys, "render", CORRIDOR, "--agent", "expert", "--episodes", "1", "--out", tmp_path / "c.png")
    assert iio.imread(tmp_path / "c.png").std() > 5


def test_wrong_usage_is_one_line(capsys, tmp_path):
    assert "to end in .png, .gif, .mp4" in said(capsys, "render", "GUIScreens", "--out", "x.bmp", code=2)
    assert "is not a run directory" in said(capsys, "evaluate", tmp_path, code=2)
    assert "no trained baseline" in said(capsys, "evaluate", CORRIDOR, code=2)
    assert "NAME=VALUE" in said(capsys, "train", "GUIScreens", "--set", "action", code=2)
    assert "allowed: 'point', 'box'" in said(
        capsys, "train", "GUIScreens", "--set", "action=swipe", "--out", tmp_path / "r", code=2
    )
    assert not (tmp_path / "r").exists()
    said(
        capsys,
        "train",
        CORRIDOR,
        "--steps",
        "8",
        "--n-envs",
        "4",
        "--hyper",
        "n_steps=2",
        "batch_size=8",
        "--out",
        tmp_path / "t",
        "--progress",
        "none",
    )
    assert "holds a run already" in said(capsys, "train", CORRIDOR, "--out", tmp_path / "t", code=2)
    assert "Traceback" not in said(capsys, "evaluate", "GUIScreens", "--episodes", "0", code=2)


def test_a_missing_library_is_named_with_what_to_install(capsys, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "imageio", None)
    monkeypatch.setitem(sys.modules, "imageio.v3", None)
    assert "pip install 'rewardscape[report]'" in said(
        capsys, "render", CORRIDOR, "--agent", "expert", "--episodes", "1", code=2
    )


def test_settings_are_yaml():
    assert settings(["action=box", "screen_size=[64,48]", "difficulty=0.5"]) == {
        "action": "box",
        "screen_size": (64, 48),
        "difficulty": 0.5,
    }


def test_curves_of_runs(run, capsys, tmp_path):
    said(capsys, "report", run, "GUIScreens", "--out", tmp_path / "r.html", "--show", "objective", "gaussian_point")
    assert "<svg" in (tmp_path / "r.html").read_text() and "last gaussian_point" in (tmp_path / "r.html").read_text()
    said(capsys, "report", "GUIGrounding", "--out", tmp_path / "r.png")
    assert iio.imread(tmp_path / "r.png").std() > 5
    assert "no metric joy" in said(capsys, "report", run, "--show", "joy", code=2)


def test_a_team_learns_and_is_looked_at(capsys, tmp_path):
    """The on-device learner with a memory, all agents by one policy; no episode of the first updates has ended."""
    run = tmp_path / "run"
    arguments = [
        "MatrixGame",
        "--algo",
        "ppo-device",
        "--reward",
        "team_mean(payoff_earned)",
        "--set",
        "rounds=12",
        "--threads",
        "1",
    ]
    arguments += ["--n-envs", "16", "--hyper", "n_steps=5", "memory=4", "batch_size=80", "--progress", "none"]
    said(capsys, "train", *arguments, "--steps", "240", "--out", run)
    out = said(capsys, "evaluate", run, "--episodes", "16", "--json", tmp_path / "s.json")
    scores = json.loads((tmp_path / "s.json").read_text())
    assert set(scores) == {"trained", "random", "constant", "expert"} and set(scores["trained"]) == {"all"}
    assert "episodes   objective" in out and "note:" not in out and scores["expert"]["all"]["objective"] == 1
    assert "12 frames" in said(capsys, "render", run, "--episodes", "1", "--out", tmp_path / "e.gif")
    assert "(2 of 256 episodes" in said(capsys, "inspect", run, "--episodes", "2", "--out", tmp_path / "i.html")
    out = said(capsys, "rescore", run, "--reward", "payoff_earned")
    assert "256 episodes, 3072 steps of trained" in out and "undefined" not in out.split("disagree")[0]
    said(capsys, "report", run, "--out", tmp_path / "r.png")


def test_a_comparison_of_teams_where_no_episode_has_ended(capsys, tmp_path):
    arguments = [
        "compare",
        "MatrixGame",
        "--algo",
        "ppo-device",
        "--rewards",
        "payoff_earned",
        "team_mean(payoff_earned)",
        "hit",
    ]
    arguments += [
        "--set",
        "rounds=64",
        "--n-envs",
        "8",
        "--hyper",
        "n_steps=4",
        "batch_size=32",
        "--steps",
        "64",
        "--seeds",
        "1",
    ]
    out = said(capsys, *arguments, "--episodes", "8", "--workers", "1", "--out", tmp_path / "c")
    assert "skipped hit: " in out and "too short to say" in out and "never (not in 1 of 1)" in out
    assert "nan" not in (tmp_path / "c" / "report.html").read_text().lower().split("<h2>while training")[0].split("</style>")[1]
    refused = said(capsys, "compare", "MazeTeam", "--rewards", "goal", "--steps", "64", "--out", tmp_path / "d", code=2)
    assert "one agent a row" in refused and not (tmp_path / "d").exists()


def test_long_episodes_become_short_films_and_small_pictures(tmp_path):
    from rewardscape.scripts.render import SHOWN, save

    pictures = [np.full((20, 30, 3), k, np.uint8) for k in range(100)]
    save(pictures, tmp_path / "many.png")
    picture = iio.imread(tmp_path / "many.png")
    assert picture.shape == (20 * SHOWN // 4, 120, 3) and picture.min() == 0 and picture.max() == 99


def test_several_agents_are_drawn_together_or_as_one_among_others(capsys, tmp_path):
    from rewardscape.scripts.render import frames

    game = "rewardscape/MatrixGame-v0"
    together, alone = (list(frames(game, None, world, "expert")) for world in ({}, {"others": "defect"}))
    assert len(together) == len(alone) == 16 and not np.array_equal(together[-1], alone[-1])
    assert "allowed: trained, random, constant, expert" in said(capsys, "render", "MatrixGame", "--agent", "overlap", code=2)


@pytest.mark.slow
def test_quickstart_in_small(capsys, tmp_path):
    out = said(capsys, "quickstart", "--steps", "8192", "--episodes", "32", "--out", tmp_path / "q")
    report = pathlib.Path(tmp_path / "q" / "report.html")
    assert f"report: {report}" in out and "held-out" in out
    page = report.read_text()
    assert page.count("data:image/gif;base64") == 2 and "<svg" in page and "gui-g2" in page
    assert "http://" not in page.replace("http://www.w3.org", "").replace("http://purl.org", "").replace(
        "http://creativecommons.org", ""
    )


def test_bench_prints_ratios(capsys, tmp_path):
    out = said(capsys, "bench", "gui", "--repeats", "3", "--seconds", "0.02", "--rows", "64", "--json", tmp_path / "b.json")
    assert "MiniGrid" in out and "bytes a row" in out and "import to first reset" in out
    assert "--repeats is at least 3" in said(capsys, "bench", "--repeats", "1", code=2)
    assert "allowed: gui, maze, training, cuda" in said(capsys, "bench", "mazes", code=2)


def test_bench_of_mazes_and_of_training(capsys, monkeypatch):
    from rewardscape.scripts import bench_maze

    monkeypatch.setattr(bench_maze, "ROWS", (64,))
    monkeypatch.setattr(bench_maze, "TRAINING", (32, 8, 64))
    out = said(capsys, "bench", "maze", "training", "--repeats", "3", "--seconds", "0.01")
    assert "one Maze, sparse" in out and "of them the reward's" in out and "RND, 64 rows" in out
    assert "ppo-device against SB3's PPO, DummyVecEnv" in out and "rules and reward:" in out
    assert "unknown peer 'nobody'" in said(
        capsys, "bench", "maze", "--repeats", "3", "--seconds", "0.01", "--peer", "nobody=x", code=2
    )
