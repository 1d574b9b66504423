import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

import tests.worlds.corridor  # noqa: F401
from rewardscape.agents import sweep as sweeping
from rewardscape.agents.runs import Config, last_checkpoint, train
from rewardscape.agents.sweep import SweepError, lock, run_name, sweep, unlock

CORRIDOR = "rewardscape-tests/Corridor-v0"
SMALL = {"n_envs": 16, "threads": 1, "checkpoint_every": 2, "algorithm_settings": {"n_steps": 8, "batch_size": 64}}


def small(reward="2*success - 0.1", steps=512, seed=0, **more):
    return Config(CORRIDOR, reward, steps=steps, seed=seed, **{**SMALL, **more})


def weights(run):
    return torch.load(run.folder / "policy.pt", weights_only=True)


def same(one, two):
    one, two = weights(one), weights(two)
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_a_name_is_decided_by_everything_that_decides_the_run():
    assert run_name(small()) == run_name(small())
    others = [small(seed=1), small(steps=513), small("success"), small(env_settings={"length": 7}), small(threads=2)]
    assert len({run_name(config) for config in [small(), *others]}) == 6
    assert run_name(Config("GUIScreens", "gui-g2", seed=3)).startswith("GUIScreens-v0-gui-g2-3-")


def test_a_new_version_or_formula_is_another_run(monkeypatch):
    before = run_name(small())
    monkeypatch.setattr("rewardscape.__version__", "99.0")
    assert run_name(small()) != before


def test_runs_side_by_side_are_those_that_run_alone_and_are_found_again(tmp_path, capsys):
    configs = [small(seed=0), small(seed=1), small(seed=0)]
    runs = sweep(configs, tmp_path, workers=2)
    assert [run.config for run in runs] == configs and runs[0].folder == runs[2].folder
    assert same(runs[0], train(small(seed=0), tmp_path / "alone", progress="none"))
    assert not same(runs[0], runs[1])
    stamps = [(run.folder / "policy.pt").stat().st_mtime_ns for run in runs]
    assert "2 of 2 done" in capsys.readouterr().out
    again = sweep(configs, tmp_path, workers=2)
    assert "2 of 2 runs are there already" in capsys.readouterr().out
    assert [(run.folder / "policy.pt").stat().st_mtime_ns for run in again] == stamps
    assert not list((tmp_path / "runs").glob("*.lock*"))


def test_a_run_that_fails_does_not_stop_the_others(tmp_path, capsys):
    configs = [small("success + potential(objective_gain(), gamma=0.9)"), small()]
    with pytest.raises(SweepError, match="1 of 2 runs failed.*gamma=0.9") as error:
        sweep(configs, tmp_path, workers=1)
    assert error.value.runs[0] is None and error.value.runs[1].finished()
    assert set(error.value.failures) == {0} and "Traceback" in error.value.failures[0]
    assert "failed: ValueError" in capsys.readouterr().out


def test_a_worker_that_is_killed_takes_no_other_with_it(tmp_path, monkeypatch):
    pool = sweeping._Processes([small()], 1)
    job = pool.start(small(steps=10**7), tmp_path / "killed")
    job[0].kill()
    job[0].join()
    ended, failure = pool.look(job)
    assert ended and failure == "its process ended with exit code -9"


PROGRAM = """
import sys
import tests.worlds.corridor
from tests.agents.test_sweep import small
from rewardscape.agents.sweep import sweep
if __name__ == "__main__":
    sweep([small(steps=20_480)], sys.argv[1], workers=1)
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_sweep_that_is_stopped_goes_on_where_it_was(tmp_path, repository, how):
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*(p for p in sys.path if p), str(repository)])}
    process = subprocess.Popen([sys.executable, "program.py", "out"], env=environment, cwd=tmp_path, stderr=subprocess.DEVNULL)
    folder = tmp_path / "out" / "runs" / run_name(small(steps=20_480))
    deadline = time.monotonic() + 120
    while last_checkpoint(folder) is None:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(how)
    process.wait()
    time.sleep(0.5)  # a worker whose parent was killed ends by itself
    left = len((folder / "metrics.jsonl").read_text().splitlines())
    assert left < 160 and not (folder / "policy.pt").exists()
    time.sleep(0.5)
    assert len((folder / "metrics.jsonl").read_text().splitlines()) == left
    (run,) = sweep([small(steps=20_480)], tmp_path / "out", workers=1, progress="none")
    assert same(run, train(small(steps=20_480), tmp_path / "whole", progress="none"))
    assert not list((tmp_path / "out" / "runs").glob("*.lock*"))


def test_a_lock_holds_until_its_holder_is_gone(tmp_path):
    path = tmp_path / "run.lock"
    assert lock(path) and not lock(path)
    unlock(path)
    assert lock(path)
    mine = json.loads(path.read_text())
    gone = subprocess.Popen([sys.executable, "-c", "pass"])
    gone.wait()
    path.write_text(json.dumps({**mine, "pid": gone.pid}))
    assert lock(path), "its process is gone"
    path.write_text(json.dumps({**mine, "host": "elsewhere", "pid": gone.pid}))
    assert not lock(path), "nobody here can know"
    silent = time.time() - sweeping.STALE - 1
    os.utime(path, (silent, silent))
    assert lock(path) and json.loads(path.read_text())["host"] == mine["host"]
    assert [p.name for p in tmp_path.iterdir()] == ["run.lock"]


def test_a_run_that_another_sweep_is_at_is_waited_for(tmp_path, monkeypatch):
    """The other one finishes it while this one waits; nothing is trained twice."""
    config = small(steps=256)
    path = tmp_path / "runs" / f"{run_name(config)}.lock"
    path.parent.mkdir()
    assert lock(path)
    naps = []

    def other(seconds):
        naps.append(seconds)
        if len(naps) == 3:
            train(config, path.with_suffix(""), progress="none")
            unlock(path)

    monkeypatch.setattr(sweeping.time, "sleep", other)
    monkeypatch.setattr(sweeping._Processes, "start", lambda *_: pytest.fail("it was trained twice"))
    (run,) = sweep([config], tmp_path, workers=1, progress="none")
    assert run.finished() and len(naps) >= 3


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="at least 1"):
        sweep([small()], tmp_path, workers=0)
    with pytest.raises(ValueError, match="lines, none"):
        sweep([small()], tmp_path, progress="bar")
    with pytest.raises(SweepError, match="unexpected keyword argument 'speed'") as error:
        sweep([small(env_settings={"speed": 3}), small()], tmp_path, workers=2)
    assert error.value.runs[1].finished()


def test_without_ray_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rewardscape\[ray\]'"):
        sweep([small()], tmp_path, ray="local")


def test_runs_come_back_from_a_ray_cluster(tmp_path, monkeypatch):
    """Also one that is half-finished here, and one that fails there."""
    monkeypatch.chdir(
        tmp_path
    )  # Ray's workers look into the caller's folder first: a checkout would hide the installed package
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'rewardscape[ray]'")
    half, fails = small(steps=1024), small("success + potential(objective_gain(), gamma=0.9)")
    folder = tmp_path / "runs" / run_name(half)
    train(half, folder, progress="none")
    (folder / "policy.pt").unlink()
    (folder / "episodes.npz").unlink()
    newest = last_checkpoint(folder)
    newest.unlink()
    with pytest.raises(SweepError, match="gamma=0.9") as error:
        sweep([small(), half, fails], tmp_path, workers=2, ray="local", progress="none")
    one, two, three = error.value.runs
    assert three is None and newest.exists()
    assert same(one, train(small(), tmp_path / "one", progress="none"))
    assert same(two, train(half, tmp_path / "two", progress="none"))
    assert len(one.episodes()) == 256 and len(two.metrics()) == 8
