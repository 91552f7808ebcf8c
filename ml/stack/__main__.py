"""The embedded stack from a shell: `python -m ml.stack <command>`."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml.errors import AfterbellError, SettingsError
from ml.settings import settings
from ml.stack import lifecycle, night, reading
from ml.stack.airflow import ADMIN, VIEWER, last_lines
from ml.stack.airflow_api import Airflow
from ml.stack.home import Home
from ml.stack.plan import Plan, recall

EXIT_ERROR = 2
PREDICTIONS_PAGE = "/plugin/predictions"


def up(_: argparse.Namespace) -> int:
    _print_addresses(lifecycle.up(_home()))
    return 0


def run(asked: argparse.Namespace) -> int:
    conf = _conf(asked.conf)
    plan = lifecycle.up(_home(), _say)
    airflow = Airflow(plan.airflow_url, ADMIN, plan.secret("ADMIN_PASSWORD"))
    night.require_success(night.follow(airflow, night.begin(airflow, conf, _say), plan.home.logs / "tasks", _say))
    print()
    shown = reading.print_predictions(plan.reader_dsn)
    _print_addresses(plan)
    return shown


def stop(_: argparse.Namespace) -> int:
    lifecycle.stop(_home())
    return 0


def status(_: argparse.Namespace) -> int:
    plan = recall(Home(_home()))
    rows = lifecycle.processes(plan)
    for row in rows:
        up_for = f"{row['now'] - row['start']} s" if row["statename"] == "RUNNING" else ""
        print(f"{row['name']:<14} {row['statename']:<9} {row['pid'] or '':>8} {up_for:>10}")
    _print_addresses(plan)
    return 0 if all(row["statename"] == "RUNNING" for row in rows) else 1


def logs(asked: argparse.Namespace) -> int:
    folder = Home(_home()).logs
    known = sorted(path.stem for path in folder.glob("*.log"))
    if asked.name and asked.name not in known:
        raise SettingsError(f"no log {asked.name!r}", f"one of {', '.join(known)}", "Ask for one of these")
    for name in [asked.name] if asked.name else known:
        print(f"==> {folder / name}.log")
        print(last_lines(folder / f"{name}.log", 200 if asked.name else 8))
    print(f"Logs of tasks: {folder / 'tasks'}")
    return 0


def reset(asked: argparse.Namespace) -> int:
    home = _home()
    if not asked.yes and input(f"Forget all data in {home}? Type yes: ").strip() != "yes":
        print("nothing was changed")
        return 1
    lifecycle.reset(home)
    return 0


def sql(asked: argparse.Namespace) -> int:
    return reading.psql(settings().require_reader_dsn(), asked.query)


def env(_: argparse.Namespace) -> int:
    """Exports of what differs from the shell that asks."""
    for name, value in sorted(recall(Home(_home())).environment().items()):
        if os.environ.get(name) != value:
            print(f"export {name}={shlex.quote(value)}")
    return 0


def airflow(asked: argparse.Namespace) -> int:
    command = [sys.executable, "-m", "airflow", *shlex.split(asked.words)]
    return subprocess.run(command, env=recall(Home(_home())).environment(), check=False).returncode


def _home() -> Path:
    return settings().home


def _say(line: str) -> None:
    """One line, at once; on a terminal its outcome in colour."""
    colours = {"-> success": "32", "-> failed": "31", "-> running": "36", "-> skipped": "33"}
    if sys.stdout.isatty():
        for word, colour in colours.items():
            line = line.replace(word, f"-> \033[{colour}m{word[3:]}\033[0m")
    print(line, flush=True)


def _conf(text: str) -> dict[str, Any]:
    try:
        conf = json.loads(text)
    except json.JSONDecodeError as error:
        raise SettingsError(f"--conf {text!r}", "JSON", 'Write it like {"as_of": "2013-02-01"}') from error
    if not isinstance(conf, dict):
        raise SettingsError(f"--conf {text!r}", "a JSON object", 'Write it like {"as_of": "2013-02-01"}')
    return conf


def _print_addresses(plan: Plan) -> None:
    print(f"\nAirflow      {plan.airflow_url}")
    print(f"Predictions  {plan.airflow_url}{PREDICTIONS_PAGE}")
    print(f"MLflow       {plan.mlflow_uri}")
    print("SQL          make sql")
    for user in (ADMIN, VIEWER):
        print(f"Log in as    {user:<6} with password {plan.secret(f'{user.upper()}_PASSWORD')}")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m ml.stack", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for command, purpose in (
        (up, "start everything and wait until it is ready"),
        (run, "start everything, run a night, print its predictions"),
        (stop, "end every process"),
        (status, "what runs; exit status 0 only if all does"),
        (logs, "the end of the logs, or of one"),
        (reset, "stop and forget all data"),
        (sql, "psql as the reader, or one answer as CSV"),
        (env, "shell exports of the environment of Airflow"),
        (airflow, "a command of Airflow's own command line"),
    ):
        commands.add_parser(command.__name__, help=purpose, description=purpose).set_defaults(run=command)
    _arguments(commands.choices)
    return top


def _arguments(of: dict[str, argparse.ArgumentParser]) -> None:
    of["run"].add_argument("--conf", default="{}", help='the form of the first DAG, e.g. {"as_of": "2013-02-01"}')
    of["logs"].add_argument("name", nargs="?", help="e.g. scheduler")
    of["reset"].add_argument("--yes", action="store_true", help="do not ask")
    of["sql"].add_argument("query", nargs="?")
    of["airflow"].add_argument("words", help='e.g. "dags list"')


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it succeeded, 2 with one clear message when it could not."""
    asked = parser().parse_args(argv)
    try:
        return int(asked.run(asked))
    except AfterbellError as error:
        print(f"{asked.command}: {error}", file=sys.stderr)
        return EXIT_ERROR
    except BrokenPipeError:  # `make logs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


if __name__ == "__main__":
    sys.exit(main())
