"""What actions do: moves, slips, keys and doors, lava, obstacles, ends, captions, facts."""

import gymnasium as gym
import numpy as np
import pytest

import rewardscape  # noqa: F401
from tests.navigation.mazes import MOVES, Plan, act, experts, mazes

ENV = "rewardscape/Maze-v0"
LEFT, RIGHT, FORWARD = 0, 1, 2


def stand(batch, places, direction=0):
    """Put the agents somewhere on open floor."""
    batch.world.facts.position[:] = places
    batch.world.state.direction[:] = direction


def test_turns_and_moves():
    batch = mazes(40)
    w = batch.world
    for action, change in ((LEFT, 3), (RIGHT, 1)):
        before, place = w.state.direction.copy(), w.facts.position.copy()
        act(batch, np.full(40, action))
        assert (w.state.direction == (before + change) % 4).all() and (w.facts.position == place).all()
        assert not w.facts.collision.any()
    plans = [Plan(batch, row) for row in range(40)]
    place, effective = w.facts.position.copy(), w.facts.effective_actions.copy()
    assert (effective == 2).all()
    act(batch, np.full(40, FORWARD))
    blocked = 0
    for row, plan in enumerate(plans):
        to = tuple(place[row] + MOVES[w.state.direction[row]])
        free = to not in plan.walls
        assert tuple(w.facts.position[row]) == (to if free else tuple(place[row]))
        assert w.facts.collision[row] == (not free) and w.facts.effective_actions[row] == 2 + free
        blocked += not free
    assert 0 < blocked < 40


def test_four_way_moves():
    batch = mazes(4, generator="u-trap", actions="four-way", size=20)
    w = batch.world
    for action, step in enumerate(MOVES):
        stand(batch, (1, 1) if action in (1, 2) else (18, 18))
        if action in (0, 3):
            w.facts.position[:] = (18, 18)
        before = w.facts.position.copy()
        act(batch, np.full(4, action))
        assert (w.facts.position == before + step).all()


def test_visits_count_every_step_that_ends_in_a_cell():
    batch = mazes(20, seed=4, generator="perfect", time_limit=60_000)
    rng = np.random.default_rng(0)
    w = batch.world
    counts = [{tuple(place): 1} for place in w.facts.position]
    assert (w.facts.visit_count == 1).all()
    for _ in range(300):
        act(batch, rng.integers(0, 3, 20))
        for row, count in enumerate(counts):
            place = tuple(w.facts.position[row])
            count[place] = count.get(place, 0) + 1
            assert w.facts.visit_count[row] == count[place]


@pytest.mark.parametrize("actions", ["turn", "four-way"])
def test_slips_go_to_either_side_with_their_probability(actions):
    rows = 4000
    batch = mazes(rows, generator="u-trap", size=32, actions=actions, slip=0.3)
    w, came = batch.world, {}
    stand(batch, (8, 1))
    w.state.walls[:] = -1
    w.state.walls[:, 1:31] = ~(((1 << 30) - 1) << 1)
    stand(batch, (16, 16), direction=1)
    act(batch, np.full(rows, FORWARD if actions == "turn" else 1))
    for place in w.facts.position:
        came[tuple(place)] = came.get(tuple(place), 0) + 1 / rows
    assert set(came) == {(17, 16), (16, 15), (16, 17)}
    assert came[17, 16] == pytest.approx(0.7, abs=0.03)
    assert came[16, 15] == pytest.approx(0.15, abs=0.025) and came[16, 17] == pytest.approx(0.15, abs=0.025)
    if actions == "turn":
        assert (w.state.direction == 1).all()


def test_without_its_key_a_door_stays_shut():
    batch = mazes(60, generator="rooms", keys=1, actions="four-way", seed=2)
    w, tried = batch.world, 0
    for row in range(60):
        plan = Plan(batch, row)
        x, y = plan.doors[0]
        beside = [(d, (x - dx, y - dy)) for d, (dx, dy) in enumerate(MOVES) if (x - dx, y - dy) in plan.floor]
        action, w.facts.position[row] = beside[0]
        batch.raw[row] = action
        w.state.held[row] = row % 2
    batch.step(False)
    for row in range(60):
        plan = Plan(batch, row)
        opened = bool(row % 2)
        assert (tuple(w.facts.position[row]) == plan.doors[0]) == opened
        assert w.facts.collision[row] != opened and w.facts.subgoal_reached[row] == opened
        assert w.state.opened[row] == opened and w.facts.subgoals_done[row] == opened
        tried += opened
    assert tried == 30


def test_keys_doors_and_goals_on_the_way():
    batch = mazes(30, seed=9, generator="rooms", keys=2, goals=2, actions="four-way")
    w = batch.world
    subgoals, goals, ended = np.zeros(30, int), np.zeros(30, int), np.zeros(30, bool)
    while not ended.all():
        act(batch, experts(batch))
        subgoals += ~ended & w.facts.subgoal_reached
        goals += ~ended & w.facts.goal_reached
        assert (w.facts.subgoals_done[~ended] == subgoals[~ended]).all()
        assert (w.episode.objective[~ended] == goals[~ended] / 2).all()
        assert (w.episode.terminated[~ended] == (goals == 2)[~ended]).all()
        ended |= w.episode.terminated
    assert (goals == 2).all() and (subgoals == 4).all()


def test_lava_ends_the_episode():
    batch = mazes(60, generator="caves", lava=0.4, actions="four-way", seed=1)
    w, burned = batch.world, 0
    plans = [Plan(batch, row) for row in range(60)]
    rng = np.random.default_rng(0)
    ended = np.zeros(60, bool)
    for _ in range(60):
        act(batch, rng.integers(0, 4, 60))
        for row in np.flatnonzero(~ended):
            deadly = tuple(w.facts.position[row]) in plans[row].lava
            assert w.facts.hazard[row] == deadly
            assert w.episode.terminated[row] == (deadly or w.facts.goal_reached[row])
            if deadly:
                assert batch.rules.lazy_facts(w)["caption"][row] == "walked into lava" and w.facts.goal_distance[row] > 0
            burned += deadly
        ended |= w.episode.terminated
    assert burned > 30


def test_obstacles_move_by_single_steps_over_free_floor_and_end_the_episode():
    batch = mazes(80, generator="four-rooms", size=10, obstacles=6, goals=2, keys=1, actions="four-way", seed=3)
    w, hits, ran, moved = batch.world, 0, 0, 0
    plans = [Plan(batch, row) for row in range(80)]
    for row in range(80):
        for place in w.state.obstacles[row]:
            assert np.abs(place - w.facts.position[row]).sum() >= 3
    ended = np.zeros(80, bool)
    rng = np.random.default_rng(0)
    for _ in range(60):
        before, agent = w.state.obstacles.copy(), w.facts.position.copy()
        act(batch, rng.integers(0, 4, 80))
        for row in np.flatnonzero(~ended):
            after = [tuple(place) for place in w.state.obstacles[row]]
            plan, here = plans[row], tuple(w.facts.position[row])
            assert len(set(after)) == 6 and set(after) <= plan.floor - {*plan.goals, *plan.keys, *plan.doors}
            away = np.abs(w.state.obstacles[row] - before[row]).sum(1)
            assert away.max() <= 1
            moved += away.sum()
            text = batch.rules.lazy_facts(w)["caption"][row]
            if here in [tuple(place) for place in before[row]] and here != tuple(agent[row]):
                assert text == "ran into an obstacle" and w.facts.hazard[row] and away.sum() == 0
                ran += 1
            else:
                assert w.facts.hazard[row] == (here in after) == (text == "was hit by an obstacle")
                hits += here in after
            assert w.episode.terminated[row] == (w.facts.hazard[row] or w.episode.objective[row] == 1)
        ended |= w.episode.terminated
    assert hits > 5 and ran > 5 and moved > 500


def test_obstacles_choose_evenly_among_free_neighbours():
    rows = 3000
    batch = mazes(rows, generator="u-trap", size=16, obstacles=1)
    w = batch.world
    w.state.walls[:, 1:15] = ~(((1 << 14) - 1) << 1)
    w.state.goals[:] = (13, 13)
    stand(batch, (1, 1))
    w.state.obstacles[:, 0] = (7, 14)  # wall to the south
    act(batch, np.full(rows, LEFT))
    came = {}
    for place in w.state.obstacles[:, 0]:
        came[tuple(place)] = came.get(tuple(place), 0) + 1 / rows
    assert set(came) == {(6, 14), (8, 14), (7, 13)}
    assert all(share == pytest.approx(1 / 3, abs=0.04) for share in came.values())


@pytest.mark.parametrize("actions, least", [("turn", 0.7), ("four-way", 0.95)])
def test_the_expert_minds_obstacles(actions, least):
    batch = mazes(100, generator="four-rooms", obstacles=6, seed=6, actions=actions)
    w = batch.world
    plain, careful = np.zeros(100), np.zeros(100)
    for actor, score in ((False, plain), (True, careful)):
        batch.reset(np.ones(100, bool))
        planner = batch.rules.expert
        ended = np.zeros(100, bool)
        while not ended.all():
            if actor:
                actions = np.array([planner(w, row) for row in range(100)])
            else:
                seen = w.state.obstacles.copy()
                w.state.obstacles[:] = -9
                actions = np.array([planner(w, row) for row in range(100)])
                w.state.obstacles[:] = seen
            act(batch, actions)
            score[~ended] = w.episode.objective[~ended]
            ended |= w.episode.terminated | w.episode.truncated
    assert careful.mean() > least and careful.mean() > plain.mean() + 0.1


def test_the_time_limit_truncates():
    for settings, limit in (
        ({}, 256), ({"actions": "four-way"}, 128), ({"time_limit": 9}, 9), ({"goals": 2, "keys": 1}, 768),
        ({"generator": "perfect", "size": 20}, 400), ({"generator": "caves", "size": 20, "actions": "four-way"}, 200),
    ):  # fmt: skip
        batch = mazes(3, **settings)
        assert batch.rules.settings.time_limit == limit
        for step in range(limit):
            assert not batch.world.episode.truncated.any() and not batch.world.episode.terminated.any(), step
            act(batch, np.zeros(3) if batch.rules.settings.turn else np.full(3, north_or_back(batch)))
        assert batch.world.episode.truncated.all() and not batch.world.episode.terminated.any()


def north_or_back(batch):
    """Walk against a wall: north first, which ends at one, unless the goal is met."""
    batch.world.state.goals[:] = 1  # out of the way of a walk north from anywhere else
    batch.world.facts.position[:, 0] = np.maximum(batch.world.facts.position[:, 0], 2)
    return 0


def test_a_goal_in_the_last_step_is_no_truncation():
    batch = mazes(20, seed=21, size=9)
    w = batch.world
    needed = np.zeros(20, int)
    while not w.episode.terminated.all():
        needed += ~w.episode.terminated
        act(batch, experts(batch))
    for row in range(20):
        for limit, reached in ((needed[row], True), (needed[row] - 1, False)):
            if limit > 0:
                one = mazes(1, seed=21 + row, size=9, time_limit=int(limit))
                for _ in range(limit):
                    act(one, experts(one))
                assert one.world.episode.terminated[0] == reached and one.world.episode.truncated[0] != reached


def test_captions():
    env = gym.make(ENV, generator="rooms", keys=2, goals=2, actions="four-way")
    _, info = env.reset(seed=0)
    said = [info["caption"]]
    done = False
    while not done:
        _, _, terminated, truncated, info = env.step(env.unwrapped.expert_action())
        said.append(info["caption"])
        assert env.unwrapped.facts["caption"][0] == info["caption"]
        done = terminated or truncated
    assert said[0] == "began" and said[-1] == "reached goal 2 of 2" and "reached goal 1 of 2" in said
    assert {"took the red key", "took the blue key", "opened the red door", "opened the blue door"} <= set(said)
    assert said.index("took the red key") < said.index("opened the red door")
    assert any(text in said for text in ("moved north", "moved south", "moved east", "moved west"))
    turning = gym.make(ENV, slip=0.5, size=8)
    turning.reset(seed=1)
    said = {turning.step(action)[4]["caption"] for action in [LEFT, RIGHT, *[FORWARD] * 40] if action is not None}
    assert {"turned left", "turned right", "bumped into a wall"} <= said
    assert any(text.startswith("slipped ") for text in said)


def test_captions_of_a_batch_are_those_of_the_step_they_came_with():
    envs = gym.make_vec(ENV, num_envs=3, vectorization_mode="vector_entry_point")
    _, first = envs.reset(seed=0)
    _, _, _, _, second = envs.step(np.array([LEFT, RIGHT, LEFT]))
    assert list(first["caption"]) == ["began"] * 3
    assert list(second["caption"]) == ["turned left", "turned right", "turned left"]
    envs.step(np.array([RIGHT] * 3))
    assert list(second["caption"]) == ["turned left", "turned right", "turned left"]
    assert list(envs.unwrapped.facts["caption"]) == ["turned right"] * 3


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"generator": "spiral"}, "generator='spiral'; allowed: 'four-rooms', 'rooms'"),
        ({"size": 7}, "size=7; allowed: an integer in [8, 64]"),
        ({"size": 16.0}, "size=16.0"),
        ({"goals": 0}, "goals=0; allowed: an integer in [1, 4]"),
        ({"keys": 3}, "keys=3; allowed: an integer in [0, 2]"),
        ({"keys": 1, "generator": "u-trap"}, "keys=1 with generator='u-trap'; keys are for four-rooms, rooms, perfect, caves"),
        ({"obstacles": 9}, "obstacles=9"),
        ({"lava": 0.6}, "lava=0.6; allowed: a number in [0, 0.5]"),
        ({"slip": -0.1}, "slip=-0.1; allowed: a number in [0, 1]"),
        ({"actions": "jump"}, "actions='jump'; allowed: 'turn', 'four-way'"),
        ({"observation": "sound"}, "observation='sound'; allowed: 'view', 'map', 'pixels'"),
        ({"view": 8}, "view=8; allowed: an odd number in [3, 15]"),
        ({"view": 17}, "view=17; allowed: an integer in [3, 15]"),
        ({"time_limit": -1}, "time_limit=-1"),
        ({"mazes": -1}, "mazes=-1"),
        ({"split": "test"}, "split='test'; allowed: 'train', 'held-out'"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(ValueError) as error:
        gym.make(ENV, **settings)
    assert words in str(error.value) and "Maze: " in str(error.value)
