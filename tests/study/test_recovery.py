from ml.evaluation.contest import CHOSEN
from tests.study.recovery import SIGNAL, Found, lines, recovered, too_little
from tests.study.returns import Plant
from tests.study.test_runs import STRONG, TINY

WHAT = Plant(0.1, 1)


def test_a_strong_signal_is_recovered_by_what_can_see_it() -> None:
    found = recovered(STRONG, TINY, 1, ("linear",))
    assert list(found) == ["linear", CHOSEN, SIGNAL]
    assert found[SIGNAL][1] > 0.999
    assert found["linear"][1] > 0.8
    assert abs(found["linear"][0] - found[SIGNAL][0]) < 0.05


def test_the_table_states_shares_of_the_dial() -> None:
    found: list[Found] = [{CHOSEN: (0.05, 0.5)}, {CHOSEN: (0.07, 0.7)}]
    assert lines(WHAT, found) == ["| 0.1 | 1 | chosen | 0.0600 ± 0.0100 | 60 ± 10 % | 0.60 ± 0.10 |"]


def test_most_is_more_than_half_by_two_standard_errors() -> None:
    def found(*ics: float) -> list[Found]:
        return [{CHOSEN: (ic, 0.0)} for ic in ics]

    assert too_little(WHAT, found(0.05, 0.07))  # 0.6 - 2 x 0.1
    assert too_little(WHAT, found(0.04, 0.04))
    assert not too_little(WHAT, found(0.08, 0.07))
