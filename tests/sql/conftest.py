"""The books of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest

from tests.sql.book import Book


@pytest.fixture
def book(warehouse_dsn: str, reader_dsn: str) -> Iterator[Book]:
    with closing(psycopg2.connect(warehouse_dsn)) as writer, closing(psycopg2.connect(reader_dsn)) as reader:
        writer.autocommit = True
        yield Book(writer, reader)


@pytest.fixture
def model(book: Book) -> Book:
    """A book that knows version 1 of 1d and versions 1 and 2 of 5d."""
    book.given(
        "lifecycle.model_versions",
        {"target": "1d", "version": 1, "training_key": "a"},
        {"target": "5d", "version": 1, "training_key": "b"},
        {"target": "5d", "version": 2, "training_key": "c"},
    )
    return book
