import copy

import gymnasium as gym
import numpy as np
import pytest
import torch

import tests.worlds.corridor
import tests.worlds.drift
import tests.worlds.pair  # noqa: F401
from rewardscape.envs.core.check import check_world
from rewardscape.rewards import RewardError, fact, parse, potential, term

CORRIDOR, PAIR, DRIFT = (f"rewardscape-tests/{name}-v0" for name in ("Corridor", "Pair", "Drift"))


@term
def corridor_progress(corridor_left, previous_corridor_left):
    """Cells gained in the step."""
    return previous_corridor_left - corridor_left


@term
def corridor_closeness(corridor_left):
    """Minus the cells left."""
    return -corridor_left


def vector(rows=4, env=CORRIDOR, **settings):
    return gym.make_vec(env, num_envs=rows, vectorization_mode="vector_entry_point", **settings)


@pytest.mark.parametrize("world", [CORRIDOR, PAIR, DRIFT])
def test_the_whole_contract(world):
    findings = list(check_world(world))
    assert not [str(f) for f in findings if f.ok is False]
    assert sum(f.ok is True for f in findings) >= 10


def test_an_episode_by_hand():
    env = gym.make(CORRIDOR, length=4, reward="corridor_progress")
    observation, info = env.reset(seed=3)
    place = int(observation.argmax())
    assert info["objective"] == 0 and not info["success"] and info["reward_terms"] == {}
    while place < 3:
        observation, reward, terminated, truncated, info = env.step(1)
        place += 1
        assert reward == 1 and info["reward_terms"] == {"corridor_progress": 1}
        assert int(observation.argmax()) == place
    assert terminated and not truncated and info["objective"] == 1 and info["success"]


def test_time_limits_truncate_in_both_faces():
    envs = vector(max_episode_steps=2, length=40, autoreset_mode="same_step")
    envs.reset(seed=0)
    envs.step(np.zeros(4, int))
    _, _, terminated, truncated, info = envs.step(np.zeros(4, int))
    assert truncated.all() and not terminated.any() and info["_final_info"].all()
    env = gym.make(CORRIDOR, max_episode_steps=2, length=40)
    env.reset(seed=0)
    env.step(0)
    assert env.step(0)[2:4] == (False, True)


def test_same_step_hands_over_the_last_observation():
    envs = vector(1, length=3, autoreset_mode="same_step")
    observation, _ = envs.reset(seed=0)
    while True:
        before = int(observation[0].argmax())
        observation, _, terminated, _, info = envs.step(np.ones(1, int))
        if terminated[0]:
            break
        assert "final_obs" not in info
    assert int(info["final_obs"][0].argmax()) == 2 == before + 1
    assert info["final_info"]["objective"][0] == 1 and info["objective"][0] == 0
    assert int(observation[0].argmax()) < 2  # the next episode


def test_next_step_pays_nothing_for_a_reset():
    envs = vector(1, length=3, reward="corridor_progress - 1.0")
    envs.reset(seed=0)
    ended = False
    for _ in range(20):
        _, reward, terminated, _, info = envs.step(np.ones(1, int))
        if ended:
            assert reward[0] == 0 and np.isnan(info["reward_terms"]["corridor_progress"][0])
            return
        ended = bool(terminated[0])
    raise AssertionError("no episode ended")


def test_potentials_keep_the_optimum_and_vanish_at_the_end():
    """Shaping with gamma=1 sums to minus the potential of the start where the episode terminates."""
    env = gym.make(CORRIDOR, length=6, reward=potential(parse("corridor_closeness()"), gamma=1.0))
    for seed in range(5):
        observation, _ = env.reset(seed=seed)
        start, total, done = int(observation.argmax()), 0.0, False
        while not done:
            _, reward, done, _, _ = env.step(1)
            total += reward
        assert total == pytest.approx(5 - start)


def test_partial_resets_leave_other_rows_alone():
    envs = vector(4)
    observation, _ = envs.reset(seed=0)
    observation = envs.step(np.zeros(4, int))[0]
    after, _ = envs.reset(options={"reset_mask": np.array([True, False, False, True])})
    assert np.array_equal(after[1:3], observation[1:3])
    alone = gym.make(CORRIDOR)
    alone.reset(seed=3)
    assert np.array_equal(alone.reset()[0], after[3])  # row 3 went on to its second episode


def test_a_seed_for_each_row():
    envs = vector(3)
    observation, _ = envs.reset(seed=[7, 7, 9])
    assert np.array_equal(observation[0], observation[1])
    env = gym.make(CORRIDOR)
    assert np.array_equal(env.reset(seed=9)[0], observation[2])


def test_buffers_are_shared_only_when_asked():
    for shared in (False, True):
        envs = vector(2, copy=not shared)
        first, _ = envs.reset(seed=0)
        kept = first.copy()
        envs.step(np.ones(2, int))
        assert np.array_equal(first, kept) is not shared


def test_tensors_share_the_memory_of_the_rules():
    envs = vector(2, output="torch", copy=False)
    observation, _ = envs.reset(seed=0)
    assert isinstance(observation, torch.Tensor)
    reward = envs.step(torch.ones(2, dtype=torch.int64))[1]
    assert isinstance(reward, torch.Tensor)
    assert observation.data_ptr() == envs.unwrapped._stepper.batch.world.observation.cells.ctypes.data


def test_rows_can_be_put_back_one_by_one():
    envs = vector(3, reward="corridor_progress")
    envs.reset(seed=0)
    kept = envs.unwrapped.get_state()
    now = envs.step(np.ones(3, int))[0].copy()
    envs.unwrapped.set_state(kept, rows=np.array([True, False, False]))
    again = envs.step(np.ones(3, int))
    assert np.array_equal(again[0][0], now[0]) and again[1][0] == 1


def test_several_agents_have_an_axis_of_their_own():
    envs = vector(3, PAIR, reward="fact('pair_payoff')", autoreset_mode="same_step")
    observation, _ = envs.reset(seed=0)
    assert observation.shape == (3, 2, 2)
    actions = np.array([[0, 2], [1, 1], [2, 0]])
    _, reward, terminated, _, info = envs.step(actions)
    total = actions.sum(1, keepdims=True)
    assert np.allclose(reward, total - 1.5 * actions)
    assert terminated.shape == (3,) and info["objective"].shape == (3,)
    bad = envs.step(np.array([[5, 0], [0, 0], [0, 0]]))[4]["invalid_action"]
    assert bad.tolist() == [[True, False], [False, False], [False, False]]
    assert gym.make(PAIR).reset(seed=0)[0].shape == (2,)  # one learner among others


def test_a_reward_can_be_swapped():
    env = gym.make(CORRIDOR, length=6, reward="corridor_progress")
    env.reset(seed=1)
    assert env.step(1)[1] == 1
    env.unwrapped.set_reward(2 * parse("corridor_progress()"))
    env.reset(seed=1)
    assert env.step(1)[1] == 2
    assert str(env.unwrapped.reward_layer.expression) == "2.0*corridor_progress()"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"reward": "gui-g2"}, "does not report what this reward needs: predicted_box"),
        ({"reward": "corridor_progres"}, "did you mean corridor_progress"),
        ({"autoreset_mode": "later"}, "next_step, same_step"),
        ({"output": "jax"}, "numpy, torch"),
        ({"device": "tpu"}, "cpu, cuda"),
        ({"num_envs": 0}, "at least 1"),
        ({"render_mode": "human"}, "rgb_array, ansi"),
    ],
)
def test_wrong_arguments_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        vector(**{"rows": settings.pop("num_envs", 2), **settings})


def test_wrong_shapes_of_actions_are_errors():
    envs = vector(3)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        envs.step(np.zeros(2, int))
    env = gym.make(CORRIDOR)
    env.reset(seed=0)
    with pytest.raises(ValueError, match="numbers of shape"):
        env.unwrapped.step(np.zeros(3))


def test_stepping_before_reset_is_an_error():
    with pytest.raises(gym.error.ResetNeeded):
        vector().step(np.zeros(4, int))


def test_a_reward_that_is_not_finite_names_row_and_term():
    @term
    def corridor_broken(corridor_left):
        """Infinite in the last cell."""
        with np.errstate(divide="ignore"):
            return 1.0 / corridor_left

    envs = vector(2, length=2, reward="corridor_broken")
    envs.reset(seed=0)
    with pytest.raises(RewardError, match="row 0 is inf: term corridor_broken"):
        envs.step(np.ones(2, int))


def test_pictures():
    env = gym.make(CORRIDOR, render_mode="ansi")
    env.reset(seed=0)
    assert env.render().count("@") == 1
    envs = vector(3, render_mode="rgb_array")
    envs.reset(seed=0)
    assert [p.shape for p in envs.render()] == [(8, 48, 3)] * 3
    assert len(envs.unwrapped.render(rows=[2])) == 1


def test_a_copy_goes_its_own_way():
    env = gym.make(CORRIDOR, length=9, reward="corridor_progress")
    env.reset(seed=2)
    env.step(1)
    twin = copy.deepcopy(env)
    one, two = [env.step(a)[:4] for a in (1, 0, 1)], [twin.step(a)[:4] for a in (1, 0, 1)]
    for a, b in zip(one, two, strict=True):
        assert np.array_equal(a[0], b[0]) and a[1:] == b[1:]
    twin.step(0)
    assert env.unwrapped.facts["corridor_left"][0] != twin.unwrapped.facts["corridor_left"][0]


def test_a_window_opens_and_closes(monkeypatch):
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gym.make(CORRIDOR, render_mode="human")
    env.reset(seed=0)
    env.step(1)
    window = env.unwrapped._window
    assert window._surface.get_size() == (48, 8)
    assert env.render() is None
    env.close()
    assert env.unwrapped._window is None


def test_facts_can_be_read():
    env = gym.make(CORRIDOR, length=5)
    observation, _ = env.reset(seed=0)
    assert env.unwrapped.facts["corridor_left"][0] == 4 - observation.argmax()
    assert str(fact("corridor_left")) == "fact('corridor_left')"


@pytest.mark.cuda
def test_rows_on_a_gpu_equal_those_on_the_cpu():
    here, there = vector(64, output="torch", length=9), vector(64, device="cuda", length=9)
    one, two = here.reset(seed=5)[0], there.reset(seed=5)[0]
    generator = torch.Generator().manual_seed(0)
    for _ in range(60):
        assert torch.equal(one, two.cpu())
        actions = torch.randint(0, 2, (64,), generator=generator)
        a, b = here.step(actions), there.step(actions.cuda())
        one, two = a[0], b[0]
        for x, y in zip(a[1:4], b[1:4], strict=True):
            assert torch.equal(x, y.cpu())
