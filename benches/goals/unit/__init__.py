"""The parts' own tests; what they share with the comparison is found as `run` finds it."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "peers"))
