"""Peak memory of a process of its own, while it ranks files that are larger than its budget."""

import subprocess
import sys
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

N_GENES, DENSITY, N_GROUPS = 600, 0.3, 20
# Of one gene and group: a pointer to the name, two float32 and two float64.
RESULTS = 32 * N_GENES * N_GROUPS

_CALL = """
import re, sys
from pathlib import Path
import anndata as ad
import scpdex

path, method, reference, budget = sys.argv[1:]
adata = ad.read_h5ad(path, backed="r")
peak = lambda: int(re.search(r"VmHWM:\\s+([0-9]+) kB", Path("/proc/self/status").read_text())[1]) * 1024
before = peak()
scpdex.tl.rank_genes_parallel(adata, "group", method=method, reference=reference, max_memory=budget)
print(peak() - before)
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[int, Path]:
    """Row-major files of 216 and 432 MB."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("large")
    part = sparse.random(50_000, N_GENES, DENSITY, format="csr", dtype=np.float32, random_state=rng)
    paths = {}
    for n_cells in (150_000, 300_000):
        adata = ad.AnnData(sparse.vstack([part] * (n_cells // 50_000), format="csr"))
        adata.obs["group"] = pd.Categorical(rng.integers(0, N_GROUPS, n_cells).astype(str))
        paths[n_cells] = folder / f"{n_cells}.h5ad"
        adata.write_h5ad(paths[n_cells])
    return paths


def grown(path: Path, method: str, reference: str, budget: str) -> int:
    """By how many bytes a call raises the peak of a new process, compiled code included."""
    command = [sys.executable, "-W", "ignore", "-c", _CALL, str(path), method, reference, budget]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[-1])


@pytest.mark.skipif(sys.platform != "linux", reason="needs the peak that Linux notes")
def test_peak_within_the_budget(files):
    """Within 100 MB, results and 100 MB for code; a file of twice the size takes no more."""
    for method, reference in (("wilcoxon", "rest"), ("wilcoxon", "0"), ("t-test", "rest")):
        small, large = (grown(path, method, reference, "100MB") for path in files.values())
        assert small < 200e6 + RESULTS
        assert large < 200e6 + RESULTS
        assert large < small + 20e6
