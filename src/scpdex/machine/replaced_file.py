"""Replaced file: a file that is written whole under a temporary name beside its target, which it then replaces."""

from __future__ import annotations

import os
import platform
import re
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from uuid import uuid4

import psutil

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

_SUFFIX = ".scpdex-tmp"
# A process that began so many seconds after the last write to a file has not made the file: its number was used twice.
_SECONDS_BETWEEN_PROCESSES = 60
# Longest part of the target's name, in characters, which leaves room for the rest within 255 bytes.
_LONGEST_STEM = 40


@contextmanager
def replace_file(target: Path) -> Generator[Path, None, None]:
    """Give the path of a temporary file to write, which replaces the target if the context ends without an error.

    The target is whole at any moment, the old one or the new one, however the process ends. A process that is killed
    leaves its temporary file; the next call for the same target, on the same machine, deletes it.

    Raises
    ------
    OSError
        The folder cannot be written to, or (on Windows) another program holds the target open.
    """
    # A link stays a link.
    target = target.resolve()
    delete_abandoned_files(target)
    temporary = target.with_name(f"{_make_stem(target)}.{_host()}.{os.getpid()}.{uuid4().hex[:8]}{_SUFFIX}")
    try:
        temporary.touch(exist_ok=False)
        yield temporary
        if target.exists():
            shutil.copymode(target, temporary)
        _flush(temporary)
        _rename(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def delete_abandoned_files(target: Path) -> None:
    """Delete the temporary files for a target that processes of this machine left when they were killed."""
    stem = f"{_make_stem(target)}.{_host()}"
    pattern = re.compile(rf"{re.escape(stem)}\.(\d+)\.[0-9a-f]{{8}}{re.escape(_SUFFIX)}")
    with suppress(OSError):
        for file in target.parent.iterdir():
            match = pattern.fullmatch(file.name)
            if match and _is_abandoned(file, int(match[1])):
                file.unlink(missing_ok=True)


def _is_abandoned(file: Path, pid: int) -> bool:
    """Tell whether the process that made a file is gone."""
    try:
        return psutil.Process(pid).create_time() > file.stat().st_mtime + _SECONDS_BETWEEN_PROCESSES
    except psutil.NoSuchProcess:
        return True
    except (psutil.Error, FileNotFoundError):
        return False


def _make_stem(target: Path) -> str:
    return f".{target.name[:_LONGEST_STEM]}"


def _host() -> str:
    return re.sub(r"\W", "-", platform.node())[:_LONGEST_STEM]


def _flush(file: Path) -> None:
    """Wait until the file is on the disk, so that not even a power cut leaves half of it under the target's name."""
    with file.open("rb+") as handle:
        os.fsync(handle.fileno())


def _rename(temporary: Path, target: Path) -> None:
    try:
        temporary.replace(target)
    except PermissionError as error:
        msg = (
            f"{str(target)!r} could not be replaced, and is unchanged ({error.strerror}): close the programs that "
            "have it open, and call again."
        )
        raise PermissionError(error.errno, msg) from error
