"""The part of Airflow's REST API that following a night needs."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx

from ml.errors import StackError

PATIENCE_SECONDS = 60
UNFINISHED = ("queued", "running")
LOG_IN_ATTEMPTS = 3


@dataclass(frozen=True)
class Run:
    """A DAG run's key."""

    dag_id: str
    run_id: str


class Airflow:
    """A logged-in client. Waits out a server that restarts; StackError when it stays away or refuses."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30, trust_env=False)
        self._client.headers["Authorization"] = f"Bearer {self._token(user, password)}"

    def _token(self, user: str, password: str) -> str:
        """FAB answers 401 too when its own look-up of the user failed, so one refusal is not believed."""
        asked = {"username": user, "password": password}
        for attempt in range(LOG_IN_ATTEMPTS):
            time.sleep(attempt)
            answer = self._answer("POST", "/auth/token", json=asked)
            if answer.status_code != httpx.codes.UNAUTHORIZED:
                break
        return str(self._checked(answer)["access_token"])

    def has_dag(self, dag_id: str) -> bool:
        """Whether Airflow knows the DAG by now; StackError with the reason when its file cannot be imported."""
        errors = self._get("importErrors")["import_errors"]
        if errors:
            raise StackError(
                f"{errors[0]['filename']}, which cannot be imported:\n{errors[0]['stack_trace']}",
                "DAG files without errors",
                "Mend the file, then run again",
            )
        return bool(self._get("dags", dag_id_pattern=dag_id)["dags"])

    def starts_by_itself(self, dag_id: str) -> bool:
        """Whether the schedule has a run that is due now and not there yet."""
        due = self._get(f"dags/{dag_id}")["next_dagrun_run_after"]
        return due is not None and datetime.fromisoformat(due) <= datetime.now(UTC)

    def unfinished(self, dag_id: str) -> list[tuple[Run, dict[str, Any]]]:
        """Its queued and running runs with their conf, the oldest first."""
        runs = self._get(f"dags/{dag_id}/dagRuns", state=UNFINISHED, order_by="run_after")["dag_runs"]
        return [(Run(dag_id, run["dag_run_id"]), run["conf"] or {}) for run in runs]

    def trigger(self, dag_id: str, conf: Mapping[str, Any]) -> Run:
        """A new run now."""
        body = {"logical_date": None, "conf": dict(conf)}
        made = self._ask("POST", f"/api/v2/dags/{dag_id}/dagRuns", json=body)
        return Run(dag_id, made["dag_run_id"])

    def state(self, run: Run) -> str:
        return str(self._get(_path(run))["state"])

    def tasks(self, run: Run) -> list[dict[str, Any]]:
        """Its task instances, mapped ones apart; a night has fewer than the hundred of one page."""
        found: list[dict[str, Any]] = self._get(f"{_path(run)}/taskInstances", limit=100)["task_instances"]
        return found

    def events(self, run: Run) -> list[dict[str, Any]]:
        """The asset events that the run sent, each with the runs it has brought about."""
        sent: list[dict[str, Any]] = self._get(
            "assets/events", source_dag_id=run.dag_id, source_run_id=run.run_id, limit=100
        )["asset_events"]
        return sent

    def waiting_dags(self, asset_id: int) -> list[str]:
        """DAGs that an event of the asset has reached, and whose run could not be made yet."""
        queued = self._get(f"assets/{asset_id}/queuedEvents")["queued_events"]
        return [event["dag_id"] for event in queued]

    def _get(self, path: str, **query: Any) -> Any:
        return self._ask("GET", f"/api/v2/{path}", params=query)

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        return self._checked(self._answer(method, path, **content))

    def _answer(self, method: str, path: str, **content: Any) -> httpx.Response:
        """What it says, waited for while it is away or in trouble."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                answer = self._client.request(method, path, **content)
                if answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR or time.monotonic() > deadline:
                    return answer
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise StackError(
                        f"no answer from Airflow for {PATIENCE_SECONDS} s ({error})",
                        f"its API at {self._client.base_url}",
                        "See make status and make logs",
                    ) from error
            time.sleep(1)

    def _checked(self, answer: httpx.Response) -> Any:
        if answer.is_success:
            return answer.json()
        raise StackError(
            f"answer {answer.status_code} of Airflow to {answer.request.method} {answer.request.url.path}: "
            f"{answer.text[:500]}",
            "it to agree",
            "Correct what it names; see also make logs",
        )


def _path(run: Run) -> str:
    return f"dags/{run.dag_id}/dagRuns/{quote(run.run_id, safe='')}"
