"""Row 32: the memory that a call may use, from sizes in words, control groups and the limits of the process."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from scpdex.machine import available_memory as r
from scpdex.machine.available_memory import available_memory
from scpdex.machine.resources import Resources

ON_WINDOWS = sys.platform == "win32"
UNLIMITED_V1 = "9223372036854771712"


@pytest.mark.parametrize(
    ("given", "n_bytes"),
    [
        ("2GB", 2 * 10**9),
        ("500 MiB", 500 << 20),
        ("5 GiB", 5 << 30),
        ("1.5k", 1500),
        ("3.KB", 3000),
        ("7ti", 7 << 40),
        (" 12 b ", 12),
        ("0.5MiB", 1 << 19),
        ("99", 99),
        (10**6, 10**6),
        (2.5e6, 2500000),
        (np.float32(1024), 1024),
        (np.uint8(200), 200),
        (10**30, sys.maxsize),
        ("9999999999999TB", sys.maxsize),
    ],
)
def test_sizes(given, n_bytes):
    assert Resources.of(max_memory=given).limits.max_memory == n_bytes


@pytest.mark.parametrize(
    "given",
    [
        *(
            "5i",
            "3iB",
            "",
            " ",
            "GB",
            "B",
            "i",
            "1e9",
            "-1",
            "+1",
            "0",
            "0.9",
            "0GB",
            "nan",
            "inf",
            "1.5.2",
            ".5GB",
            "1,5GB",
        ),
        *("\uff15", "\uff15GB", "5G\u0130", "5g\u0131b", "5\u212a", "5\u00a0GB", "5GBB", "5 G iB", "5GiBi", "five"),
        *("1_000", "9" * 400, "9" * 400 + "TB", b"5GB", 0, -1, 0.5, float("nan"), float("inf"), -float("inf")),
        *(np.float64("nan"), True, False, np.bool_(True), 1j, np.complex128(5), [], [5], np.array(5), object),
    ],
    ids=lambda given: repr(given)[:20],
)
def test_sizes_that_are_none(given):
    with pytest.raises(ValueError, match=r"^max_memory=.* is not valid: pass bytes, a size such as '2GB' or '500MiB'"):
        Resources.of(max_memory=given)


class Machine:
    """The files of control groups in a folder, of a process without limits of its own."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.monkeypatch = folder, monkeypatch
        monkeypatch.setattr(r, "_CGROUPS_OF_PROCESS", folder / "own")
        for name in ("_VERSION_1", "_VERSION_2"):
            versions = [
                r._CGroups(folder / version.root.relative_to("/"), *list(vars(version).values())[1:])
                for version in getattr(r, name)
            ]
            monkeypatch.setattr(r, name, tuple(versions))
        monkeypatch.setattr(r.psutil, "virtual_memory", lambda: SimpleNamespace(available=10**9))
        self.limits = {}
        if not ON_WINDOWS:
            none = r.resource.RLIM_INFINITY
            monkeypatch.setattr(r.resource, "getrlimit", lambda limit: (self.limits.get(limit, none), none))

    def own(self, *lines: str) -> None:
        (self.folder / "own").write_text("".join(f"{line}\n" for line in lines))

    def group(self, path: str, **files: object) -> Path:
        group = self.folder / "sys/fs/cgroup" / path
        group.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (group / f"memory.{name}").write_text(f"{text}\n")
        return group


@pytest.fixture
def machine(tmp_path, monkeypatch) -> Machine:
    return Machine(tmp_path, monkeypatch)


def test_half_of_what_is_available(machine):
    """Row 32: the default budget, whatever leaves the least."""
    assert Resources.of().limits.max_memory == 500_000_000
    machine.own("0::/job")
    machine.group("job", max=5_000_001, current=3_000_000, stat="inactive_file 0")
    assert Resources.of().limits.max_memory == 1_000_000


def test_no_groups(machine):
    """Row 32: systems without control groups."""
    assert available_memory() == 10**9
    machine.own("0::/", "3:cpu,cpuacct:/")
    assert available_memory() == 10**9


def test_version_2(machine):
    """Row 32: the tightest limit on the way up, less what is used, files that nobody reads apart."""
    machine.own("12:cpu:/elsewhere", "0::/job/step")
    machine.group("job", max=5_000_000, current=3_000_000, stat="anon 7\ninactive_file 1000000")
    machine.group("job/step", max="max", current=3_000_000, stat="inactive_file 0")
    assert available_memory() == 3_000_000
    machine.group("job/step", max=4_000_000, current=3_000_000, stat="inactive_file 500")
    assert available_memory() == 1_000_500
    # More may be used than the limit, for a moment.
    machine.group("job/step", max=4_000_000, current=5_000_000, stat="inactive_file 0")
    assert available_memory() == 0


def test_version_1_counts_descendants(machine):
    """Row 32: file cache of the groups below counts as used by the group, and makes way."""
    machine.own("4:memory:/job/step", "1:cpu:/elsewhere", "0::/")
    stat = "cache 99\ninactive_file 0\ntotal_cache 99\ntotal_inactive_file 2000000"
    machine.group("memory/job", limit_in_bytes=5_000_000, usage_in_bytes=4_000_000, stat=stat)
    machine.group("memory/job/step", limit_in_bytes=UNLIMITED_V1, usage_in_bytes=4_000_000, stat=stat)
    assert available_memory() == 3_000_000
    machine.group("memory/job", stat="inactive_file 500")
    assert available_memory() == 1_000_500


@pytest.mark.parametrize("controllers", ["memory", "memory,hugetlb", "cpu,memory"])
def test_a_container_that_is_named_as_outside(machine, controllers):
    """Row 32: the path is the host's, and the files of the container lie at the root."""
    machine.own(f"4:{controllers}:/docker/1234")
    machine.group("memory", limit_in_bytes=5_000_000, usage_in_bytes=1_000_000, stat="total_inactive_file 1")
    assert available_memory() == 4_000_001


def test_unlimited_version_1(machine):
    machine.own("4:memory:/")
    machine.group("memory", limit_in_bytes=UNLIMITED_V1, usage_in_bytes=1_000_000, stat="total_inactive_file 1")
    assert available_memory() == 10**9


def test_hybrid(machine):
    """Row 32: version 2 below the mount of version 1; either may have the limit."""
    machine.own("4:memory:/a", "0::/b:c")
    machine.group("memory/a", limit_in_bytes=9_000_000, usage_in_bytes=0, stat="total_inactive_file 0")
    machine.group("unified/b:c", max=7_000_000, current=1_000_000, stat="inactive_file 0")
    assert available_memory() == 6_000_000
    machine.group("memory/a", limit_in_bytes=5_000_000)
    assert available_memory() == 5_000_000


@pytest.mark.parametrize("missing", ["memory.current", "memory.stat", "memory.max"])
@pytest.mark.parametrize("how", ["absent", "a folder", "empty", "odd"])
def test_files_that_cannot_be_read(machine, missing, how):
    """Row 32: what cannot be read counts as nothing, and is no error."""
    machine.own("0::/job")
    group = machine.group("job", max=5_000_000, current=3_000_000, stat="inactive_file 1000000")
    path = group / missing
    if how == "empty":
        path.write_text("")
    elif how == "odd":
        path.write_text("odd\n")
    else:
        path.unlink()
    if how == "a folder":
        path.mkdir()
    expected = {"memory.current": 6_000_000, "memory.stat": 2_000_000, "memory.max": 10**9}
    assert available_memory() == expected[missing]


@pytest.mark.skipif(ON_WINDOWS, reason="Windows has no such limits")
@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_limits_of_the_process(machine, monkeypatch, name):
    """Row 32: what is left of the soft limit, beside the stacks and arenas of threads."""
    info = SimpleNamespace(vms=300 << 20, data=100 << 20)
    monkeypatch.setattr(r.psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: info))
    used, of_thread = (300, 72) if name == "RLIMIT_AS" else (100, 8)
    machine.limits[getattr(r.resource, name)] = 800 << 20
    assert available_memory(1) == (800 - used - of_thread) << 20
    assert available_memory(3) == (800 - used - 3 * of_thread) << 20
    # With many threads, half of it: arenas are reserved only as long as there is space.
    assert available_memory(1000) == (800 - used) << 19
    machine.limits[getattr(r.resource, name)] = 1 << 20
    assert available_memory(1) == 0
    machine.limits[getattr(r.resource, name)] = r.resource.RLIM_INFINITY
    assert available_memory(1) == 10**9


WITHIN = """
import resource, sys
import anndata, psutil, scpdex

name, path = sys.argv[1:]
adata = anndata.read_h5ad(path, backed="r")
small = adata[:100].to_memory()
for method in ("wilcoxon", "t-test"):
    scpdex.tl.rank_genes_parallel(small, "group", method=method, low_memory=True, n_jobs=1, max_memory="1GB")
used = psutil.Process().memory_info()
used = used.vms if name == "RLIMIT_AS" else used.data
resource.setrlimit(getattr(resource, name), (used + 400_000_000, resource.RLIM_INFINITY))
for method in ("wilcoxon", "t-test"):
    scpdex.tl.rank_genes_parallel(adata, "group", method=method, n_jobs=2)
print(scpdex.get.plan(adata, "group", method="wilcoxon", n_jobs=2).strategy)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="others do not hold a process to its limit")
@pytest.mark.parametrize("name", ["RLIMIT_AS", "RLIMIT_DATA"])
def test_ranks_within_the_limit_of_the_process(tmp_path, name):
    """Row 32: a matrix that is larger than the limit, and would be loaded where memory is not limited."""
    from scipy import sparse
    from stored import labelled

    rng = np.random.default_rng(0)
    n_cells, n_genes = 30_000, 2_000
    indptr = np.arange(n_cells + 1) * n_genes
    values = rng.integers(1, 50, n_cells * n_genes).astype(np.float32) / 7
    indices = np.tile(np.arange(n_genes, dtype=np.int32), n_cells)
    labelled(sparse.csr_matrix((values, indices, indptr), shape=(n_cells, n_genes))).write_h5ad(tmp_path / "x.h5ad")
    command = [sys.executable, "-c", WITHIN, name, str(tmp_path / "x.h5ad")]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "row buckets\n"


@pytest.mark.skipif(ON_WINDOWS, reason="Windows has no such limits")
@pytest.mark.parametrize(("name", "used", "of_thread"), [("RLIMIT_AS", 300, 72), ("RLIMIT_DATA", 100, 8)])
def test_threads_within_the_limits_of_the_process(machine, monkeypatch, name, used, of_thread):
    """Row 32: half of what is left is for stacks and arenas, those of two further threads among them."""
    info = SimpleNamespace(vms=300 << 20, data=100 << 20)
    monkeypatch.setattr(r.psutil, "Process", lambda: SimpleNamespace(memory_info=lambda: info))
    limit = getattr(r.resource, name)
    machine.limits[limit] = (used + 2 * 10 * of_thread) << 20
    assert Resources.of(n_jobs=64).limits.n_threads == 8
    assert Resources.of(n_jobs=3).limits.n_threads == 3
    machine.limits[limit] = (used + 3 * of_thread) << 20
    assert Resources.of(n_jobs=64, max_memory="1GB").limits.n_threads == 1
    machine.limits[limit] = (used + 3 * of_thread - 1) << 20
    with pytest.raises(
        MemoryError, match=r"ulimit -[vd]\) leaves \d+ MB, and a call on one thread needs \d+ MB .*raise the limit"
    ):
        Resources.of(n_jobs=1)
