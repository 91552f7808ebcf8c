"""Ports on the loopback: set by the user, or chosen once and then remembered."""

from __future__ import annotations

import secrets
import socket

from ml.errors import StackError

LOOPBACK = "127.0.0.1"
# A port that a system hands out by itself would be gone some morning: a stopped server does not hold it.
QUIET_PORTS = range(15_000, 32_000)


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as probe:
        # As servers do: a connection of the last server that lingers in TIME_WAIT is no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Some port that is free now, from where no system takes ports for outgoing connections."""
    return next(port for port in iter(lambda: QUIET_PORTS[secrets.randbelow(len(QUIET_PORTS))], 0) if is_free(port))


def choose(variable: str, wanted: int, kept: int, ours: bool) -> int:
    """The port to use.

    wanted: what the user set in `variable`, 0 for any. kept: the one chosen earlier, 0 for none.
    ours: our own server listens on `kept` now. StackError when the wanted port belongs to somebody
    else; a kept one that was taken is replaced. No port is everybody's favourite, such as 8080: two
    stacks that start at once would both choose it, and each would ask the other's server.
    """
    if ours and wanted in (0, kept):
        return kept
    if wanted:
        if not is_free(wanted):
            raise StackError(
                f"port {wanted} of {variable} taken by another program",
                f"a free port on {LOOPBACK}",
                f"End that program, or set {variable} to another port (0 chooses a free one)",
            )
        return wanted
    return kept if kept and is_free(kept) else free_port()
