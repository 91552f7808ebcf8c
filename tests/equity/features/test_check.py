"""The check that users run over their own features: what it prints, and what it catches."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from ml.equity.adjustment import adjust, unusable_actions
from ml.equity.features import invented
from ml.equity.features.check import Finding, findings, main, table
from ml.equity.features.compute import compute
from ml.equity.features.custom import custom
from ml.equity.features.feature import FeatureSet
from ml.equity.features.inputs import SECTOR
from ml.equity.features.language import MAX_LOOKBACK
from ml.equity.features.lookahead import leaks
from ml.settings import REPOSITORY
from tests.equity.features.formulas import formulas
from tests.equity.features.test_sets import EXAMPLE, PAGE
from tests.equity.panels import CALENDAR, random_bars, sectors_of, unadjusted

SMALL = unadjusted(random_bars(["AAA", "BBB", "CCC"], 70, seed=6))
SMALL = SMALL.assign(**{SECTOR: sectors_of(SMALL, seed=7).astype("str")})
MINE = "name: mine\nversion: 1\ngroups: []\nfeatures:\n"


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "features.yaml"
    path.write_text(text)
    return path


def test_the_command_of_the_page_checks_the_example_of_the_page(tmp_path: Path) -> None:
    (command,) = set(re.findall(r"`python (-m ml\.equity\.features\.check) FILE`", PAGE))
    path = written(tmp_path, EXAMPLE)
    done = subprocess.run(
        [sys.executable, *command.split(), str(path)], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    head, _, columns, *rows = done.stdout.splitlines()
    assert head.startswith("mine version 1, 336 features, 2 of them your own, digest ")
    assert columns.split() == ["feature", "lookback", "cross-sectional", "NaN", "look-ahead"]
    assert [row.split() for row in rows] == [
        ["momentum_126", "127", "bars", "no", "0.0%", "ok"],
        ["turnover_rank", "20", "bars", "yes", "0.0%", "ok"],
    ]
    dry = ["make", "--dry-run", "--no-print-directory", "features", f"data={path}"]
    made = subprocess.run(dry, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert made.stdout.splitlines()[-1] == f".venv/bin/python {command} {path}"


@pytest.mark.parametrize(
    ("feature", "told"),
    [
        ("formula: log(-close)", "has no value on the invented bars"),
        ("formula: ret - sector_ret\n    valid_range: [0, null]", "of its values are outside its valid range"),
        ("formula: rsi(close, 14)\n    valid_range: [null, 50]", "of its values are outside its valid range"),
    ],
)
def test_what_is_not_sound_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], feature: str, told: str
) -> None:
    both = f"{MINE}  - name: sound\n    formula: ret\n  - name: odd\n    {feature}\n"
    assert main([str(written(tmp_path, both))]) == 2
    sound, odd = capsys.readouterr().out.splitlines()[-2:]
    assert sound.endswith("ok")
    assert odd.endswith(told)


def test_a_file_that_cannot_be_used_ends_with_2_and_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, f"{MINE}  - name: first\n    formula: mean(close, 5\n")
    assert main([str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "'(' was never closed at character 5 in the formula `mean(close, 5` of the feature 'first' in " in err


def test_a_file_without_features_of_its_own_is_sound(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(written(tmp_path, "name: plain\nversion: 1\n"))]) == 0
    assert "176 features, 0 of them your own" in capsys.readouterr().out


def test_a_leak_is_told_with_what_gave_it_away() -> None:
    leaking = Finding(custom("mine", "ret"), 0.25, 0.0, "rows after 2001-03-01 removed")
    assert table([leaking]).splitlines()[-1] == (
        "mine     2 bars    no               25.0%  looks ahead: it changes with rows after 2001-03-01 removed"
    )


@pytest.mark.parametrize("calendar", ["XNYS", "24/7", "XSAU"])
def test_the_longest_lookback_is_tried_where_the_calendar_is_long_enough(calendar: str) -> None:
    longest = custom("longest", f"{'mean(' * 3}close{', 1024)' * 3}".replace("close", "mean(close, 1024)"))
    recursive = custom("recursive", "ema(ema(close, 64), 30)")
    assert MAX_LOOKBACK - 4 < longest.lookback <= MAX_LOOKBACK
    long, short = findings([longest, recursive], calendar)
    assert short.problem == ""
    assert long.problem == ("has no value on the invented bars" if calendar == "XSAU" else "")


@hypothesis_settings(max_examples=15, deadline=None)
@given(st.lists(formulas(), min_size=1, max_size=6))
def test_no_formula_looks_ahead_or_has_a_value_before_its_lookback_is_full(written: list[str]) -> None:
    own = FeatureSet("mine", 1, tuple(custom(f"f{number}", text) for number, text in enumerate(written)))

    def computed(bars: pd.DataFrame) -> pd.DataFrame:
        return compute(bars, own, CALENDAR, sector=pd.Categorical(bars[SECTOR]))

    across = {feature.name for feature in own.features if feature.cross_sectional}
    assert leaks(computed, SMALL, seed=1, cuts=1, across=across) == {}
    values = computed(SMALL)
    age = values.groupby("entity").cumcount()
    assert {f.name for f in own.features if values.loc[age < f.lookback - 1, f.name].notna().any()} == set()


def test_the_invented_bars_have_all_that_makes_bars_awkward() -> None:
    bars, actions = invented.market(600, CALENDAR, seed=1)
    count = bars.groupby("symbol").size()
    assert count["DDD"] <= invented.SHORT < 500 < count["AAA"] < 600  # a short history, and halts
    assert set(actions["kind"]) == {"split", "dividend"}
    assert unusable_actions(bars, actions, CALENDAR).empty
    jumps = bars.groupby("symbol")["close"].pct_change().abs()
    smooth = adjust(bars, actions, CALENDAR).groupby("symbol")["close"].pct_change().abs()
    assert jumps[bars["symbol"] == "BBB"].max() > 5  # ten shares merged into one
    assert smooth.max() < 0.2
    assert not np.array_equal(bars["close"], invented.market(600, CALENDAR, seed=2)[0]["close"])
    known = bars.groupby("symbol")[SECTOR].unique()
    assert known["AAA"].tolist() == ["first", "second"]
    assert known["FFF"].isna().all()
    together = bars.groupby(["ts", SECTOR]).size()
    assert together.min() == 1  # now and then somebody has nobody to be compared with
    assert (together >= 2).mean() > 0.95
