"""Worlds of several agents in SuperSuit's vectors, where one policy of Stable-Baselines3 plays every seat."""

import pickle

import gymnasium as gym
import numpy as np
import pytest
from pettingzoo.utils import BaseParallelWrapper
from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import VecMonitor

import rewardscape
import tests.worlds.pair  # noqa: F401

supersuit = pytest.importorskip("supersuit", reason="SuperSuit is not installed: it has no wheels for this Python")

PAIR, MATRIX, TEAM = "rewardscape-tests/Pair-v0", "rewardscape/MatrixGame-v0", "rewardscape/MazeTeam-v0"
CASES = [
    pytest.param(PAIR, {"reward": "2.0*fact('pair_payoff') - 0.5"}, id="Pair"),
    pytest.param(MATRIX, {"reward": None}, id="MatrixGame"),
    pytest.param(TEAM, {"reward": "fact('goal_reached') - 0.01*fact('goal_distance')", "max_episode_steps": 12}, id="MazeTeam"),
    pytest.param(
        MATRIX, {"reward": "fact('payoff')", "game": "public-goods", "players": 4, "noise": 0.2, "rounds": 5}, id="of four"
    ),
]


class SilentReset(BaseParallelWrapper):
    """Resets without infos: SuperSuit would write them over the last ones of the ended episode, and the objective were lost."""

    def reset(self, seed=None, options=None):
        observations, infos = self.env.reset(seed=seed, options=options)
        return observations, {agent: {} for agent in infos}


def vector(world, copies=3, **settings):
    env = SilentReset(rewardscape.parallel_env(world, **settings))
    pickle.loads(pickle.dumps(env)).close()  # so SuperSuit copies it: what cannot be pickled shall fail here
    return supersuit.concat_vec_envs_v1(
        supersuit.pettingzoo_env_to_vec_env_v1(env), copies, num_cpus=0, base_class="stable_baselines3"
    )


@pytest.mark.parametrize(("world", "settings"), CASES)
def test_what_it_steps_is_our_vector(world, settings):
    theirs = vector(world, **settings)
    ours = gym.make_vec(world, num_envs=3, autoreset_mode="same_step", **settings)
    agents = ours.unwrapped.rules.agents
    seen, _ = theirs.venv.reset(seed=11)  # its reset(seed=) and PPO(seed=) ask for a method that Gymnasium's vectors lost
    expected, _ = ours.reset(seed=11)
    np.testing.assert_array_equal(seen, expected.reshape(seen.shape))
    draws, ended, paid = np.random.default_rng(0), 0, []
    for _ in range(40):
        actions = draws.integers(theirs.action_space.n, size=3 * agents)
        seen, rewards, dones, infos = theirs.step(actions)
        expected, reward, terminated, truncated, info = ours.step(actions.reshape(3, agents))
        np.testing.assert_array_equal(seen, expected.reshape(seen.shape))
        np.testing.assert_array_equal(rewards, reward.reshape(-1).astype(np.float32))
        np.testing.assert_array_equal(dones, (terminated | truncated).repeat(agents))
        for k, told in enumerate(infos):
            row, agent = divmod(k, agents)
            last = info["final_info"] if dones[k] else info
            assert told["objective"] == last["objective"][row] and told["success"] == last["success"][row]
            assert told["reward_terms"] == {
                name: values[row, agent] for name, values in last["reward_terms"].items() if name[0] != "_"
            }
            if dones[k]:
                np.testing.assert_array_equal(told["terminal_observation"], info["final_obs"][row][agent])
        ended += int(dones.sum())
        paid.extend(rewards)
    assert ended >= 6 * agents and len(set(paid)) > 1


@pytest.mark.parametrize(("world", "settings"), CASES)
def test_ppo_trains_on_it(world, settings):
    envs = VecMonitor(vector(world, copies=4, **settings), info_keywords=("objective",))
    model = PPO("MlpPolicy", envs, n_steps=16, batch_size=32, n_epochs=1, device="cpu")
    before = [weights.detach().clone() for weights in model.policy.parameters()]
    model.learn(512)
    assert any(not np.array_equal(old, new.detach()) for old, new in zip(before, model.policy.parameters(), strict=True))
    objectives = [ended["objective"] for ended in model.ep_info_buffer]
    assert len(objectives) >= 16 and (max(objectives) > 0 or world == TEAM)  # in so few steps a team finds nothing
    actions, _ = model.predict(envs.reset(), deterministic=True)
    assert actions.shape == (4 * rewardscape.parallel_env(world, **settings).rules.agents,)


@pytest.mark.parametrize(("world", "settings"), CASES)
def test_a_pickled_environment_is_at_the_same_moment_and_on_its_own(world, settings):
    env = rewardscape.parallel_env(world, **settings)
    env.reset(seed=4)
    draws = np.random.default_rng(1)

    def actions():
        return {agent: int(draws.integers(env.action_space(agent).n)) for agent in env.possible_agents}

    env.step(actions())
    twin = pickle.loads(pickle.dumps(env))
    state = env.state().copy()
    chosen = actions()
    first = twin.step(chosen)
    np.testing.assert_array_equal(env.state(), state)
    second = env.step(chosen)
    np.testing.assert_array_equal(twin.state(), env.state())
    assert first[1:] == second[1:]
