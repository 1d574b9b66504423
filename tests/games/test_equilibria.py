import numpy as np
import pytest

from rewardscape.envs.games.equilibria import best_responses, is_constant_sum, is_symmetric, pure_nash, welfare_optimum
from rewardscape.envs.games.tables import GAMES, payoff_table, read_table

KNOWN = {  # pure equilibria, welfare optimum and its sum, symmetric, constant sum
    "prisoners": ([(1, 1)], (0, 0), 6, True, False),
    "chicken": ([(0, 1), (1, 0)], (0, 0), 6, True, False),
    "stag-hunt": ([(0, 0), (1, 1)], (0, 0), 8, True, False),
    "battle-of-the-sexes": ([(0, 0), (1, 1)], (0, 0), 3, False, False),
    "public-goods": ([(1, 1)], (0, 0), 3.2, True, False),
    "rock-paper-scissors": ([], (0, 0), 0, True, True),
    "matching-pennies": ([], (0, 0), 0, False, True),
    "coordination": ([(0, 0), (1, 1)], (0, 0), 4, True, False),
}


def test_every_game_is_known_here():
    assert set(KNOWN) == set(GAMES)


@pytest.mark.parametrize("game", GAMES)
def test_what_theory_says_of_the_games(game):
    table = payoff_table(game)
    nash, best, total, symmetric, constant = KNOWN[game]
    assert pure_nash(table) == nash
    assert welfare_optimum(table) == (best, pytest.approx(total))
    assert is_symmetric(table) is symmetric and is_constant_sum(table) is constant


def test_the_prisoners_are_axelrods():
    table = payoff_table("prisoners")
    assert table[0, 0].tolist() == [3, 3] and table[1, 1].tolist() == [1, 1]
    assert table[1, 0].tolist() == [5, 0] and table[0, 1].tolist() == [0, 5]


def test_best_responses_in_matching_pennies():
    matcher, other = (best_responses(payoff_table("matching-pennies"), player) for player in (0, 1))
    assert matcher.tolist() == [[True, False], [False, True]] and np.array_equal(other, ~matcher)


@pytest.mark.parametrize("players", [2, 3, 5, 8])
def test_games_of_many(players):
    everyone, nobody = (0,) * players, (1,) * players
    assert pure_nash(payoff_table("prisoners", players)) == [nobody]
    assert welfare_optimum(payoff_table("prisoners", players))[0] == everyone
    assert pure_nash(payoff_table("stag-hunt", players)) == [everyone, nobody]
    for game in ("prisoners", "chicken", "stag-hunt", "public-goods"):
        assert is_symmetric(payoff_table(game, players))


def test_public_goods_by_hand():
    """Fehr and Gaechter's groups of four: a token given brings everyone 0.4."""
    table = payoff_table("public-goods", 4, 1.6)
    assert table[0, 0, 0, 0] == pytest.approx([1.6] * 4)
    assert table[1, 0, 0, 0] == pytest.approx([2.2, 1.2, 1.2, 1.2])
    assert table[1, 1, 1, 1] == pytest.approx([1] * 4)
    assert pure_nash(payoff_table("public-goods", 4, 5.0)) == [(0, 0, 0, 0)]  # a multiplier above 4: no dilemma


def test_three_hunters():
    table = payoff_table("stag-hunt", 3)
    assert table[0, 0, 0].tolist() == [4, 4, 4]
    assert table[0, 0, 1].tolist() == [0, 0, 3]  # one leaves: no stag; the hare is paid among hunters of stags
    assert table[0, 1, 1].tolist() == [0, 2, 2]


def test_asymmetry_is_seen_in_any_pair():
    table = payoff_table("prisoners", 3)
    assert is_symmetric(table)
    table[0, 0, 1, 2] += 1
    assert not is_symmetric(table)


@pytest.mark.parametrize("payoffs", [np.zeros((2, 2)), np.zeros((2, 2, 3)), np.zeros((2, 3, 2)), np.zeros((1, 1, 2))])
def test_a_table_of_another_shape_is_refused(payoffs):
    with pytest.raises(ValueError, match=r"shape \[actions\]\*2 \+ \[2\].*has shape \[" + ", ".join(map(str, payoffs.shape))):
        read_table(payoffs, 2)


@pytest.mark.parametrize("payoffs", ["none", [[1, 2], [3]], {"a": 1}, np.full((2, 2, 2), np.nan)])
def test_what_is_no_table_is_refused(payoffs):
    with pytest.raises(ValueError, match="finite numbers of shape"):
        read_table(payoffs, 2)
