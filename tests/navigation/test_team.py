"""Several agents in one maze: who is in whose way, who has arrived."""

import numpy as np
import pytest

from rewardscape.envs.navigation.furnish import GENERATORS
from rewardscape.envs.navigation.team import MazeTeam
from tests.navigation.mazes import MOVES, Plan, act, batch_of, experts, seen
from tests.navigation.test_views import AGENT, FLOOR, GOAL, OTHER, WALL


def teams(rows, seed=0, **settings):
    return batch_of(MazeTeam(**settings), rows, seed)


def run(batch, choose):
    """Play to the end. Steps taken by each row, and the objective it ended with."""
    w = batch.world
    steps, score, ended = np.zeros(batch.rows, int), np.zeros(batch.rows), np.zeros(batch.rows, bool)
    while not ended.all():
        act(batch, choose(batch))
        steps += ~ended
        score[~ended] = w.episode.objective[~ended]
        ended |= w.episode.terminated | w.episode.truncated
    return steps, score


@pytest.mark.parametrize("goals", ["shared", "own"])
@pytest.mark.parametrize("generator", GENERATORS)
def test_distances_and_starts(generator, goals):
    batch = teams(10, agents=4, generator=generator, goals=goals)
    f = batch.world.facts
    for row in range(10):
        plan = Plan(batch, row)
        assert len(set(plan.starts + plan.goals)) == 4 + (4 if goals == "own" else 1)
        for a in range(4):
            assert tuple(f.position[row, a]) == plan.starts[a]
            goal = plan.goals[a if goals == "own" else 0]
            plan_of_one = Plan(batch, row)
            plan_of_one.goals = [goal]
            assert f.goal_distance[row, a] == plan_of_one.distance(plan.starts[a])
            assert tuple(f.goal_offset[row, a]) == tuple(np.subtract(goal, plan.starts[a]))


@pytest.mark.parametrize("actions", ["turn", "four-way"])
@pytest.mark.parametrize("goals", ["shared", "own"])
@pytest.mark.parametrize("generator", GENERATORS)
def test_the_expert_brings_all_to_their_goal(generator, goals, actions):
    agents = 2 if (generator, goals) == ("perfect", "own") else 5
    batch = teams(5, seed=30, agents=agents, generator=generator, goals=goals, actions=actions)
    _, score = run(batch, experts)
    assert (score == 1).all()


def test_random_and_still_agents_do_worse():
    rng = np.random.default_rng(0)
    _, random = run(teams(40, agents=3), lambda batch: rng.integers(0, 3, (40, 3)))
    _, still = run(teams(40, agents=3), lambda batch: batch.rules.act_as("still", batch.world))
    assert random.mean() < 0.9 and still.mean() == 0


@pytest.mark.parametrize("actions, size", [("turn", 8), ("four-way", 8)])
def test_two_agents_never_share_a_cell_and_each_moves_by_the_rules(actions, size):
    batch = teams(30, agents=6, size=size, actions=actions, goals="own", time_limit=1000)
    w = batch.world
    plans = [Plan(batch, row) for row in range(30)]
    rng = np.random.default_rng(1)
    blocked = 0
    ended = np.zeros(30, bool)
    for step in range(150):
        places, arrived, direction = w.facts.position.copy(), w.state.arrived.copy(), w.state.direction.copy()
        chosen = rng.integers(0, batch.rules.action_space.n, (30, 6))
        act(batch, chosen)
        for row in np.flatnonzero(~ended):
            here = {a: tuple(places[row, a]) for a in range(6) if not arrived[row, a]}
            for k in range(6):  # one after the other, agent `step` mod 6 first
                a = (step + k) % 6
                if a not in here:
                    assert tuple(places[row, a]) == tuple(w.facts.position[row, a])
                    assert not w.facts.collision[row, a] and not w.facts.goal_reached[row, a]
                    continue
                heading = chosen[row, a] if actions == "four-way" else direction[row, a]
                moves = actions == "four-way" or chosen[row, a] == 2
                to = tuple(np.add(here[a], MOVES[heading])) if moves else here[a]
                others = {place for b, place in here.items() if b != a}
                free = to in plans[row].floor - others
                blocked += to in others
                if free:
                    here[a] = to
                assert tuple(w.facts.position[row, a]) == here[a] and w.facts.collision[row, a] == (not free)
                at_goal = here[a] == plans[row].goals[a]
                assert w.facts.goal_reached[row, a] == at_goal == w.state.arrived[row, a]
                assert w.facts.agent_objective[row, a] == at_goal
                if at_goal:
                    del here[a]
            assert len(set(here.values())) == len(here)
            assert w.episode.objective[row] == pytest.approx(1 - len(here) / 6)
            assert w.episode.terminated[row] == (not here)
        ended |= w.episode.terminated
    assert blocked > 100 and w.state.arrived.any()


def test_an_agent_that_has_arrived_leaves_the_map():
    batch = teams(20, agents=3, actions="four-way", seed=5)
    w = batch.world
    alone = 0
    while not w.episode.terminated.all():
        act(batch, experts(batch))
        for row in range(20):
            for a in np.flatnonzero(w.state.arrived[row]):
                assert (seen(batch)[row, a] == 0).all() and w.facts.goal_distance[row, a] == 0
            if w.state.arrived[row].sum() == 2:
                last = int(np.flatnonzero(~w.state.arrived[row])[0])
                assert not (seen(batch)[row, last, ..., 0] == OTHER).any()
                alone += 1
    assert alone > 20  # the goal's own cell was entered by all three, one after the other
    assert (w.facts.position == w.state.goals).all()


@pytest.mark.parametrize("actions", ["turn", "four-way"])
@pytest.mark.parametrize("goals", ["shared", "own"])
def test_the_views_of_a_team(goals, actions):
    batch = teams(12, agents=4, goals=goals, actions=actions, size=10, view=5, seed=8)
    w = batch.world
    rng = np.random.default_rng(0)
    kinds = set()
    for _ in range(15):
        for row in range(12):
            plan = Plan(batch, row)
            here = {a: tuple(w.facts.position[row, a]) for a in range(4) if not w.state.arrived[row, a]}
            for a, (x, y) in here.items():
                ahead = MOVES[w.state.direction[row, a]] if actions == "turn" else MOVES[0]
                right = -ahead[1], ahead[0]
                for r in range(5):
                    for column in range(5):
                        forward, sideways = (4 if actions == "turn" else 2) - r, column - 2
                        place = (
                            x + forward * ahead[0] + sideways * right[0],
                            y + forward * ahead[1] + sideways * right[1],
                        )
                        kind = FLOOR if place in plan.floor else WALL
                        kind = GOAL if place == plan.goals[a if goals == "own" else 0] else kind
                        kind = OTHER if place in here.values() else kind
                        kind = AGENT if place == here[a] else kind
                        towards = w.state.direction[row, a] + 1 if kind == AGENT and actions == "turn" else 0
                        assert seen(batch)[row, a, r, column].tolist() == [kind, 0, towards]
                        kinds.add(kind)
        act(batch, rng.integers(0, batch.rules.action_space.n, (12, 4)))
    assert kinds == {WALL, FLOOR, GOAL, OTHER, AGENT}


def test_visits_of_every_agent():
    batch = teams(10, agents=3, size=8, time_limit=500)
    rng = np.random.default_rng(3)
    w = batch.world
    counts = [[{tuple(w.facts.position[row, a]): 1} for a in range(3)] for row in range(10)]
    for _ in range(100):
        gone = w.state.arrived.copy()
        act(batch, rng.integers(0, 3, (10, 3)))
        for row in range(10):
            for a in range(3):
                place, count = tuple(w.facts.position[row, a]), counts[row][a]
                if not gone[row, a]:
                    count[place] = count.get(place, 0) + 1
                assert w.facts.visit_count[row, a] == count[place]


def test_players():
    batch = teams(6, agents=3, seed=2)
    assert MazeTeam.default_others == "expert" and set(MazeTeam.strategies) == {"expert", "still"}
    assert (batch.rules.act_as("expert", batch.world) == experts(batch)).all()
    for actions in ("turn", "four-way"):
        batch = teams(6, agents=3, actions=actions)
        for _ in range(30):
            act(batch, batch.rules.act_as("still", batch.world))
        places = batch.world.facts.position.copy()
        act(batch, batch.rules.act_as("still", batch.world))
        assert (batch.world.facts.position == places).all()
    with pytest.raises(ValueError, match="allowed: 'expert', 'still'"):
        batch.rules.act_as("brave", batch.world)


def test_pictures_and_texts_of_a_team():
    batch = teams(1, agents=3, goals="own")
    picture = batch.rules.draw(batch.world, 0)
    assert picture.dtype == np.uint8 and min(picture.shape[:2]) >= 256
    lines = batch.rules.describe(batch.world, 0).splitlines()
    plan = Plan(batch, 0)
    assert [lines[1 + y][x] for x, y in plan.starts] == ["0", "1", "2"]
    assert [lines[1 + y][x] for x, y in plan.goals] == ["a", "b", "c"]


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"agents": 1}, "agents=1; allowed: an integer in [2, 8]"),
        ({"agents": 9}, "agents=9"),
        ({"goals": "none"}, "goals='none'; allowed: 'shared', 'own'"),
        ({"generator": "spiral"}, "generator='spiral'"),
        ({"view": 4}, "view=4; allowed: an odd number"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(ValueError) as error:
        MazeTeam(**settings)
    assert words in str(error.value) and "MazeTeam: " in str(error.value)


def test_time_limit():
    assert MazeTeam().settings.time_limit == 512 and MazeTeam(actions="four-way").settings.time_limit == 256
    batch = teams(2, time_limit=5)
    for step in range(5):
        assert not batch.world.episode.truncated.any(), step
        act(batch, np.zeros((2, 2)))
    assert batch.world.episode.truncated.all() and not batch.world.episode.terminated.any()
