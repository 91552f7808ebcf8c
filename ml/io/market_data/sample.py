"""The bars that come with the product: AAPL, FB, GOOG, IBM and MSFT, 2000-03-01 to 2013-03-01.

They are shipped inside the package bokeh_sampledata: raw prices beside an adjusted close. Nothing is
downloaded. Source: the Quandl WIKI prices (public domain).
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from ml.errors import ProviderError, SettingsError
from ml.io.market_data.files import Files
from ml.io.market_data.received import Part, Request

SYMBOLS = ("AAPL", "FB", "GOOG", "IBM", "MSFT")
_PACKAGE = "bokeh_sampledata"


class Sample:
    """Real bars of five symbols, replayed as if their last session had just closed."""

    name = "sample"

    def __init__(self) -> None:
        self._files = Files(_shipped_file())

    @property
    def source(self) -> str:
        """The package and its version."""
        return f"sample: {_PACKAGE} {version(_PACKAGE)}"

    def last_session(self, until: date = date.max) -> date:
        """2013-03-01, or the last session before it up to `until`."""
        return self._files.last_session(until)

    def deliver(self, request: Request, have: Container[str]) -> Iterator[Part]:
        """As Provider.deliver, a part a year; SettingsError for a symbol that the sample does not have."""
        unknown = sorted(set(request.symbols) - set(SYMBOLS))
        if unknown:
            raise SettingsError(
                f"{', '.join(unknown)} in AFTERBELL_SYMBOLS with the provider `sample`",
                f"symbols among {', '.join(SYMBOLS)}",
                "Correct AFTERBELL_SYMBOLS or choose another AFTERBELL_PROVIDER",
            )
        return self._files.deliver(request, have)


def _shipped_file() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        raise ProviderError(
            f"no package {_PACKAGE}", "the sample bars that it ships", "Install the requirements again (make run)"
        )
    return Path(spec.origin).parent / "_data" / "stocks.csv.gz"
