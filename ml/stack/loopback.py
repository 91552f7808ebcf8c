"""The name under which Airflow's processes of one machine find each other's logs."""


def name() -> str:
    return "localhost"
