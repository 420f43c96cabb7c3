"""Replaced files: whole or not at all, and what killed processes leave is deleted by the next call."""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from scpdex.machine import replaced_file
from scpdex.machine.replaced_file import replace_file


@pytest.fixture
def target(tmp_path: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("old")
    return path


def names(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()}


@pytest.fixture
def ended_pid() -> int:
    """Number of a process that has ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as process:
        process.wait()
    return process.pid


def leave(target: Path, pid: int, host: str | None = None) -> Path:
    """Leave a temporary file, as a process of this number does that is killed."""
    with replace_file(target) as temporary:
        temporary.write_text("old")
        host_of_temporary = replaced_file._host()
        name = temporary.name.replace(f".{os.getpid()}.", f".{pid}.")
    name = name if host is None else name.replace(f".{host_of_temporary}.", f".{host}.")
    path = target.with_name(name)
    path.write_text("half")
    return path


def test_target_is_replaced_at_the_end(target):
    with replace_file(target) as temporary:
        assert temporary.parent == target.parent
        assert temporary.name.endswith(".scpdex-tmp")
        temporary.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert names(target) == {"table.csv"}


def test_target_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with replace_file(Path("new.csv")) as temporary:
        temporary.write_text("new")
        assert not Path("new.csv").exists()
    assert Path("new.csv").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_error_leaves_the_old_file(target, error):
    def write() -> None:
        with replace_file(target) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write()
    assert target.read_text() == "old"
    assert names(target) == {"table.csv"}


def test_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError), replace_file(tmp_path / "no" / "table.csv"):
        pytest.fail("entered")


def test_failed_rename(target, monkeypatch):
    def refuse(*_) -> None:
        raise PermissionError(13, "in use")

    monkeypatch.setattr(Path, "replace", refuse)

    def write() -> None:
        with replace_file(target) as temporary:
            temporary.write_text("new")

    with pytest.raises(PermissionError, match="is unchanged"):
        write()
    assert target.read_text() == "old"
    assert names(target) == {"table.csv"}


def test_files_of_ended_processes_are_deleted(target, ended_pid):
    left = leave(target, ended_pid)
    assert left.exists()
    with replace_file(target):
        assert not left.exists()


def test_files_of_reused_numbers_are_deleted(target):
    """A process that began after the file was last written cannot have made it."""
    left = leave(target, os.getpid())
    before = psutil.Process().create_time() - 3600
    os.utime(left, (before, before))
    with replace_file(target):
        assert not left.exists()


def test_files_of_others_are_kept(target, ended_pid):
    live = leave(target, os.getpid())
    other_host = leave(target, ended_pid, "elsewhere")
    other_target = leave(target.with_name("table.csv.gz"), ended_pid)
    unlike = target.with_name(live.name.replace(f".{os.getpid()}.", ".")).name
    target.with_name(unlike).write_text("mine")
    with replace_file(target) as temporary:
        temporary.write_text("new")
    kept = {live.name, other_host.name, other_target.name, unlike}
    assert names(target) == {"table.csv", "table.csv.gz"} | kept


def test_link_stays_a_link(target, tmp_path):
    folder = tmp_path / "links"
    folder.mkdir()
    link = folder / "link.csv"
    link.symlink_to(target)
    with replace_file(link) as temporary:
        assert temporary.parent == target.parent
        temporary.write_text("new")
    assert link.is_symlink()
    assert not target.is_symlink()
    assert target.read_text() == "new"


def test_mode_is_kept(target):
    target.chmod(0o640)
    with replace_file(target) as temporary:
        temporary.write_text("new")
    assert target.stat().st_mode & 0o777 == 0o640


def test_long_names(tmp_path):
    target = tmp_path / ("x" * 250)
    with replace_file(target) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"
