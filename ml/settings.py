"""The only reader of the environment.

Every setting is `AFTERBELL_<NAME>` and is documented in `.env.example`. Precedence: the process
environment, then `.env` in the repository, then `stack.env` in AFTERBELL_HOME, which the embedded
stack writes with the ports and secrets it generated.
"""

from __future__ import annotations

import os
import re
from datetime import date
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import AliasChoices, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from ml.domain import Label, Score
from ml.errors import SettingsError

REPOSITORY = Path(__file__).resolve().parent.parent
STACK_ENV = "stack.env"
HORIZONS = {"1d": 1, "5d": 5, "20d": 20, "60d": 60}
"""What can be predicted: the name of each horizon and its sessions."""
OTHER_NAMES = {"1w": "5d", "1m": "20d", "3m": "60d"}
"""What people may type instead of a horizon's name; nothing but names of HORIZONS is written anywhere."""


def horizon_name(typed: str) -> str:
    """The name in HORIZONS of what was typed: `1w` is `5d`. Anything unknown stays as it is, for its own error."""
    return OTHER_NAMES.get(typed, typed)


RETURNS: dict[str, Label] = dict.fromkeys(HORIZONS, "return")
LOG_LOSSES: dict[str, Score] = dict.fromkeys(HORIZONS, "log_loss")
"""What a target learns and is judged by unless it declares otherwise."""
NOTHING: dict[str, Any] = dict.fromkeys(HORIZONS, 0.0)
ESTIMATORS = ("xgboost", "lightgbm", "linear", "lstm", "transformer", "cnn")
"""Those that learn; ml.estimators.registry knows the baselines besides."""

TRIALS, SAMPLE_TRIALS = 30, 1


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
    horizons: Annotated[tuple[str, ...], NoDecode] = ("1d", "5d", "20d")
    labels: Annotated[dict[str, Label], NoDecode] = RETURNS
    scores: Annotated[dict[str, Score], NoDecode] = LOG_LOSSES
    estimators: Annotated[tuple[str, ...], NoDecode] = ("xgboost", "lightgbm", "linear")
    trials: int | None = Field(default=None, ge=1)
    search_seconds: int = Field(default=120, ge=1)
    search_rows: int = Field(default=30_000, ge=1_000)
    fit_rows: int = Field(default=120_000, ge=1_000)
    panel_rows: int = Field(default=3_000_000, ge=1_000)
    trainings: int = Field(default=2, ge=1)
    threads: int = Field(default=1, ge=1)
    seed: int = 20260301

    # the gate
    alpha_per_year: float = Field(default=0.05, gt=0, lt=1)
    looks_per_year: int = Field(default=4, ge=1)
    min_improvements: Annotated[dict[str, float], NoDecode] = NOTHING
    costs_bps: float = Field(default=5, ge=0)
    most_model_mb: float = Field(default=1000, gt=0)
    most_night_seconds: float = Field(default=60, gt=0)
    refresh_sessions: int = Field(default=21, ge=0)
    canary_share: float = Field(default=0, ge=0, le=1)
    approval: bool = False
    approval_hours: float = Field(default=24, gt=0)

    # outside systems
    warehouse_dsn: SecretStr | None = None
    reader_dsn: SecretStr | None = None
    mlflow_uri: str | None = None
    mlflow_pages: str | None = None
    store: str | None = None

    # the embedded stack; port 0 means a free one, chosen on the first start and kept
    postgres_port: int = Field(default=0, ge=0, le=65535)
    mlflow_port: int = Field(default=0, ge=0, le=65535)
    airflow_port: int = Field(default=0, ge=0, le=65535)

    @field_validator("symbols", "horizons", "estimators", mode="before")
    @classmethod
    def _split_commas(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("horizons")
    @classmethod
    def _names_of_horizons(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        names = tuple(dict.fromkeys(horizon_name(typed) for typed in value))
        unknown = [name for name in names if name not in HORIZONS]
        if unknown or not names:
            raise ValueError(f"horizons {unknown or 'none'}: choose from {', '.join(HORIZONS)}")
        return names

    @field_validator("labels", mode="before")
    @classmethod
    def _label_of_each(cls, value: object) -> object:
        return RETURNS | _per_horizon(value, get_args(Label)) if isinstance(value, str) else value

    @field_validator("scores", mode="before")
    @classmethod
    def _score_of_each(cls, value: object) -> object:
        return LOG_LOSSES | _per_horizon(value, get_args(Score)) if isinstance(value, str) else value

    @field_validator("min_improvements", mode="before")
    @classmethod
    def _improvement_of_each(cls, value: object) -> object:
        return NOTHING | _per_horizon(value, None) if isinstance(value, str) else value

    @property
    def own_trials(self) -> int:
        """Trials per boosted model and horizon. Of the sample one: it shows a night in five minutes."""
        return self.trials or (SAMPLE_TRIALS if self.provider == "sample" else TRIALS)

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


def _per_horizon(value: str, choices: tuple[str, ...] | None) -> dict[str, str]:
    """What `20d=barrier, 1w=scaled` chooses, by the horizons' own names. choices: None for numbers from 0 on."""
    chosen: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in value.split(","))):
        typed, _, choice = (word.strip() for word in part.partition("="))
        name = horizon_name(typed)
        if name not in HORIZONS or name in chosen or not _may_be(choice, choices):
            asked = f"one of {', '.join(choices)}" if choices else "a number from 0 on"
            raise ValueError(f"{part!r}: write a horizon ({', '.join(HORIZONS)}), each once, then = and {asked}")
        chosen[name] = choice
    return chosen


def _may_be(choice: str, choices: tuple[str, ...] | None) -> bool:
    return choice in choices if choices else re.fullmatch(r"\d*\.?\d+(e-?\d+)?", choice) is not None


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
