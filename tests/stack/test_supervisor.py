"""supervisord keeps programs alive, stops them in order, and leaves nothing behind."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ml.settings import REPOSITORY
from ml.stack.home import Home
from ml.stack.processes import MARK, alone, end, leftovers
from ml.stack.supervisor import Program, Supervisor, configuration
from ml.stack.waiting import wait_until

SLEEP = [
    sys.executable,
    "-c",
    "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'])",
]
NOTE = (
    "import signal, sys, time\n"
    "def stop(*_):\n"
    "    open(sys.argv[1], 'a').write(sys.argv[2] + '\\n')\n"
    "    sys.exit()\n"
    "signal.signal(signal.SIGTERM, stop)\n"
    "time.sleep(600)\n"
)


@pytest.fixture
def home(short_home: Path) -> Iterator[Home]:
    home = Home(short_home)
    home.make()
    yield home
    Supervisor(home).shut_down()
    end(leftovers(home.root))


def _launched(home: Home, *programs: Program) -> Supervisor:
    supervisor = Supervisor(home)
    supervisor.launch(
        configuration(home, programs, "fingerprint"),
        {**os.environ, "PYTHONPATH": str(REPOSITORY), MARK: str(home.root)},
    )
    supervisor.start([program.name for program in programs])
    assert wait_until(lambda: all(p["statename"] == "RUNNING" for p in supervisor.processes().values()), 20)
    return supervisor


def test_a_killed_program_comes_back(home: Home) -> None:
    supervisor = _launched(home, Program("sleeper", SLEEP, "one", 1))
    first = supervisor.processes()["sleeper"]["pid"]
    os.kill(first, signal.SIGKILL)
    assert wait_until(lambda: supervisor.processes()["sleeper"]["pid"] not in (0, first), 10)


def test_programs_stop_in_the_reverse_of_their_order(home: Home) -> None:
    told, note = home.root / "told", home.root / "note.py"
    note.write_text(NOTE)
    programs = [
        Program(name, [sys.executable, str(note), str(told), name], name, priority)
        for name, priority in (("postgres", 1), ("api", 2), ("scheduler", 3))
    ]
    supervisor = _launched(home, *programs)
    # RUNNING only means alive for a second; a handler needs the interpreter to be up.
    assert wait_until(lambda: all(_handles_term(p["pid"]) for p in supervisor.processes().values()), 20)
    supervisor.shut_down()
    assert told.read_text().split() == ["scheduler", "api", "postgres"]


def _handles_term(pid: int) -> bool:
    caught = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("SigCgt"))
    return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


def test_stopping_takes_grandchildren_along(home: Home) -> None:
    supervisor = _launched(home, Program("sleeper", SLEEP, "one", 1))
    process = psutil.Process(supervisor.processes()["sleeper"]["pid"])
    assert wait_until(lambda: bool(process.children()), 10)
    family = [process, *process.children(recursive=True)]
    supervisor.shut_down()
    assert [member for member in family if member.is_running()] == []
    assert supervisor.state() == "GONE"


def test_what_a_killed_supervisor_leaves_is_found_and_ended(home: Home) -> None:
    supervisor = _launched(home, Program("sleeper", SLEEP, "one", 1))
    assert wait_until(lambda: len(leftovers(home.root)) == 3, 10)
    os.kill(int((home.run / "supervisord.pid").read_text()), signal.SIGKILL)
    assert wait_until(lambda: supervisor.state() == "GONE", 10)
    orphans = leftovers(home.root)
    assert len(orphans) == 2
    end(orphans)
    assert leftovers(home.root) == []


def test_a_stale_socket_and_pid_file_are_no_obstacle(home: Home) -> None:
    _launched(home, Program("sleeper", SLEEP, "one", 1))
    os.kill(int((home.run / "supervisord.pid").read_text()), signal.SIGKILL)
    end(leftovers(home.root))
    assert home.socket.exists()
    assert _launched(home, Program("sleeper", SLEEP, "one", 1)).is_running("sleeper")


def test_it_knows_whether_it_runs_with_this_very_configuration(home: Home) -> None:
    program = Program("sleeper", SLEEP, "one", 1)
    supervisor = _launched(home, program)
    assert supervisor.runs_with(configuration(home, [program], "fingerprint"))
    assert not supervisor.runs_with(configuration(home, [program], "another"))


def test_stopping_what_never_ran_is_fine(home: Home) -> None:
    Supervisor(home).shut_down()


def test_a_program_that_comes_back_ends_the_orphans_of_its_killed_self_and_of_no_other(home: Home) -> None:
    supervisor = _launched(
        home, Program("sleeper", alone(SLEEP), "one", 1), Program("other", alone(SLEEP), "another", 1)
    )
    parents = {name: psutil.Process(row["pid"]) for name, row in supervisor.processes().items()}
    assert wait_until(lambda: all(parent.children() for parent in parents.values()), 20)
    orphan, other = parents["sleeper"].children()[0], parents["other"].children()[0]

    parents["sleeper"].kill()

    assert psutil.wait_procs([orphan], timeout=20)[1] == []
    assert wait_until(lambda: supervisor.is_running("sleeper"), 20)
    assert other.is_running()
