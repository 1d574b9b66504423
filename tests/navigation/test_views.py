"""What the agent sees, against a slow painting of the same."""

import gymnasium as gym
import numpy as np
import pytest

from tests.navigation.mazes import MOVES, Plan, act, batch_of, bits, experts, mazes, seen

UNSEEN, WALL, FLOOR, GOAL, KEY, DOOR, LAVA, OBSTACLE, OTHER, AGENT = range(10)
RICH = {"generator": "rooms", "keys": 2, "goals": 3, "lava": 0.1, "obstacles": 4}


def thing(batch, plan, row, place):
    """The three channels of a place of the map."""
    s, f = batch.world.state, batch.world.facts
    held, opened, reached = (bits(getattr(s, name)[row]) for name in ("held", "opened", "reached"))
    if place == tuple(f.position[row]):
        return AGENT, s.held[row], s.direction[row] + 1 if batch.rules.settings.turn else 0
    if place in {tuple(obstacle) for obstacle in s.obstacles[row]}:
        return OBSTACLE, 0, 0
    for k in range(len(plan.keys)):
        if place == plan.keys[k] and k not in held:
            return KEY, k + 1, 0
        if place == plan.doors[k] and k not in opened:
            return DOOR, k + 1, 0
    if any(place == goal and k not in reached for k, goal in enumerate(plan.goals)):
        return GOAL, 0, 0
    if place in plan.lava:
        return LAVA, 0, 0
    return FLOOR if place in plan.floor else WALL, 0, 0


def view(batch, plan, row):
    """What an agent at the bottom centre sees ahead (turn), or one in the middle around it (four-way)."""
    c, f = batch.rules.settings, batch.world.facts
    half = c.sight // 2
    ahead = MOVES[int(batch.world.state.direction[row])] if c.turn else MOVES[0]
    right = -ahead[1], ahead[0]
    painted = np.zeros((c.sight, c.sight, 3), np.uint8)
    for r in range(c.sight):
        for column in range(c.sight):
            forward, sideways = (c.sight - 1 if c.turn else half) - r, column - half
            place = tuple(int(f.position[row, k]) + forward * ahead[k] + sideways * right[k] for k in range(2))
            painted[r, column] = thing(batch, plan, row, place)
    return painted


def whole(batch, plan, row):
    return np.array([[thing(batch, plan, row, (x, y)) for x in range(plan.size)] for y in range(plan.size)], np.uint8)


@pytest.mark.parametrize("actions", ["turn", "four-way"])
@pytest.mark.parametrize(
    "settings",
    [
        RICH,
        RICH | {"view": 3},
        RICH | {"view": 15, "size": 10},
        {"size": 9},
        {"size": 64, "lava": 0.2},
        RICH | {"observation": "map"},
    ],
    ids=["rich", "narrow", "wide", "plain", "large", "map"],
)
def test_the_view_equals_a_slow_painting(actions, settings):
    batch = mazes(20, seed=11, actions=actions, time_limit=60_000, **settings)
    plans = [Plan(batch, row) for row in range(batch.rows)]
    rng = np.random.default_rng(1)
    painted = whole if settings.get("observation") == "map" else view
    directions, kinds = set(), set()
    for step in range(60):
        if step % 6 == 0:
            for row, plan in enumerate(plans):
                image = seen(batch)[row]
                assert (image == painted(batch, plan, row)).all()
                directions.add(int(batch.world.state.direction[row]))
                kinds |= set(np.unique(image[..., 0]).tolist())
        random = rng.integers(0, batch.rules.action_space.n, batch.rows)
        act(batch, np.where(rng.random(batch.rows) < 0.6, experts(batch), random))
    assert directions == {0, 1, 2, 3}
    if settings.get("keys"):
        assert kinds == {WALL, FLOOR, GOAL, KEY, DOOR, LAVA, OBSTACLE, AGENT}


def test_views_at_each_edge_of_the_largest_map():
    batch = mazes(4, generator="u-trap", size=64, view=15)
    w = batch.world
    for direction in range(4):
        for row, place in enumerate(((1, 1), (62, 1), (1, 62), (62, 62))):
            w.facts.position[row] = place
            w.state.direction[row] = direction
        act(batch, np.zeros(4))  # turns left
        for row in range(4):
            assert (seen(batch)[row] == view(batch, Plan(batch, row), row)).all()


def test_a_batch_that_goes_on_to_new_mazes_leaves_nothing_behind():
    """Channels 1 and 2 are not written everywhere: what one maze left must not show in the next."""
    for settings in ({"keys": 1, "generator": "four-rooms"}, {}, {"observation": "map", "size": 8}):
        batch = mazes(30, time_limit=7, **settings)
        rng = np.random.default_rng(2)
        for _ in range(40):
            batch.raw[:] = np.where(rng.random(30) < 0.7, experts(batch), rng.integers(0, 3, 30))
            batch.step(True)
        painted = whole if settings.get("observation") else view
        for row in range(30):
            assert (seen(batch)[row] == painted(batch, Plan(batch, row), row)).all()


@pytest.mark.parametrize("actions", ["turn", "four-way"])
def test_pixels_show_the_view(actions):
    settings = RICH | {"actions": actions, "time_limit": 60_000}
    views, pixels = mazes(30, seed=5, **settings), mazes(30, seed=5, observation="pixels", **settings)
    rng = np.random.default_rng(3)
    meaning, tiles = {}, {}
    for _ in range(40):
        for row in range(30):
            cells = seen(views)[row]
            image = seen(pixels)[row].reshape(7, 8, 7, 8, 3)
            for r, c in np.ndindex(7, 7):
                kind, tile = (int(cells[r, c, 0]), int(cells[r, c, 1])), image[r, :, c].tobytes()
                assert meaning.setdefault(tile, kind) == kind
                assert tiles.setdefault(kind, tile) == tile
        actions_now = np.where(rng.random(30) < 0.7, experts(views), rng.integers(0, 3, 30))
        act(views, actions_now)
        act(pixels, actions_now)
    assert len(meaning) >= 11


def test_spaces():
    for settings, shape, high in (
        ({}, (7, 7, 3), 9),
        ({"view": 9, "observation": "pixels"}, (72, 72, 3), 255),
        ({"observation": "map", "size": 20}, (20, 20, 3), 9),
    ):
        env = gym.make("rewardscape/Maze-v0", **settings)
        assert env.observation_space.shape == shape and env.observation_space.high.max() == high
        assert env.reset(seed=0)[0] in env.observation_space


def test_pictures_and_texts():
    env = gym.make("rewardscape/Maze-v0", render_mode="rgb_array", **RICH)
    env.reset(seed=3)
    before = env.render()
    assert before.dtype == np.uint8 and min(before.shape[:2]) >= 256 and before.mean() > 100
    env.step(env.unwrapped.expert_action())
    assert (env.render() != before).any()
    for size in (8, 64):
        assert (
            min(
                gym.make("rewardscape/Maze-v0", size=size, render_mode="rgb_array")
                .unwrapped.rules.draw(mazes(1, size=size).world, 0)
                .shape[:2]
            )
            >= 256
        )
    text = gym.make("rewardscape/Maze-v0", render_mode="ansi", **RICH)
    text.reset(seed=3)
    lines = text.render().splitlines()
    plan = Plan(batch_of(text.unwrapped.rules, 1, 3), 0)
    for mark, places in (("G", plan.goals), ("a", plan.keys[:1]), ("B", plan.doors[1:])):
        assert all(lines[1 + y][x] == mark for x, y in places)
    assert all(lines[1 + y][x] == "#" for x, y in plan.walls) and lines[1 + plan.starts[0][1]][plan.starts[0][0]] in "^>v<"
