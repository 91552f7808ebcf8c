"""Small nets that look at a row together with the rows of its entity before it: LSTM, Transformer, CNN."""

# ruff: noqa: ARG002, ARG003 -- threads are those that `prepare` was given

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from optuna.trial import BaseTrial

from ml.errors import RegistryError, TrainingError
from ml.estimators import keras_model
from ml.estimators.files import field, read_document, write_document
from ml.estimators.interface import (
    Codes,
    Estimator,
    Flags,
    Matrix,
    Panel,
    Params,
    Sample,
    Tried,
    Vector,
    require_both_classes,
)
from ml.estimators.keras_model import Architecture, Net, State, Targets
from ml.estimators.shared_moves import SharedMoves
from ml.estimators.windows import CLIP, Floats, Normaliser, Windows

LOOK = 16384
"""Windows learned from between two looks of a trial at its test rows, of which it watches at most WATCHED."""
WATCHED = 4000
MOST_LOOKS = 20
PATIENCE = 4
"""Looks without a lower test loss after which a trial stops."""
ASKED_AT_ONCE = 1024
"""Windows per batch of answers: always the same, so that an answer does not depend on what else is asked."""
LARGEST_LOG_ODDS = 20.0
GRADIENT_POINTS = 4
FORMAT = 1
DOCUMENT = "estimator.json"
NET_FILE = "net.keras"


Asked = tuple[slice, Windows]
"""A batch of windows to be answered, filled up with empty ones, and which of the rows asked about it begins with."""


@dataclass(frozen=True)
class Prepared:
    """Training rows, and how features and values are scaled on them.

    std: the deviation of the values. targets: the event and value / std, clipped at +-CLIP, both without what the rows
    of a period share as far as it is no evidence (`SharedMoves.told`). threads: TensorFlow's.
    """

    sample: Sample
    targets: Targets
    normaliser: Normaliser
    std: float
    threads: int


@dataclass(frozen=True)
class Fitted:
    """A net with the weights of one fit. threads: what it was fitted with."""

    net: Net
    weights: Floats
    normaliser: Normaliser
    std: float
    threads: int

    def answers(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        """Log-odds (n,) and expected value (n,)."""
        return self.said(at.size, self._asked(panel, at))

    def said(self, count: int, asked: Iterable[Asked]) -> tuple[Vector, Vector]:
        """The same of so many windows that are there already."""
        said = np.empty((count, 2), dtype=np.float64)
        for part, windows in asked:
            said[part] = self.net.answers(self.weights, windows)[: part.stop - part.start]
        return np.clip(said[:, 0], -LARGEST_LOG_ODDS, LARGEST_LOG_ODDS), said[:, 1] * self.std

    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        """(n, f) how far each feature of a window moves the log-odds."""
        moved = np.empty((at.size, panel.X.shape[1]), dtype=np.float32)
        for part, windows in self._asked(panel, at):
            told = self.net.contributions(self.weights, windows, GRADIENT_POINTS)
            moved[part] = told[: part.stop - part.start]
        return moved

    def _asked(self, panel: Panel, at: Codes) -> Iterator[Asked]:
        return _asked(self.normaliser, panel, at, self.net.input_shape[0])


class SequenceNet(Estimator):
    """What the nets share: all but the body between the projected rows and the two heads.

    The heads are the event's log-odds and value / std(training values), clipped at +-5; the loss is the log-loss
    of the one plus half the squared error of the other. AdamW with a constant rate; `steps` is not searched: a
    trial stops early and says where. A fit takes as many, also where it has more rows: as many epochs would be more
    steps, and with as little to find as in returns they go too far (on real bars, over 5 sessions, 4 epochs of 60,000
    rows lost 0.002 to 0.003 nats to the base rate and 4 of 15,000 lost none; the errors were of the same size).
    Features are normalised on the training rows; a missing one is its median.
    """

    packages: ClassVar[tuple[str, ...]] = ("tensorflow", "numba")
    trial_share: ClassVar[float] = 1 / 6
    row_share: ClassVar[float] = 1 / 2
    unpruned: ClassVar[int] = 1

    def __init__(self) -> None:
        self._fitted: Any = None

    @staticmethod
    def prepare(sample: Sample, threads: int) -> Prepared:
        keras_model.start(threads)
        require_both_classes(sample)
        std = float(np.std(sample.value))
        outcomes = sample.up.astype(np.float64), np.clip(sample.value / std, -CLIP, CLIP)
        told = (SharedMoves.of(sample, outcome).told(outcome) for outcome in outcomes)
        targets = Targets(*(target.astype(np.float32) for target in (*told, sample.weight)))
        return Prepared(sample, targets, Normaliser.fitted(sample.X), std, threads)

    def fit_prepared(self, data: Prepared, params: Params, seed: int, threads: int) -> Self:
        *_, self._fitted = _looks(self.name, data, params, seed, [int(params["steps"])])
        return self

    @classmethod
    def tried(cls, data: Prepared, test: Sample, params: Params, seed: int, threads: int) -> Tried:
        watched, each = test.thinned(WATCHED, seed), LOOK // int(params["batch"])
        asked = list(_asked(data.normaliser, test.panel, watched.at, int(params["window"])))  # the same at every look
        least, best, at = np.inf, None, 0
        for look, fitted in enumerate(_looks(cls.name, data, params, seed, [each] * MOST_LOOKS), start=1):
            loss = _loss(watched.up, fitted.said(len(watched), asked)[0])
            if loss < least:
                least, best, at = loss, fitted, look
            elif look - at >= PATIENCE:
                break
        assert best is not None, "a first look has a finite loss"
        return Tried(_probability(best.answers(test.panel, test.at)[0]), {**params, "steps": at * each})

    @property
    def lookback(self) -> int:
        """The window's periods before the row's own."""
        window: int = self._fitted.net.input_shape[0]
        return window - 1

    def predict(self, panel: Panel, at: Codes) -> tuple[Vector, Vector]:
        log_odds, expected = self._fitted.answers(panel, at)
        return _probability(log_odds), expected

    def contributions(self, panel: Panel, at: Codes) -> Matrix:
        """Integrated gradients of the log-odds, summed over the window; relative to every feature at its training
        median in the same periods."""
        moved: Matrix = self._fitted.contributions(panel, at)
        return moved

    def save(self, directory: Path) -> None:
        fitted = self._fitted
        content = {
            "sha256": fitted.net.write(directory / NET_FILE, fitted.weights),
            "std": fitted.std,
            "threads": fitted.threads,
            "median": fitted.normaliser.median.tolist(),
            "inverse_spread": fitted.normaliser.inverse_spread.tolist(),
        }
        write_document(directory / DOCUMENT, self.name, FORMAT, content)

    @classmethod
    def load(cls, directory: Path) -> Self:
        document = read_document(directory / DOCUMENT, cls.name, FORMAT)
        threads = int(field(document, "threads"))
        keras_model.start(threads)
        net = Net.read(directory / NET_FILE, field(document, "sha256"))
        scales = [np.array(field(document, name), dtype=np.float32) for name in ("median", "inverse_spread")]
        _, features = net.input_shape
        if any(scale.shape != (features,) for scale in scales):
            raise RegistryError(
                f"{[scale.size for scale in scales]} medians and spreads",
                f"one for each of the net's {features} features",
                "Fetch the model again or retrain it",
            )
        loaded = cls()
        loaded._fitted = Fitted(net, net.weights, Normaliser(*scales), float(field(document, "std")), threads)
        return loaded


class LSTM(SequenceNet):
    """A long short-term memory."""

    name: ClassVar[str] = "lstm"
    defaults: ClassVar[Params] = {
        "steps": 60,
        "window": 20,
        "width": 16,
        "depth": 1,
        "dropout": 0.2,
        "rate": 0.001,
        "decay": 0.1,
        "batch": 1024,
    }

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return {**_shared_space(trial), "depth": trial.suggest_int("depth", 1, 2)}


class Transformer(SequenceNet):
    """A small Transformer encoder that is read at the last row."""

    name: ClassVar[str] = "transformer"
    defaults: ClassVar[Params] = LSTM.defaults

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return {**_shared_space(trial), "depth": trial.suggest_int("depth", 1, 2)}


class CNN(SequenceNet):
    """A dilated causal CNN, as deep as its window asks."""

    name: ClassVar[str] = "cnn"
    defaults: ClassVar[Params] = {name: value for name, value in LSTM.defaults.items() if name != "depth"}

    @staticmethod
    def space(trial: BaseTrial) -> Params:
        return _shared_space(trial)


def _shared_space(trial: BaseTrial) -> dict[str, float | int]:
    return {
        "window": trial.suggest_int("window", 10, 30, step=10),
        "width": trial.suggest_int("width", 16, 32, step=16),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "rate": trial.suggest_float("rate", 0.0003, 0.003, log=True),
        "decay": trial.suggest_float("decay", 0.01, 1.0, log=True),
        "batch": trial.suggest_int("batch", 512, 1024, step=512),
    }


def _looks(body: str, data: Prepared, params: Params, seed: int, steps: Iterable[int]) -> Iterator[Fitted]:
    """The net after so many steps, and so many more...: the same data, params and seed pass through the same nets."""
    net = keras_model.net_of(_architecture(body, data, params), seed)
    state = net.begin(*_average(data))
    batches = _batches(len(data.sample), int(params["batch"]), np.random.default_rng(seed))
    for count in steps:
        for rows in islice(batches, count):
            state = _step(net, state, data, params, rows)
        yield _as_fitted(net, state, data)


def _architecture(body: str, data: Prepared, params: Params) -> Architecture:
    return Architecture(
        body=body,
        features=data.sample.panel.X.shape[1],
        window=int(params["window"]),
        width=int(params["width"]),
        depth=int(params.get("depth", 1)),
        dropout=float(params["dropout"]),
    )


def _average(data: Prepared) -> tuple[float, float]:
    """The log-odds and the standardised value of the training rows as a whole."""
    rate = data.sample.rate
    return float(np.log(rate / (1 - rate))), float(np.average(data.targets.value, weights=data.sample.weight))


def _batches(rows: int, batch: int, rng: np.random.Generator) -> Iterator[Codes]:
    """Batches of one size without end: every row once, in an order drawn anew, before any comes again."""
    waiting = rng.permutation(rows)
    while True:
        while waiting.size < batch:
            waiting = np.r_[waiting, rng.permutation(rows)]
        yield waiting[:batch]
        waiting = waiting[batch:]


def _step(net: Net, state: State, data: Prepared, params: Params, rows: Codes) -> State:
    sample = data.sample
    windows = data.normaliser.windows(sample.panel, sample.at[rows], int(params["window"]), rows.size)
    targets = Targets(*(target[rows] for target in data.targets))
    return net.step(state, windows, targets, np.float32(params["rate"]), np.float32(params["decay"]))


def _as_fitted(net: Net, state: State, data: Prepared) -> Fitted:
    weights = np.asarray(state.weights)
    if not np.isfinite(weights).all():
        raise TrainingError(
            f"a net whose training diverged (after {int(state.steps)} steps)", "finite weights", "Lower its rate"
        )
    return Fitted(net, weights, data.normaliser, data.std, data.threads)


def _asked(normaliser: Normaliser, panel: Panel, at: Codes, window: int) -> Iterator[Asked]:
    """The windows of some rows, ASKED_AT_ONCE by ASKED_AT_ONCE."""
    for begin in range(0, at.size, ASKED_AT_ONCE):
        part = slice(begin, min(begin + ASKED_AT_ONCE, at.size))
        yield part, normaliser.windows(panel, at[part], window, ASKED_AT_ONCE)


def _loss(up: Flags, log_odds: Vector) -> float:
    """Mean log-loss of rows that went up, or not."""
    p_up = _probability(log_odds)
    return float(-np.log(np.where(up, p_up, 1 - p_up)).mean())


def _probability(log_odds: Vector) -> Vector:
    return 1 / (1 + np.exp(-log_odds))
