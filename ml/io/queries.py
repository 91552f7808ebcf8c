"""The product's SQL lives in `sql/`; this is the one door to it."""

from functools import cache

from ml.settings import REPOSITORY

SQL = REPOSITORY / "sql"


@cache
def query(name: str) -> str:
    """The one statement of `sql/queries/<name>.sql`, without its final semicolon, which COPY (...) refuses."""
    return (SQL / "queries" / f"{name}.sql").read_text(encoding="utf-8").rstrip().removesuffix(";")
