"""What a home remembers, and who may read it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from ml.errors import StackError
from ml.settings import REPOSITORY, settings
from ml.stack.home import FERNET_KEY, PASSWORDS, Home, only_one, remember, remembered, with_secrets


def test_stack_env_is_readable_by_its_owner_alone_also_when_written_again(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make()
    for value in ("1", "2"):
        remember(home, {"AFTERBELL_STACK_X": value})
        assert stat.S_IMODE(home.env_file.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.root.stat().st_mode) == 0o700
    assert remembered(home) == {"AFTERBELL_STACK_X": "2"}


def test_secrets_are_long_unlike_each_other_and_kept(tmp_path: Path) -> None:
    home = Home(tmp_path)
    made = with_secrets({})
    assert len({made[name] for name in PASSWORDS}) == len(PASSWORDS)
    assert min(len(made[name]) for name in PASSWORDS) >= 16
    Fernet(made[FERNET_KEY])
    remember(home, made)
    assert with_secrets(remembered(home)) == made


def test_the_settings_read_what_the_stack_remembers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember(Home(tmp_path), {"AFTERBELL_MLFLOW_URI": "http://127.0.0.1:1"})
    monkeypatch.setenv("AFTERBELL_HOME", str(tmp_path))
    assert settings().mlflow_uri == "http://127.0.0.1:1"


def test_a_path_too_long_for_a_socket_is_an_error_naming_the_variable() -> None:
    with pytest.raises(StackError, match="Set AFTERBELL_HOME to a shorter path"):
        Home(Path("/tmp") / ("x" * 100)).make()


def test_a_home_below_a_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match="AFTERBELL_HOME"):
        Home(tmp_path / "file" / "home").make()


def test_a_second_holder_of_the_lock_waits(tmp_path: Path) -> None:
    enter = "import sys, pathlib, ml.stack.home as h\nwith h.only_one(h.Home(pathlib.Path(sys.argv[1]))): print('in')"
    with only_one(Home(tmp_path)):
        second = subprocess.Popen([sys.executable, "-c", enter, str(tmp_path)], cwd=REPOSITORY, stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            second.wait(3)
    assert second.communicate(timeout=30)[0] == b"in\n"
