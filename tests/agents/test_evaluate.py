import gymnasium as gym
import numpy as np
import pytest

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents.evaluate import baselines_of, evaluate, interval, make_evaluation, run_episodes, splits_of
from rewardscape.agents.scripted import click_at, constant_agent, expert_agent, random_agent

CORRIDOR, SCREENS = "rewardscape-tests/Corridor-v0", "rewardscape/GUIScreens-v0"
MAZE, GAME = "rewardscape/Maze-v0", "rewardscape/MatrixGame-v0"


def test_intervals_hold_the_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(200):
        low, high = interval(rng.binomial(1, 0.3, 80), resamples=400, seed=trial)
        held += low <= 0.3 <= high
    assert 0.88 <= held / 200 <= 0.99
    assert np.isnan(interval(np.array([1.0]))).all()
    assert interval(np.ones(10)) == (1.0, 1.0)


def test_short_episodes_do_not_crowd_out_long_ones():
    """Walking right ends at once from near the end; counting whichever ends first would see short episodes only."""
    envs = make_evaluation(CORRIDOR, None, {"length": 12}, rows=8)
    played = run_episodes(envs, expert_agent(envs.unwrapped), 400, seed=0)
    assert len(played["length"]) == 400
    assert played["length"].mean() == pytest.approx(6, abs=0.6)  # starts are even over 1 to 11 steps
    assert played["objective"].mean() == 1 and played["invalid"] == 0


def test_the_same_question_has_the_same_answer():
    one, two = (evaluate("random", CORRIDOR, "success", 100, seed=1) for _ in range(2))
    assert one == two != evaluate("random", CORRIDOR, "success", 100, seed=2)


def test_baselines_are_ordered_as_they_should_be():
    scores = {name: evaluate(name, SCREENS, "hit", 256)["objective"] for name in ("random", "role", "overlap", "expert")}
    assert scores["random"] < scores["role"] < scores["overlap"] < scores["expert"] == 1
    with pytest.raises(ValueError, match="there are: random, constant, role, overlap, expert"):
        evaluate("best", SCREENS)


def test_the_best_constant_action_is_found():
    assert evaluate("constant", CORRIDOR, None, 64)["objective"] == 1  # always right


def test_guesses_are_those_that_fit_a_world():
    assert baselines_of(SCREENS) == ("random", "constant", "role", "overlap", "expert")
    assert baselines_of(SCREENS, {"observation": "pixels", "action": "attend"}) == ("random", "expert")
    assert baselines_of(MAZE) == baselines_of(GAME) == ("random", "constant", "expert")
    with pytest.raises(ValueError, match="settings of rewardscape/Maze-v0: .*'joy'"):
        baselines_of(MAZE, {"joy": 1})


def test_splits_are_told_apart_where_there_are_any():
    assert splits_of(SCREENS) == ("train", "held-out") and splits_of(SCREENS, {"split": "train"}) == ("train",)
    assert splits_of(MAZE) == splits_of(GAME) == () and splits_of(MAZE, {"mazes": 8}) == ("train", "held-out")


def test_constant_actions_are_those_of_every_agent():
    assert evaluate("constant", GAME, None, 32)["objective"] == 1  # all cooperate
    alone = evaluate("constant", GAME, "payoff_earned", 32, settings={"others": "cooperate"})
    assert alone["objective"] == 1 and alone["return"] == 3 * 16


def test_the_reward_layer_is_frozen():
    envs = make_evaluation(CORRIDOR, "scheduled((0, 1.0), (10, 0.0))*success", {})
    run_episodes(envs, random_agent(envs.unwrapped), 64, seed=0)
    assert envs.unwrapped.reward_layer.steps == 0


def test_actors_act_in_every_space():
    for action, parts in (("point", 2), ("box", 4), ("point+confidence", 3), ("attend", 14)):
        envs = gym.make_vec(SCREENS, num_envs=3, vectorization_mode="vector_entry_point", action=action).unwrapped
        envs.reset(seed=0)
        boxes = np.tile([[-0.5, -0.5, 0.5, 0.1]], (3, 1))
        for actions in (click_at(boxes, parts), random_agent(envs)(None), constant_agent(envs, np.zeros(parts))(None)):
            assert actions.shape == (3, parts) and actions.dtype == np.float32
            assert not envs.step(actions)[4]["invalid_action"].any()
