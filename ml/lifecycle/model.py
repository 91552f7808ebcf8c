"""A fitted recipe that can forecast, be saved, and be loaded in another process without pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ml.errors import FrameError, RegistryError, StoreError
from ml.estimators.files import field, read_document, write_document
from ml.estimators.interface import Estimator
from ml.estimators.panel import Codes, Matrix, Panel, Vector, rows_of
from ml.estimators.registry import estimator_class
from ml.frames import FORECAST, check_features
from ml.lifecycle import dissimilarity, prediction
from ml.lifecycle.calibration import Reliability, reliability
from ml.lifecycle.dataset import Dataset, finite_or_missing
from ml.lifecycle.dissimilarity import MOST_ROWS, Dissimilarity
from ml.lifecycle.ensembles import Members
from ml.lifecycle.explanation import Percentiles, contributions, importance, reasons
from ml.lifecycle.intervals import Intervals, calibrate, dispersion, typical
from ml.lifecycle.recipe import Recipe
from ml.lifecycle.second_level import SecondLevel
from ml.lifecycle.training import Evidence

FORMAT = 2
KIND = "afterbell-model"
DOCUMENT = "model.json"
MEMBERS_DIRECTORY = "members"


@dataclass(frozen=True)
class Model:
    """What a recipe became on one window of rows.

    fitted: the members' estimators, in the recipe's order. reliability: what came when so much was said, out of
    fold. familiar, percentiles: what training rows looked like. risks: percentiles of their dispersions. typical_scale:
    the dispersion of a row whose own is unusable. trained_from, trained_until: first and last ts of the rows with
    known outcomes (datetime64[us], UTC); n_rows: how many those are.
    """

    recipe: Recipe
    fitted: tuple[Estimator, ...]
    second: SecondLevel
    intervals: Intervals
    reliability: Reliability
    familiar: Dissimilarity
    percentiles: Percentiles
    risks: tuple[float, ...]
    typical_scale: float
    trained_from: np.datetime64
    trained_until: np.datetime64
    n_rows: int

    @property
    def feature_names(self) -> tuple[str, ...]:
        """The feature columns that `forecast` reads."""
        return self.recipe.feature_names

    @property
    def lookback(self) -> int:
        """How many periods before the last one `forecast` looks at."""
        return max(estimator.lookback for estimator in self.fitted)

    def forecast(self, features: pd.DataFrame) -> pd.DataFrame:
        """FORECAST of the last instant in a feature frame, which reaches back `lookback` periods before it.

        Features of other names are ignored. Rows without any finite feature count as absent. FrameError
        when a feature is missing or the frame is not sorted by (ts, entity) without duplicates.
        """
        panel, entity = self._panel(features)
        at = np.flatnonzero(panel.period == panel.period.max()) if len(panel) else np.empty(0, np.int64)
        scale = self._scale(panel, at)
        members = self._members(panel, at, scale)
        p_up, expected = self.second.answer(members)
        forecast = pd.DataFrame({"entity": entity[at], "p_up": p_up, "expected": expected})
        forecast = forecast.assign(**self.intervals.around(expected, scale))
        forecast = self._judged(forecast, scale, rows_of(panel.X, at))
        shares = self.second.combiner.weights(members)
        forecast["members"] = _shares(members.names, shares)
        X, moved = rows_of(panel.X, at), contributions(self.fitted, shares, panel, at)
        forecast["reasons"] = reasons(moved, X, self.feature_names, self.percentiles)
        return FORECAST.check(FORECAST.cast(forecast))

    def importance(self, panel: Panel, at: Codes) -> list[dict[str, Any]]:
        """What the model looks at, over some rows: each feature with its mean |contribution|, the strongest first."""
        members = self._members(panel, at, self._scale(panel, at))
        moved = contributions(self.fitted, self.second.combiner.weights(members), panel, at)
        return importance(moved, self.feature_names)

    def _judged(self, forecast: pd.DataFrame, scale: Vector, X: Matrix) -> pd.DataFrame:
        """What a reader needs to weigh the answer: target and stop, risk, evidence, and how unusual the row is."""
        p_up, expected = forecast["p_up"].to_numpy(), forecast["expected"].to_numpy()
        spread = prediction.predicted_dispersion(forecast["lower"].to_numpy(), forecast["upper"].to_numpy())
        seen = prediction.confidence_evidence(p_up, self.reliability)
        strange = self.familiar.score(X)
        return forecast.assign(
            target_probability=prediction.target_probability(p_up, expected, scale, self.intervals),
            stop=prediction.stop(p_up, spread),
            risk_score=prediction.risk_score(scale, self.risks),
            similar_share_up=seen["share_up"].to_numpy(),
            similar_dates=seen["dates"].to_numpy(),
            dissimilarity=strange,
            is_outlier=self.familiar.is_outlier(strange),
        )

    def _members(self, panel: Panel, at: Codes, scale: Vector) -> Members:
        said = [estimator.predict(panel, at) for estimator in self.fitted]
        unit = scale if self.recipe.scaled else np.ones(at.size)
        unknown = np.full(at.size, np.nan)
        return Members(
            names=self.recipe.estimators,
            p_up=np.column_stack([p_up for p_up, _ in said]),
            expected=np.column_stack([expected * unit for _, expected in said]),
            regime=self._columns(panel.X, at, self.recipe.regime_features),
            value=unknown,
            ts=np.full(at.size, np.datetime64("NaT", "us")),
            matures_at=np.full(at.size, np.datetime64("NaT", "us")),
        )

    def _panel(self, features: pd.DataFrame) -> tuple[Panel, np.ndarray]:
        missing = [name for name in self.feature_names if name not in features.columns]
        if missing:
            raise FrameError(
                f"features without {missing}", f"the model's {len(self.feature_names)} features", "Compute them first"
            )
        frame = check_features(features[["entity", "ts", *self.feature_names]], self.feature_names)
        X = np.column_stack([finite_or_missing(frame[name].to_numpy()) for name in self.feature_names])
        usable = ~np.isnan(X).all(axis=1)
        entity, period = frame["entity"].to_numpy(object)[usable], pd.factorize(frame["ts"], sort=True)[0][usable]
        codes = pd.factorize(entity, sort=True)[0].astype(np.int64)
        return Panel(np.ascontiguousarray(X[usable]), codes, period.astype(np.int64)), entity

    def _scale(self, panel: Panel, at: Codes) -> Vector:
        if self.recipe.scale_feature is None:
            return np.ones(at.size)
        return dispersion(self._columns(panel.X, at, (self.recipe.scale_feature,))[:, 0], self.typical_scale)

    def _columns(self, X: Matrix, at: Codes, names: tuple[str, ...]) -> Vector:
        return rows_of(X, at)[:, [self.feature_names.index(name) for name in names]].astype(np.float64)

    def save(self, directory: Path) -> None:
        """Write JSON and the members' own files into `directory`, made when missing; StoreError when that fails."""
        for estimator in self.fitted:
            try:
                (directory / MEMBERS_DIRECTORY / estimator.name).mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StoreError(
                    f"{directory} that cannot be made ({error})", "a writable place", "Free space"
                ) from error
            estimator.save(directory / MEMBERS_DIRECTORY / estimator.name)
        content = {
            "recipe": json.loads(self.recipe.to_json()),
            "recipe_digest": self.recipe.digest,
            "second_level": self.second.to_document(),
            "intervals": self.intervals.to_document(),
            "reliability": self.reliability.to_document(),
            "familiar": self.familiar.to_document(),
            "percentiles": self.percentiles.to_document(),
            "risks": self.risks,
            "typical_scale": self.typical_scale,
            "trained_from": str(self.trained_from),
            "trained_until": str(self.trained_until),
            "n_rows": self.n_rows,
        }
        write_document(directory / DOCUMENT, KIND, FORMAT, content)

    @classmethod
    def load(cls, directory: Path) -> Model:
        """What `save` wrote. StoreError: a missing file. RegistryError: another format, or a recipe that was edited."""
        document = read_document(directory / DOCUMENT, KIND, FORMAT)
        recipe = Recipe.from_json(json.dumps(field(document, "recipe")))
        if recipe.digest != field(document, "recipe_digest"):
            raise RegistryError(
                f"a model whose recipe has digest {recipe.digest[:12]}",
                f"{document['recipe_digest'][:12]}, as saved",
                "Fetch the model again or retrain it",
            )
        return cls(
            recipe=recipe,
            fitted=tuple(
                estimator_class(name).load(directory / MEMBERS_DIRECTORY / name) for name in recipe.estimators
            ),
            second=SecondLevel.from_document(field(document, "second_level")),
            intervals=Intervals.from_document(field(document, "intervals")),
            reliability=Reliability.from_document(field(document, "reliability")),
            familiar=Dissimilarity.from_document(field(document, "familiar")),
            percentiles=Percentiles.from_document(field(document, "percentiles")),
            risks=tuple(field(document, "risks")),
            typical_scale=float(field(document, "typical_scale")),
            trained_from=np.datetime64(field(document, "trained_from"), "us"),
            trained_until=np.datetime64(field(document, "trained_until"), "us"),
            n_rows=int(field(document, "n_rows")),
        )


def assemble(
    recipe: Recipe, fitted: Mapping[str, Estimator], dataset: Dataset, seen: Evidence, oof: pd.DataFrame
) -> Model:
    """The model that serves: members fitted on everything, a second level that has learned from all their answers,
    intervals from the residuals of the recipe's own out-of-fold answers."""
    drawn = dataset.sample(dataset.dates, MOST_ROWS, recipe.seed).X
    column = recipe.feature_names.index(recipe.scale_feature) if recipe.scale_feature else None
    usual = 1.0 if column is None else typical(drawn[:, column].astype(np.float64))
    scale = np.ones(len(drawn)) if column is None else dispersion(drawn[:, column].astype(np.float64), usual)
    return Model(
        recipe=recipe,
        fitted=tuple(fitted[name] for name in recipe.estimators),
        second=SecondLevel.fitted(recipe, seen.members),
        intervals=calibrate(oof),
        reliability=reliability(oof["p_up"].to_numpy(), (oof["value"] > 0).to_numpy(), oof["ts"]),
        familiar=dissimilarity.fit(drawn, recipe.seed),
        percentiles=Percentiles.of(drawn),
        risks=prediction.percentiles(scale),
        typical_scale=usual,
        trained_from=dataset.dates[0],
        trained_until=dataset.dates[-1],
        n_rows=dataset.known.size,
    )


def _shares(names: tuple[str, ...], weights: Vector) -> list[str]:
    """Each row's shares of the members in its answer, as JSON."""
    return [
        json.dumps({name: round(share, 4) for name, share in zip(names, row, strict=True)}) for row in weights.tolist()
    ]
