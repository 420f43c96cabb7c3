"""Kernels that are compiled ahead of their use."""

from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import numba
import pytest
from llvmlite.binding import get_host_cpu_name
from scanpy import settings

from scpdex.command import _compile_kernels
from scpdex.command._compile_kernels import compile_kernels


@pytest.fixture
def log() -> Iterator[StringIO]:
    """Let scanpy tell all."""
    before = settings.verbosity, settings.logfile
    settings.verbosity, settings.logfile = 3, StringIO()
    yield settings.logfile
    settings.verbosity, settings.logfile = before


def test_it_is_silent(monkeypatch, capfd, log):
    """Calls of scpdex leave no line in scanpy's log, whatever its verbosity, and no output."""
    monkeypatch.setattr(_compile_kernels, "_CALLS", (_compile_kernels._report, _compile_kernels._refuse_nan))
    done = compile_kernels()
    assert capfd.readouterr() == ("", "")
    assert not log.getvalue()
    assert settings.verbosity == 3
    assert Path(done.folder).is_dir()
    assert compile_kernels().n_compiled == 0


@pytest.mark.parametrize("name", [None, "generic"])
def test_the_processor_that_kernels_are_compiled_for(monkeypatch, name):
    """It is the one that runs the process, unless NUMBA_CPU_NAME names another."""
    monkeypatch.setattr(_compile_kernels, "_CALLS", ())
    monkeypatch.setattr(numba.config, "CPU_NAME", name)
    assert compile_kernels().cpu_name == (name or get_host_cpu_name())


def test_rows_pass_twice(monkeypatch):
    """The kernels of row passes are compiled too: the budget that is found is one with which they are chosen."""
    strategies = set()

    def keep_strategy(adata, groupby, **options):
        if options.get("max_memory"):
            del options["show_progress"]
            strategies.add(_compile_kernels.plan(adata, groupby, **options).strategy)

    monkeypatch.setattr(_compile_kernels, "rank_genes_parallel", keep_strategy)
    _compile_kernels._read_in_passes()
    assert strategies == {"row passes"}
