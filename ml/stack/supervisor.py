"""supervisord, the one parent of every process of the stack, driven over its Unix socket."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import xmlrpc.client
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from ml.errors import StackError
from ml.stack.home import Home
from ml.stack.waiting import wait_until

STOP_SECONDS = 60


@dataclass(frozen=True)
class Program:
    """One process to keep alive.

    group: programs of one group stop together. priority: lower starts first and stops last.
    user: whom to run it as, None for ourselves. stop_signal goes to the whole process group unless `gently`.
    """

    name: str
    command: Sequence[str]
    group: str
    priority: int
    user: str | None = None
    stop_signal: str = "TERM"
    gently: bool = False


class Supervisor:
    """The supervisor of one home, running or not."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.conf = home.run / "supervisord.conf"

    def _rpc(self) -> Any:
        transport = SupervisorTransport(None, None, f"unix://{self.home.socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def state(self) -> str:
        """RUNNING, SHUTDOWN..., or GONE."""
        try:
            return str(self._rpc().getState()["statename"])
        except (OSError, xmlrpc.client.Error):
            return "GONE"

    def processes(self) -> dict[str, dict[str, Any]]:
        """What supervisord says about each program, by name; empty when it is gone."""
        try:
            return {process["name"]: process for process in self._rpc().getAllProcessInfo()}
        except (OSError, xmlrpc.client.Error):
            return {}

    def is_running(self, name: str) -> bool:
        return self.processes().get(name, {}).get("statename") in ("RUNNING", "STARTING")

    def runs_with(self, conf: str) -> bool:
        """Whether it runs now, with exactly this configuration."""
        return self.state() == "RUNNING" and self.conf.exists() and self.conf.read_text() == conf

    def launch(self, conf: str, environment: Mapping[str, str]) -> None:
        """Start supervisord itself (its programs wait for `start`) and wait until it answers."""
        self.conf.unlink(missing_ok=True)
        self.conf.touch(mode=0o600)
        self.conf.write_text(conf)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.conf)]
        started = subprocess.run(
            command, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
        log = self.home.logs / "supervisord.log"
        if started.returncode != 0 or not wait_until(lambda: self.state() == "RUNNING", 30):
            raise StackError(f"supervisord not starting: {started.stderr.strip()}", "it to run", f"Read {log}")

    def start(self, names: Sequence[str]) -> None:
        """Start those of the programs that do not run."""
        rpc = self._rpc()
        for name, process in self.processes().items():
            if name in names and process["statename"] not in ("RUNNING", "STARTING", "BACKOFF"):
                rpc.startProcess(f"{process['group']}:{name}", False)

    def shut_down(self) -> None:
        """Stop every program, the last started first, then supervisord; nothing happens when it is gone."""
        if self.state() == "GONE":
            return
        pid = int(self._rpc().getPID())
        if self.state() == "RUNNING":
            self._rpc().shutdown()
        if not wait_until(lambda: not _alive(pid), STOP_SECONDS):
            raise StackError(
                f"supervisord (pid {pid}) still busy after {STOP_SECONDS} s",
                "it to have ended",
                f"Read {self.home.logs / 'supervisord.log'}, then stop again",
            )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def configuration(home: Home, programs: Sequence[Program], fingerprint: str) -> str:
    """The text of supervisord.conf; `fingerprint` stands for the environment that programs inherit."""
    lines = [f"; environment {fingerprint}", "[unix_http_server]", f"file={_plain(home.socket)}", "chmod=0700"]
    lines += ["[supervisord]", f"pidfile={_plain(home.run / 'supervisord.pid')}", "umask=077", "minfds=1024"]
    lines += [f"logfile={_plain(home.logs / 'supervisord.log')}", f"directory={_plain(home.root)}", "silent=true"]
    lines += ["user=root"] if os.geteuid() == 0 else []
    lines += ["[rpcinterface:supervisor]"]
    lines += ["supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface"]
    for program in programs:
        lines += _program_section(home, program)
    groups = sorted({(program.priority, program.group) for program in programs})
    for priority, group in groups:
        members = ",".join(program.name for program in programs if program.group == group)
        lines += [f"[group:{group}]", f"programs={members}", f"priority={priority}"]
    return "\n".join(lines) + "\n"


def _program_section(home: Home, program: Program) -> list[str]:
    return [
        f"[program:{program.name}]",
        f"command={_plain(shlex.join(program.command))}",
        f"stdout_logfile={_plain(home.logs / f'{program.name}.log')}",
        "redirect_stderr=true",
        "stdout_logfile_maxbytes=10MB",
        "stdout_logfile_backups=2",
        "autostart=false",
        "autorestart=true",
        "startsecs=1",
        "startretries=10",
        f"stopsignal={program.stop_signal}",
        f"stopasgroup={'false' if program.gently else 'true'}",
        "killasgroup=true",
        # A scheduler now and then swallows the signal; nothing it does needs longer than this.
        f"stopwaitsecs={30 if program.gently else 10}",
        *([f"user={program.user}"] if program.user else []),
    ]


def _plain(value: object) -> str:
    """Free of supervisord's own expansion."""
    return str(value).replace("%", "%%")
