import collections
import itertools

import numpy as np
import pytest

from rewardscape.envs.core.random import as_seed, base_seed, draw, episode_key, mix

MASK = 2**64 - 1


def splitmix(state):
    """SplitMix64 (Steele, Lea, Flood 2014) on Python integers, written apart from ours."""
    state = (state + 0x9E3779B97F4A7C15) & MASK
    z = state
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return state, z ^ (z >> 31)


def test_the_published_sequence():
    state, found = 1234567, []
    for _ in range(5):
        state, value = splitmix(state)
        found.append(value)
    assert found == [6457827717110365317, 3203168211198807973, 9817491932198370423, 4593380528125082431, 16408922859458223821]
    key = np.uint64(1234567)
    assert [int(draw(key, np.uint64(k))) for k in range(5)] == found


@pytest.mark.parametrize("value", [0, 1, 2**63, MASK, 0x0123456789ABCDEF])
def test_mix_is_the_finaliser_for_any_integer(value):
    z = value
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    assert int(mix(np.uint64(value))) == z ^ (z >> 31)


def test_keys_of_seeds_and_episodes_differ():
    keys = {int(episode_key(np.uint64(seed), np.uint64(index))) for seed in range(200) for index in range(50)}
    assert len(keys) == 200 * 50


def test_draws_are_even():
    key = episode_key(np.uint64(5), np.uint64(0))
    buckets = collections.Counter(int(draw(key, np.uint64(k))) >> 60 for k in range(16000))
    assert len(buckets) == 16
    assert max(abs(count - 1000) for count in buckets.values()) < 150  # five standard deviations


def test_bases_of_runs_and_splits_are_far_apart():
    bases = sorted(base_seed(run, split) for run in range(200) for split in ("train", "validation", "test"))
    assert len(set(bases)) == 600
    assert min(b - a for a, b in itertools.pairwise(bases)) > 10**9  # no run's rows reach another's
    assert all(0 <= b < 2**63 for b in bases)
    with pytest.raises(ValueError, match="train, validation, test"):
        base_seed(0, "dev")


@pytest.mark.parametrize("seed", [-1, 2**64, 1.5, True, "3", None])
def test_seeds_that_are_none(seed):
    with pytest.raises(ValueError, match=r"an integer in \[0, 2\*\*64\)"):
        as_seed(seed)
