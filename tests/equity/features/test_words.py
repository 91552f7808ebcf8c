from ml.equity.features.catalogue import DEFAULT_SET, MOMENTUM_FEATURE, FeatureSet
from ml.equity.features.custom import custom
from ml.equity.features.words import descriptions, words

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


def test_a_feature_that_nobody_described_is_told_by_its_name() -> None:
    mine = custom("momentum_126", "log(close / ref(close, 126))")
    told = descriptions(FeatureSet("mine", 1, (FEATURE, mine)))
    assert told == {"rsi_14": f"{FEATURE.description} (rsi_14)", "momentum_126": "momentum_126"}


def test_the_default_set_has_the_feature_that_momentum_goes_by() -> None:
    momentum = next(feature for feature in DEFAULT_SET.features if feature.name == MOMENTUM_FEATURE)
    assert momentum.expression == "ref(log(close), 20) - ref(log(close), 252)"
