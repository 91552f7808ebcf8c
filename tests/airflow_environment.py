"""Airflow inside a test process: a home of its own, and this repository's plugins folder.

Airflow reads these when it is first imported, which test modules do; so conftest files import this one.
"""

from __future__ import annotations

import os
import sys
import tempfile

from ml.settings import REPOSITORY

PLUGINS = REPOSITORY / "plugins"

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="afterbell-airflow-"))
os.environ.setdefault("AIRFLOW__CORE__PLUGINS_FOLDER", str(PLUGINS))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
if str(PLUGINS) not in sys.path:
    sys.path.append(str(PLUGINS))
