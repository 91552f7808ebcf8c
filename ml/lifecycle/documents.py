"""Small fitted things as plain JSON and back, bit for bit. Never pickle."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any, ClassVar, Self

from ml.errors import RegistryError
from ml.estimators.files import check_document


class Document:
    """A frozen dataclass of finite numbers, text, and tuples of them.

    Python writes a float with as many digits as bring the same float back, so what was read answers with the
    same bits as what was written. Whoever changes what a class's fields mean raises its `format`.
    """

    kind: ClassVar[str]
    format: ClassVar[int] = 1

    def to_document(self) -> dict[str, Any]:
        """The fields beside `kind` and `format`."""
        return {"kind": self.kind, "format": self.format, **asdict(self)}  # type: ignore[call-overload]

    @classmethod
    def from_document(cls, document: Any) -> Self:
        """What `to_document` wrote, before or after it was JSON; RegistryError when it is anything else."""
        content = check_document(document, cls.kind, cls.format, "a part of a model")
        found = set(content) - {"kind", "format"}
        expected = {field.name for field in fields(cls)}  # type: ignore[arg-type]
        if found != expected:
            raise RegistryError(
                f"a {cls.kind} document with the fields {sorted(found)}", f"{sorted(expected)}", "Retrain the model"
            )
        return cls(**{name: _tuples(content[name]) for name in expected})


def _tuples(content: Any) -> Any:
    return tuple(map(_tuples, content)) if isinstance(content, list | tuple) else content
