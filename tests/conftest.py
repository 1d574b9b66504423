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


def pytest_collection_modifyitems(config, items):
    asked = "ecosystem" in (config.getoption("-m") or "")
    reasons = {
        "cuda": _without_gpu(), "browser": _without_chromium(), "ecosystem": "" if asked else "asked for with -m ecosystem",
    }  # fmt: skip
    for item in items:
        for mark, reason in reasons.items():
            if reason and item.get_closest_marker(mark):
                item.add_marker(pytest.mark.skip(reason=reason))


def _without_gpu() -> str:
    import torch

    return "" if torch.cuda.is_available() else "no CUDA GPU"


def _without_chromium() -> str:
    from rewardscape.scripts.capture import find_chromium

    try:
        find_chromium()
    except FileNotFoundError as error:
        return str(error)
    return ""


@pytest.fixture(scope="session")
def repository() -> pathlib.Path:
    return pathlib.Path(__file__).parents[1]
