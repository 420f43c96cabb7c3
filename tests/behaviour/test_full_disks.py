"""Disks that are too small for scratch: one clear error, nothing left, and the next call works (row 23)."""

import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from faults import assert_fails_and_then_works, open_tight


def test_a_disk_that_is_too_small(tmp_path, monkeypatch, scratch):
    """Refused before anything is read."""
    adata, budget = open_tight("CSR", tmp_path, monkeypatch)
    usage = shutil.disk_usage(tmp_path)
    assert_fails_and_then_works(
        monkeypatch,
        adata,
        scratch,
        {
            "shutil.disk_usage": lambda _: usage._replace(free=1000),
            "scpdex.matrix.chunked._row_stream.RowStream.pieces": lambda *_: pytest.fail("work has begun"),
        },
        OSError,
        r"[\d,]+ bytes of scratch may be needed .* has 1,000 free: .* set TMPDIR .* raise max_memory",
        max_memory=budget,
    )


def test_a_disk_that_fills_up(tmp_path, monkeypatch, scratch):
    adata, budget = open_tight("CSR", tmp_path, monkeypatch)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    class Full:
        def __init__(self, file: Any) -> None:
            self.file, self.left = file, 5000

        def write(self, data: memoryview) -> int:
            self.left -= len(data)
            if self.left < 0:
                raise full
            return self.file.write(data)

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

    make = tempfile.TemporaryFile
    assert_fails_and_then_works(
        monkeypatch,
        adata,
        scratch,
        {"tempfile.TemporaryFile": lambda **options: Full(make(**options))},
        OSError,
        r"could not take more than [\d,]+ bytes \(No space left on device\): free some space, set TMPDIR",
        max_memory=budget,
    )


SUPPORT = str(Path(__file__).parents[1] / "support")
_QUOTA = """
import resource, signal, sys
import pytest
sys.path.insert(0, {tests!r})
from pathlib import Path
from stored import *
import scpdex

with pytest.MonkeyPatch.context() as patch:
    without_slack(patch)
    adata = on_disk(labelled(sparse.csr_matrix(values_of("float32"))), Path({folder!r}), "h5ad")
    budget = tightest(adata, method="wilcoxon")
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with pytest.raises(OSError, match="could not take more than .* .File too large"):
        scpdex.tl.rank_genes_parallel(adata, "group", method="wilcoxon", max_memory=budget)
    assert not adata.uns
print("refused")
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
def test_a_quota(tmp_path):
    """A real limit of the operating system on how large files can be."""
    code = _QUOTA.format(tests=SUPPORT, folder=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.endswith("refused\n"), done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Windows removes the file itself")
def test_scratch_has_no_name(scratch):
    """What is killed leaves nothing behind: the file has no name, and only its owner can reach it."""
    from scpdex.machine.scratch_file import Scratch

    with Scratch() as file:
        values = np.arange(1000.0)
        place = [file.write(values), file.write(values[:3], np.arange(2))][1]
        assert not list(scratch.iterdir())
        assert os.fstat(file._file.fileno()).st_mode & 0o777 == 0o600
        back = np.empty(2, dtype=np.int64)
        file.read(place + 24, back)
        assert back.tolist() == [0, 1]
