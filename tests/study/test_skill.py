import pytest

from tests.study.returns import Plant
from tests.study.skill import Run, judge, line, main, too_many


def test_a_strong_signal_is_found_and_noise_is_not() -> None:
    found, noise = judge(Plant(0.3, 1), "xgboost", 1), judge(Plant(0.0, 1), "xgboost", 1)
    assert (found.claims, noise.claims) == (True, False)
    assert 0.15 < found.ic < 0.3
    assert abs(noise.ic) < 0.05


def test_more_claims_than_the_level_allows_fail_on_noise_alone() -> None:
    runs = [Run(True, 0.0)] * 10 + [Run(False, 0.0)] * 190
    assert not too_many(Plant(0.0), runs)
    assert too_many(Plant(0.0), [*runs[:-1], Run(True, 0.0)])
    assert not too_many(Plant(0.1), [Run(True, 0.1)] * 200)


def test_the_row_of_the_table_states_share_bound_and_error() -> None:
    # None of 200: the bound is 1 - 0.05^(1/200). Two ICs at 0.01 to either side of the mean have an error of 0.01.
    told = line(Plant(0.0, 5), [Run(False, 0.01)] * 100 + [Run(False, -0.01)] * 100)
    assert told == "| 0 | 5 | 0 to 199 | 0 | 0.0% | 1.5% | 0.0000 ± 0.0007 |"
    assert line(Plant(0.1, 1), [Run(True, 0.05), Run(True, 0.07)]).endswith("| 2 | 100.0% | 100.0% | 0.0600 ± 0.0100 |")


def test_the_study_prints_its_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--estimator", "climatology", "--runs", "2", "--control-runs", "2"]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split(" | ")[1] for row in rows] == ["1", "5", "20"] * 2
    # What says the same of every symbol claims nothing.
    assert all(" | 0 | 0.0% | " in row and row.endswith("| 0.0000 ± 0.0000 |") for row in rows)
