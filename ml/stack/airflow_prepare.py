"""Run as a child process in Airflow's environment: migrate its database, then make the users and the pool.

One process runs the commands of the `airflow` command line one after the other, because importing
Airflow takes longer than all of them, and because an argument of a process is no place for a password.
"""

from __future__ import annotations

import os

from airflow.cli.cli_parser import get_parser

from ml.settings import settings
from ml.stack.airflow import ADMIN, POOL, VIEWER


def main() -> None:
    airflow("db", "migrate")
    for user, role in ((ADMIN, "Admin"), (VIEWER, "Viewer")):
        # With "=", since a password may begin with a dash.
        password = f"--password={os.environ[f'AFTERBELL_STACK_{user.upper()}_PASSWORD']}"
        names = ["--username", user, "--firstname", user.title(), "--lastname", "Afterbell"]
        airflow("users", "create", "--role", role, *names, "--email", f"{user}@localhost", password)
        airflow("users", "reset-password", "--username", user, password)
    # Airflow builds its navigation, and with it the entry of our page, only for those who may read its plugins.
    airflow("roles", "add-perms", "Viewer", "User", "--resource", "Plugins", "--action", "can_read")
    airflow("pools", "set", POOL, str(settings().trainings), "Trainings at once: AFTERBELL_TRAININGS")


def airflow(*words: str) -> None:
    arguments = get_parser().parse_args(words)
    arguments.func(arguments)


if __name__ == "__main__":
    main()
