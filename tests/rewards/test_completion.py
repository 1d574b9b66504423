import math

import numpy as np

from rewardscape.rewards import RewardLayer
from rewardscape.rewards.completion import cosine_length, overlong, repetition, think_format


def test_a_thought_is_opened_once_and_closed():
    assert think_format.compute("<think>a\nb</think>the answer") == 1
    for bad in ("a<think>b</think>", "<think>a", "<think>a<think>b</think>", "", None, 3):
        assert think_format.compute(bad) == 0


def test_overlong_falls_evenly_over_the_tolerance():
    values = overlong.compute(np.array([0, 80, 90, 100, 101]), longest=100, tolerance=20)
    assert np.allclose(values, [0, 0, -0.5, -1, -1])
    assert overlong.compute(np.array([100, 101]), longest=100, tolerance=0).tolist() == [0, -1]


def test_repetition_is_the_share_of_what_was_said_before():
    assert repetition.compute([1, 2, 1, 2, 1, 2], size=2) == -0.6
    assert repetition.compute([1], size=2) == repetition.compute([], size=1) == repetition.compute([1, 2, 3], size=2) == 0


def test_cosine_length_rewards_brevity_when_right_and_length_when_wrong():
    length = np.array([0, 50, 100, 500])
    assert np.allclose(cosine_length.compute(np.ones(4), length, longest=100).value, [1, 0.75, 0.5, 0.5])
    assert np.allclose(cosine_length.compute(np.zeros(4), length, longest=100).value, [-1, -0.75, -0.5, -0.5])
    layer = RewardLayer(cosine_length(longest=100) + 1.0)
    facts = {
        "answer_correct": np.array([math.nan, 1.0]),
        "completion_length": np.array([10, 0]),
        "terminated": np.ones(2, bool),
    }
    layer.reset(facts)
    assert layer.step(facts)[0].tolist() == [1.0, 2.0]
