import numpy as np
import pytest

from rewardscape.agents.episode_means import EpisodeMeans
from rewardscape.agents.ppo import Clock, DeviceLearner
from rewardscape.agents.runs import Config, make_envs


def test_every_row_counts_alike():
    means, rows = EpisodeMeans(3), np.arange(4)[:, None]

    def take(sums, episodes, so_far):
        return means.take(np.array(sums) + 0 * rows, np.array(episodes), np.array(so_far) + 0 * rows)["objective"]

    assert take([0, 0, 0], [0, 0, 0], [0.5, 0, 0]) == pytest.approx(0.5 / 3)  # none ended: what they have so far
    assert take([3, 0, 0], [3, 0, 0], [0, 0.2, 0]) == pytest.approx(1.2 / 3)  # three successes of one row are one row's
    assert take([0, 0, 1], [0, 1, 2], [0, 9, 9]) == pytest.approx((1 + 0 + 0.5) / 3)  # the first row: as before
    assert list(means.take(np.ones((4, 3)), np.ones(3), np.zeros((4, 3)))) == ["objective", "success", "return", "length"]


@pytest.mark.parametrize("algo", ["ppo", "ppo-device"])
def test_an_agent_that_knows_nothing_does_not_begin_with_success(algo):
    """Mazes that chance solves seldom: the first episodes to end, long before the time limit, are its successes."""
    env_settings = {"generator": "four-rooms", "size": 12, "time_limit": 100}
    config = Config("rewardscape/Maze-v0", None, algo, n_envs=128, env_settings=env_settings, threads=1)
    if algo == "ppo-device":
        learner = DeviceLearner(config)
        rows, log = learner.rows, []
        for _ in range(2):
            learner._play(Clock(rows.device))
            log.append(rows.episode_log())
    else:
        rows, log = make_envs(config, 0), []
        rows.reset()
        rng = np.random.default_rng(0)
        for _ in range(2):
            for _ in range(32):
                rows.step(rng.integers(0, rows.action_space.n, 128))
            log.append(rows.episode_log())
    assert 0 < log[0]["episodes"] < 40 and log[1]["episodes"] > 0
    assert log[0]["objective"] == log[0]["episodes"] / 128 < log[1]["objective"] < 0.5
    assert log[0]["length"] > 25  # the many that still play count, too
