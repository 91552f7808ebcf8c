"""Where each thing of a night lies in the store: by what it was made from, never by when."""

SHORT = 24


def features(domain: str, feature_set: str, snapshot: str) -> str:
    """Features of one data snapshot under one feature set."""
    return f"{domain}/features/{feature_set[:SHORT]}/{snapshot[:SHORT]}"


def tonight(domain: str, feature_set: str, snapshot: str) -> str:
    """The rows of `features` that the night's predictions are made from, without `ts`."""
    return f"{domain}/tonight/{feature_set[:SHORT]}/{snapshot[:SHORT]}"


def adjusted(domain: str, snapshot: str) -> str:
    """Adjusted bars of one data snapshot."""
    return f"{domain}/adjusted/{snapshot[:SHORT]}"


def labels(domain: str, target: str, snapshot: str) -> str:
    """Labels of one target in one data snapshot."""
    return f"{domain}/labels/{target}/{snapshot[:SHORT]}"


def reference(domain: str, snapshot: str) -> str:
    """The price of each entity in the session that a night's predictions start from."""
    return f"{domain}/reference/{snapshot[:SHORT]}"
