import pytest

from rewardscape.agents.curriculum import TurnLimit


def test_the_numbers_of_the_source():
    """Mean 18 and greatest 30 turns: 24; then 12 and 20: 16."""
    limit = TurnLimit(every=2)
    assert limit.limit == 30
    assert limit.update(2, 42, 30) == 30  # not before the window ends
    assert limit.update(2, 30, 18) == 24
    assert [limit.update(2, 30, 20), limit.update(2, 18, 10)] == [24, 16]


def test_it_is_rounded_up_and_stays_where_no_episode_ended():
    limit = TurnLimit(initial=5, every=1)
    assert limit.update(0, 0, 0) == 5
    assert limit.update(3, 10, 4) == 4
    assert limit.update(2, 2, 1) == 1
    assert limit.update(1, 0, 0) == 1


def test_it_comes_back():
    limit = TurnLimit(every=3)
    limit.update(1, 10, 10)
    again = TurnLimit(every=3)
    again.load_state_dict(limit.state_dict())
    assert [limit.update(1, 8, 8), limit.update(1, 6, 6)] == [again.update(1, 8, 8), again.update(1, 6, 6)] == [30, 9]


@pytest.mark.parametrize("settings", [{"initial": 0}, {"every": 1.5}, {"every": True}])
def test_wrong_settings(settings):
    with pytest.raises(ValueError, match="allowed: an integer of at least 1"):
        TurnLimit(**settings)
