"""Where daily bars come from: three sources behind one interface."""

from ml.io.market_data.files import Files
from ml.io.market_data.polygon import Polygon
from ml.io.market_data.received import ADJ_CLOSE, Part, Provider, Request
from ml.io.market_data.sample import Sample
from ml.settings import Settings

__all__ = ["ADJ_CLOSE", "Part", "Provider", "Request", "provider"]


def provider(settings: Settings) -> Provider:
    """The source named by AFTERBELL_PROVIDER.

    SettingsError or ProviderRejected when a setting that it needs is missing.
    """
    match settings.provider:
        case "sample":
            return Sample()
        case "files":
            return Files.from_settings(settings)
        case "polygon":
            return Polygon.from_settings(settings)
