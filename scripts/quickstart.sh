#!/usr/bin/env bash
# Set up a fresh machine and run the main job: bash scripts/quickstart.sh [options of rewardscape quickstart]
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
venv=${VENV:-.venv}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "rewardscape needs Python 3.10 or newer"; exit 1; }
[ -x "$venv/bin/python" ] || "$python" -m venv "$venv"
"$venv/bin/pip" install -q -c constraints.txt -e '.[train,report]'
exec "$venv/bin/rewardscape" quickstart "$@"
