import json
import re

import numpy as np
import pytest

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents.episodes import record
from rewardscape.scripts.inspect import choose, contributions, labels, main, pair, recording, replay, write_page

CORRIDOR = "rewardscape-tests/Corridor-v0"
GUI = "rewardscape/GUIGrounding-v0"
GAME, MAZE = "rewardscape/MatrixGame-v0", "rewardscape/Maze-v0"
WALK = "success + potential(-0.1*fact('corridor_left'), gamma=0.9) - 0.05"


@pytest.fixture(scope="module")
def walks():
    return [record(agent, CORRIDOR, WALK, episodes=64, agent=agent) for agent in ("random", "expert")]


@pytest.fixture(scope="module")
def clicks():
    return record("random", GUI, "gui-g2", episodes=12, settings={"action": "box"}, agent="random")


@pytest.fixture(scope="module")
def plays():
    reward = "0.5*payoff_earned + inequity_averse(payoff_earned)"
    return record("random", GAME, reward, episodes=6, settings={"players": 3, "rounds": 5}, agent="random")


def data_of(path):
    page = path.read_text()
    return json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)[1])


@pytest.mark.parametrize(
    "reward",
    [
        WALK,
        "gate(success, 2.0, -0.3*fact('corridor_left')) + 0.5*objective_gain",
        "0.5*(success + objective_gain) - where_applicable(fact('objective'), 3*success) + 0.0*objective_gain.named('seen')",
        "minimum(success, 0.4)",
    ],
)
def test_contributions_sum_to_the_reward(reward):
    walks = record("random", CORRIDOR, reward, episodes=32)
    assert len(set(walks.length)) > 1 and np.ptp(walks.rewards[walks.mask]) > 0
    found = contributions(walks)
    assert np.allclose(sum(found.values()), np.where(walks.mask, walks.rewards, 0.0))


def test_contributions_carry_their_weights(clicks):
    found = contributions(clicks.rescored("0.5*gaussian_point - 2*distance + 0.0*hit + gate(fact('parsed'), 0.25, -1.0)"))
    again = clicks.rescored("distance + gaussian_point")
    assert np.allclose(found["gaussian_point"], 0.5 * again.terms["gaussian_point"])
    assert np.allclose(found["distance"], -2 * again.terms["distance"])
    assert not found["hit"].any() and (found["constant"] == 0.25).all()


def test_contributions_without_a_reward_are_the_objective(walks):
    plain = walks[1].rescored(None)
    (gain,) = contributions(plain).values()
    assert np.allclose(gain.sum(1), plain.final_objective)


def test_a_recording_whose_reward_has_changed_is_refused(walks):
    other = walks[0].select(slice(None))
    other.rewards = other.rewards + 1
    with pytest.raises(ValueError, match="now pays otherwise than was recorded"):
        contributions(other)


def test_lanes_pair_up_by_seed(walks):
    few = walks[1].select([9, 3, 5])
    first, second = pair([walks[0], few])
    assert first.seed.tolist() == second.seed.tolist() == walks[0].seed[[3, 5, 9]].tolist()
    assert first.about.agent == "random" and second.about.agent == "expert"
    with pytest.raises(ValueError, match="share no episode"):
        pair([walks[0].select([0, 1]), walks[1].select([2, 3])])
    with pytest.raises(ValueError, match=r"not the same episodes \(corridor_left differs at the start\)"):
        pair([walks[0], record("expert", CORRIDOR, episodes=4, settings={"length": 9})])


def test_lanes_are_of_one_world(walks, clicks):
    with pytest.raises(ValueError, match=f"these are of {CORRIDOR}, {GUI}"):
        pair([walks[0], clicks])


def test_lanes_are_named_by_what_they_differ_in(walks):
    assert labels(walks, ["x", "x"]) == ["random", "expert"]
    assert labels([walks[0], walks[0].rescored("success")], ["x", "x"]) == [
        "success() + potential(-0.1*fact('corridor_left'), gamma=0.9) - 0.05",
        "success()",
    ]
    assert labels([walks[0], walks[0]], ["runs/one", "runs/two"]) == ["one", "two"]
    mixed = [walks[0], walks[1], walks[0].rescored("success"), walks[1].rescored("success")]
    assert labels(mixed, ["x"] * 4)[2:] == ["random, success()", "expert, success()"]
    assert labels([walks[0], walks[0]], ["x", "x"]) == ["random 1", "random 2"] and labels(walks[:1], ["x"]) == ["random"]


def test_the_chosen_episodes_tell_most(walks):
    which, how = choose(walks, 16)
    assert len(set(which)) == 16 and which == sorted(which) and "8 with the widest gap" in how
    gap = np.max([abs(lane.gap) for lane in walks], 0)
    assert np.sort(gap)[-8:].min() >= np.sort(gap[which])[-8:].min() - 1e-12
    assert (~walks[0].success[which]).sum() >= 4
    assert choose(walks, 64) == (list(range(64)), "all of them")
    assert len(choose(walks, 1)[0]) == 1


def test_a_replay_shows_each_step(walks, clicks):
    (moments,) = replay(walks[1].select([np.argmax(walks[1].length)]))
    assert len(moments) == walks[1].length.max() > 2
    assert moments[-1].picture.shape == (8, 48, 3) and moments[-1].field is None and moments[-1].instruction == ""
    assert moments[-1].description == ".....@" and not np.array_equal(moments[0].picture, moments[-1].picture)
    (moments,) = replay(clicks.select([0]))
    assert len({moment.instruction for moment in moments}) > 1 and all(moment.instruction for moment in moments)
    for k, moment in enumerate(moments):
        assert moment.field.shape == moment.picture.shape and not np.array_equal(moment.field, moment.picture)
        assert f'instruction {k + 1}/4: "{moment.instruction}"' in moment.description
    (moments,) = replay(clicks.select([0]), most=2)
    assert [moment is None for moment in moments] == [True, False, True, False]
    wrong = clicks.select([2])
    wrong.objective[:] = 0.77
    with pytest.raises(ValueError, match="the world has changed since"):
        replay(wrong)


def test_a_page_holds_everything_and_refers_to_nothing(clicks, tmp_path):
    write_page([clicks], ["<b>name</b></script>"], [0, 5], "two", tmp_path / "page.html")
    page, data = (tmp_path / "page.html").read_text(), data_of(tmp_path / "page.html")
    page = page.replace("http://www.w3.org/2000/svg", "")  # a namespace, fetched by nobody
    assert not re.search(r"https?://|src=\"|@import|url\(", page) and page.count("</script>") == 2
    assert data["lanes"][0]["name"] == "<b>name</b></script>" and data["seeds"] == [str(seed) for seed in clicks.seed]
    assert len(data["images"]) == 16, "a picture and a field for each step"
    (lane,) = data["lanes"]
    assert lane["reward"] == "gui-g2" and len(lane["episodes"]) == 2 and len(lane["returns"]) == 12
    episode = lane["episodes"][1]
    assert np.allclose(episode["rewards"], clicks.rewards[5], atol=1e-4)
    assert np.allclose(np.sum(list(episode["added"].values()), 0), clicks.rewards[5], atol=1e-4)
    assert episode["terms"].keys() == {"gaussian_point", "gaussian_coverage"}


def test_equal_pictures_are_kept_once_and_undefined_numbers_are_null(walks, tmp_path):
    write_page([walks[1], walks[1].rescored("success")], ["a", "b"], range(8), "", tmp_path / "page.html")
    data = data_of(tmp_path / "page.html")
    assert 0 < len(data["images"]) <= 6, "as many as there are places in the corridor"
    assert data["lanes"][0]["episodes"][0]["picture"] == data["lanes"][1]["episodes"][0]["picture"]
    assert data["lanes"][1]["correlation"] is None, "the expert always succeeds"


def test_episodes_cut_short_have_no_padding(walks, tmp_path):
    write_page([walks[0]], ["random"], range(64), "", tmp_path / "page.html")
    (lane,) = data_of(tmp_path / "page.html")["lanes"]
    assert [len(episode["rewards"]) for episode in lane["episodes"]] == walks[0].length.tolist()
    assert all(
        len(v) == len(e["rewards"]) for e in lane["episodes"] for v in (*e["added"].values(), e["picture"], e["invalid"])
    )


def test_several_agents_are_shown_each_and_on_average(plays, tmp_path):
    found = contributions(plays)
    assert np.allclose(sum(found.values()), plays.rewards) and found["payoff_earned"].shape == (6, 5, 3)
    (moments,) = replay(plays.select([2]))
    assert len(moments) == 5 and "agent_2: " in moments[0].description and moments[0].field is None
    write_page([plays], ["random"], [2], "one", tmp_path / "page.html")
    (lane,) = data_of(tmp_path / "page.html")["lanes"]
    (shown,) = lane["episodes"]
    assert lane["agents"] == 3 and len(shown["agents"]) == 3 and shown["caption"] is None
    assert np.allclose(shown["rewards"], plays.rewards[2].mean(-1), atol=1e-3)
    for k, agent in enumerate(shown["agents"]):
        assert agent["actions"] == plays.actions[2, :, k].tolist() and np.allclose(
            agent["rewards"], plays.rewards[2, :, k], atol=1e-3
        )
        assert np.allclose(np.sum(list(agent["added"].values()), 0), agent["rewards"], atol=1e-3)
        assert np.allclose(agent["score"], plays.facts["agent_objective"][2, :, k], atol=1e-4)


def test_one_learner_among_others_is_shown_alone(tmp_path):
    alone = record("random", GAME, "team_mean(payoff_earned)", episodes=4, settings={"others": "random", "learner": 1})
    assert np.allclose(sum(contributions(alone).values()), alone.rewards)
    write_page([alone], ["random"], [0, 3], "two", tmp_path / "page.html")
    (lane,) = data_of(tmp_path / "page.html")["lanes"]
    assert lane["agents"] == 0 and "agents" not in lane["episodes"][0]
    assert lane["episodes"][1]["actions"] == alone.actions[3].tolist() and None not in lane["episodes"][1]["picture"]


def test_mazes_tell_what_happened(tmp_path):
    walks = record("expert", MAZE, "shaping-geodesic", episodes=3, settings={"size": 8})
    write_page([walks], ["expert"], range(3), "all", tmp_path / "page.html")
    (lane,) = data_of(tmp_path / "page.html")["lanes"]
    for episode in lane["episodes"]:
        assert episode["caption"][-1] == "reached goal 1 of 1" and len(episode["caption"]) == len(episode["rewards"])
        assert None not in episode["picture"] and set(episode["field"]) == {None}


def test_the_command(walks, clicks, tmp_path, capsys):
    clicks.save(tmp_path / "clicks.npz")
    for agent, lane in zip(("r", "e"), walks, strict=True):
        lane.save(tmp_path / f"{agent}.npz")
    out = tmp_path / "new" / "page.html"
    assert main([str(tmp_path / "r.npz"), str(tmp_path / "e.npz"), "--episodes", "10", "--out", str(out)]) == 0
    assert "(10 of 64 episodes" in capsys.readouterr().out
    data = data_of(out)
    assert [lane["name"] for lane in data["lanes"]] == ["random", "expert"] and len(data["which"]) == 10
    assert main([CORRIDOR, "--agent", "random", "expert", "--reward", "success", "--episodes", "3", "--out", str(out)]) == 0
    assert [lane["formula"] for lane in data_of(out)["lanes"]] == ["success()"] * 2
    with pytest.raises(ValueError, match="--agent, --set and --seed are for runs and worlds"):
        main([str(tmp_path / "clicks.npz"), "--seed", "3", "--out", str(out)])
    with pytest.raises(ValueError, match="no trained baseline"):
        main([CORRIDOR, "--out", str(out)])
    with pytest.raises(ValueError, match=f"overlap does not fit {CORRIDOR}"):
        main([CORRIDOR, "--agent", "overlap", "--out", str(out)])
    with pytest.raises(ValueError, match="--episodes=0"):
        main([CORRIDOR, "--episodes", "0"])


def test_worlds_are_played_with_other_settings_and_seeds():
    longer = recording(CORRIDOR, "expert", {"length": 11}, seed=3)
    assert longer.about.settings == {"length": 11} and longer.success.all() and longer.length.max() > 5
    assert not set(longer.seed) & set(recording(CORRIDOR, "expert").seed)


# ------------------------------------------------------------------------------------------------------------- in a browser


@pytest.fixture(scope="module")
def pages(clicks, walks, plays, tmp_path_factory):
    folder = tmp_path_factory.mktemp("pages")
    spoilt = clicks.rescored("gui-g2")
    spoilt.facts["action_valid"] = spoilt.facts["action_valid"].copy()
    spoilt.facts["action_valid"][4, 2] = False
    write_page([spoilt], ["random"], range(8), "the first 8", folder / "one.html")
    write_page(walks, ["random", "expert"], *choose(walks, 12), folder / "two.html")
    write_page([plays], ["random"], range(6), "all", folder / "team.html")
    return folder


@pytest.fixture
def browse(pages):
    sync_playwright = pytest.importorskip("playwright.sync_api").sync_playwright
    from rewardscape.scripts.capture import find_chromium

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])

        def open_page(name, width=1280):
            page = browser.new_page(viewport={"width": width, "height": 800})
            page.complaints, page.asked = [], []
            page.on("console", lambda message: page.complaints.append(message.text))
            page.on("pageerror", lambda error: page.complaints.append(str(error)))
            page.on("request", lambda request: page.asked.append(request.url))
            page.goto((pages / name).as_uri())
            return page

        yield open_page
        browser.close()


def texts(page, selector):
    return [text.strip() for text in page.locator(selector).all_inner_texts()]


def chosen(page):
    return int(page.locator("li[aria-selected=true]").get_attribute("data-episode"))


def number(text):
    return float(text.split(" of ")[0].replace("−", "-"))


@pytest.mark.browser
def test_the_page_opens_offline_and_is_walked_with_the_keys(browse, clicks):
    page = browse("one.html")
    first = chosen(page)
    assert first == max(range(8), key=lambda k: clicks.gap[k])
    picture = page.locator("img.picture")
    seen = [picture.get_attribute("src")]
    assert picture.evaluate("image => image.decode().then(() => image.naturalWidth)") == 640
    for t in range(4):
        assert texts(page, "#now") == [f"step {t + 1} of 4"]
        assert number(texts(page, "[data-show=reward]")[0]) == pytest.approx(clicks.rewards[first, t], abs=1e-3)
        assert number(texts(page, "[data-show=return]")[0]) == pytest.approx(clicks.rewards[first, : t + 1].sum(), abs=2e-3)
        assert number(texts(page, "[data-show=objective]")[0]) == pytest.approx(clicks.objective[first, t])
        page.keyboard.press("ArrowRight")
        seen.append(picture.get_attribute("src"))
    assert len(set(seen)) == 4 and texts(page, "#now") == ["step 4 of 4"], "there is no fifth"
    page.keyboard.press("ArrowLeft")
    assert texts(page, "#now") == ["step 3 of 4"] and picture.get_attribute("src") == seen[2]
    page.keyboard.press("f")
    assert picture.get_attribute("src") != seen[2]
    page.keyboard.press("ArrowDown")
    assert chosen(page) == sorted(range(8), key=lambda k: -clicks.gap[k])[1] and texts(page, "#now") == ["step 1 of 4"]
    page.locator(".chart").first.click(position={"x": 380, "y": 60})
    assert texts(page, "#now") == ["step 4 of 4"]
    page.locator("#scrub").fill("2")
    assert texts(page, "#now") == ["step 2 of 4"]
    assert page.complaints == [] and [url for url in page.asked if not url.startswith(("data:", "file:"))] == []


@pytest.mark.browser
def test_the_list_is_filtered_and_sorted(browse, clicks):
    page = browse("one.html")
    listed = "[...document.querySelectorAll('#list li')].map(item => Number(item.dataset.episode))"
    assert page.evaluate(listed) == sorted(range(8), key=lambda k: -clicks.gap[k])
    page.locator("[data-sort=return]").click()
    assert page.evaluate(listed) == sorted(range(8), key=lambda k: -clicks.returns[k])
    page.locator("[data-sort=return]").click()
    assert page.evaluate(listed) == sorted(range(8), key=lambda k: clicks.returns[k])
    page.locator("[data-sort=order]").click()
    assert page.evaluate(listed) == list(range(8))
    page.locator("[data-filter=invalid]").click()
    assert page.evaluate(listed) == [4]
    page.locator("[data-filter=failures]").click()
    assert page.evaluate(listed) == [k for k in range(8) if not clicks.success[k]]
    assert page.locator("[data-filter=successes]").is_disabled() == (not clicks.success[:8].any())


@pytest.mark.browser
def test_a_dot_selects_its_episode(browse, clicks):
    page = browse("one.html")
    assert page.locator(".dot").count() == 12 and page.locator(".dot.hollow").count() == 4
    other = next(k for k in range(8) if k != chosen(page))
    page.locator(f".dot[data-episode='{other}']").dispatch_event("click")
    assert chosen(page) == other and texts(page, "#which") == [f"Episode {other + 1}"]
    page.locator(".dot.hollow").first.dispatch_event("click")
    assert chosen(page) == other


@pytest.mark.browser
def test_lanes_are_beside_each_other(browse, walks):
    for width in (1280, 1600):
        page = browse("two.html", width)
        assert texts(page, ".lane h3") == ["A random", "B expert"] and page.locator("#summary tbody tr").count() == 2
        index = next(k for k in choose(walks, 12)[0] if walks[0].length[k] > walks[1].length[k])
        page.locator(f"li[data-episode='{index}']").click()
        page.keyboard.press("End")
        assert texts(page, "#now") == ["step {0} of {0}".format(walks[0].length[index])]
        assert f"ended after step {walks[1].length[index]}" in page.locator(".lane").nth(1).inner_text()
        shown = [number(text) for text in texts(page, "[data-show=return]")]
        assert shown == pytest.approx([lane.returns[index] for lane in walks], abs=2e-3)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert page.evaluate("document.querySelector('main').scrollWidth <= document.querySelector('main').clientWidth")
        page.locator("#by button", has_text="B").click()
        page.locator("[data-sort=return]").click()
        first = int(page.locator("#list li").first.get_attribute("data-episode"))
        assert walks[1].returns[first] == max(walks[1].returns[choose(walks, 12)[0]])
        assert page.complaints == []


@pytest.mark.browser
def test_agents_are_chosen_one_by_one(browse, plays):
    page = browse("team.html")
    index = chosen(page)
    assert texts(page, ".agents tbody button") == ["agent_0", "agent_1", "agent_2", "mean"]
    page.keyboard.press("ArrowRight")
    reward = "[data-show=reward]"
    assert number(texts(page, reward)[0]) == pytest.approx(plays.rewards[index, 1].mean(), abs=2e-3)
    page.locator("[data-agent=agent_2]").click()
    assert number(texts(page, reward)[0]) == pytest.approx(plays.rewards[index, 1, 2], abs=2e-3)
    page.keyboard.press("a")
    assert number(texts(page, reward)[0]) == pytest.approx(plays.rewards[index, 1].mean(), abs=2e-3)
    page.keyboard.press("a")
    assert number(texts(page, reward)[0]) == pytest.approx(plays.rewards[index, 1, 0], abs=2e-3)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth") and page.complaints == []


@pytest.mark.browser
def test_an_episode_is_played(browse):
    page = browse("team.html")
    page.locator("#play").click()
    page.locator("#play[aria-pressed=true]").wait_for()
    page.locator("#now", has_text="step 5 of 5").wait_for()
    page.locator("#play[aria-pressed=false]").wait_for()
