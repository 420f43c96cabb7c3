"""Row 33: a progress bar on whatever stands in for sys.stderr, and Python's warning filters while threads rank."""

import errno
import io
import os
import subprocess
import sys
import types

import pytest

import scpdex
from scpdex.machine.progress_bar import progress_bar


class NoTerminal:
    """A stream with write and flush only, as loggers put in place of sys.stderr."""

    def __init__(self) -> None:
        self.written = ""

    def write(self, text: str) -> None:
        self.written += text

    def flush(self) -> None:
        pass


class RaisingTerminal(NoTerminal):
    def isatty(self) -> bool:
        raise NotImplementedError


class BrokenTerminal(NoTerminal):
    def isatty(self) -> bool:
        return True

    def write(self, text: str) -> None:
        raise BrokenPipeError(text)


class Terminal(NoTerminal):
    def isatty(self) -> bool:
        return True


class WriteOnly:
    def write(self, text: str) -> None:
        pass


def closed() -> io.StringIO:
    stream = io.StringIO()
    stream.close()
    return stream


STREAMS = {
    "no isatty": NoTerminal,
    "isatty raises": RaisingTerminal,
    "isatty is no function": lambda: types.SimpleNamespace(isatty=True, write=len, flush=lambda: None),
    "broken": BrokenTerminal,
    "write only": WriteOnly,
    "nothing at all": object,
    "closed": closed,
    "none": lambda: None,
}


@pytest.mark.parametrize("show", [None, True, False])
@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS.keys())
def test_any_stream(pbmc, monkeypatch, stream, show):
    """Row 33: no error; no bar unless one is asked for and the stream can be written to."""
    monkeypatch.setattr("scpdex.machine.progress_bar._SECONDS_BEFORE_BAR", 0)
    stands_in = stream()
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stands_in)
        scpdex.tl.rank_genes_parallel(pbmc, "bulk_labels", show_progress=show)
    if isinstance(stands_in, NoTerminal):
        assert ("765/765" in stands_in.written) == (show is True and stream is not BrokenTerminal)


@pytest.mark.parametrize(("stream", "show", "drawn"), [(Terminal, None, True), (Terminal, False, False)])
def test_a_terminal(monkeypatch, stream, show, drawn):
    monkeypatch.setattr("scpdex.machine.progress_bar._SECONDS_BEFORE_BAR", 0)
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    terminal = stream()
    monkeypatch.setattr(sys, "stderr", terminal)
    with progress_bar(2, unit="gene", show=show) as bar:
        bar.update(2)
    assert ("/2 " in terminal.written) == drawn


@pytest.mark.parametrize(
    ("modules", "environment", "name"),
    [
        ({}, {}, "tqdm"),
        ({"ipykernel.zmqshell": None}, {}, "tqdm_notebook"),
        ({"ipykernel.zmqshell": None}, {"QT_API": "x"}, "tqdm"),
        ({"ipykernel.zmqshell": None}, {"SPYDER_ARGS": ""}, "tqdm"),
    ],
)
def test_the_bar_that_tqdm_would_choose(monkeypatch, modules, environment, name):
    notebook = types.ModuleType("tqdm.notebook")
    notebook.IProgress, notebook.tqdm_notebook = object, type("tqdm_notebook", (), {"__init__": lambda *_, **__: None})
    monkeypatch.setitem(sys.modules, "tqdm.notebook", notebook)
    monkeypatch.setattr("scpdex.machine.progress_bar.find_spec", lambda _: True)
    for module in modules:
        monkeypatch.setitem(sys.modules, module, types.ModuleType(module))
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert type(progress_bar(1, unit="gene", show=False)).__name__ == name
    # Without widgets, a plain bar.
    monkeypatch.setattr("scpdex.machine.progress_bar.find_spec", lambda _: None)
    assert type(progress_bar(1, unit="gene", show=False)).__name__ == "tqdm"


THREADS = """
import sys, threading, warnings
import anndata, numpy, pandas, scpdex

obs = pandas.DataFrame({"label": ["a", "b"] * 4}, index=[*"01234567"])
objects = [anndata.AnnData(numpy.eye(8, 3), obs=obs.copy()) for _ in range(16)]
start = threading.Barrier(16)
before = list(warnings.filters)
entered = []
enter = warnings.catch_warnings.__enter__

def spy(self):
    entered.append(sys._getframe(1).f_globals["__name__"])
    return enter(self)

def rank(adata):
    start.wait()
    scpdex.tl.rank_genes_parallel(adata, "label", show_progress=True)

warnings.catch_warnings.__enter__ = spy
threads = [threading.Thread(target=rank, args=(adata,)) for adata in objects]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
assert list(warnings.filters) == before, set(warnings.filters) - set(before)
own = [name for name in entered if name.startswith(("scpdex", "tqdm"))]
assert not own, own
assert all("rank_genes_groups" in adata.uns for adata in objects)
"""


def test_first_calls_from_threads_leave_the_warning_filters():
    """Rows 33 and 24: neither scpdex nor what it imports replaces the filters of the process meanwhile."""
    done = subprocess.run([sys.executable, "-c", THREADS], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class FullDisk(io.StringIO):
    """Takes an empty text, and fails later."""

    def write(self, text: str) -> int:
        if text:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return 0


class NoEncoding(io.StringIO):
    @property
    def encoding(self) -> str:
        msg = "no encoding"
        raise RuntimeError(msg)


@pytest.mark.parametrize("stream", [FullDisk, NoEncoding])
def test_streams_that_fail_while_the_bar_is_drawn(monkeypatch, stream):
    """Row 33: the work goes on."""
    monkeypatch.setattr(sys, "stderr", stream())
    with progress_bar(3, unit="cells", show=True) as bar:
        for _ in range(3):
            bar.update(1)
            bar.refresh()
    assert bar.n == 3
