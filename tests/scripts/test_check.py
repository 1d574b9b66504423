"""The command ``rewardscape check``: what it takes as a target, what it prints, how it ends."""

import sys
import textwrap

import pytest

import tests.worlds.corridor  # noqa: F401
from rewardscape.rewards import term
from rewardscape.scripts.main import main

CORRIDOR = "rewardscape-tests/Corridor-v0"
MINE = """
    import gymnasium as gym
    import rewardscape
    from rewardscape.rewards import term
    from tests.worlds.corridor import Corridor

    @term
    def {name}_good(objective):
        \"\"\"Twice the objective.\"\"\"
        return 2 * objective

    @term(bounds=(0, 1))
    def {name}_bad(objective):
        \"\"\"Three times the objective, it says at most 1.\"\"\"
        return 3 * objective

    class Longer(Corridor):
        \"\"\"A longer corridor.\"\"\"

        def __init__(self, length=7):
            super().__init__(length)

    class Unregistered(Longer):
        \"\"\"The same, known to nobody.\"\"\"

    rewardscape.register_world("mine/{name}-v0", f"{{__name__}}:Longer")
"""


@term
def batch_centred(objective):
    """Subtracts the batch's mean, so rows matter to each other."""
    return objective - objective.mean()


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    folder = tmp_path_factory.mktemp("strangers")
    (folder / "stranger_a.py").write_text(textwrap.dedent(MINE.format(name="stranger_a")))
    (folder / "stranger_b.py").write_text(textwrap.dedent(MINE.format(name="stranger_b")))
    (folder / "empty_module_of_mine.py").write_text("x = 1\n")
    (folder / "taken").mkdir()
    (folder / "taken" / "random.py").write_text("x = 1\n")
    return folder


@pytest.fixture(autouse=True)
def search_path(monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))


def check(capsys, *arguments):
    code = main(["check", "--no-simulator", *map(str, arguments)])
    said = capsys.readouterr()
    return code, said.out if code < 2 else said.err


def test_a_reward(capsys):
    code, said = check(capsys, "hit")
    assert code == 0 and said.startswith("reward hit\n") and "8 checks, 0 failed" in said
    code, said = check(capsys, "batch_centred")
    assert code == 1 and "FAILED  any leading axes: [time, batch] differs from [batch]" in said


def test_a_world_with_settings(capsys):
    code, said = check(capsys, CORRIDOR, "--set", "length=4")
    assert code == 0 and said.startswith(f"world {CORRIDOR}\n") and ", 0 failed" in said
    assert said.count("\n") == said.count("  ok ") + 2


def test_a_strangers_file(capsys, mine):
    """All its terms and worlds; one of the terms breaks its bounds."""
    code, said = check(capsys, mine / "stranger_a.py")
    assert code == 1 and ", 1 failed" in said
    assert [line for line in said.splitlines() if not line.startswith("  ")][:3] == [
        "term stranger_a_good",
        "term stranger_a_bad",
        "world mine/stranger_a-v0",
    ]
    assert "FAILED  terms keep their stated bounds: stranger_a_bad on random facts" in said


def test_a_strangers_module_in_the_current_folder(capsys, mine, monkeypatch):
    monkeypatch.chdir(mine)
    code, said = check(capsys, "stranger_b:stranger_b_good")
    assert code == 0 and said.startswith("term stranger_b_good\n")
    code, said = check(capsys, "stranger_b:Longer")
    assert code == 0 and said.startswith("world mine/stranger_b-v0\n")
    code, said = check(capsys, "stranger_b:mine/stranger_b-v0")
    assert code == 0 and said.startswith("world mine/stranger_b-v0\n")
    code, said = check(capsys, "stranger_b:Unregistered")
    assert code == 0 and said.startswith("world check/Unregistered-v0\n")


def test_what_is_nothing_is_an_error_of_one_line(capsys, mine):
    for target, message in {
        "no-such-thing": "unknown environment 'no-such-thing'; there are: rewardscape/GUI",
        "hitt": "did you mean hit",
        mine / "missing.py": "no file",
        mine / "empty_module_of_mine.py": "defines no terms",
        mine / "taken" / "random.py": "another module is called random",
        "no.such:Thing": "no module called 'no.such'",
        "tests.worlds.corridor:Thing": "has no class of rules and no term called 'Thing'",
    }.items():
        code, said = check(capsys, target)
        assert code == 2 and said.startswith("error: ") and message in said and said.count("\n") == 1
    with pytest.raises(SystemExit):
        main(["check"])
