"""Rules compiled for one row, all cores and CUDA, from generated kernels that hit Numba's disk cache.

Numba caches a compiled function beside its file and looks only at that file's time stamp. So (1) a kernel that calls a
rule must be a module-level function: it is written as a small module into a cache folder; and (2) the folder is named by a
hash of every rule the kernel reaches (bytecode, constants, the values of globals) and of Numba's and Python's versions: an
edited helper gives another folder, an untouched one a hit in the next process.

On the CPU a kernel takes its arrays as one table of addresses and extents (see `handle`) rather than as Python objects:
unpacking forty arrays costs 6 us a call, the table 0.3 us.
"""

from __future__ import annotations

import dis
import hashlib
import importlib
import importlib.util
import logging
import os
import pathlib
import sys
import textwrap
import types as pytypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from numba import njit

from rewardscape.envs.core.handle import Handle, attacher

if TYPE_CHECKING:
    from rewardscape.envs.core.world import Rules

_LOG = logging.getLogger("rewardscape")
DEBUG = bool(getattr(numba.config, "DISABLE_JIT", 0))  # NUMBA_DISABLE_JIT=1: rules run as plain Python


def rule(function: Callable) -> Any:
    """A scalar function of one row, callable from other rules, compiled for the CPU and for CUDA alike.

    IEEE arithmetic (division by zero gives inf or nan, never an exception), no bounds checks.
    """
    return njit(error_model="numpy", nogil=True)(function)


def inlined(function: Callable) -> Any:
    """A `rule` that is compiled into every rule that calls it, and so for the numbers it is called with. For the few where the
    time of a step goes."""
    return njit(error_model="numpy", nogil=True, forceinline=True)(function)


def cache_folder() -> pathlib.Path:
    """Where kernels are kept: ``$REWARDSCAPE_CACHE``, else ``rewardscape`` under ``$XDG_CACHE_HOME`` or ``~/.cache``."""
    if folder := os.environ.get("REWARDSCAPE_CACHE"):
        return pathlib.Path(folder)
    return pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "rewardscape"


def fingerprint(*functions: Callable) -> str:
    """Hash of what ``functions`` say, and all they reach: bytecode, constants, values of the globals they read."""
    seen: set[str] = set()
    digest = hashlib.blake2b(digest_size=10)
    digest.update(f"{numba.__version__} {sys.version} {np.__version__}".encode())

    def visit(value: Any, name: str) -> None:
        python = getattr(value, "py_func", value)
        if isinstance(python, pytypes.FunctionType):
            label = f"{python.__module__}.{python.__qualname__}"
            if label in seen:
                return
            seen.add(label)
            digest.update(f"{label} {sorted(getattr(value, 'targetoptions', {}).items())}".encode())
            visit_code(python.__code__, python.__globals__)
        elif isinstance(value, np.ndarray):
            digest.update(f"{name} {value.dtype} {value.shape}".encode() + value.tobytes())
        elif isinstance(value, (bool, int, float, str, bytes, tuple, np.generic, type(None))):
            digest.update(f"{name} {value!r}".encode())

    def visit_code(code: pytypes.CodeType, namespace: dict[str, Any]) -> None:
        digest.update(code.co_code)
        digest.update(repr((code.co_names, code.co_varnames, code.co_freevars)).encode())
        for constant in code.co_consts[1:] if isinstance(code.co_consts[0], str) else code.co_consts:  # without docstring
            if isinstance(constant, pytypes.CodeType):
                visit_code(constant, namespace)
            else:
                digest.update(repr(constant).encode())
        for name in sorted({str(i.argval) for i in dis.get_instructions(code) if i.opname == "LOAD_GLOBAL"}):
            value = namespace.get(name)
            if isinstance(value, pytypes.ModuleType):
                if value.__name__.split(".")[0] not in ("numpy", "math", "numba"):
                    for attribute in code.co_names:
                        visit(getattr(value, attribute, None), f"{name}.{attribute}")
            elif name in namespace:
                visit(value, name)

    for function in functions:
        visit(function, "")
    return digest.hexdigest()


def load_generated(name: str, source: str, stamp: str) -> pytypes.ModuleType:
    """The module ``source``, written into the cache folder under ``stamp`` unless it is there already, and imported."""
    stamp = f"{stamp}-{hashlib.blake2b(source.encode(), digest_size=4).hexdigest()}"
    qualified = f"_rewardscape_generated_{name}_{stamp.replace('-', '_')}"
    if qualified in sys.modules:
        return sys.modules[qualified]
    path = cache_folder() / f"{name}-{stamp}" / f"{qualified}.py"
    if not path.exists():
        if not DEBUG:
            _LOG.warning("first use of %s: its rules are compiled, for up to a minute, and kept in %s", name, path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_suffix(f".{os.getpid()}")
        draft.write_text(source)
        draft.replace(path)  # another process may be writing the same file
    spec = importlib.util.spec_from_file_location(qualified, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[qualified] = module  # Numba pickles the kernels' types by reference to this name
    spec.loader.exec_module(module)
    return module


# --------------------------------------------------------------------------------------------------------------- kernels

_AHEAD = 8  # rows: far enough for main memory, near enough to stay in the first cache

# What is done to row i. It is repeated rather than called, since LLVM optimises all that a function reaches once more a level; but
# not inside `prange`, where Numba (0.68) loses `index[i] += 1` of an array it reaches through a handle.
_STEP = """\
if autoreset and (w.episode.terminated[i] or w.episode.truncated[i]):
    w.episode.index[i] += np.uint64(1)
    begin(w, i)
    reset(w, i)
else:
    sanitise(w, bounds, i)
    before = w.episode.objective[i]
    step(w, i)
    finish(w, i, before, limit)
observe(w, i)
"""

_RESET = """\
if mask[i]:
    begin(w, i)
    reset(w, i)
    observe(w, i)
"""

_MODULE = '''"""Kernels of {world}, generated by rewardscape; the folder's name is a hash of the rules."""
import numpy as np
from numba import njit, prange
from rewardscape.envs.core.compile import rule
from rewardscape.envs.core.engine import begin, finish, sanitise
from rewardscape.envs.core.handle import Handle, attacher
{imports}

world = attacher({world_layout})
limits = attacher({bounds_layout})


@rule
def step_row(w, bounds, i, limit, autoreset):
{step_row}

@rule
def reset_row(w, mask, i):
{reset_row}'''

_KERNELS = """

{decorator}
def step_{name}(table, low, high, limit, autoreset):
    w, bounds = world(table), limits(table)
    for i in range(low, high):
{step}

{decorator}
def reset_{name}(table, mask, low, high):
    w = world(table)
    for i in range(low, high):
{reset}"""

_PARALLEL = """

@njit(error_model="numpy", nogil=True, cache=True, parallel=True)
def step_parallel(table, rows, limit, autoreset, chunks):
    for c in prange(chunks):
        step_rows(table, rows * c // chunks, rows * (c + 1) // chunks, limit, autoreset)


@njit(error_model="numpy", nogil=True, cache=True, parallel=True)
def reset_parallel(table, mask, rows, chunks):
    for c in prange(chunks):
        reset_rows(table, mask, rows * c // chunks, rows * (c + 1) // chunks)
"""

_CUDA = """
from numba import cuda


@cuda.jit
def step_cuda(w, bounds, rows, limit, autoreset):
    i = cuda.grid(1)
    if i < rows:
        step_row(w, bounds, i, limit, autoreset)


@cuda.jit
def reset_cuda(w, mask, rows):
    i = cuda.grid(1)
    if i < rows:
        reset_row(w, mask, i)
"""


def _import(thing: Any) -> tuple[str, str]:
    """How the generated module imports a module-level rule: (module, name)."""
    python = getattr(thing, "py_func", thing)
    if "." in python.__qualname__:
        raise TypeError(f"{python.__qualname__}: rules are to be at the top level of a module")
    return python.__module__, python.__name__


def _text(handle: Handle) -> str:
    """The Python expression that makes the same layout again."""
    entries = (f"({name!r}, {_text(entry) if isinstance(entry, Handle) else repr(entry)})" for name, entry in handle.entries)
    return f"Handle(({''.join(f'{entry}, ' for entry in entries)}))"


def generate(rules: Rules, world: Handle, bounds: Handle) -> pytypes.ModuleType:
    """The module of kernels for ``rules``, whose arrays are laid out as ``world`` and ``bounds`` say."""
    cls = type(rules)
    functions = {"reset": cls.reset, "step": cls.step, "observe": cls.observe}
    if cls.ahead is not None:
        functions["ahead"] = cls.ahead
    imports = "\n".join("from {} import {} as {}".format(*_import(function), alias) for alias, function in functions.items())
    source = _MODULE.format(
        world=f"{cls.__module__}.{cls.__qualname__}", imports=imports, world_layout=_text(world), bounds_layout=_text(bounds),
        step_row=textwrap.indent(_STEP, " " * 4), reset_row=textwrap.indent(_RESET, " " * 4),
    )  # fmt: skip
    step = _STEP if cls.ahead is None else f"ahead(w, min(i + {_AHEAD}, high - 1))\n{_STEP}"
    blocks = {"step": textwrap.indent(step, " " * 8), "reset": textwrap.indent(_RESET, " " * 8)}
    kept = '@njit(error_model="numpy", nogil=True, cache=True)'
    source += _KERNELS.format(name="serial", decorator=kept, **blocks)
    source += _KERNELS.format(name="rows", decorator="@rule", **blocks) + _PARALLEL
    core = importlib.import_module("rewardscape.envs.core.engine")
    stamp = fingerprint(*functions.values(), core.begin, core.sanitise, core.finish, attacher)
    return load_generated(f"{cls.__module__.replace('.', '_')}_{cls.__name__}", source, stamp)


def generate_cuda(module: pytypes.ModuleType) -> pytypes.ModuleType:
    """The CUDA kernels that call the very same ``step_row`` and ``reset_row`` of a generated module."""
    imports = f"from {module.__name__} import reset_row, step_row\n"
    return load_generated("cuda", imports + _CUDA, module.__name__.rsplit("_generated_", 1)[1])
