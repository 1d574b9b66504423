"""``rewardscape check-ecosystem [LIBRARY ...]``: our rewards in trainers of language models, our worlds in RLlib, each by itself.

For every library a virtual environment is made (or used again) under ``$REWARDSCAPE_ECOSYSTEM``, by default
``~/.cache/rewardscape/ecosystem``, with the library, a torch of the version tested here and this checkout; in it runs
``tests/ecosystem/check_LIBRARY.py``. Needs a checkout, the package index, and up to 2 GB of disk a library.
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys

LIBRARIES = {  # what each environment gets beside torch and this package
    "trl": ["trl==1.16.0"],
    "verl": ["verl==0.9.1"],
    "rllib": ["ray[rllib]==2.60.0", "gymnasium==1.2.2"],
}


def main(argv: list[str] | None = None) -> int:
    """Check each library. Prints a line for it; 1 if one failed, else 0. ValueError for an unknown library."""
    parser = argparse.ArgumentParser(
        prog="rewardscape check-ecosystem", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("libraries", nargs="*", metavar="LIBRARY", help=f"of {', '.join(LIBRARIES)}; default: all")
    parser.add_argument("--verbose", action="store_true", help="show what installing and checking print")
    options = parser.parse_args(argv)
    unknown = [name for name in options.libraries if name not in LIBRARIES]
    if unknown:
        raise ValueError(f"unknown library {unknown[0]!r}; allowed: {', '.join(LIBRARIES)}")
    failed = 0
    for name in options.libraries or LIBRARIES:
        ok, line = check(name, options.verbose)
        print(line, flush=True)
        failed += not ok
    return 1 if failed else 0


def check(library: str, verbose: bool = False) -> tuple[bool, str]:
    """Run a library's check: ``(passed, what to print)``: one line, or after a failure the end of the output."""
    root = checkout()
    default = pathlib.Path.home() / ".cache" / "rewardscape" / "ecosystem"
    folder = pathlib.Path(os.environ.get("REWARDSCAPE_ECOSYSTEM") or default).absolute() / library
    python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
    torch = torch_requirement(root)
    constraints = folder / "constraints.txt"
    commands = [
        [sys.executable, "-m", "venv", "--clear", str(folder)],
        [str(python), "-m", "pip", "install", "-q", torch],  # first and alone: what asks for any torch may bring a CUDA build
        [str(python), "-m", "pip", "install", "-q", "-c", str(constraints), *LIBRARIES[library], "-e", str(root)],
    ]
    wanted = "\n".join([torch, *LIBRARIES[library], str(root)])
    stamp = folder / "installed.txt"
    if not stamp.is_file() or stamp.read_text() != wanted:
        for command in commands:
            ok, output = run(command, root, verbose)
            if not ok:
                return False, f"{library}: could not be installed:\n{tail(output)}"
            constraints.write_text(torch + "\n")
        stamp.write_text(wanted)
    ok, output = run([str(python), str(root / "tests" / "ecosystem" / f"check_{library}.py")], folder, verbose)
    last = output.strip().splitlines()[-1:]
    if ok and last and last[0].startswith(library):
        return True, last[0]
    return False, f"{library}: FAILED:\n{tail(output)}"


def run(command: list[str], folder: pathlib.Path, verbose: bool) -> tuple[bool, str]:
    """Run a command in a folder, offline as far as model hubs and Ray's statistics go: ``(succeeded, its output)``."""
    settings = {"HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": "", "TOKENIZERS_PARALLELISM": "false", "PYTHONUNBUFFERED": "1"}
    environment = {**os.environ, **settings, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if verbose:
        print(done.stdout, end="", flush=True)
    return done.returncode == 0, done.stdout


def checkout() -> pathlib.Path:
    """The folder with pyproject.toml and tests/ecosystem: where this file lies, or the current one. FileNotFoundError else."""
    candidates = (pathlib.Path(__file__).resolve().parents[1], pathlib.Path.cwd())
    for folder in candidates:
        if (folder / "pyproject.toml").is_file() and (folder / "tests" / "ecosystem").is_dir():
            return folder
    raise FileNotFoundError("the checks are not part of the installed package: run this in a checkout of rewardscape")


def torch_requirement(root: pathlib.Path) -> str:
    """The torch of constraints.txt, else any."""
    pinned = root / "constraints.txt"
    for line in pinned.read_text().splitlines() if pinned.is_file() else ():
        if line.split("==")[0].strip() == "torch":
            return line.strip()
    return "torch"


def tail(output: str, lines: int = 25) -> str:
    """The end of an output."""
    return "\n".join(output.strip().splitlines()[-lines:])


if __name__ == "__main__":
    sys.exit(main())
