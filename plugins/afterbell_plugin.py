"""What Afterbell teaches Airflow: the session timetable, and pages of predictions, data, decisions and exports.

All four services load this module, so it imports nothing heavy: the pages' application is imported
by the first request, which only the api-server gets.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from session_timetable import SessionTimetable

PREFIX = "/afterbell"

Message = MutableMapping[str, Any]


async def pages(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """The application of `afterbell_pages`, imported on its first request."""
    from afterbell_pages.app import app

    await app(scope, receive, send)


class AfterbellPlugin(AirflowPlugin):
    """Registered by Airflow, which finds it here."""

    name = "afterbell"
    timetables = [SessionTimetable]  # noqa: RUF012 -- Airflow's own declaration is a plain list
    fastapi_apps = [{"app": pages, "url_prefix": PREFIX, "name": "Afterbell"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012
        {
            "name": "Predictions",
            "href": f"{PREFIX}/",
            "destination": "nav",
            "url_route": "predictions",
            "nav_top_level": True,
            "icon": f"{PREFIX}/icon.svg",
            "icon_dark_mode": f"{PREFIX}/icon-dark.svg",
        },
        {
            "name": "Data quality",
            "href": f"{PREFIX}/quality/",
            "destination": "nav",
            "url_route": "quality",
            "nav_top_level": True,
            "icon": f"{PREFIX}/icon-quality.svg",
            "icon_dark_mode": f"{PREFIX}/icon-quality.svg",
        },
        {
            "name": "Decisions",
            "href": f"{PREFIX}/decisions/",
            "destination": "nav",
            "url_route": "decisions",
            "nav_top_level": True,
            "icon": f"{PREFIX}/icon-decisions.svg",
            "icon_dark_mode": f"{PREFIX}/icon-decisions.svg",
        },
        {
            "name": "Exports",
            "href": f"{PREFIX}/exports/",
            "destination": "nav",
            "url_route": "exports",
            "nav_top_level": True,
            "icon": f"{PREFIX}/icon-exports.svg",
            "icon_dark_mode": f"{PREFIX}/icon-exports.svg",
        },
        *(
            {
                "name": "Data quality",
                "href": f"{PREFIX}/quality/?run={{DAG_ID}}/{{RUN_ID}}",
                "destination": destination,
                "url_route": f"quality-{destination}",
            }
            for destination in ("dag_run", "task_instance")
        ),
    ]
