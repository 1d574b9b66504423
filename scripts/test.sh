#!/usr/bin/env bash
# Set up a fresh machine and run the tests, on a wheel-installed copy of this tree: bash scripts/test.sh [pytest arguments]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=${VENV:-$PWD/.venv-test}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "rewardscape needs Python 3.10 or newer"; exit 1; }

if ! command -v chromium >/dev/null && ! command -v google-chrome >/dev/null; then
  if command -v apt-get >/dev/null; then
    sudo=$([ "$(id -u)" = 0 ] || echo sudo)
    $sudo apt-get update -qq && $sudo apt-get install -y -qq chromium >/dev/null
  else
    echo "note: no Chromium found: install it to run the tests marked 'browser'"
  fi
fi

[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/pip" install -q -c constraints.txt build
rm -rf build dist
"$venv/bin/python" -m build -q --wheel --outdir dist .
rm -rf build
"$venv/bin/pip" install -q -c constraints.txt "$(ls dist/*.whl)[all,dev,ray]" numba-cuda
"$venv/bin/pip" install -q -c constraints.txt --force-reinstall --no-deps dist/*.whl

"$venv/bin/ruff" check .
(cd dist && "$venv/bin/mypy" --config-file ../pyproject.toml -p rewardscape)  # elsewhere: the wheel is checked, not this folder
"$venv/bin/pytest" -n 2 -q tests "$@"
