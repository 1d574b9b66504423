import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
import yaml

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents.runs import Config, Run, last_checkpoint, make_envs, read_config, save_weights, train
from rewardscape.agents.sb3 import make_model

CORRIDOR = "rewardscape-tests/Corridor-v0"
SMALL = {"n_envs": 16, "threads": 1, "checkpoint_every": 2, "algorithm_settings": {"n_steps": 8, "batch_size": 64}}


def small(steps=1024, **more):
    return Config(CORRIDOR, "2*success - 0.1", steps=steps, **{**SMALL, **more})


def weights(run):
    return torch.load(run.folder / "policy.pt", weights_only=True)


def same(one, two):
    return all(torch.equal(one[name], two[name]) for name in one) and one.keys() == two.keys()


def lines(run):
    timeless = ("seconds", "steps_per_second")
    return [json.dumps({k: v for k, v in row.items() if k not in timeless}) for row in run.metrics()]


def test_a_run_directory_holds_everything(tmp_path):
    run = train(small(), tmp_path / "run", progress="none")
    assert {p.name for p in run.folder.iterdir()} == {
        "config.yaml",
        "versions.json",
        "metrics.jsonl",
        "checkpoints",
        "policy.pt",
        "episodes.npz",
        "tb",
    }
    assert read_config(run.folder / "config.yaml") == small()
    versions = json.loads((run.folder / "versions.json").read_text())
    assert versions["packages"]["torch"] == torch.__version__ and versions["threads"] == 1
    rows = run.metrics()
    assert [row["steps"] for row in rows] == [128 * (k + 1) for k in range(8)]
    assert set(rows[-1]["terms"]) == {"success"} and "value_loss" in rows[-1]["losses"]
    assert len(list((run.folder / "checkpoints").iterdir())) == 2
    assert next((run.folder / "tb").glob("events.*")).stat().st_size > 500


def test_the_same_config_repeats_the_run_bit_for_bit(tmp_path):
    one = train(small(seed=3), tmp_path / "one", progress="none")
    two = train(read_config(one.folder / "config.yaml"), tmp_path / "two", progress="none")
    other = train(small(seed=4), tmp_path / "other", progress="none")
    assert same(weights(one), weights(two)) and lines(one) == lines(two)
    assert not same(weights(one), weights(other))


def test_nobodys_generators_or_threads_are_touched(tmp_path):
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    torch.set_num_threads(2)
    expected = random.random(), np.random.rand(), torch.rand(1).item()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    train(small(256), tmp_path / "run", progress="none")
    assert (random.random(), np.random.rand(), torch.rand(1).item()) == expected
    assert torch.get_num_threads() == 2


PROGRAM = """
import sys
import tests.worlds.corridor
from rewardscape.agents.runs import read_config, train
train(read_config(sys.argv[1]), sys.argv[2], resume=True, progress="none")
"""


@pytest.mark.parametrize("wait", [1, 3])  # checkpoints to wait for before the kill
def test_a_killed_run_resumes_to_the_identical_result(tmp_path, repository, wait):
    config = small(4096)
    whole = train(config, tmp_path / "whole", progress="none")
    (tmp_path / "config.yaml").write_text((whole.folder / "config.yaml").read_text())
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "config.yaml"), str(tmp_path / "killed")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*(p for p in sys.path if p), str(repository)])}
    process = subprocess.Popen(command, env=environment, cwd=tmp_path)
    deadline = time.monotonic() + 120
    reached = 2 * wait
    while time.monotonic() < deadline:
        newest = last_checkpoint(tmp_path / "killed")
        if newest is not None and int(newest.stem.split("-")[1]) >= reached:
            break
        assert process.poll() is None or newest is not None, "it ended before it could be killed"
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stopped = Run(tmp_path / "killed").metrics()
    assert len(stopped) <= 32
    resumed = train(config, tmp_path / "killed", resume=True, progress="none")
    assert same(weights(whole), weights(resumed))
    assert lines(whole) == lines(resumed)


def test_a_checkpoint_half_written_is_never_read(tmp_path):
    config = small(512)
    run = train(config, tmp_path / "run", progress="none")
    (run.folder / "policy.pt").unlink()
    (run.folder / "checkpoints" / "update-9999999.draft").write_bytes(b"half")
    assert last_checkpoint(run.folder).stem == "update-0000004"
    assert same(weights(train(config, run.folder, resume=True, progress="none")), Run(run.folder).load_policy().state_dict())


def test_policies_come_back(tmp_path):
    run = train(small(256), tmp_path / "run", progress="none")
    policy = run.load_policy()
    observation = np.eye(6, dtype=np.float32)
    before = policy.predict(observation, deterministic=True)[0]
    save_weights(run.folder / "policy.pt", policy, half=True)
    assert np.array_equal(run.load_policy().predict(observation, deterministic=True)[0], before)
    (run.folder / "policy.pt").unlink()
    assert np.array_equal(run.load_policy().predict(observation, deterministic=True)[0], before)  # from the checkpoint


def test_what_sb3_cannot_learn_soundly_is_refused(tmp_path):
    config = Config(CORRIDOR, "success + potential(objective_gain(), gamma=0.9)", **SMALL)
    with pytest.raises(ValueError, match=r"shapes with gamma=0.9, the learner discounts with gamma=0.99"):
        train(config, tmp_path / "run", progress="none")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"algo": "dqn"}, "allowed: ppo, a2c"),
        ({"env": "Corridr"}, "there are: rewardscape/GUIGrounding-v0"),
        ({"reward": "gui-g3"}, "did you mean gui-g2"),
        ({"steps": 0}, "at least 1"),
        ({"n_envs": 2.5}, "an integer"),
    ],
)
def test_wrong_configs(change, message):
    with pytest.raises(ValueError, match=message):
        Config(**{"env": CORRIDOR, **change})


def test_wrong_files(tmp_path):
    path = tmp_path / "config.yaml"
    with pytest.raises(FileNotFoundError, match="no config at"):
        read_config(path)
    path.write_text(yaml.safe_dump({"env": CORRIDOR, "rewards": "hit"}))
    with pytest.raises(ValueError, match=r"unknown: \['rewards'\]"):
        read_config(path)
    path.write_text("{")
    with pytest.raises(ValueError, match="not valid YAML"):
        read_config(path)
    train(small(128), tmp_path / "run", progress="none")
    with pytest.raises(FileExistsError, match="pass resume"):
        train(small(128), tmp_path / "run", progress="none")
    with pytest.raises(ValueError, match="is of another run"):
        train(small(256), tmp_path / "run", resume=True, progress="none")
    with pytest.raises(ValueError, match="algorithm_settings"):
        train(small(128, algorithm_settings={"n_stepz": 3}), tmp_path / "bad", progress="none")


@pytest.mark.parametrize(
    "settings", [{"action": "point"}, {"action": "box"}, {"action": "point+confidence"}, {"action": "attend"}]
)
@pytest.mark.parametrize("observation", ["elements", "pixels", "both"])
def test_networks_fit_every_observation_and_action(settings, observation):
    config = Config(
        "GUIScreens", "hit", n_envs=4, env_settings={**settings, "observation": observation, "screen_size": (64, 48), "split": "held-out"},
        algorithm_settings={"n_steps": 2, "batch_size": 8},
    )  # fmt: skip
    model = make_model(config, make_envs(config, 0))
    model.learn(8)
    distribution = model.policy.get_distribution(model.policy.obs_to_tensor(model._last_obs)[0])
    actions = distribution.sample()
    assert torch.isfinite(distribution.log_prob(actions)).all()
    assert (distribution.log_prob(distribution.mode()) >= distribution.log_prob(actions + 3)).all()


def test_the_mixture_integrates_to_one():
    from rewardscape.agents.networks import Pointing

    scores, means = torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([[[-0.5, 0.2], [0.4, -0.3], [0.1, 0.6]]])
    deviation = torch.tensor([0.1, 0.15])
    axis = torch.linspace(-1.6, 1.6, 641)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="ij"), -1).reshape(-1, 2)
    distribution = Pointing().proba_distribution(scores.expand(len(grid), -1), means.expand(len(grid), -1, -1), deviation)
    assert distribution.log_prob(grid).exp().sum() * (axis[1] - axis[0]) ** 2 == pytest.approx(1, abs=1e-3)
    assert torch.allclose(distribution.mode()[0], means[0, 2])
    torch.manual_seed(0)
    many = Pointing().proba_distribution(scores.expand(20000, -1), means.expand(20000, -1, -1), deviation)
    expected = (torch.softmax(scores, -1).unsqueeze(-1) * means).sum(1)[0]
    assert torch.allclose(many.sample().mean(0), expected, atol=0.01)


def test_a_run_begins_with_the_weights_of_another(tmp_path):
    first = train(small(), tmp_path / "first", progress="none")
    config = small(128, algorithm_settings={**SMALL["algorithm_settings"], "learning_rate": 1e-9}, start=str(first.folder))
    second = train(config, tmp_path / "second", progress="none")
    one, two = weights(first), weights(second)
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)
    assert not same(one, weights(train(small(128), tmp_path / "fresh", progress="none")))
    with pytest.raises(ValueError, match="nowhere"):
        small(start="nowhere")
    other = Config("GUIGrounding", "hit", n_envs=4, env_settings={"action": "point"}, start="GUIGrounding")
    with pytest.raises(ValueError, match="start='GUIGrounding': its policy, trained on .* has another shape"):
        train(other, tmp_path / "other", progress="none")


def test_several_aims_draw_a_place_each():
    from rewardscape.agents.networks import Pointing

    scores, deviation = torch.tensor([[0.3, -1.0, 2.0]]), torch.tensor([0.1, 0.2, 0.15])
    means = torch.tensor([[[-0.5, 0.2, 0.0], [0.4, -0.3, 0.5], [0.1, 0.6, -0.4]]])
    both = Pointing().proba_distribution(scores, means, deviation, (2, 1))
    first = Pointing().proba_distribution(scores, means[..., :2], deviation[:2])
    second = Pointing().proba_distribution(scores, means[..., 2:], deviation[2:])
    action = torch.tensor([[0.1, 0.3, -0.2]])
    assert torch.allclose(both.log_prob(action), first.log_prob(action[:, :2]) + second.log_prob(action[:, 2:]))
    torch.manual_seed(0)
    drawn = (
        Pointing().proba_distribution(scores.expand(4000, -1), means.expand(4000, -1, -1), 0.01 * deviation, (2, 1)).sample()
    )
    nearest = (drawn.unsqueeze(1) - means).abs()
    apart = nearest[..., 0].argmin(1) != nearest[..., 2].argmin(1)
    shares = torch.softmax(scores, -1)[0]
    assert apart.float().mean() == pytest.approx(1 - float((shares**2).sum()), abs=0.03)
    three = Pointing().proba_distribution(scores, means, deviation, (1, 1, 1)).mode()
    assert torch.allclose(three, torch.tensor([[0.1, 0.2, -0.4]]))  # best, second best, and the click at the best


@pytest.mark.slow
@pytest.mark.parametrize("reward", ["hit", "gui-g2"])
def test_an_agent_learns_to_click_and_pages_never_seen_too(tmp_path, reward):
    from rewardscape.agents.evaluate import evaluate

    run = train(
        Config("GUIScreens", reward, steps=65_536, seed=0, env_settings={"action": "box"}), tmp_path / "run", progress="none"
    )
    policy = run.load_policy()
    for split in ("train", "held-out"):
        scores = {
            who: evaluate(agent, run.config.env, reward, 400, settings={"action": "box", "split": split})
            for who, agent in {"trained": policy, "random": "random", "role": "role"}.items()
        }
        low = scores["trained"]["interval"][0]
        assert low > scores["role"]["interval"][1] + 0.2 and low > scores["random"]["interval"][1] + 0.2, (split, scores)
