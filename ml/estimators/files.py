"""A model's files: small versioned JSON documents and opaque bytes. Never pickle."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ml.errors import RegistryError, StoreError


def write_document(path: Path, kind: str, version: int, content: dict[str, Any]) -> None:
    """Write `content` as a JSON document that names its kind and format version."""
    document = {"kind": kind, "format": version, **content}
    write_bytes(path, json.dumps(document, indent=2, sort_keys=True, allow_nan=False).encode())


def read_document(path: Path, kind: str, version: int) -> dict[str, Any]:
    """The document at `path`; RegistryError unless it is a `kind` of format `version`."""
    try:
        document = json.loads(read_bytes(path))
    except ValueError as error:
        raise RegistryError(
            f"{path.name} that is not JSON ({error})", f"a {kind} document", "Retrain the model"
        ) from error
    return check_document(document, kind, version, path.name)


def check_document(document: Any, kind: str, version: int, name: str) -> dict[str, Any]:
    """The same document; RegistryError, which calls it `name`, unless it is a `kind` of format `version`."""
    found = (document.get("kind"), document.get("format")) if isinstance(document, dict) else (None, None)
    if found != (kind, version):
        raise RegistryError(
            f"{name} of kind {found[0]!r}, format {found[1]!r}",
            f"kind {kind!r}, format {version}",
            "Load it with the version that wrote it, or retrain the model",
        )
    return dict(document)


def field(document: dict[str, Any], name: str) -> Any:
    """One field of a document; RegistryError when it is missing."""
    if name not in document:
        raise RegistryError(
            f"a {document['kind']} document without {name!r}", "a complete document", "Retrain the model"
        )
    return document[name]


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; StoreError when that fails (no such directory, disk full)."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise StoreError(
            f"{path.name} that cannot be written ({error})", "a writable directory", "Free space"
        ) from error


def write_noted(path: Path, content: bytes) -> str:
    """Write a file and give its sha256, to be noted in the model's document."""
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()


def read_noted(path: Path, digest: str) -> bytes:
    """A file's content; RegistryError unless it is what was noted.

    For content that a library reads: some end the whole process on bytes that break off.
    """
    content = read_bytes(path)
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise RegistryError(f"{path.name} of sha256 {found}", digest, "Fetch the model again or retrain it")
    return content


def read_bytes(path: Path) -> bytes:
    """A file's content; StoreError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(
            f"no readable {path.name} in {path.parent} ({error.strerror})",
            "a complete model directory",
            "Fetch the model again or retrain it",
        ) from error
