from ml.lifecycle.significance import TestResult
from tests.study.sequence import IC, TREES, beaten, duels, learned
from tests.study.test_runs import TINY


def of_p(p_value: float) -> TestResult:
    return TestResult(0.1, 0.05, 2.0, 10, p_value, 100)


def test_a_net_must_be_ahead_in_both_scores() -> None:
    assert beaten((of_p(0.05), of_p(0.001)))
    assert not beaten((of_p(0.051), of_p(0.001)))
    assert not beaten((of_p(0.001), of_p(0.2)))


def test_what_sees_rows_alone_sees_no_sequence() -> None:
    found = [learned(IC, ("linear",), TINY, 1)]
    assert {*TREES, "linear", "vote", "stack", "meta", "chosen"} <= set(found[0])
    assert all(abs(found[0][name].follows) < 0.1 for name in (*TREES, "linear"))
    assert [pair for pair, tests in duels(found, ("linear",)).items() if beaten(tests)] == []
