"""The roles and databases of the embedded Postgres: one of each for Airflow, MLflow and the product."""

from __future__ import annotations

from typing import Any

from psycopg2 import sql
from psycopg2.extensions import cursor as Cursor

from ml.settings import REPOSITORY
from ml.stack.postgres import PostgresServer

ADMIN_SQL = REPOSITORY / "sql" / "admin"
AIRFLOW = "airflow"
MLFLOW = "mlflow"
WAREHOUSE = "afterbell"
READER = "afterbell_reader"


def admin(cursor: Cursor, name: str, **values: str) -> Any:
    """Run `sql/admin/<name>.sql` with identifiers (literals for `password`, `versions`); its first value, if any."""
    literals = {"password", "versions"}
    parts = {key: sql.Literal(v) if key in literals else sql.Identifier(v) for key, v in values.items()}
    text = sql.SQL((ADMIN_SQL / f"{name}.sql").read_text(encoding="utf-8"))
    cursor.execute(text.format(**parts) if "{" in text.string else text, values)
    row = cursor.fetchone() if cursor.description else None
    return row[0] if row else None


def make_roles(server: PostgresServer, passwords: dict[str, str]) -> None:
    """Roles by name with their passwords; the reader gets its habits; strangers lose every database."""
    with server.superuser() as cursor:
        for role, password in passwords.items():
            admin(cursor, "role", role=role, password=password)
        admin(cursor, "reader", role=READER)
        admin(cursor, "makes_databases", role=WAREHOUSE)
        for database in ("postgres", "template1"):
            admin(cursor, "close_database", database=database)


def make_database(server: PostgresServer, database: str, owner: str, template: str = "template1") -> None:
    """The database, closed to all but its owner; the product's own lets the reader in."""
    with server.superuser() as cursor:
        if not admin(cursor, "database_exists", database=database):
            admin(cursor, "create_database", database=database, owner=owner, template=template)
        admin(cursor, "close_database", database=database)
    if owner == WAREHOUSE:
        with server.superuser(database) as cursor:
            admin(cursor, "close_functions")
            admin(cursor, "let_in", database=database, role=READER)
