"""One learner among others, in both Gymnasium faces."""

import copy

import gymnasium as gym
import numpy as np
import pytest
import torch
from stable_baselines3 import PPO

import tests.worlds.corridor
import tests.worlds.pair  # noqa: F401
from rewardscape.agents.vec_env import SB3VecEnv

ID, PAIR, CORRIDOR = "rewardscape/MatrixGame-v0", "rewardscape-tests/Pair-v0", "rewardscape-tests/Corridor-v0"


def vector(rows=3, env=ID, **settings):
    return gym.make_vec(env, num_envs=rows, vectorization_mode="vector_entry_point", **settings)


def copycat(observation):
    """Plays what the first of the others it sees played last, from the one-hot observation of two players and two actions."""
    return (observation[:, 3] > 0).astype(np.int64)


class Policy:
    """What Stable-Baselines3 calls a policy: remembers how it was asked."""

    def __init__(self):
        self.asked = []

    def predict(self, observation, deterministic=False):
        self.asked.append((observation.copy(), deterministic))
        return np.ones(len(observation), np.int64), None


OTHERS = {
    "scripted": ("grim_trigger", {}),
    "random": ("random", {"noise": 0.3}),
    "function": (copycat, {}),
    "several": (["defect", "random", "tit_for_tat"], {"players": 4, "game": "public-goods"}),
}


@pytest.mark.parametrize("learner", [0, 1])
@pytest.mark.parametrize("kind", OTHERS)
def test_a_row_is_the_single_environment_of_its_seed(kind, learner):
    others, settings = OTHERS[kind]
    made = {"others": others, "learner": learner, "reward": "team_spirit(payoff_earned, 0.25)", **settings}
    envs = vector(autoreset_mode="same_step", **made)
    singles = [gym.make(ID, **made) for _ in range(3)]
    seen = envs.reset(seed=5)[0]
    alone = [env.reset(seed=5 + i)[0] for i, env in enumerate(singles)]
    rng = np.random.default_rng(0)
    for _ in range(40):
        actions = rng.integers(0, 2, 3)
        assert np.array_equal(seen, np.stack(alone))
        seen, reward, terminated, _, info = envs.step(actions)
        for i, env in enumerate(singles):
            alone[i], paid, ended, _, said = env.step(int(actions[i]))
            now = info["final_info"] if ended else info
            assert (paid, ended) == (reward[i], terminated[i])
            assert said["reward_terms"] == {"payoff_earned": now["reward_terms"]["payoff_earned"][i]}
            assert said["agent_objective"] == now["agent_objective"][i] and said["objective"] == now["objective"][i]
            if ended:
                assert np.array_equal(info["final_obs"][i], alone[i])
                alone[i] = env.reset()[0]


@pytest.mark.parametrize("learner", [0, 1])
@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("mode", ["same_step", "next_step"])
def test_the_learner_has_its_column_of_the_whole(kind, learner, mode):
    """The same joint actions in the face of all agents: the same observations and rewards, whoever chose them."""
    others, settings = OTHERS[kind]
    reward = "inequity_averse(payoff_earned, decay=0.9)"
    one = vector(others=others, learner=learner, reward=reward, autoreset_mode=mode, **settings)
    every = vector(reward=reward, autoreset_mode=mode, **settings)
    seen, joint = one.reset(seed=2)[0], every.reset(seed=2)[0]
    assert one.observation_space.contains(seen) and one.single_observation_space.shape == seen.shape[1:]
    rng = np.random.default_rng(1)
    for _ in range(40):
        assert np.array_equal(seen, joint[:, learner])
        seen, reward_one, terminated, _, info = one.step(rng.integers(0, 2, 3))
        assert reward_one.shape == (3,) and info["invalid_action"].shape == (3,)
        joint, reward_every, ended, _, _ = every.step(one.unwrapped._stepper.raw.copy())
        assert np.array_equal(reward_one, reward_every[:, learner]) and np.array_equal(terminated, ended)


def test_the_worlds_own_others_are_the_default():
    env = gym.make(ID)
    env.reset(seed=0)
    played = []
    for action in (1, 0, 1, 1):
        env.step(action)
        played.append(int(env.unwrapped.facts["action"][0, 1]))
    assert played == [0, 1, 0, 1]  # tit for tat
    assert env.unwrapped.expert_action() == 0
    assert gym.make(PAIR).unwrapped._others.players == {1: "random"}


def test_random_others_depend_on_seed_episode_and_step_only():
    def drawn(rows, seed, action, **more):
        envs = vector(rows, others="random", rounds=64, **more)
        envs.reset(seed=seed)
        found = []
        for _ in range(64):
            envs.step(np.full(rows, action))
            found.append(envs.unwrapped.facts["action"][:, 1].copy())
        first = np.stack(found, 1)
        envs.reset()
        envs.step(np.full(rows, action))
        return first, envs.unwrapped.facts["action"][:, 1].copy()

    first, _ = drawn(256, 0, 0)
    assert np.array_equal(first, drawn(256, 0, 1)[0])  # whatever the learner does
    assert np.array_equal(first, drawn(256, 0, 0, noise=0.5)[0])  # and the world draws
    assert np.array_equal(first[3:5], drawn(2, 3, 0)[0])
    assert abs(first.mean() - 0.5) < 0.01 and abs((first[:, 1:] == first[:, :-1]).mean() - 0.5) < 0.01
    assert not np.array_equal(first[:, 0], drawn(256, 0, 0)[1])  # the next episode is another one
    assert set(np.unique(drawn(64, 0, 0, game="rock-paper-scissors")[0])) == {0, 1, 2}


def test_the_worlds_draws_do_not_depend_on_who_plays():
    """Noise falls on the same rounds, whether the other is drawn or a function does the same."""
    one = vector(8, others="random", noise=0.3)
    one.reset(seed=0)
    meant = []
    for _ in range(15):
        one.step(np.zeros(8, int))
        meant.append(one.unwrapped.facts["action"][:, 1].copy())
    script = iter(meant)
    two = vector(8, others=lambda observation: next(script), noise=0.3)
    two.reset(seed=0)
    for _ in range(15):
        two.step(np.zeros(8, int))
    histories = [envs.unwrapped._stepper.batch.world.state.history for envs in (one, two)]
    assert np.array_equal(*histories)


def test_a_frozen_policy_sees_its_own_seat():
    policy = Policy()
    envs = vector(2, others=["defect", policy], players=3, game="public-goods")
    envs.reset(seed=0)
    envs.step(np.array([0, 1]))
    envs.step(np.array([0, 0]))
    (first, greedy), (second, _) = policy.asked
    assert greedy and first.shape == (2, 7) and (first[:, 6] == 1).all()
    assert second[0].tolist() == [0, 1, 1, 0, 0, 1, 0]  # itself: defect; agent 0: cooperate; agent 1: defect
    assert second[1].tolist() == [0, 1, 0, 1, 0, 1, 0]


def test_a_trained_policy_plays_on_as_another():
    vec_env = SB3VecEnv(vector(16, others="tit_for_tat", reward="payoff_earned", autoreset_mode="same_step"))
    model = PPO("MlpPolicy", vec_env, n_steps=32, batch_size=64, n_epochs=2, seed=0).learn(1024)
    assert vec_env.episode_log()["episodes"] > 0
    drawn = torch.get_rng_state()
    singles = [gym.make(ID, others=model, learner=1, reward="payoff_earned") for _ in range(2)]
    histories = []
    for env in singles:
        env.reset(seed=0)
        for action in (0, 1, 1, 0):
            env.step(action)
        histories.append(env.unwrapped.world.state.history.copy())
    assert np.array_equal(*histories) and torch.equal(drawn, torch.get_rng_state())


def test_ppo_runs_on_the_single_environment():
    PPO("MlpPolicy", gym.make(ID, others="win_stay_lose_shift"), n_steps=64, batch_size=32, n_epochs=1, seed=0).learn(64)


def test_stable_baselines_refuses_a_face_of_many():
    with pytest.raises(ValueError, match="others= or learner="):
        SB3VecEnv(vector(autoreset_mode="same_step"))


def test_tensors_for_the_learner_and_for_the_others():
    shown = []

    def tensors(observation):
        shown.append(observation)
        return (observation[:, 3] > 0).long()

    plain, other = vector(others=copycat), vector(others=tensors, output="torch")
    one, two = plain.reset(seed=0)[0], other.reset(seed=0)[0]
    for action in np.random.default_rng(0).integers(0, 2, (20, 3)):
        assert np.array_equal(one, two.numpy())
        a, b = plain.step(action), other.step(torch.from_numpy(action))
        one, two = a[0], b[0]
        assert np.array_equal(a[1], b[1].numpy()) and tuple(b[1].shape) == (3,)
    assert isinstance(shown[0], torch.Tensor)
    scripted = vector(others=["tit_for_tat", "random", Policy()], players=4, output="torch", game="chicken")
    scripted.reset(seed=0)
    assert scripted.step(torch.zeros(3, dtype=torch.int64))[1].shape == (3,)


def test_bad_actions_of_others_are_their_own_affair():
    envs = vector(others=lambda observation: np.full(len(observation), np.nan))
    envs.reset(seed=0)
    info = envs.step(np.zeros(3, int))[4]
    assert not info["invalid_action"].any() and not envs.unwrapped.facts["action_valid"][:, 1].any()


def test_a_copy_and_a_saved_moment_go_on_alike():
    env = gym.make(ID, others="random", learner=1, reward="inequity_averse(payoff_earned, decay=0.9)")
    env.reset(seed=4)
    env.step(1)
    twin, kept = copy.deepcopy(env), env.unwrapped.get_state()
    first = [env.step(a)[1] for a in (0, 1, 1, 0)]
    env.unwrapped.set_state(kept)
    assert first == [env.step(a)[1] for a in (0, 1, 1, 0)] == [twin.step(a)[1] for a in (0, 1, 1, 0)]
    assert twin.unwrapped._others.players == {0: "random"}


def test_wrong_others_are_named():
    for made, message in (
        ({"others": "tit_for_two_tats"}, "allowed: 'random', 'cooperate', 'defect', 'tit_for_tat'"),
        ({"others": 3}, "allowed: 'random'"),
        ({"others": ["defect", "random"]}, "2 players in others= for 1 seats"),
        ({"learner": 2}, r"learner=2; allowed: an integer in \[0, 1\]"),
        ({"learner": True}, "learner=True"),
    ):
        with pytest.raises(ValueError, match=message):
            gym.make(ID, **made)
        with pytest.raises(ValueError, match=message):
            vector(**made)
    for made in ({"others": "random"}, {"learner": 0}):
        with pytest.raises(ValueError, match="has one agent"):
            gym.make(CORRIDOR, **made)
        with pytest.raises(ValueError, match="has one agent"):
            vector(env=CORRIDOR, **made)
    envs = vector(others=lambda observation: np.zeros(1))
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions are to be numbers of shape \(3,\)"):
        envs.step(np.zeros(3, int))


@pytest.mark.cuda
def test_others_on_a_gpu_play_as_on_the_cpu():
    made = {"others": ["tit_for_tat", "random", lambda seen: (seen[:, 3] > 0).long()], "players": 4, "noise": 0.1}
    reward = "inequity_averse(payoff_earned, decay=0.9) + team_spirit(payoff_earned, 0.5)"
    here, there = (vector(64, output="torch", device=d, reward=reward, game="chicken", **made) for d in ("cpu", "cuda"))
    one, two = here.reset(seed=5)[0], there.reset(seed=5)[0]
    generator = torch.Generator().manual_seed(0)
    for _ in range(40):
        assert torch.equal(one, two.cpu())
        actions = torch.randint(0, 2, (64,), generator=generator)
        a, b = here.step(actions), there.step(actions.cuda())
        one, two = a[0], b[0]
        assert torch.allclose(a[1], b[1].cpu(), rtol=1e-5, atol=1e-5) and torch.equal(a[2], b[2].cpu())
