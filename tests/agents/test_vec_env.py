import gymnasium as gym
import numpy as np
import pytest
from stable_baselines3 import A2C, PPO, SAC
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import tests.worlds.corridor
import tests.worlds.pair  # noqa: F401
from rewardscape.agents.vec_env import SB3VecEnv

CORRIDOR = "rewardscape-tests/Corridor-v0"


def made(rows=4, env=CORRIDOR, mode="same_step", **settings):
    return gym.make_vec(env, num_envs=rows, vectorization_mode="vector_entry_point", autoreset_mode=mode, **settings)


def test_episodes_are_told_as_sb3_expects():
    vec_env = SB3VecEnv(made(3, length=4))
    vec_env.seed(0)
    observation = vec_env.reset()
    steps = np.zeros(3, int)
    ended = 0
    for _ in range(30):
        before = observation
        kept = before.copy()
        observation, reward, done, infos = vec_env.step(np.ones(3, int))
        assert np.array_equal(before, kept), "an observation that was handed out changed"
        steps += 1
        for row in range(3):
            if not done[row]:
                assert infos[row] == {}
                continue
            ended += 1
            assert infos[row]["episode"]["l"] == steps[row] and infos[row]["episode"]["r"] == 1
            assert infos[row]["terminal_observation"].argmax() == 3 and not infos[row]["TimeLimit.truncated"]
            assert infos[row]["success"] and reward[row] == 1 and observation[row].argmax() < 3
            steps[row] = 0
    assert ended > 10


def test_time_limits_are_told():
    vec_env = SB3VecEnv(made(2, length=50, max_episode_steps=3))
    vec_env.reset()
    for _ in range(3):
        _, _, done, infos = vec_env.step(np.zeros(2, int))
    assert done.all() and all(info["TimeLimit.truncated"] for info in infos)


def test_the_log_adds_up():
    vec_env = SB3VecEnv(made(2, length=3, reward="2*success - 1.0"))
    vec_env.seed(1)
    vec_env.reset()
    total, episodes = 0.0, 0
    for _ in range(10):
        _, reward, done, _ = vec_env.step(np.ones(2, int))
        total += reward.sum()
        episodes += int(done.sum())
    log = vec_env.episode_log()
    assert log["steps"] == 20 and log["episodes"] == episodes and log["objective"] == 1
    assert log["reward"] == pytest.approx(total / 20)
    assert log["terms"]["success"] == pytest.approx(episodes / 20)
    assert vec_env.episode_log()["steps"] == 0


def test_it_is_what_it_says_only_for_same_step_numpy_and_one_agent():
    with pytest.raises(ValueError, match="same_step"):
        SB3VecEnv(made(mode="next_step"))
    with pytest.raises(ValueError, match='output="numpy"'):
        SB3VecEnv(made(output="torch"))
    with pytest.raises(ValueError, match="one agent"):
        SB3VecEnv(made(env="rewardscape-tests/Pair-v0"))
    with pytest.raises(TypeError, match="not Corridor"):
        SB3VecEnv(type("Corridor", (), {})())


def test_attributes_and_methods_reach_the_environment():
    vec_env = SB3VecEnv(made(3, render_mode="rgb_array"))
    assert vec_env.get_attr("num_envs") == [3, 3, 3] and vec_env.get_attr("device", 1) == ["cpu"]
    assert len(vec_env.env_method("get_state")) == 3
    assert vec_env.env_is_wrapped(VecMonitor) == [False] * 3
    vec_env.reset()
    assert vec_env.render().shape == (8, 48, 3) and len(vec_env.get_images()) == 3


@pytest.mark.parametrize("algorithm", [PPO, A2C])
def test_sb3_learns_on_it(algorithm):
    vec_env = VecMonitor(SB3VecEnv(made(8)))
    algorithm("MlpPolicy", vec_env, n_steps=8, seed=0).learn(128)
    algorithm("MlpPolicy", VecNormalize(SB3VecEnv(made(8))), n_steps=8, seed=0).learn(64)


def test_off_policy_too():
    envs = gym.make_vec(
        "rewardscape/GUIScreens-v0", num_envs=4, vectorization_mode="vector_entry_point", autoreset_mode="same_step"
    )
    SAC("MultiInputPolicy", SB3VecEnv(envs), learning_starts=8, batch_size=8, buffer_size=64, seed=0).learn(24)
