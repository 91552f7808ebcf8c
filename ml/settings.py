"""The only reader of the environment.

Every setting is `AFTERBELL_<NAME>` and is documented in `.env.example`. Precedence: the process
environment, then `.env` in the repository, then `stack.env` in AFTERBELL_HOME, which the embedded
stack writes with the ports and secrets it generated.
"""

from __future__ import annotations

import os
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ml.errors import SettingsError

REPOSITORY = Path(__file__).resolve().parent.parent
STACK_ENV = "stack.env"
HORIZONS = {"1d": 1, "5d": 5, "20d": 20}


class Settings(BaseSettings):
    """All settings, with their defaults. Paths are absolute after reading."""

    model_config = SettingsConfigDict(env_prefix="AFTERBELL_", extra="ignore", frozen=True)

    home: Path = REPOSITORY / "var"

    # bars
    provider: Literal["sample", "files", "polygon"] = "sample"
    files_path: str | None = None
    files_columns: dict[str, str] = {}
    files_reference: str | None = None
    polygon_api_key: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("POLYGON_API_KEY", "AFTERBELL_POLYGON_API_KEY")
    )
    polygon_base_url: str = "https://api.polygon.io"
    polygon_requests_per_minute: int = Field(default=5, ge=0)
    symbols: Annotated[tuple[str, ...], NoDecode] = ()
    history_start: date = date(2000, 1, 1)
    calendar: str = "XNYS"
    refetch_sessions: int = Field(default=5, ge=1)
    close_delay_minutes: int = Field(default=30, ge=0)

    # checks
    quarantine_budget: float = Field(default=0.01, ge=0, le=1)
    min_rows_ratio: float = Field(default=0.9, ge=0, le=1)
    restatement_budget: float = Field(default=0.01, ge=0, le=1)

    # the universe
    universe_path: str | None = None
    min_price: float = Field(default=0, ge=0)
    min_dollar_volume: float = Field(default=0, ge=0)

    # features
    features_path: str | None = None

    # keeping house
    keep_sessions: int = Field(default=0, ge=0)
    keep_backups: int = Field(default=7, ge=1)
    keep_exports: int = Field(default=20, ge=1)

    # models
    horizons: Annotated[tuple[str, ...], NoDecode] = tuple(HORIZONS)
    trials: int = Field(default=20, ge=1)
    search_seconds: int = Field(default=600, ge=1)
    threads: int = Field(default=2, ge=1)
    seed: int = 20260301

    # the gate
    alpha_per_year: float = Field(default=0.05, gt=0, lt=1)
    looks_per_year: int = Field(default=252, ge=1)

    # outside systems
    warehouse_dsn: SecretStr | None = None
    reader_dsn: SecretStr | None = None
    mlflow_uri: str | None = None
    store: str | None = None

    # the embedded stack; port 0 means a free one, chosen on the first start and kept
    postgres_port: int = Field(default=0, ge=0, le=65535)
    mlflow_port: int = Field(default=0, ge=0, le=65535)
    airflow_port: int = Field(default=0, ge=0, le=65535)

    @field_validator("symbols", "horizons", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("horizons")
    @classmethod
    def _known_horizons(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        unknown = [h for h in value if h not in HORIZONS]
        if unknown or not value:
            raise ValueError(f"horizons {unknown or 'none'}: choose from {', '.join(HORIZONS)}")
        return value

    @property
    def store_root(self) -> Path | str:
        """Where the Parquet store lives: an absolute path, or the URL of a folder in an object store."""
        if self.store and "://" in self.store:
            return self.store
        return Path(self.store or self.home / "store").absolute()

    @property
    def features_file(self) -> Path | None:
        """The file that declares the night's feature set, None for the default set; a relative path begins here."""
        return REPOSITORY / self.features_path if self.features_path else None

    def require_warehouse_dsn(self) -> str:
        """The write role's DSN; SettingsError when there is none."""
        return _required(self.warehouse_dsn, "AFTERBELL_WAREHOUSE_DSN")

    def require_reader_dsn(self) -> str:
        """The reader role's DSN; SettingsError when there is none."""
        return _required(self.reader_dsn, "AFTERBELL_READER_DSN")

    def require_mlflow_uri(self) -> str:
        """The MLflow tracking server; SettingsError when there is none."""
        if self.mlflow_uri is None:
            raise SettingsError("no AFTERBELL_MLFLOW_URI", "the address of an MLflow server", _START_OR_SET)
        return self.mlflow_uri


_START_OR_SET = "Start the embedded stack (make run) or set it in the environment"


def _required(secret: SecretStr | None, name: str) -> str:
    if secret is None:
        raise SettingsError(f"no {name}", "a PostgreSQL address", _START_OR_SET)
    return secret.get_secret_value()


def quiet_tensorflow() -> None:
    """Say what TensorFlow and Keras read from the environment; to be called before they are imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # otherwise a machine without a GPU is told so as an error


@cache
def settings() -> Settings:
    """The settings of this process, read once. Tests call `settings.cache_clear()` after changing the environment."""
    home = Path(os.environ.get("AFTERBELL_HOME", REPOSITORY / "var")).absolute()
    try:
        return Settings(_env_file=(home / STACK_ENV, REPOSITORY / ".env"), home=home)  # type: ignore[call-arg]
    except ValidationError as error:
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsError(
            f"{first['input']!r} for AFTERBELL_{name.removeprefix('AFTERBELL_')}",
            str(first["msg"]),
            "Correct it in the environment or in .env; .env.example explains every setting",
        ) from error
