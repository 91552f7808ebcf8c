from ml.equity.features.catalogue import DEFAULT_SET
from ml.equity.features.words import words

TOLD = words(DEFAULT_SET)
FEATURE = next(feature for feature in DEFAULT_SET.features if feature.name == "rsi_14")


def test_a_reason_says_what_stands_where_and_which_way_it_pushes() -> None:
    low = TOLD("rsi_14", 0.02, 23.04, 0.05)
    assert low == f"{FEATURE.description} (rsi_14) at 23.04, lower than 95 % of the training rows: pushes up"
    high = TOLD("rsi_14", -0.02, 80.0, 0.9)
    assert high.endswith("at 80, higher than 90 % of the training rows: pushes down")


def test_a_missing_value_is_called_so() -> None:
    assert TOLD("rsi_14", -0.02, None, None) == f"{FEATURE.description} (rsi_14) is not known: pushes down"


def test_every_feature_of_the_night_can_be_told() -> None:
    assert all(name in TOLD(name, 1.0, 0.0, 0.5) for name in DEFAULT_SET.names)
