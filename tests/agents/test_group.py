import numpy as np
import pytest
import torch

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents.evaluate import evaluate
from rewardscape.agents.group import GroupLearner
from rewardscape.agents.runs import Config, read_config, train

CORRIDOR = "rewardscape-tests/Corridor-v0"
GUI = "rewardscape/GUIGrounding-v0"


def corridor(steps=4096, **more):
    settings = {"group_size": 8, "episodes": 2, "batch_size": 256, "learning_rate": 3e-3}
    return Config(CORRIDOR, "2*success - 0.1", algo="grpo", steps=steps, n_envs=32, threads=1, checkpoint_every=2,
                  algorithm_settings=settings, **more)  # fmt: skip


def test_a_group_meets_the_same_task_and_answers_it_differently():
    config = Config(
        GUI, "hit", algo="grpo", n_envs=16, threads=1, env_settings={"action": "box"}, algorithm_settings={"group_size": 4}
    )
    torch.manual_seed(0)
    learner = GroupLearner(config)
    first, second = learner._play(), learner._play()
    for played in (first, second):
        words = played.observations["instruction"].reshape(4, 4, 4, -1)  # time, group, member, token
        assert (words == words[:, :, :1]).all() and not (words[:, 0, 0] == words[:, 1, 0]).all()
        assert len(np.unique(played.actions[0].numpy(), axis=0)) == 16
    assert not torch.equal(first.observations["boxes"], second.observations["boxes"])
    assert str(learner.layer.credit) == "per_turn()" and first.rollouts.mask.all()


def test_episodes_of_different_length_are_masked_and_the_next_begin_together():
    torch.manual_seed(0)
    learner = GroupLearner(corridor())
    played = learner._play()
    mask = played.rollouts.mask
    assert 0 < mask[-1].sum() < mask.shape[1] and (np.diff(mask.astype(int), axis=0) <= 0).all()
    assert str(learner.layer.credit) == "none()"
    again = learner._play().observations[0].reshape(4, 8, -1)
    assert (again == again[:, :1]).all()


@pytest.mark.parametrize("advantage", ["group_relative(scale='none')", "leave_one_out()", "decoupled()"])
def test_it_learns(tmp_path, advantage):
    run = train(corridor(30_000, advantage=advantage), tmp_path / "run", progress="none")
    trained = evaluate(run.load_policy(), CORRIDOR, episodes=200)["objective"]
    random = evaluate("random", CORRIDOR, episodes=200)["objective"]
    assert trained > 0.9 > random + 0.1
    assert run.episodes().final_objective.mean() > 0.9


def test_it_repeats_and_resumes_bit_for_bit(tmp_path):
    whole = train(corridor(advantage="leave_one_out"), tmp_path / "whole", progress="none")
    config = read_config(whole.folder / "config.yaml")
    assert config.advantage == "leave_one_out()" and config == corridor(advantage="leave_one_out")
    again = train(config, tmp_path / "again", progress="none")
    weights = [torch.load(run.folder / "policy.pt") for run in (whole, again)]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    kept = sorted((again.folder / "checkpoints").iterdir())
    kept[-1].unlink()  # as if killed after the one before
    (again.folder / "policy.pt").unlink()
    resumed = train(config, again.folder, resume=True, progress="none")
    weights[1] = torch.load(resumed.folder / "policy.pt")
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_a_reward_with_stages_is_refused_by_a_learner_without_them(tmp_path):
    config = Config(CORRIDOR, "success", n_envs=4, advantage="leave_one_out")
    with pytest.raises(ValueError, match=r"advantage='leave_one_out\(\)', and SB3 estimates advantages in its own way"):
        train(config, tmp_path / "run", progress="none")
    assert not (tmp_path / "run").exists()


def test_a_potential_with_another_discount_than_the_credit_is_refused():
    potential = "success + potential(fact('objective'), gamma=0.9)"
    with pytest.raises(ValueError, match=r"shapes with gamma=0\.9, the learner discounts with gamma=1\.0"):
        GroupLearner(Config(CORRIDOR, potential, algo="grpo", n_envs=16, credit="reward_to_go"))
    GroupLearner(Config(CORRIDOR, potential, algo="grpo", n_envs=16, credit="reward_to_go(gamma=0.9)"))


def test_wrong_settings_are_named():
    with pytest.raises(ValueError, match=r"unknown \['gamma'\]; allowed: batch_size"):
        GroupLearner(Config(CORRIDOR, algo="grpo", algorithm_settings={"gamma": 0.9}))
    with pytest.raises(ValueError, match="n_envs=10 is to be a multiple of group_size=4"):
        GroupLearner(Config(CORRIDOR, algo="grpo", n_envs=10, algorithm_settings={"group_size": 4}))
    with pytest.raises(ValueError, match="group_size=1; allowed: an integer of at least 2"):
        GroupLearner(Config(CORRIDOR, algo="grpo", algorithm_settings={"group_size": 1}))
    with pytest.raises(ValueError, match="reward=None has none"):
        Config(CORRIDOR, algo="grpo", advantage="leave_one_out")
