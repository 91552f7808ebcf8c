"""The plugins are imported as Airflow imports them."""

import tests.airflow_environment  # noqa: F401
