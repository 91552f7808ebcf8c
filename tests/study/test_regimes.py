from dataclasses import replace

import numpy as np
import pytest

from ml.lifecycle.significance import TestResult
from tests.study.datasets import simulate
from tests.study.regimes import FIXED, KINDS, META, SHOWN, answered, beaten, duels, judged, members
from tests.study.returns import Kind, Plant
from tests.study.test_runs import TINY

SMALL = replace(TINY, symbols=40, dates=700, outer=(2, 120), inner=(2, 90))


@pytest.mark.parametrize("kind", KINDS)
def test_members_know_one_regime_each_and_meta_whom_to_believe(kind: Kind) -> None:
    found = judged(Plant(0.3, 1, kind), SMALL, 1)
    assert set(found) == {"calm", "turbulent", "vote", "weighted", "stack", "meta", "chosen"}
    assert found[META].follows > max(found[name].follows for name in ("calm", "turbulent", *FIXED))
    assert set(duels([found])) == {(META, name) for name in (*FIXED, *SHOWN)}


def test_a_member_is_as_strong_as_its_signal_is_on_its_own_rows() -> None:
    what = Plant(0.3, 1, "regime_sign")
    planted = simulate(what, 1, SMALL.symbols, SMALL.dates)
    every = np.arange(len(planted.dataset))
    for _, (signal, own) in members(what, planted, SMALL, 1):
        said = answered(planted.dataset, signal, every[own], every)
        by = np.corrcoef(said.expected, signal)[0, 1]
        assert by == pytest.approx(1)
        # The least-squares line of its own rows.
        slope = np.polyfit(signal[own], planted.dataset.value[own], 1)[0]
        assert np.polyfit(signal, said.expected, 1)[0] == pytest.approx(slope, rel=1e-3)
        assert (said.p_up[signal > 1] > said.p_up.mean()).all()


def test_meta_must_be_ahead_of_all_fixed_ways_in_log_loss() -> None:
    def tests(weighted: float, vote: float) -> dict[tuple[str, str], tuple[TestResult, TestResult]]:
        p = {"weighted": weighted, "vote": vote, "stack": 0.9, "chosen": 0.9}
        return {(META, name): (TestResult(0, 1, 0, 1, 0.9, 9), TestResult(0, 1, 0, 1, p[name], 9)) for name in p}

    assert beaten(tests(0.01, 0.05))
    assert not beaten(tests(0.01, 0.06))
    assert not beaten(tests(0.06, 0.01))
