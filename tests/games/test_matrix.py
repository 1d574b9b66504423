import gymnasium as gym
import numpy as np
import pytest

from rewardscape.envs.core.check import check_world
from rewardscape.envs.games.equilibria import welfare_optimum
from rewardscape.envs.games.tables import GAMES, payoff_table

ID = "rewardscape/MatrixGame-v0"


def vector(rows=1, **settings):
    return gym.make_vec(ID, num_envs=rows, vectorization_mode="vector_entry_point", **settings)


def play(envs, joint, seed=0):
    """Objective and payoffs of the episode where all rows play ``joint`` (an array, or a function of the round)."""
    rows, agents = envs.num_envs, envs.unwrapped.rules.agents
    envs.reset(seed=seed)
    earned, turn, terminated = np.zeros((rows, agents)), 0, np.zeros(rows, bool)
    while not terminated.all():
        action = joint(turn) if callable(joint) else joint
        _, _, terminated, _, info = envs.step(np.broadcast_to(action, (rows, agents)))
        earned += envs.unwrapped.facts["payoff"]
        turn += 1
    return info["objective"], earned, info


def match(one, two, **settings):
    """Payoffs of both when strategy ``one`` meets strategy ``two``."""
    envs = vector(**settings)
    envs.reset(seed=0)
    rules, world = envs.unwrapped.rules, envs.unwrapped._stepper.host_world()
    earned, done = np.zeros(2), False
    while not done:
        action = np.stack([rules.act_as(one, world)[:, 0], rules.act_as(two, world)[:, 1]], 1)
        done = envs.step(action)[2][0]
        earned += envs.unwrapped.facts["payoff"][0]
    return earned.tolist()


@pytest.mark.parametrize(
    ("settings"),
    [{}, {"game": "stag-hunt", "players": 3, "memory": 2}, {"game": "public-goods", "players": 4, "multiplier": 2.0},
     {"game": "matching-pennies"}, {"game": "battle-of-the-sexes"}],
)  # fmt: skip
def test_the_whole_contract(settings):
    findings = list(check_world(ID, settings, simulator=not settings))
    assert not [str(f) for f in findings if f.ok is not True]


@pytest.mark.parametrize("game", [g for g in GAMES if g not in ("rock-paper-scissors", "matching-pennies")])
def test_the_objective_is_1_at_the_optimum(game):
    envs = vector(game=game, rounds=7)
    best, _ = welfare_optimum(payoff_table(game))
    objective, _, info = play(envs, np.array(best))
    assert objective[0] == 1 and info["success"][0]


@pytest.mark.parametrize("players", [2, 4])
@pytest.mark.parametrize("game", ["prisoners", "chicken", "stag-hunt", "public-goods"])
def test_the_objective_is_0_where_all_defect(game, players):
    objective, _, _ = play(vector(game=game, players=players), np.ones(players, int))
    assert objective[0] == 0


def test_the_objective_by_hand():
    """One defector in 5, 3, 1, 0: welfare 5, between 2 (0) and 6 (1)."""
    objective, earned, info = play(vector(rounds=10), np.array([1, 0]))
    assert objective[0] == pytest.approx((5 - 2) / (6 - 2))
    assert earned.tolist() == [[50, 0]]
    assert info["agent_objective"][0] == pytest.approx([1, 0])  # the most and the least that each could earn


def test_where_all_defecting_is_best_the_worst_cell_counts_0():
    assert play(vector(game="battle-of-the-sexes"), np.array([1, 1]))[0][0] == 1
    assert play(vector(game="battle-of-the-sexes"), np.array([0, 1]))[0][0] == 0


def test_a_constant_sum_game_scores_evenness():
    assert play(vector(game="rock-paper-scissors", rounds=9), np.array([2, 2]))[0][0] == 1
    assert play(vector(game="rock-paper-scissors", rounds=9), np.array([1, 0]))[0][0] == 0  # paper beats rock, always
    even = play(vector(game="matching-pennies", rounds=4), lambda turn: np.array([0, turn % 2]))
    assert even[0][0] == 1 and even[1].tolist() == [[0, 0]]
    one_sided = play(vector(game="matching-pennies", rounds=4), lambda turn: np.array([0, int(turn == 3)]))
    assert one_sided[1].tolist() == [[2, -2]]
    assert one_sided[0][0] == pytest.approx(1 - 4 / (4 * 2))


def test_the_expert_evens_out_what_chance_made_uneven():
    envs = vector(game="matching-pennies", rounds=6)
    envs.reset(seed=0)
    envs.step(np.array([[0, 0]]))
    envs.step(np.array([[1, 1]]))  # the matcher leads by 4
    for _ in range(4):
        info = envs.step(envs.unwrapped.expert_actions())[4]
    assert info["objective"][0] == 1


SCORES = {  # 10 rounds of 5, 3, 1, 0
    ("tit_for_tat", "tit_for_tat"): [30, 30],
    ("tit_for_tat", "defect"): [9, 14],  # 0 then 1, 5 then 1
    ("grim_trigger", "defect"): [9, 14],
    ("cooperate", "defect"): [0, 50],
    ("defect", "defect"): [10, 10],
    ("win_stay_lose_shift", "cooperate"): [30, 30],
    ("win_stay_lose_shift", "defect"): [5, 30],  # alternates between 0 and 1
    ("win_stay_lose_shift", "tit_for_tat"): [30, 30],
}


@pytest.mark.parametrize(("one", "two"), SCORES)
def test_strategies_meet(one, two):
    assert match(one, two, rounds=10) == SCORES[one, two]


def test_one_slip_and_what_strategies_make_of_it():
    """After one defection of agent 1: the grim trigger never forgives, tit for tat does, and Pavlov mends it in two rounds."""
    envs = vector()
    rules, world = envs.unwrapped.rules, envs.unwrapped._stepper.host_world()

    def after(*rounds):
        envs.reset(seed=0)
        for joint in rounds:
            envs.step(np.array([joint]))
        return {name: int(rules.act_as(name, world)[0, 0]) for name in rules.strategies}

    slip = after((0, 0), (0, 1))
    assert slip == {"cooperate": 0, "defect": 1, "tit_for_tat": 1, "grim_trigger": 1, "win_stay_lose_shift": 1}
    later = after((0, 0), (0, 1), (1, 0))
    assert later["tit_for_tat"] == 0 and later["grim_trigger"] == 1 and later["win_stay_lose_shift"] == 1
    assert after((0, 1), (1, 1))["win_stay_lose_shift"] == 0
    assert set(after().values()) == {0, 1} and after()["tit_for_tat"] == 0  # a new episode forgets


def test_tit_for_tat_among_several_answers_any_defection():
    envs = vector(players=3)
    envs.reset(seed=0)
    envs.step(np.array([[0, 1, 0]]))
    rules, world = envs.unwrapped.rules, envs.unwrapped._stepper.host_world()
    assert rules.act_as("tit_for_tat", world).tolist() == [[1, 0, 1]]
    assert rules.act_as("grim_trigger", world).tolist() == [[1, 0, 1]]


def test_everyone_sees_itself_first():
    envs = vector(players=3, game="public-goods", memory=2)
    seen, _ = envs.reset(seed=0)
    assert seen.shape == (1, 3, 14)
    assert seen[0].argmax(1).tolist() == [6, 6, 6] and seen.sum() == 6  # only the flags "not yet", twice each
    seen = envs.step(np.array([[1, 0, 0]]))[0][0]
    newest, older = seen[:, :7], seen[:, 7:]
    assert newest.tolist() == [[0, 1, 1, 0, 1, 0, 0], [1, 0, 1, 0, 0, 1, 0], [1, 0, 0, 1, 1, 0, 0]]
    assert (older[:, 6] == 1).all() and older.sum() == 3
    seen = envs.step(np.array([[0, 0, 0]]))[0][0]
    assert np.array_equal(seen[:, 7:], newest)


def test_players_who_differ_see_their_number():
    seen, _ = vector(game="matching-pennies").reset(seed=0)
    assert seen[0].tolist() == [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 0, 1, 0, 1]]


def test_noise_replaces_actions():
    always = vector(512, noise=1.0, rounds=8, players=2)
    always.reset(seed=0)
    played = np.stack([always.step(np.zeros((512, 2), int))[0][:, 0, :4] for _ in range(7)])
    assert abs(played[..., 1].mean() - 0.5) < 0.03 and abs(played[..., 3].mean() - 0.5) < 0.03
    some = vector(512, noise=0.2, rounds=8)
    some.reset(seed=0)
    slips = np.mean([some.step(np.zeros((512, 2), int))[0][:, 0, 1] for _ in range(7)])
    assert abs(slips - 0.1) < 0.02  # half of the replaced actions are the same
    assert not some.unwrapped.facts["action"].any()  # what was meant stays on record


def test_a_table_of_ones_own():
    table = [[[2, 1], [0, 0], [0, 3]], [[0, 0], [5, 5], [0, 0]], [[1, 0], [0, 0], [1, 1]]]
    objective, earned, _ = play(vector(payoffs=table, rounds=4), np.array([1, 1]))
    assert objective[0] == 1 and earned.tolist() == [[20, 20]]
    assert play(vector(payoffs=np.array(table), rounds=4), np.array([2, 2]))[0][0] == 0
    assert play(vector(payoffs=table, rounds=4), np.array([0, 0]))[0][0] == pytest.approx(1 / 8)  # 3, from 2 to 10


def test_wrong_settings_are_named():
    for settings, message in (
        ({"game": "poker"}, "game='poker'; allowed: 'prisoners', 'chicken'"),
        ({"game": "coordination", "players": 3}, "coordination is a game of 2 players, not 3; for more: prisoners"),
        ({"players": 9}, r"players=9; allowed: an integer in \[2, 8\]"),
        ({"noise": 1.5}, r"noise=1.5; allowed: a number in \[0, 1\]"),
        ({"rounds": 0}, "rounds=0"),
        ({"memory": 0}, "memory=0"),
        ({"payoffs": [[1, 2], [3, 4]]}, r"has shape \[2, 2\]"),
        ({"payoffs": np.zeros((2, 2, 2)), "players": 3}, r"\[actions\]\*3 \+ \[3\]"),
    ):
        with pytest.raises(ValueError, match=message):
            vector(**settings)


def test_pictures_and_texts():
    envs = vector(2, render_mode="rgb_array", players=3, rounds=400)
    envs.reset(seed=0)
    before = envs.render()[0]
    for _ in range(300):
        envs.step(np.zeros((2, 3), int))
    after = envs.render()[0]
    assert before.shape == after.shape and before.dtype == np.uint8 and (before != after).any()
    envs = vector(1, render_mode="ansi", game="rock-paper-scissors")
    envs.reset(seed=0)
    assert "round 0 of 16" in envs.render()[0]
    envs.step(np.array([[1, 0]]))
    assert envs.render()[0].splitlines()[1:] == ["agent_0: paper, 1 points, 1 in all", "agent_1: rock, -1 points, -1 in all"]
