"""From returns to prices: what a predicted return means in the money a reader sees on the screen."""

from __future__ import annotations

import pandas as pd

from ml.errors import FrameError


def with_prices(predictions: pd.DataFrame, price: pd.Series) -> pd.DataFrame:
    """`predictions` with price, price_target, price_lower, price_upper and price_stop added.

    predictions: has `entity` and the simple returns `expected_return`, `return_lower`, `return_upper`, `return_stop`
    price: last raw close per entity (the index holds the entities)

    The target is price x (1 + return). Returns include dividends, so a target is what one share and
    the dividends paid on it until then would be worth. FrameError when an entity has no price.
    """
    last = predictions["entity"].map(price)
    if last.isna().any():
        missing = sorted(predictions.loc[last.isna(), "entity"].unique())
        raise FrameError(
            f"no last price for {', '.join(missing[:5])} ({len(missing)} symbols)",
            "a raw close for every predicted symbol",
            "Predict only symbols with a bar at as_of",
        )
    return predictions.assign(
        price=last.astype("float64"),
        price_target=last * (1.0 + predictions["expected_return"]),
        price_lower=last * (1.0 + predictions["return_lower"]),
        price_upper=last * (1.0 + predictions["return_upper"]),
        price_stop=last * (1.0 + predictions["return_stop"]),
    )
