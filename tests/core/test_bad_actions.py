"""Whatever an agent hands over: the nearest allowed action is taken, the step says so, and no other row notices."""

import functools

import gymnasium as gym
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import tests.worlds.corridor
import tests.worlds.drift
import tests.worlds.pair  # noqa: F401

ROWS, STEPS = 3, 4
CORRIDOR, PAIR, DRIFT = (f"rewardscape-tests/{name}-v0" for name in ("Corridor", "Pair", "Drift"))
WORLDS = [CORRIDOR, PAIR, DRIFT]
MODES = ["next_step", "same_step"]
few = settings(max_examples=30, deadline=None, derandomize=True)

whole = st.one_of(st.integers(-3, 4), st.sampled_from([-(2**63), 2**63 - 1, 10**9, -(10**9)]), st.integers(-(2**63), 2**63 - 1))
real = st.one_of(
    st.floats(-1, 1, width=32), st.sampled_from([np.nan, np.inf, -np.inf, 1e30, -1e30, 1e308]), st.floats(allow_nan=True)
)


@functools.cache
def vector(env, mode="next_step", number=0, **more):
    """A vector of the world; ``number`` tells apart two that are compared."""
    return gym.make_vec(env, num_envs=ROWS, vectorization_mode="vector_entry_point", autoreset_mode=mode, **more)


def shape(env):
    return (STEPS, *vector(env).action_space.shape)


def drawn(data, env, values=None):
    """Actions for a few steps, of any badness."""
    if values is None:
        values = real if env == DRIFT else whole
    size = int(np.prod(shape(env)))
    kind = float if values is real else np.int64
    return np.array(data.draw(st.lists(values, min_size=size, max_size=size)), kind).reshape(shape(env))


def mended(actions, env):
    """What is to be done in their place, and whether each agent's was fine: said apart from the engine."""
    space = vector(env).single_action_space
    if isinstance(space, gym.spaces.Box):
        with np.errstate(over="ignore"):
            wanted = actions.astype(np.float32)
        middle = (space.low + space.high) / 2
        good = np.where(np.isnan(wanted), middle, np.minimum(np.maximum(wanted, space.low), space.high))
        return good.astype(np.float32), (wanted == good).all(-1)
    good = np.minimum(np.maximum(actions, 0), space.n - 1)
    return good, good == actions


def play(envs, actions, seed=5):
    """Everything that a caller sees, step by step."""
    seen = [(envs.reset(seed=seed)[0],)]
    for action in actions:
        observation, reward, terminated, truncated, info = envs.step(action)
        acted = ~envs.unwrapped._stepper.episode["fresh"].copy()
        seen.append((observation, reward, terminated, truncated, info["objective"], info["invalid_action"], acted))
    return seen


def same(one, two, rows=slice(None), entries=5):
    for step, (a, b) in enumerate(zip(one, two, strict=True)):
        for x, y in zip(a[:entries], b[:entries], strict=True):
            for p, q in zip(*((v.values() if isinstance(v, dict) else [v]) for v in (x, y)), strict=True):
                assert np.array_equal(np.asarray(p)[rows], np.asarray(q)[rows]), f"step {step}"


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("env", WORLDS)
@given(st.data())
@few
def test_a_bad_action_is_the_nearest_good_one_and_is_reported(env, mode, data):
    actions = drawn(data, env)
    good, fine = mended(actions, env)
    dirty, clean = play(vector(env, mode), actions), play(vector(env, mode, number=1), good)
    same(dirty, clean)
    for step, (bad, well) in enumerate(zip(dirty[1:], clean[1:], strict=True)):
        assert not well[5].any()
        acted = np.broadcast_to(bad[6].reshape(ROWS, *[1] * (bad[5].ndim - 1)), bad[5].shape)
        if mode == "next_step":  # same-step rows may be in their next episode by now
            assert np.array_equal(bad[5], acted & ~fine[step])
        for value in bad[1], bad[4]:
            assert np.isfinite(value).all()
        assert vector(env).observation_space.contains(bad[0])


@pytest.mark.parametrize("env", WORLDS)
@given(st.data())
@few
def test_no_other_row_notices(env, data):
    good, _ = mended(drawn(data, env), env)
    row = data.draw(st.integers(0, ROWS - 1))
    spoiled = good.astype(float if env == DRIFT else np.int64)
    spoiled[:, row] = drawn(data, env)[:, row]
    others = [i for i in range(ROWS) if i != row]
    one, two = play(vector(env, "same_step"), spoiled), play(vector(env, "same_step", number=1), good)
    same(one, two, others, entries=6)


@pytest.mark.parametrize("env", [CORRIDOR, PAIR])
@given(st.data())
@few
def test_numbers_with_a_point_for_whole_actions(env, data):
    """What is not finite, or too big for any integer, lies out of range; the rest loses its fraction."""
    actions = drawn(data, env, real)
    finite = np.where(np.isfinite(actions), np.clip(actions, -1e15, 1e15), -1e15).astype(np.int64)
    same(play(vector(env), actions), play(vector(env, number=1), finite), entries=6)


@pytest.mark.parametrize("env", WORLDS)
@given(st.data())
@few
def test_tensors_are_treated_alike(env, data):
    actions = drawn(data, env)
    one = play(vector(env), actions)
    envs = vector(env, output="torch")
    envs.reset(seed=5)
    for action, seen in zip(actions, one[1:], strict=True):
        observation, reward, terminated, _, info = envs.step(torch.from_numpy(action))
        same([(observation, reward, terminated, info["invalid_action"])], [(seen[0], seen[1], seen[2], seen[5])])


@pytest.mark.parametrize("env", [CORRIDOR, DRIFT])
@given(st.data())
@few
def test_the_single_environment_does_the_same(env, data):
    actions = drawn(data, env)
    seen = play(vector(env, "next_step"), actions)
    alone = single(env)
    _observation, _ = alone.reset(seed=5)
    for action, (after, reward, terminated, truncated, _, invalid, _) in zip(actions, seen[1:], strict=True):
        found = alone.step(action[0])
        same([found[:1]], [({k: v[0] for k, v in after.items()} if env == DRIFT else after[0],)])
        assert found[1:4] == (reward[0], terminated[0], truncated[0])
        assert found[4]["invalid_action"] is bool(invalid[0])
        if terminated[0] or truncated[0]:
            return


@functools.cache
def single(env):
    return gym.make(env, disable_env_checker=True).unwrapped


@pytest.mark.parametrize(
    ("dtype", "value"), [(np.float16, np.inf), (np.float64, 1e300), (np.uint64, 2**64 - 1), (np.int8, -128), (bool, True)]
)
@pytest.mark.parametrize("env", WORLDS)
def test_any_kind_of_number_is_taken(env, dtype, value):
    envs = vector(env)
    envs.reset(seed=0)
    info = envs.step(np.full(envs.action_space.shape, value, dtype))[4]
    assert info["invalid_action"].all() == (dtype is not bool)


@pytest.mark.parametrize("value", ["1", None, 1j])
def test_what_is_no_number_is_an_error(value):
    envs = vector(CORRIDOR)
    envs.reset(seed=0)
    with pytest.raises(ValueError, match=r"actions are to be numbers of shape \(3,\)"):
        envs.step(np.array([value] * ROWS))
