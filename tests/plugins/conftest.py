"""Airflow for the tests of its plugins: a home of its own, and this repository's plugins folder."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PLUGINS = REPOSITORY / "plugins"

# Airflow reads these when it is first imported, which test modules do.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="afterbell-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(PLUGINS))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
if str(PLUGINS) not in sys.path:
    sys.path.append(str(PLUGINS))
