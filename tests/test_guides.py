"""The code in CONTRIBUTING.md and README.md does what the text says."""

import re
import subprocess
import sys

import gymnasium as gym
import numpy as np
import pytest

from rewardscape.scripts.main import main


def blocks(path):
    return re.findall(r"```python\n(.*?)```", path.read_text(), re.DOTALL)


@pytest.fixture
def guides(repository, tmp_path, monkeypatch):
    for block in blocks(repository / "CONTRIBUTING.md"):
        name = re.match(r"# (\w+\.py)\n", block)
        assert name, "a block of CONTRIBUTING.md begins with its file's name"
        (tmp_path / name[1]).write_text(block)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_the_reward_guide(guides, capsys):
    assert main(["check", str(guides / "my_rewards.py")]) == 0, capsys.readouterr().out
    assert "term steady_click" in capsys.readouterr().out
    import my_rewards

    env = gym.make("rewardscape/GUIScreens-v0", reward=my_rewards.MINE)
    env.reset(seed=0)
    _, reward, _, _, info = env.step(env.unwrapped.expert_action())
    assert reward == pytest.approx(1, abs=1e-3) and set(info["reward_terms"]) == {"steady_click", "gaussian_point"}


def test_the_world_guide(guides, capsys):
    assert main(["check", str(guides / "my_world.py")]) == 0, capsys.readouterr().out
    out = capsys.readouterr().out
    assert "world mine/Walk-v0" in out and "the CUDA simulator gives the same numbers" in out
    env = gym.make("my_world:mine/Walk-v0", reward="-1.0*fact('distance_left')")
    env.reset(seed=0)
    assert env.step(1)[1] == -env.unwrapped.facts["distance_left"][0]
    envs = gym.make_vec("mine/Walk-v0", num_envs=4096)
    envs.reset(seed=0)
    assert envs.step(np.ones(4096, int))[1].shape == (4096,)


def test_the_examples_in_the_readme_run(repository, tmp_path):
    found = blocks(repository / "README.md")
    assert found
    for block in found:
        if "ray.rllib" in block:
            continue  # in an environment of its own: `rewardscape check-ecosystem rllib`
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


def test_every_command_of_the_readme_exists(repository, capsys):
    from rewardscape.scripts.main import COMMANDS

    said = set(re.findall(r"rewardscape ([a-z]+)[ `\n]", (repository / "README.md").read_text()))
    assert said & set(COMMANDS) >= {"train", "evaluate", "render", "check", "bench", "envs", "rewards", "capture"}
    for command in COMMANDS:
        with pytest.raises(SystemExit) as ended:
            main([command, "--help"])
        assert ended.value.code == 0 and f"rewardscape {command}" in capsys.readouterr().out
