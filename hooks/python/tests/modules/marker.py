"""Leaves a trace when it is imported."""

import os
from pathlib import Path

Path(os.environ["MARKER"]).touch()
