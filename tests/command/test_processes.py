"""Processes: exit statuses and streams of ``python -m scpdex``, signals, and a pipe whose reader leaves."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pytest
from screens import make_screen

import scpdex

WILCOXON = ["--groupby", "gene", "--method", "wilcoxon"]
# Imports once, and then runs a command for each line in a process of its own, as which it says its number.
SERVER = """
import os, sys
from scpdex.command import main
for line in sys.stdin:
    pid = os.fork()
    if not pid:
        os._exit(main(line.split()))
    print(pid, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scpdex", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    done.stderr = without_warnings(done.stderr)
    return done


def without_warnings(stderr: str) -> str:
    """Drop those that the lowest versions of other packages give each other, whatever the filters."""
    return re.sub(r"^\S+: DeprecationWarning: .*\n  .*\n", "", stderr, flags=re.MULTILINE)


def test_done(screen, tmp_path):
    before = screen.read_bytes()
    screen.chmod(0o444)
    done = run("rank", str(screen), *WILCOXON, "--show-progress", "-v", "--out", str(tmp_path / "hits.csv"))
    assert done.returncode == 0
    assert not done.stdout
    # Progress and the plan.
    assert "100%" in done.stderr
    assert "CSR float32 in an HDF5 file" in done.stderr
    assert screen.read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"screen.h5ad", "hits.csv"}
    text = (tmp_path / "hits.csv").read_text()
    assert text.count("\n") == 1 + 4 * 30


def test_refused(screen):
    done = run("plan", str(screen), "--groupby", "gnee")
    assert done.returncode == 1
    assert not done.stdout
    with pytest.raises(KeyError) as refused:
        scpdex.get.plan(ad.read_h5ad(screen), "gnee")
    assert done.stderr == f"scpdex: error: {refused.value.args[0]}\n"


def test_wrong_usage():
    done = run("rank", "x.h5ad", *WILCOXON, "--out", "hits.csv", "--n-jobs", "abc")
    assert done.returncode == 2
    assert not done.stdout
    assert done.stderr.startswith("usage: scpdex rank FILE [FILE ...] --groupby COLUMN (--out PATH | --in-place)")
    assert done.stderr.endswith("scpdex rank: error: argument --n-jobs: invalid int value: 'abc'\n")


def test_reader_that_leaves(tmp_path):
    """As ``| head -1`` does."""
    adata = make_screen(60, 3000)
    scpdex.tl.rank_genes_parallel(adata, "gene", storage="varm")
    adata.write_h5ad(tmp_path / "large.h5ad")
    command = [sys.executable, "-m", "scpdex", "table", str(tmp_path / "large.h5ad")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().split()[:2] == ["group", "names"]
        process.stdout.close()
        assert without_warnings(process.stderr.read()) == ""
        assert process.wait() == 0


@pytest.fixture
def serve():
    """Start a command in a process that has imported all; give its number, and what waits for its exit status."""
    command = [sys.executable, "-c", SERVER]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as server:
        stdin, stdout = server.stdin, server.stdout
        assert stdin is not None
        assert stdout is not None

        def start(*arguments: str):
            stdin.write(" ".join(arguments) + "\n")
            stdin.flush()
            return int(stdout.readline()), lambda: int(stdout.readline())

        yield start
        stdin.close()


@pytest.fixture
def large(tmp_path) -> Path:
    """A file that takes a while to rank."""
    path = tmp_path / "large.h5ad"
    make_screen(4000, 1000).write_h5ad(path)
    return path


def temporaries(path: Path) -> set[Path]:
    return {file for file in path.parent.iterdir() if file.name.endswith(".scpdex-tmp")}


def wait_for_new(path: Path, left: set[Path]) -> None:
    """Wait until a call makes a temporary file beside those that are left of others."""
    deadline = time.monotonic() + 60
    while temporaries(path) <= left:
        assert time.monotonic() < deadline
        time.sleep(0.001)


def read_result(path: Path) -> np.ndarray | None:
    """Read the scores; all else of the file has to be there, and of the result all or nothing."""
    with h5py.File(path) as file:
        assert {"X", "obs", "var", "obsm", "obsp", "layers"} <= set(file)
        is_there = {"rank_genes_groups" in file["uns"], "rank_genes_groups_scores" in file["varm"]}
        assert len(is_there) == 1
    scores = ad.read_h5ad(path).varm.get("rank_genes_groups_scores")
    return None if scores is None else np.asarray(scores)


@pytest.mark.slow
def test_interrupted(large, serve):
    before = large.read_bytes()
    status = 0
    # On a busy machine a call may have ended before it is seen to have begun.
    for _ in range(10):
        large.write_bytes(before)
        pid, wait = serve("rank", str(large), *WILCOXON, "--in-place")
        wait_for_new(large, set())
        os.kill(pid, signal.SIGINT)
        status = wait()
        if status != 0:
            break
    assert status == 130
    assert large.read_bytes() == before
    assert not temporaries(large)


@pytest.mark.slow
def test_killed_at_any_moment(large, serve):
    command = ["rank", str(large), *WILCOXON, "--in-place"]
    expected = make_screen(4000, 1000)
    scpdex.tl.rank_genes_parallel(expected, "gene", method="wilcoxon", storage="varm")
    scores = expected.varm["rank_genes_groups_scores"]
    before = large.read_bytes()
    _, wait = serve(*command)
    wait_for_new(large, set())
    start = time.monotonic()
    assert wait() == 0
    seconds = time.monotonic() - start
    np.testing.assert_array_equal(read_result(large), scores)
    moments = random.Random(0)  # noqa: S311
    n_killed = 0
    # The last is killed early, and leaves a temporary file.
    for i in reversed(range(10)):
        if i % 2 == 0:
            large.write_bytes(before)
        old, left = read_result(large), temporaries(large)
        pid, wait = serve(*command)
        wait_for_new(large, left)
        # The call deletes that of a killed one first.
        assert not temporaries(large) & left
        time.sleep(seconds * (i + moments.random()) / 10)
        # One that was quick has ended.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        n_killed += wait() == -signal.SIGKILL
        new = read_result(large)
        if new is not None:
            np.testing.assert_array_equal(new, scores)
        else:
            assert old is None
    # Of ten moments within a call, some were before its end.
    assert n_killed >= 3
    assert temporaries(large)
    _, wait = serve(*command)
    assert wait() == 0
    np.testing.assert_array_equal(read_result(large), scores)
    assert not temporaries(large)
