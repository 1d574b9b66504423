import gymnasium as gym
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewardscape.envs.gui.vocabulary import ROLE_ID, tokens

ENV = "rewardscape/GUIScreens-v0"


@pytest.fixture(scope="module")
def envs():
    made = gym.make_vec(
        ENV, num_envs=8, vectorization_mode="vector_entry_point", reward="gui-g2", action="box", autoreset_mode="same_step"
    )
    yield made
    made.close()


def test_the_expert_solves_every_screen_there_is():
    made = gym.make_vec(ENV, num_envs=64, vectorization_mode="vector_entry_point", split="all", autoreset_mode="same_step")
    made.reset(seed=0)
    seen = set()
    for _ in range(120):
        _, _, terminated, _, info = made.step(made.unwrapped.expert_actions())
        if terminated.any():
            assert (info["final_info"]["objective"][terminated] == 1).all()
            seen |= {info["final_info"]["screen"][int(row)] for row in np.flatnonzero(terminated)}
    assert len(seen) > 400


def test_held_out_pages_are_never_shown_in_training():
    pages = {
        split: {s.page for s in gym.make(ENV, split=split).unwrapped.rules.recorded} for split in ("train", "held-out", "all")
    }
    assert not pages["train"] & pages["held-out"]
    assert pages["train"] | pages["held-out"] == pages["all"]
    assert pages["held-out"] == {
        "contacts",
        "hotel-booking",
        "library-catalogue",
        "notes",
        "smart-home",
        "survey",
        "ticket-desk",
    }


def test_observation_and_info_agree_with_the_recording():
    env = gym.make(ENV)
    for seed in range(30):
        observation, info = env.reset(seed=seed)
        rules, world = env.unwrapped.rules, env.unwrapped.world
        screen = rules.recorded[world.state.screen[0]]
        assert info["screen"] == screen.name and info["page"] == screen.page
        assert observation["instruction"].tolist() == tokens(info["instruction"], 16)
        count = int(world.facts.element_count[0])
        assert (observation["roles"][count:] == 0).all() and (observation["roles"][:count] > 0).all()
        for index in range(0, count, 7):
            element = screen.elements[rules.kept[world.state.screen[0]][index]]
            assert observation["roles"][index] == ROLE_ID[element.role]
            assert observation["names"][index].tolist() == tokens(element.name, 8)
            assert np.allclose(world.facts.element_boxes[0, index], element.box, atol=1e-3)
        chosen = world.state.target[0]
        assert len(set(chosen.tolist())) == min(4, len(screen.targets))


def test_the_element_asked_for_is_always_in_the_table():
    env = gym.make(ENV, elements=24)
    for seed in range(40):
        env.reset(seed=seed)
        f = env.unwrapped.facts
        assert (np.abs(f["element_boxes"][0] - f["target_box"][0]).max(1) < 0.2).any()


def test_pictures_are_decoded_once_and_shared(tmp_path, monkeypatch):
    monkeypatch.setenv("REWARDSCAPE_CACHE", str(tmp_path))
    settings = {"observation": "pixels", "screen_size": (64, 48), "split": "held-out"}
    first = gym.make(ENV, **settings)
    (path,) = (tmp_path / "pictures").glob("*.npy")
    stamp = path.stat().st_mtime_ns
    second = gym.make(ENV, **settings)
    assert path.stat().st_mtime_ns == stamp
    assert np.array_equal(first.reset(seed=1)[0]["pixels"], second.reset(seed=1)[0]["pixels"])
    assert first.reset(seed=1)[0]["pixels"].std() > 5


bad = st.one_of(st.floats(allow_nan=True, allow_infinity=True, width=32), st.floats(-1, 1, width=32))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(row=st.integers(0, 7), action=st.lists(bad, min_size=4, max_size=4))
def test_whatever_an_agent_does_its_row_is_paid_and_the_others_notice_nothing(envs, row, action):
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (8, 4)).astype(np.float32)
    envs.reset(seed=3)
    clean = envs.step(actions)
    envs.reset(seed=3)
    spoiled = actions.copy()
    spoiled[row] = action
    dirty = envs.step(spoiled)
    out = not np.all(np.abs(np.asarray(action, np.float32)) <= 1)  # NaN is not <= 1
    assert dirty[4]["invalid_action"][row] == out
    assert np.isfinite(dirty[1]).all() and 0 <= dirty[1][row] <= 2
    if out:
        assert dirty[1][row] == 0 and dirty[4]["objective"][row] == 0
    others = np.arange(8) != row
    assert np.array_equal(clean[1][others], dirty[1][others])
    for key in clean[0]:
        assert np.array_equal(clean[0][key][others], dirty[0][key][others])


def test_wrong_settings():
    with pytest.raises(ValueError, match="allowed: 'train', 'held-out', 'all'"):
        gym.make(ENV, split="dev")
    with pytest.raises(TypeError, match="no setting 'difficulty'"):
        gym.make(ENV, difficulty=1.0)
    with pytest.raises(FileNotFoundError, match="no screens at"):
        gym.make(ENV, screens="nowhere")
