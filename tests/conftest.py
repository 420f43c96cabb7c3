"""Fixtures: real data sets, and every storage that a matrix in memory can have."""

import gc
import io
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pytest
import scanpy as sc
from hypothesis import settings
from papalexi import read_papalexi
from storages import STORAGES

# No clock in a test.
settings.register_profile("scpdex", deadline=None)
settings.load_profile("scpdex")


def pytest_collection_finish() -> None:
    """Leave packages and tests out of garbage collection, which would look at all of them each time."""
    gc.freeze()


DATA = Path(os.environ.get("SCPDEX_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(params=STORAGES.values(), ids=STORAGES.keys())
def storage(request: pytest.FixtureRequest) -> Callable[[np.ndarray], Any]:
    """Convert a dense array to one of the storages."""
    return request.param


@pytest.fixture
def messages() -> Iterator[Callable[[], str]]:
    """Give what went through scanpy's logging since the last call."""
    log = io.StringIO()
    before, verbosity = sc.settings.logfile, sc.settings.verbosity
    sc.settings.logfile = log

    def since() -> str:
        told = log.getvalue()
        log.seek(0)
        log.truncate()
        return told

    yield since
    sc.settings.logfile, sc.settings.verbosity = before, verbosity


@cache
def _pbmc() -> ad.AnnData:
    return sc.datasets.pbmc68k_reduced()


@pytest.fixture
def pbmc() -> ad.AnnData:
    """700 PBMCs x 765 genes: raw is log-normalised CSR, X scaled and dense; 10 cell types in bulk_labels."""
    return _pbmc().copy()


def data_path(name: str) -> Path:
    """Find a data set that is not part of the project; a test that needs it is skipped where it is absent."""
    if not (DATA / name).exists():
        pytest.skip(f"{name} is absent; set SCPDEX_DATA to the folder of the data sets")
    return DATA / name


def _normalize(adata: ad.AnnData) -> ad.AnnData:
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata


@cache
def _papalexi(*, normalize: bool) -> ad.AnnData:
    return _normalize(read_papalexi()) if normalize else read_papalexi()


@pytest.fixture
def papalexi() -> ad.AnnData:
    """20,729 THP-1 cells x 299 genes, log-normalised: 26 groups in gene, control non-targeting."""
    return _papalexi(normalize=True).copy()


@pytest.fixture
def papalexi_counts() -> ad.AnnData:
    """The same as raw counts."""
    return _papalexi(normalize=False).copy()


@cache
def _pbmc3k() -> ad.AnnData:
    return _normalize(ad.read_h5ad(data_path("pbmc3k.h5ad")))


@pytest.fixture
def pbmc3k() -> ad.AnnData:
    """2,638 PBMCs x 13,714 genes, log-normalised: 8 cell types in louvain."""
    return _pbmc3k().copy()


@pytest.fixture
def papalexi_source() -> ad.AnnData:
    """Raw counts of the same screen, as the file beside the tests was made of."""
    return ad.read_h5ad(data_path("papalexi2021_thp1.h5ad"))


@pytest.fixture
def schraivogel_counts() -> ad.AnnData:
    """21,977 K562 cells x 72 genes, raw counts in CSR: 15 groups in gene, control non-targeting."""
    return ad.read_h5ad(data_path("schraivogel2020_tapseq.h5ad"))
