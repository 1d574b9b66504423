"""Tests of the installed package. The checkout's own rewardscape/ holds no more than __init__.py and must not hide it."""

import pathlib
import sys

_root = str(pathlib.Path(__file__).parents[1])
sys.path = [entry for entry in sys.path if entry not in ("", _root)] + [_root]
