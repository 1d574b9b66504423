import os
import pathlib
import sys

import pytest

_root = str(pathlib.Path(__file__).parents[1])
sys.path = [entry for entry in sys.path if entry not in ("", _root)] + [_root]  # tests.*, behind the installed package
os.environ.setdefault("SDL_VIDEODRIVER", "dummy")
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser):
    parser.addoption("--vectors", default=None, help="folder of recorded vectors for tests/parity")


def pytest_generate_tests(metafunc):
    if "vector_file" in metafunc.fixturenames:
        folder = metafunc.config.getoption("vectors") or pathlib.Path(__file__).parent / "parity" / "vectors"
        files = sorted(pathlib.Path(folder).glob("*.json"))
        metafunc.parametrize("vector_file", files, ids=[f.stem for f in files])


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    return pathlib.Path(__file__).parents[1]
