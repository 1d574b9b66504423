"""What the generators make, and how far it is through it."""

import itertools

import numpy as np
import pytest

from rewardscape.envs.navigation.furnish import GENERATORS, LOCKABLE
from tests.navigation.mazes import MOVES, Plan, act, bits, experts, mazes

SETTINGS = [
    {"generator": generator, "size": size, "keys": keys, "goals": goals, "lava": lava}
    for generator, size, (keys, goals), lava in itertools.product(
        GENERATORS, (8, 15, 24), ((0, 1), (0, 4), (1, 1), (2, 4)), (0.0, 0.3)
    )
    if keys == 0 or generator in LOCKABLE
]


def name(settings):
    return "-".join(f"{key}{value}" for key, value in settings.items())


@pytest.mark.parametrize("settings", SETTINGS, ids=name)
def test_every_maze_can_be_solved_and_its_distances_are_right(settings):
    batch = mazes(8, **settings)
    for row in range(batch.rows):
        plan = Plan(batch, row)
        start = plan.starts[0]
        things = [*plan.starts, *plan.goals, *plan.keys, *plan.doors]
        assert len(set(things)) == len(things) == 1 + settings["goals"] + 2 * settings["keys"]
        assert set(things) <= plan.floor - plan.lava
        border = {0, plan.size - 1}
        assert {(x, y) for x in range(plan.size) for y in range(plan.size) if x in border or y in border} <= plan.walls
        distance = plan.distance(start)
        assert distance is not None and distance == batch.world.facts.goal_distance[row]
        assert set(plan.goals) <= plan.reachable(start)
        if not settings["lava"]:
            assert plan.reachable(start) == plan.floor
        for k in range(settings["keys"]):
            behind = plan.reachable(start, without=(k,))
            assert plan.keys[k] in behind and plan.goals[0] not in behind


@pytest.mark.parametrize("generator", GENERATORS)
def test_the_largest_mazes(generator):
    batch = mazes(2, generator=generator, size=64, keys=2 if generator in LOCKABLE else 0, goals=3, lava=0.1)
    for row in range(batch.rows):
        plan = Plan(batch, row)
        assert plan.distance(plan.starts[0]) == batch.world.facts.goal_distance[row] > 0
        assert (batch.world.state.walls[row] < 0).all()  # bit 63 is the border


@pytest.mark.parametrize("generator", GENERATORS)
def test_generators_make_what_they_are_called(generator):
    plans = [Plan(batch, row) for batch in [mazes(200, generator=generator)] for row in range(batch.rows)]
    assert len({frozenset(plan.walls) for plan in plans}) > 150
    passages = [sum((x + 1, y) in p.floor for x, y in p.floor) + sum((x, y + 1) in p.floor for x, y in p.floor) for p in plans]
    squares = [sum({(x + 1, y), (x, y + 1), (x + 1, y + 1)} <= p.floor for x, y in p.floor) for p in plans]
    narrow = [
        sum({(x - 1, y), (x + 1, y)} <= p.walls or {(x, y - 1), (x, y + 1)} <= p.walls for x, y in p.floor) for p in plans
    ]
    for plan, links, open_squares, gaps in zip(plans, passages, squares, narrow, strict=True):
        if generator == "perfect":  # a tree: one passage less than cells
            assert links == len(plan.floor) - 1 and open_squares == 0
        elif generator == "four-rooms":
            assert gaps == 4
        elif generator == "rooms":
            assert 3 <= gaps <= 12
        elif generator == "caves":
            assert len(plan.floor) >= 14 * 14 / 2 and open_squares > 20 and gaps < 40


def test_without_loops_a_locked_maze_of_rooms_has_fewer_gaps():
    for row in range((batch := mazes(50, keys=1)).rows):
        plan = Plan(batch, row)
        gaps = [p for p in plan.floor if {(p[0] - 1, p[1]), (p[0] + 1, p[1])} <= plan.walls]
        gaps += [p for p in plan.floor if {(p[0], p[1] - 1), (p[0], p[1] + 1)} <= plan.walls]
        assert len(gaps) == 3 and plan.doors[0] in gaps


def test_lava_covers_its_share_of_the_floor():
    batch = mazes(200, generator="caves", size=24, lava=0.2)
    plans = [Plan(batch, row) for row in range(batch.rows)]
    share = sum(len(plan.lava) for plan in plans) / sum(len(plan.floor) for plan in plans)
    assert share == pytest.approx(0.2, abs=0.01)


WALKS = [
    {"generator": "rooms", "keys": 2},
    {"generator": "perfect", "keys": 1, "goals": 2, "actions": "four-way"},
    {"generator": "caves", "keys": 2, "goals": 4, "lava": 0.02, "actions": "four-way"},
    {"generator": "four-rooms", "goals": 3, "slip": 0.3},
]


@pytest.mark.parametrize("settings", WALKS, ids=name)
def test_distances_along_walks(settings):
    """Half of the actions are the expert's, so that keys, doors and goals are met; the others are random."""
    batch = mazes(10, seed=50, size=12, **settings)
    rng = np.random.default_rng(0)
    plans = [Plan(batch, row) for row in range(batch.rows)]
    w, compared, ended, done = batch.world, 0, np.zeros(batch.rows, bool), np.zeros(batch.rows, int)
    for _ in range(150):
        random = rng.integers(0, batch.rules.action_space.n, batch.rows)
        act(batch, np.where(rng.random(batch.rows) < 0.5, experts(batch), random))
        for row in np.flatnonzero(~ended):
            place, reached = tuple(map(int, w.facts.position[row])), bits(w.state.reached[row])
            held = bits(w.state.held[row])
            done[row] = max(done[row], w.facts.subgoals_done[row])
            if len(reached) == len(plans[row].goals):
                assert w.facts.goal_distance[row] == 0 and (w.facts.goal_offset[row] == 0).all()
            elif place not in plans[row].lava:
                assert w.facts.goal_distance[row] == plans[row].distance(place, held, reached)
                offsets = [np.subtract(goal, place) for k, goal in enumerate(plans[row].goals) if k not in reached]
                assert (w.facts.goal_offset[row] ** 2).sum() == min((offset**2).sum() for offset in offsets)
                assert any((w.facts.goal_offset[row] == offset).all() for offset in offsets)
                compared += 1
        ended |= w.episode.terminated | w.episode.truncated
    assert compared > 200 and done.max() == 2 * settings.get("keys", 0)


@pytest.mark.parametrize("generator", GENERATORS)
@pytest.mark.parametrize("actions", ["turn", "four-way"])
@pytest.mark.parametrize("extra", [{}, {"goals": 3, "lava": 0.2}, {"keys": 2, "goals": 2}], ids=name)
def test_the_expert_reaches_all_goals(generator, actions, extra):
    if extra.get("keys") and generator not in LOCKABLE:
        pytest.skip("no doors in a u-trap")
    batch = mazes(8, seed=7, generator=generator, actions=actions, **extra)
    w = batch.world
    ended = np.zeros(batch.rows, bool)
    while not ended.all():
        before, place = w.facts.goal_distance.copy(), w.facts.position.copy()
        act(batch, experts(batch))
        moved = (place != w.facts.position).any(1)
        if actions == "four-way":  # with turns a way of more moves may take fewer actions
            closer = ~ended & ~w.facts.goal_reached
            assert moved[~ended].all() and (before - w.facts.goal_distance)[closer].tolist() == [1] * closer.sum()
        ended |= w.episode.terminated | w.episode.truncated
        assert not w.facts.collision[~ended].any()
        assert not w.episode.truncated.any()
        assert (w.episode.objective[ended] == 1).all()


@pytest.mark.parametrize(
    "settings", [{"generator": "perfect"}, {"generator": "caves", "keys": 1}, {"generator": "four-rooms"}], ids=name
)
def test_with_turns_the_expert_takes_the_fewest_actions(settings):
    batch = mazes(15, seed=3, size=10, **settings)
    w = batch.world
    fewest = np.array(
        [
            plan.actions_left(plan.starts[0], int(w.state.direction[row]))
            for row, plan in enumerate(Plan(batch, row) for row in range(batch.rows))
        ]
    )
    taken = np.zeros(batch.rows, int)
    while not w.episode.terminated.all():
        taken += ~w.episode.terminated
        act(batch, experts(batch))
    assert (taken == fewest).all()


def test_random_actions_do_worse():
    batch = mazes(100, seed=0, size=20)
    rng = np.random.default_rng(0)
    reached = np.zeros(100, bool)
    for _ in range(batch.rules.settings.time_limit):
        act(batch, rng.integers(0, 3, 100))
        reached |= batch.world.episode.terminated
    assert 0 < reached.mean() < 0.5


def descend(batch, worth):
    """Walk to the neighbour of least ``worth``, as long as that is better than where one is. Rows that reached the goal."""
    w = batch.world
    plans = [Plan(batch, row) for row in range(batch.rows)]
    for _ in range(80):
        actions = np.zeros(batch.rows, int)
        for row, plan in enumerate(plans):
            x, y = map(int, w.facts.position[row])
            options = [
                (worth(batch, row, (x + dx, y + dy)), d) for d, (dx, dy) in enumerate(MOVES) if (x + dx, y + dy) in plan.floor
            ]
            walls = [d for d, (dx, dy) in enumerate(MOVES) if (x + dx, y + dy) in plan.walls]
            best = min(options)
            actions[row] = best[1] if best[0] < worth(batch, row, (x, y)) or not walls else walls[0]
        act(batch, actions)
        if w.episode.terminated.all():
            break
    return w.state.reached[:] > 0


def test_a_u_trap_deceives_who_follows_the_straight_line():
    def straight(batch, row, place):
        return float(np.hypot(*np.subtract(batch.world.state.goals[row, 0], place)))

    def blocks(batch, row, place):
        return int(np.abs(np.subtract(batch.world.state.goals[row, 0], place)).sum())

    def geodesic(batch, row, place):
        return int(batch.world.state.field[row, 0, place[0] + batch.rules.settings.size * place[1]])

    for size in (8, 16, 21):
        trapped = {"generator": "u-trap", "size": size, "actions": "four-way"}
        assert not descend(mazes(60, **trapped), straight).any()
        assert not descend(mazes(60, **trapped), blocks).any()
        assert descend(mazes(60, **trapped), geodesic).all()


def layouts(**settings):
    batch = mazes(300, **settings)
    parts = ("walls", "lava", "starts", "goals", "keys", "doors", "obstacles", "direction")
    return [b"".join(getattr(batch.world.state, part)[row].tobytes() for part in parts) for row in range(300)], batch


def test_mazes_are_drawn_from_a_fixed_number():
    settings = {"generator": "rooms", "keys": 1, "lava": 0.1, "obstacles": 2}
    first, batch = layouts(mazes=5, **settings)
    assert len(set(first)) == 5
    assert min(first.count(layout) for layout in set(first)) > 30
    assert len(set(batch.world.episode.key.tolist())) == 300  # the rest of the episode is its own
    other, _ = layouts(mazes=5, seed=10_000, **settings)
    assert set(other) == set(first)
    assert not set(layouts(mazes=5, split="held-out", **settings)[0]) & set(first)
    assert set(first) < set(layouts(mazes=10, **settings)[0])
    assert len(set(layouts(**settings)[0])) == 300


def test_obstacles_of_one_layout_move_differently():
    batch = mazes(40, mazes=1, obstacles=3, generator="caves", time_limit=1000)
    assert len({row.tobytes() for row in batch.world.state.obstacles}) == 1
    for _ in range(5):
        act(batch, np.zeros(40))
    assert len({row.tobytes() for row in batch.world.state.obstacles}) > 10


def test_distances_go_by_the_keys_in_the_better_order():
    """Two doors in a row: the second key may lie behind the first door, and is fetched after the first."""
    batch = mazes(200, generator="perfect", keys=2, size=16)
    both = 0
    for row in range(batch.rows):
        plan = Plan(batch, row)
        start = plan.starts[0]
        both += any(plan.keys[1 - k] not in plan.reachable(start, without=(k,)) for k in range(2))
        orders = []
        for first, second in ((0, 1), (1, 0)):
            legs = [(start, plan.keys[first], ()), (plan.keys[first], plan.keys[second], (first,))]
            legs.append((plan.keys[second], plan.goals[0], (0, 1)))
            moves = [leg(plan, *ends) for ends in legs]
            orders.append(sum(moves) if None not in moves else np.inf)
        assert batch.world.facts.goal_distance[row] == min(orders)
    assert both > 20


def leg(plan, start, end, held):
    """Moves from ``start`` to ``end`` through the doors of ``held`` only."""
    seen, frontier, moves = {start}, {start}, 0
    while frontier:
        if end in frontier:
            return moves
        steps = {to for place in frontier for to, _ in plan.steps(place, frozenset(held))}
        frontier = steps - seen
        seen |= frontier
        moves += 1
    return None


@pytest.mark.parametrize(
    "settings", [{"lava": 0.3, "goals": 2}, {"keys": 2, "obstacles": 3, "generator": "caves"}, {"mazes": 3}], ids=name
)
def test_a_maze_does_not_depend_on_the_episode_before(settings):
    batch, other = mazes(20, **settings), mazes(20, seed=500, **settings)
    for _ in range(40):
        act(other, experts(other))
    other.world.episode.seed[:] = batch.world.episode.seed
    other.reset(np.ones(20, bool))
    scratch = ("state/queue", "state/field")  # cells without a way keep what they had
    for path, array in batch.arrays.items():
        if path not in (*scratch, "action", "action_valid"):
            assert (array == other.arrays[path]).all(), path
