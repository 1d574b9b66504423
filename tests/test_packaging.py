import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, repository):
    """The files of a wheel of this tree, by name."""
    folder = tmp_path_factory.mktemp("wheel")
    kept = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=repository, capture_output=True, text=True, check=True
    )
    source = folder / "source"
    for name in kept.stdout.splitlines():
        path = repository / name
        if path.is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes(path.read_bytes())
    command = [sys.executable, "-m", "build", "-q", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as archive:
        return {entry.filename: entry.file_size for entry in archive.infolist()}


def test_everything_travels(wheel, repository):
    for folder in ("envs", "rewards", "agents", "scripts"):
        for path in (repository / folder).rglob("*.py"):
            assert f"rewardscape/{path.relative_to(repository)}" in wheel
    assert {"rewardscape/__init__.py", "rewardscape/py.typed", "rewardscape/rewards/presets/gui-g2.yaml"} <= wheel.keys()
    for pattern in ("pages/*.html", "screens/*.zip", "baselines/*/policy.pt", "baselines/*/config.yaml", "**/README.md"):
        found = list((repository / "assets").glob(pattern))
        assert found, pattern
        for path in found:
            assert f"rewardscape/{path.relative_to(repository)}" in wheel


def test_nothing_else_does(wheel):
    tops = {name.split("/")[0] for name in wheel}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"rewardscape"}
    assert not [name for name in wheel if "tests" in name or "__pycache__" in name]


def test_it_stays_small(wheel):
    assert sum(wheel.values()) < 25 * 2**20
    assert max(wheel.values()) < 5 * 2**20
