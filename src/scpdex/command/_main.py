"""Main: the command line parsed, the command run, and its exit status.

0 is success, 1 a call that the package refused or could not finish, 2 a wrong usage, 130 an interruption.
"""

from __future__ import annotations

import argparse
import os
import sys
from importlib.metadata import version
from typing import TYPE_CHECKING

import scanpy as sc

from scpdex.command._compile import COMPILE
from scpdex.command._plan import PLAN
from scpdex.command._rank import RANK
from scpdex.command._table import TABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

_COMMANDS = (RANK, PLAN, TABLE, COMPILE)
_DONE, _REFUSED, _INTERRUPTED = 0, 1, 130
# What the public functions document. All else is a bug, whose traceback is needed.
_DOCUMENTED_ERRORS = (ImportError, KeyError, MemoryError, OSError, RuntimeError, TypeError, ValueError)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command, and give its exit status; ``arguments`` are those of the process by default.

    Raises
    ------
    SystemExit
        Help or the version was asked for (0), or the usage is wrong (2).
    """
    options = vars(_make_parser().parse_args(arguments))
    command = next(command for command in _COMMANDS if command.name == options["command"])
    try:
        with sc.settings.verbosity.override("info" if options["verbose"] else "warning"):
            command.run(options)
            sys.stdout.flush()
    except KeyboardInterrupt:
        _print_error("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        _discard_output()
    except _DOCUMENTED_ERRORS as error:
        _print_error(_describe(error))
        return _REFUSED
    return _DONE


def _make_parser() -> argparse.ArgumentParser:
    # Under `python -m` the program would be called __main__.py.
    parser = argparse.ArgumentParser(
        "scpdex",
        description="Rank genes for characterizing groups of cells in h5ad files and zarr stores, on all cores.",
        epilog="Exit status: 0 success, 1 refused or failed, 2 wrong usage, 130 interrupted.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"scpdex {version('scpdex')}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command in _COMMANDS:
        summary = command.summary.replace("%", "%%")
        subparser = subparsers.add_parser(
            command.name,
            usage=f"scpdex {command.name} {command.usage}",
            help=summary,
            description=summary,
            allow_abbrev=False,
        )
        command.add_options(subparser)
        subparser.add_argument("-v", "--verbose", action="store_true", help="Log the plan and the progress on stderr.")
    return parser


def _describe(error: Exception) -> str:
    """Give the message of an error."""
    # The text of a KeyError has quotes around it.
    text = str(error.args[0]) if isinstance(error, KeyError) and error.args else str(error)
    return text or ("not enough memory" if isinstance(error, MemoryError) else type(error).__name__)


def _print_error(text: str) -> None:
    sys.stderr.write(f"scpdex: error: {text}\n")


def _discard_output() -> None:
    """Drop what is left to print, as Python does at its end, once the reader of a pipe is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
