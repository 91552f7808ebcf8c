"""One tree of errors. Each says what was found, what was expected and what to do.

Every class also derives from the builtin that a caller would think of first, so that plain
`except ValueError` or `except ConnectionError` keeps working.
"""


class AfterbellError(Exception):
    """The root. `found`, `expected` and `todo` are noun phrases or imperatives without a full stop."""

    def __init__(self, found: str, expected: str, todo: str) -> None:
        self.found = found
        self.expected = expected
        self.todo = todo
        super().__init__(found, expected, todo)

    def __str__(self) -> str:
        return f"Found {self.found}; expected {self.expected}. {self.todo}."


class SettingsError(AfterbellError, ValueError):
    """A setting, a form field or a command-line argument that cannot be used."""


class FrameError(AfterbellError, ValueError):
    """A frame that breaks its contract: columns, types, keys or order."""


class ExpressionError(AfterbellError, ValueError):
    """An expression that is no feature: unknown words, wrong types, too long, or a look into the future."""


class ProviderError(AfterbellError, RuntimeError):
    """The source of the bars gave something unusable (an unreadable or empty file, a bad reply)."""


class ProviderRejected(ProviderError, PermissionError):
    """The vendor refused the key. Final: trying again does not help."""


class ProviderUnavailable(ProviderError, ConnectionError):
    """The vendor could not be reached or asked us to wait. Trying again may help."""


class SuiteFailed(AfterbellError, ValueError):
    """The night's bars failed a check marked `fail`; nothing may be computed from them."""


class TrainingError(AfterbellError, ValueError):
    """The data cannot carry the training that was asked for (too few dates, one class...)."""


class AuditFailed(AfterbellError, ValueError):
    """Predictions that may not be published."""


class NoChampion(AfterbellError, LookupError):
    """No model serves this target yet."""


class NotRecorded(AfterbellError, LookupError):
    """Something that was asked for by its key and that the warehouse has never heard of."""


class Superseded(AfterbellError, RuntimeError):
    """The world moved on since this was decided (another champion, a newer night)."""


class WarehouseUnavailable(AfterbellError, ConnectionError):
    """Postgres could not be reached or went away."""


class StoreError(AfterbellError, OSError):
    """The Parquet store could not be read or written (missing, damaged, disk full)."""


class BackupError(AfterbellError, RuntimeError):
    """A backup that could not be made, or that does not give back what was put in."""


class ExportError(AfterbellError, OSError):
    """An export that could not be written or read (disk full, not writable)."""


class RegistryError(AfterbellError, RuntimeError):
    """MLflow could not be reached, or a model in it is not what it claims to be."""


class StackError(AfterbellError, RuntimeError):
    """The embedded stack could not start, stop or answer."""
