"""Compile every kernel of the features, once on a machine, so that no night has to wait for it.

    python -m ml.equity.features.compile

They are kept where `kernels.compiled` says; one whose source has changed since is compiled at its next use.
"""

from __future__ import annotations

import pandas as pd

from ml.equity.adjustment import adjust
from ml.equity.features import invented
from ml.equity.features.compute import compute
from ml.equity.features.feature import FeatureSet
from ml.equity.features.inputs import SECTOR
from ml.equity.features.sets import CATALOGUE

CALENDAR, SESSIONS, SEED = "XNYS", 60, 1


def main() -> None:
    """Use them all: a kernel is compiled for the types that it is given."""
    bars, actions = invented.market(SESSIONS, CALENDAR, SEED)
    whole = FeatureSet("all", 1, CATALOGUE)
    compute(adjust(bars, actions, CALENDAR), whole, CALENDAR, sector=pd.Categorical(bars[SECTOR]))


if __name__ == "__main__":
    main()
