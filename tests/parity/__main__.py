"""``python -m tests.parity [FILE...]``: run vectors and print ``system: passed/total``."""

import sys

from tests.parity.runner import VECTORS, run

failed = False
for file in sys.argv[1:] or sorted(VECTORS.glob("*.json")):
    system, passed, failures = run(file)
    print(f"{system}: {passed}/{passed + len(failures)}")
    for line in failures:
        print(f"  {line[:300]}")
    failed |= bool(failures)
sys.exit(failed)
