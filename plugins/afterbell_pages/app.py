"""The pages of predictions, data quality, decisions and exports and the JSON that they read, behind Airflow's log-in.

No logic of its own: it serves what the views give, and the files of exports. The log-in is demanded of
the whole application, so every file goes through a route (mounted static files would not ask for it),
and FastAPI's own documentation pages, which would not ask either, are off.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from html import escape
from pathlib import Path as FilePath
from typing import Annotated, Any
from urllib.parse import quote

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, HTTPException, Path, Query, Request, Response
from fastapi.exception_handlers import http_exception_handler
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse

from ml.errors import AfterbellError, WarehouseUnavailable
from ml.io import exports, serving

FILES = FilePath(__file__).parent
LOGIN = "/api/v2/auth/login"
UNAUTHORIZED = (401, 403)

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

app = FastAPI(
    title="Afterbell",
    docs_url=None,
    redoc_url=None,
    openapi_url=None,
    dependencies=[Depends(requires_access_view(AccessView.WEBSITE))],
)

Text = Annotated[str, Query(min_length=1, max_length=100)]
Number = Annotated[int, Path(ge=1, lt=2**63)]
RunOfDag = Annotated[str, Query(min_length=1, max_length=501)]
"""DAG/RUN, with up to 250 characters each, as Airflow has them."""


@app.middleware("http")
async def add_headers(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
    """Nothing may be cached beyond a log-out, and the page runs no script but its own."""
    response = await call_next(request)
    response.headers.update(HEADERS)
    return response


@app.exception_handler(HTTPException)
async def refuse(request: Request, error: HTTPException) -> Response:
    """A browser that is not logged in is sent to the log-in; everyone else gets JSON, all with the same status."""
    if error.status_code in UNAUTHORIZED and "text/html" in request.headers.get("accept", ""):
        root = request.scope.get("app_root_path", "")
        back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        address = escape(f"{root}{LOGIN}?next={quote(back)}")
        page = (FILES / "login.html").read_text(encoding="utf-8").replace("{{login}}", address)
        return HTMLResponse(page, status_code=error.status_code)
    return await http_exception_handler(request, error)


@app.exception_handler(AfterbellError)
def explain(_: Request, error: AfterbellError) -> JSONResponse:
    """What was found, what was expected and what to do, for the page to show."""
    status = 503 if isinstance(error, WarehouseUnavailable) else 500
    body = {"found": error.found, "expected": error.expected, "todo": error.todo}
    return JSONResponse({"detail": str(error), **body}, status_code=status)


@app.get("/")
def page() -> FileResponse:
    """The page of predictions."""
    return FileResponse(FILES / "page.html", media_type="text/html; charset=utf-8")


@app.get("/quality/")
def quality_page() -> FileResponse:
    """The report on one delivery of bars."""
    return FileResponse(FILES / "quality.html", media_type="text/html; charset=utf-8")


@app.get("/exports/")
def exports_page() -> FileResponse:
    """The exported files and their first rows."""
    return FileResponse(FILES / "exports.html", media_type="text/html; charset=utf-8")


@app.get("/decisions/")
def decisions_page() -> FileResponse:
    """The decisions about champions, and each with its evidence."""
    return FileResponse(FILES / "decisions.html", media_type="text/html; charset=utf-8")


@app.get("/decisions/{decision_id}.png")
def decision_plot(decision_id: Number) -> Response:
    """The evidence of one decision as a picture, for where no script runs."""
    from ml.steps import decisions

    drawn = decisions.plot(decision_id)
    if drawn is None:
        raise HTTPException(404, f"No comparison by date in decision {decision_id}")
    return Response(drawn, media_type="image/png")


@app.get("/exports/{name}")
def export(name: str) -> FileResponse:
    """The file of one export, to be saved; only what is listed is a name."""
    found = exports.find(name)
    if found is None:
        raise HTTPException(404, f"No export {name!r}: it was deleted for newer ones, or never made")
    return FileResponse(exports.path_of(found), media_type=EXPORT_MEDIA[found["format"]], filename=found["file"])


EXPORT_MEDIA = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}


@app.get("/{name}.{kind}")
def asset(name: str, kind: str) -> FileResponse:
    """The style sheet, scripts and icons of the pages; nothing else of this folder."""
    media = ASSETS.get(f"{name}.{kind}")
    if media is None:
        raise HTTPException(404, "No such file")
    return FileResponse(FILES / f"{name}.{kind}", media_type=media)


ASSETS = {
    "page.css": "text/css; charset=utf-8",
    "page.js": "text/javascript; charset=utf-8",
    "chart.js": "text/javascript; charset=utf-8",
    "show.js": "text/javascript; charset=utf-8",
    "table.js": "text/javascript; charset=utf-8",
    "quality.js": "text/javascript; charset=utf-8",
    "decisions.js": "text/javascript; charset=utf-8",
    "course.js": "text/javascript; charset=utf-8",
    "exports.js": "text/javascript; charset=utf-8",
    "icon.svg": "image/svg+xml",
    "icon-dark.svg": "image/svg+xml",
    "icon-quality.svg": "image/svg+xml",
    "icon-exports.svg": "image/svg+xml",
    "icon-decisions.svg": "image/svg+xml",
}


@app.get("/api/predictions")
def predictions(symbol: Text | None = None, horizon: Text | None = None) -> list[dict[str, Any]]:
    """`serving.latest_predictions`, of one symbol or one horizon if asked."""
    return serving.latest_predictions(symbol, horizon)


@app.get("/api/publications")
def publications() -> list[dict[str, Any]]:
    """The last publication of each domain, with its freshness."""
    return serving.freshness()


@app.get("/api/models")
def models() -> list[dict[str, Any]]:
    """The champions."""
    return serving.champions()


@app.get("/api/series")
def series(symbol: Text) -> dict[str, Any]:
    """One symbol's prices, its splits and dividends, and per horizon what was predicted each night, and why tonight."""
    horizons = [row["horizon"] for row in serving.latest_predictions(symbol)]
    prices = serving.price_series(symbol)
    if not horizons and not prices:
        raise HTTPException(404, f"Neither bars nor predictions of {symbol!r}")
    return {
        "symbol": symbol,
        "prices": prices,
        "actions": serving.actions(symbol),
        "reasons": serving.explanations(symbol),
        "predictions": {horizon: serving.prediction_series(symbol, horizon) for horizon in horizons},
    }


@app.get("/api/quality/runs")
def quality_runs(run: RunOfDag | None = None) -> list[dict[str, Any]]:
    """The last deliveries of bars, or all those of one Airflow run."""
    return serving.ingest_runs(attempt=run)


@app.get("/api/quality")
def quality(ingest: int | None = None, run: RunOfDag | None = None) -> dict[str, Any]:
    """One delivery, its checks and its refused rows: by number, by Airflow run, or else the last one."""
    found = serving.ingest_run(ingest, run)
    if found is None and (ingest is not None or run is not None):
        raise HTTPException(404, f"No bars were asked for by {run!r}" if run else f"No delivery {ingest}")
    if found is None:
        return {"run": None, "checks": [], "quarantine": []}
    number = found["ingest_id"]
    return {"run": found, "checks": serving.checks(number), "quarantine": serving.quarantine(number)}


@app.get("/api/quality/sessions")
def quality_sessions(ingest: int) -> list[dict[str, Any]]:
    """Bars and refused rows of the sessions before a delivery's night."""
    found = serving.ingest_run(ingest)
    if found is None:
        raise HTTPException(404, f"No delivery {ingest}")
    return serving.session_counts(found["as_of"])


@app.get("/api/exports")
def exported() -> list[dict[str, Any]]:
    """What is known of every export, the newest first."""
    return exports.listing()


@app.get("/api/decisions")
def decisions(horizon: Text | None = None, verdict: Text | None = None) -> list[dict[str, Any]]:
    """What was decided about champions, the newest first, of one horizon or one verdict if asked."""
    return serving.decisions(horizon, verdict)


@app.get("/api/decisions/horizons")
def horizons_decided() -> list[str]:
    """The horizons about which something was decided, shortest first."""
    return [row["horizon"] for row in serving.horizons_decided()]


@app.get("/api/decisions/{decision_id}")
def decision(decision_id: Number) -> dict[str, Any]:
    """One decision with its evidence and both models."""
    from ml.steps import decisions

    found = decisions.shown(decision_id)
    if found is None:
        raise HTTPException(404, f"No decision {decision_id}")
    return found
