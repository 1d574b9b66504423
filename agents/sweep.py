"""Many runs: side by side in processes or on a Ray cluster, found again when finished, gone on with when half-finished.

A run lives in ``FOLDER/runs/NAME``; its name ends in a hash of everything that decides it. So the same sweep called again trains
nothing, one that was stopped goes on from the last checkpoints, and two that share a folder share their runs.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import multiprocessing
import os
import pathlib
import re
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import rewardscape
from rewardscape.agents.runs import Config, Run, keep_memory, make_envs, train
from rewardscape.envs.core.random import base_seed

STALE = 120.0  # seconds without a sign of life, after which a lock on another machine no longer holds
_TICK, _LINE = 0.1, 15.0  # seconds between looks at the workers, between lines of progress


class SweepError(RuntimeError):
    """Some runs failed and the others are done. ``runs``: as `sweep` returns them, None where one failed; ``failures``: the
    traceback by index into the configs."""

    def __init__(self, runs: list[Run | None], failures: dict[int, str], names: Sequence[str]):
        self.runs, self.failures = runs, failures
        lines = [f"{names[index]}: {last_line(text)}" for index, text in failures.items()]
        super().__init__(f"{len(failures)} of {len(runs)} runs failed: {'; '.join(lines)}")


def last_line(text: str) -> str:
    """What a traceback says in the end."""
    return text.strip().splitlines()[-1] if text.strip() else "no message"


def run_name(config: Config) -> str:
    """Name of the directory: what a person looks for, and a hash of config, the reward's formula and the package's version."""
    layer = config.layer()
    decides = [asdict(config), None if layer is None else str(layer.expression), rewardscape.__version__]
    digest = hashlib.blake2b(json.dumps(decides, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()
    reward = re.sub(r"\W+", "-", config.reward or "objective").strip("-")[:32].strip("-")
    return f"{config.env.split('/')[-1]}-{reward}-{config.seed}-{digest}"


def sweep(
    configs: Sequence[Config],
    folder: str | pathlib.Path,
    workers: int | None = None,
    ray: str | None = None,
    progress: str = "lines",
) -> list[Run]:
    """Train every config that has not been trained in ``folder``, and return their runs in order.

    ``workers``: runs at a time, each in a process of its own; default: cores divided by the configs' threads. ``ray``: address
    of a Ray cluster ("local" starts one here, "auto" finds one); then a run is a task of ``config.threads`` CPUs, and the files
    of its directory come back when it has finished. ``progress``: "lines" or "none".

    A run that fails does not stop the others: `SweepError` tells at the end. An interrupt (Ctrl-C) stops the workers and leaves
    checkpoints, from which the same call goes on (on Ray: finished runs). A run that another sweep is at is waited for.
    """
    if progress not in ("lines", "none"):
        raise ValueError(f"progress={progress!r}; allowed: lines, none")
    if workers is not None and workers < 1:
        raise ValueError(f"workers={workers}; allowed: an integer of at least 1")
    names = [run_name(config) for config in configs]
    runs = pathlib.Path(folder) / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    jobs = dict(zip(names, configs, strict=True))
    waiting = [name for name in jobs if not _finished(runs / name)]
    say = _Say(jobs, runs, progress)
    if known := len(jobs) - len(waiting):
        say(f"{known} of {len(jobs)} runs are there already")
    failures: dict[str, str] = {}
    if waiting:
        pool: Any = _Cluster(ray, workers) if ray else _Processes([jobs[name] for name in waiting], workers)
        with pool:
            failures = _work(pool, {name: jobs[name] for name in waiting}, runs, say)
    found = [None if name in failures else Run(runs / name) for name in names]
    if failures:
        raise SweepError(found, {k: failures[name] for k, name in enumerate(names) if name in failures}, names)
    return [run for run in found if run is not None]


def _finished(folder: pathlib.Path) -> bool:
    """The recorded episodes are the last thing a run writes."""
    return (folder / "episodes.npz").exists() and (folder / "policy.pt").exists()


def _work(pool: Any, jobs: dict[str, Config], runs: pathlib.Path, say: _Say) -> dict[str, str]:
    """Keep ``pool`` busy until every job is finished or has failed; the failures' texts."""
    waiting = list(jobs)
    working: dict[str, Any] = {}
    failures: dict[str, str] = {}
    held: set[str] = set()

    def give_back(name: str) -> None:
        unlock(runs / f"{name}.lock")
        held.discard(name)

    try:
        while waiting or working:
            for name in list(waiting):
                if len(working) >= pool.size:
                    break
                if _finished(runs / name):  # by another sweep
                    waiting.remove(name)
                elif lock(runs / f"{name}.lock"):
                    held.add(name)
                    waiting.remove(name)
                    if _finished(runs / name):  # between the two lines above
                        give_back(name)
                        continue
                    working[name] = pool.start(jobs[name], runs / name)
                    say(f"{name}: {pool.beginning}")
            for name, job in list(working.items()):
                ended, failure = pool.look(job)
                if not ended:
                    keep_lock(runs / f"{name}.lock")
                    continue
                del working[name]
                give_back(name)
                if failure is None and not _finished(runs / name):
                    failure = "it ended without a result"
                if failure is not None:
                    failures[name] = failure
                say.ended(name, failure)
            say.how_far(working)
            time.sleep(_TICK)
    finally:
        for job in working.values():
            pool.stop(job)
        for name in list(held):
            give_back(name)
    return failures


class _Say:
    """Lines of progress."""

    def __init__(self, jobs: dict[str, Config], runs: pathlib.Path, progress: str):
        self.jobs, self.runs, self.shown = jobs, runs, progress == "lines"
        self.last = time.monotonic()

    def __call__(self, line: str) -> None:
        if self.shown:
            print(line, flush=True)

    def ended(self, name: str, failure: str | None) -> None:
        if failure is not None:
            return self(f"{name}: failed: {last_line(failure)}")
        row = Run(self.runs / name).metrics()[-1]
        done = sum(_finished(self.runs / other) for other in self.jobs)
        self(f"{name}: objective {row['objective']:.3f} after {row['seconds']:.0f} s ({done} of {len(self.jobs)} done)")

    def how_far(self, working: dict[str, Any]) -> None:
        if not self.shown or time.monotonic() - self.last < _LINE:
            return
        self.last = time.monotonic()
        for name in working:
            if (self.runs / name / "config.yaml").exists() and (rows := Run(self.runs / name).metrics()):
                share = min(rows[-1]["steps"] / self.jobs[name].steps, 1)
                self(f"{name}: {share:4.0%}  objective {rows[-1]['objective']:.3f}  reward {rows[-1]['reward']:.3f}")


# ------------------------------------------------------------------------------------------------------------------ locks


def lock(path: pathlib.Path) -> bool:
    """Take the lock file ``path``; False if a living process holds it. One whose holder is gone is taken over."""
    while True:
        mine = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "token": time.time_ns()})
        with contextlib.suppress(FileExistsError):
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY), "w") as file:
                file.write(mine)
            return True
        try:
            theirs, age = path.read_text(), time.time() - path.stat().st_mtime
        except FileNotFoundError:
            continue
        if _alive(theirs, age):
            return False
        # of several that see it stale one moves it away; whoever has moved a fresh one puts it back
        grave = path.with_name(f"{path.name}.{socket.gethostname()}.{os.getpid()}")
        try:
            path.rename(grave)
        except FileNotFoundError:
            continue
        if grave.read_text() != theirs:
            with contextlib.suppress(FileExistsError):
                os.link(grave, path)
        grave.unlink()


def _alive(text: str, age: float) -> bool:
    """Does the holder of a lock live? ``age``: seconds since its last sign of life."""
    try:
        holder = json.loads(text)
    except ValueError:  # being written this moment, or half-written when its writer died
        return age < STALE
    if holder["host"] == socket.gethostname() and not _process_lives(int(holder["pid"])):
        return False
    return age < STALE


def _process_lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it lives, and is somebody else's
        return True
    return True


def keep_lock(path: pathlib.Path) -> None:
    """A sign of life."""
    with contextlib.suppress(FileNotFoundError):
        os.utime(path)


def unlock(path: pathlib.Path) -> None:
    """Give the lock back."""
    path.unlink(missing_ok=True)


# -------------------------------------------------------------------------------------------------------------- one run


def _modules(config: Config) -> list[str]:
    """Modules that a fresh process has to import before it knows the config's world and terms."""
    from rewardscape.rewards.core.nodes import TermNode
    from rewardscape.rewards.core.terms import find_term

    layer = config.layer()
    names = [rewardscape.WORLDS[config.env].partition(":")[0]] if config.env in rewardscape.WORLDS else []
    for node in () if layer is None else layer.expression.walk():
        names.append(find_term(node.term).__wrapped__.__module__ if isinstance(node, TermNode) else type(node).__module__)
    return [name for name in dict.fromkeys(names) if name != "__main__"]


def _train(config: Config, modules: list[str], out: pathlib.Path, cores: int) -> str | None:
    """Train or go on with one run; the traceback if it fails."""
    try:
        import numba

        numba.set_num_threads(max(1, min(cores, numba.get_num_threads())))
        for module in modules:
            importlib.import_module(module)
        keep_memory()
        train(config, out, resume=True, progress="none")
    except Exception:
        return traceback.format_exc()
    return None


def _in_process(sender: Any, *job: Any) -> None:
    """What a worker process runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the parent's to handle
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)  # nobody is left to hold the lock

    threading.Thread(target=follow, daemon=True).start()
    sender.send(_train(*job))


class _Processes:
    """A fresh process for every run: one that is killed takes no other with it."""

    beginning = "begins"

    def __init__(self, configs: Sequence[Config], workers: int | None):
        self.cores = os.cpu_count() or 1
        self.size = min(workers or max(1, self.cores // max(config.threads for config in configs)), len(configs))
        self.context = multiprocessing.get_context("spawn")
        if self.size > 1:
            for config in {repr((c.env, c.env_settings, c.n_envs)): c for c in configs}.values():
                with contextlib.suppress(Exception):  # what is wrong with a config, its own run will tell
                    _compile(config)  # once, instead of by all workers at the same time

    def __enter__(self) -> _Processes:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def start(self, config: Config, out: pathlib.Path) -> tuple[Any, Any]:
        receiver, sender = self.context.Pipe(duplex=False)
        job = (config, _modules(config), out, max(1, self.cores // self.size))
        process = self.context.Process(target=_in_process, args=(sender, *job), daemon=True)
        process.start()
        sender.close()
        return process, receiver

    def look(self, job: tuple[Any, Any]) -> tuple[bool, str | None]:
        """``(has it ended, what went wrong)``."""
        process, receiver = job
        if not receiver.poll():
            return False, None
        try:
            failure = receiver.recv()
        except EOFError:  # it died without a word
            process.join()
            return True, f"its process ended with exit code {process.exitcode}"
        process.join()
        return True, failure

    def stop(self, job: tuple[Any, Any]) -> None:
        job[0].kill()  # checkpoints are written whole or not at all
        job[0].join()


def _compile(config: Config) -> None:
    """Have the world's rules in the disk cache."""
    vec_env = make_envs(config, base_seed(config.seed, "train"), reward=None)
    vec_env.reset()
    vec_env.step(vec_env.envs.action_space.sample())
    vec_env.close()


# -------------------------------------------------------------------------------------------------------------------- Ray


def _on_cluster(
    config: Config, modules: list[str], paths: list[str], files: dict[str, bytes]
) -> tuple[str | None, dict[str, bytes]]:
    """What a Ray task runs: go on with the run whose files are given; ``(failure, files of the run)``."""
    sys.path += [path for path in paths if path not in sys.path]
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "run"
        _unpack(files, out)
        failure = _train(config, modules, out, config.threads)
        return failure, dict(_pack(out))


def _pack(folder: pathlib.Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".draft":
            yield path.relative_to(folder).as_posix(), path.read_bytes()


def _unpack(files: dict[str, bytes], folder: pathlib.Path) -> None:
    """Write files; what says that a run is finished comes last."""
    for name in sorted(files, key=lambda name: (name == "policy.pt", name == "episodes.npz")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(path.name + ".draft")
        draft.write_bytes(files[name])
        draft.replace(path)


class _Cluster:
    """Runs as Ray tasks. Workers need rewardscape installed, and share no disk with the caller."""

    beginning = "handed to the cluster"

    def __init__(self, address: str, workers: int | None):
        try:
            import ray
        except ImportError:
            raise ModuleNotFoundError("runs on a cluster need Ray: pip install 'rewardscape[ray]'") from None
        self.ray, self.size = ray, workers or 10**6
        self.ours = not ray.is_initialized()
        if self.ours:
            local: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
            try:
                ray.init(address=address, log_to_driver=False, configure_logging=False, **local)
            except (ConnectionError, ValueError) as error:
                raise ValueError(f"no Ray cluster at {address!r} ({error}); allowed: an address, auto, local") from None

    def __enter__(self) -> _Cluster:
        return self

    def __exit__(self, *error: Any) -> None:
        if self.ours:
            self.ray.shutdown()

    def start(self, config: Config, out: pathlib.Path) -> tuple[Any, pathlib.Path]:
        task = self.ray.remote(_on_cluster).options(num_cpus=config.threads, max_retries=2)
        paths = [path for path in sys.path if path]
        return task.remote(config, _modules(config), paths, dict(_pack(out))), out

    def look(self, job: tuple[Any, pathlib.Path]) -> tuple[bool, str | None]:
        task, out = job
        if not self.ray.wait([task], timeout=0)[0]:
            return False, None
        try:
            failure, files = self.ray.get(task)
        except self.ray.exceptions.RayError as error:
            return True, str(error)
        _unpack(files, out)
        return True, failure

    def stop(self, job: tuple[Any, pathlib.Path]) -> None:
        self.ray.cancel(job[0], force=True)
