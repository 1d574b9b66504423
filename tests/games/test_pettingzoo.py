import copy
import functools

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo import AECEnv, ParallelEnv
from pettingzoo.test import api_test, parallel_api_test, parallel_seed_test, render_test, seed_test

import rewardscape
import tests.worlds.corridor
import tests.worlds.pair  # noqa: F401

ID, PAIR = "rewardscape/MatrixGame-v0", "rewardscape-tests/Pair-v0"
WORLDS = {
    "prisoners": (ID, {"reward": "payoff_earned"}),
    "four": (ID, {"game": "public-goods", "players": 4, "noise": 0.2, "reward": "team_spirit(payoff_earned, 0.5)"}),
    "pair": (PAIR, {}),
}


@pytest.mark.parametrize("world", WORLDS)
def test_pettingzoos_own_tests(world):
    env, settings = WORLDS[world]
    parallel, in_turn = (functools.partial(f, env, **settings) for f in (rewardscape.parallel_env, rewardscape.aec_env))
    assert isinstance(parallel(), ParallelEnv) and isinstance(in_turn(), AECEnv)
    parallel_api_test(parallel(), num_cycles=50)
    api_test(in_turn(), num_cycles=50)
    parallel_seed_test(parallel, num_cycles=50)
    seed_test(in_turn, num_cycles=50)


def test_pettingzoos_render_test(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    render_test(functools.partial(rewardscape.aec_env, ID))


@pytest.mark.parametrize("world", WORLDS)
def test_all_faces_show_the_same(world):
    """Row 0 of the vector, the parallel face and the face in turn, under one seed, over several episodes."""
    env, settings = WORLDS[world]
    envs = gym.make_vec(env, num_envs=2, vectorization_mode="vector_entry_point", autoreset_mode="same_step", **settings)
    parallel, in_turn = rewardscape.parallel_env(env, **settings), rewardscape.aec_env(env, **settings)
    joint, seen = envs.reset(seed=9)[0], parallel.reset(seed=9)[0]
    in_turn.reset(seed=9)
    envs.action_space.seed(0)
    names, episodes = parallel.possible_agents, 0
    while episodes < 3:
        for k, name in enumerate(names):
            assert np.array_equal(joint[0, k], seen[name]) and np.array_equal(seen[name], in_turn.observe(name))
            assert parallel.observation_space(name).contains(seen[name])
        assert np.array_equal(parallel.state(), joint[0]) and parallel.state_space.contains(in_turn.state())
        actions = envs.action_space.sample()
        joint, reward, terminated, _, info = envs.step(actions)
        seen, paid, ended, _, said = parallel.step(dict(zip(names, actions[0], strict=True)))
        for action in actions[0]:
            in_turn.step(action)
        now = info["final_info"] if terminated[0] else info
        for k, name in enumerate(names):
            assert paid[name] == reward[0, k] == in_turn.rewards[name]
            assert ended[name] == terminated[0] == in_turn.terminations[name]
            assert said[name]["objective"] == now["objective"][0] and said[name] == in_turn.infos[name]
            if env == ID:
                assert said[name]["agent_objective"] == now["agent_objective"][0, k]
                assert said[name]["reward_terms"]["payoff_earned"] == now["reward_terms"]["payoff_earned"][0, k]
        if terminated[0]:
            assert parallel.agents == []
            episodes += 1
            seen = parallel.reset()[0]
            in_turn.reset()


def test_infos_are_each_agents_own():
    env = rewardscape.parallel_env("MatrixGame-v0", reward="inequity_averse(payoff_earned, alpha=1.0, beta=0.5)", rounds=10)
    env.reset(seed=0)
    _, reward, _, _, infos = env.step({"agent_0": 1, "agent_1": 7})
    assert infos["agent_1"]["invalid_action"] and not infos["agent_0"]["invalid_action"]
    _, reward, _, _, infos = env.step({"agent_0": 1, "agent_1": 0})
    assert reward == {"agent_0": 5 - 0.5 * 5, "agent_1": 0 - 1.0 * 5}
    assert [infos[name]["reward_terms"] for name in env.agents] == [{"payoff_earned": 5}, {"payoff_earned": 0}]
    assert infos["agent_0"]["objective"] == infos["agent_1"]["objective"] == pytest.approx(0.75 / 10)
    assert [infos[name]["agent_objective"] for name in env.agents] == pytest.approx([(1 + 5) / 50, 1 / 50])


def test_a_moment_comes_back():
    env = rewardscape.parallel_env(ID, reward="payoff_earned", noise=0.5)
    env.reset(seed=0)
    actions = {"agent_0": 1, "agent_1": 0}
    env.step(actions)
    kept, twin = env.get_state(), copy.deepcopy(env)
    first = [env.step(actions)[1] for _ in range(15)]
    assert env.agents == []
    env.set_state(kept)
    assert env.agents == env.possible_agents
    assert first == [env.step(actions)[1] for _ in range(15)] == [twin.step(actions)[1] for _ in range(15)]


def test_a_reward_can_be_swapped():
    env = rewardscape.parallel_env(ID)
    assert env.reward_layer is None
    env.reset(seed=0)
    env.set_reward("team_mean(payoff_earned)")
    env.reset()
    assert env.step({"agent_0": 1, "agent_1": 0})[1] == {"agent_0": 2.5, "agent_1": 2.5}
    assert str(env.reward_layer.expression) == "team_mean(payoff_earned())"


def test_the_experts_share_the_objective():
    env = rewardscape.parallel_env(ID, game="stag-hunt", players=5)
    env.reset(seed=0)
    paid = dict.fromkeys(env.agents, 0.0)
    while env.agents:
        _, reward, _, _, infos = env.step(env.expert_actions())
        paid = {name: paid[name] + reward[name] for name in paid}
    assert infos["agent_0"]["success"] and set(paid.values()) == {1.0}  # reward=None pays the objective's gain to everyone


def test_a_time_limit_truncates():
    env = rewardscape.parallel_env(ID, max_episode_steps=3)
    env.reset(seed=0)
    ends = [env.step(dict.fromkeys(env.agents, 0))[2:4] for _ in range(3)]
    assert ends[1] == ({"agent_0": False, "agent_1": False},) * 2
    assert ends[2][1] == {"agent_0": True, "agent_1": True} and not any(ends[2][0].values()) and env.agents == []


def test_wrong_use_is_named():
    with pytest.raises(ValueError, match="has one agent"):
        rewardscape.parallel_env("rewardscape-tests/Corridor-v0")
    with pytest.raises(ValueError, match="unknown environment"):
        rewardscape.aec_env("MatrixGames")
    with pytest.raises(ValueError, match="not a compiled world"):
        rewardscape.parallel_env("CartPole-v1")
    with pytest.raises(ValueError, match="does not report what this reward needs"):
        rewardscape.parallel_env(ID, reward="gui-g2")
    with pytest.raises(AttributeError, match="no attribute 'parallel'"):
        _ = rewardscape.parallel
    env = rewardscape.parallel_env(ID)
    with pytest.raises(gym.error.ResetNeeded):
        env.step({"agent_0": 0, "agent_1": 0})
    env.reset(seed=0)
    with pytest.raises(ValueError, match="for agent_0, agent_1, not for agent_0"):
        env.step({"agent_0": 0})
    with pytest.raises(ValueError, match="numbers of shape"):
        env.step({"agent_0": 0, "agent_1": [1, 1]})
