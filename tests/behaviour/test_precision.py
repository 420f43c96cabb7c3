"""Precision: means and variances of values that are hard to add up, against exact rational arithmetic."""

from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from genes import moments_of_gene
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import by_gene, by_scpdex
from plain import exact_moments, plain_t
from scipy import sparse
from stored import budget_for, labelled, on_disk, without_slack

EPS = np.finfo(np.float64).eps
N_CELLS = 600


def hard(kind: str, rng: np.random.Generator, n: int = N_CELLS) -> np.ndarray:
    """Values whose naive sums lose digits."""
    steps = rng.integers(0, 9, n)
    return {
        "large mean, spread of a few steps": 1e8 + steps * np.spacing(1e8),
        "spread far below the mean": 1e12 + rng.normal(size=n),
        "large values that cancel": rng.permutation(np.repeat([1e15, -1e15], n // 2)) + steps,
        "all magnitudes": rng.choice([-1, 1], n) * 10.0 ** rng.uniform(-12, 12, n),
        "one value far off": np.where(np.arange(n) == n // 2, 1e9, 1 + steps * 1e-9),
        "mostly zeros": np.where(rng.random(n) < 0.3, 1e6 + steps * 1e-6, 0),
        "a ramp": 1e5 + np.arange(n) * 2.0**-30,
    }[kind]


KINDS = [
    "large mean, spread of a few steps",
    "spread far below the mean",
    "large values that cancel",
    "all magnitudes",
    "one value far off",
    "mostly zeros",
    "a ramp",
]


def assert_moments(mean: float, squares: float, values: np.ndarray, *, pooled: bool = False) -> None:
    """Hold both against what is exact; means that are pooled were rounded, which a small spread shows."""
    exact_mean, exact_squares = exact_moments(values)
    assert abs(mean - exact_mean) <= 2 * values.size**0.5 * EPS * float(np.abs(values).mean())
    rounded = 16 * EPS * np.abs(values).max() / (float(exact_squares) / values.size) ** 0.5 if exact_squares else 0
    np.testing.assert_allclose(squares, float(exact_squares), rtol=1e-12 + pooled * rounded)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_of_hard_values(kind):
    rng = np.random.default_rng(1)
    values, codes = hard(kind, rng), rng.integers(0, 3, N_CELLS)
    means, squares, rest_means, rest = moments_of_gene(values, codes)
    for code in range(3):
        assert_moments(means[code], squares[code], values[codes == code])
        assert_moments(rest_means[code], rest[code], values[codes != code], pooled=True)


@settings(deadline=None, max_examples=100)
@given(
    st.floats(-1e15, 1e15),
    st.lists(st.integers(-50, 50), min_size=2, max_size=60),
    st.integers(0, 20),
)
def test_values_near_any_mean(mean, steps, n_zeros):
    """Some steps of float64 around a mean, and zeros."""
    values = np.r_[mean + np.array(steps) * np.spacing(abs(mean) + 1), np.zeros(n_zeros)]
    means, squares, _, _ = moments_of_gene(values, np.zeros(values.size, dtype=np.int64))
    assert_moments(means[0], squares[0], values)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", ["memory", "row passes"])
def test_t_of_hard_values(tmp_path, monkeypatch, place, kind):
    """In memory, and added up in passes over a file."""
    rng = np.random.default_rng(2)
    values = np.stack([hard(kind, rng), hard(kind, rng)], axis=1)
    adata = labelled(values)
    adata.obs["group"] = pd.Categorical(rng.choice(["a", "b", "c"], N_CELLS))
    arguments: dict[str, Any] = {"method": "t-test"}
    ranked = adata
    if place != "memory":
        without_slack(monkeypatch)
        many = ad.AnnData(sparse.csr_matrix(np.tile(values, (1, 10))), obs=adata.obs)
        ranked = on_disk(many, tmp_path, "h5ad")
        arguments["max_memory"] = budget_for(ranked, place, method="t-test")
    result = by_scpdex(ranked, "group", **arguments)
    for group in ("a", "b", "c"):
        inside = (adata.obs["group"] == group).to_numpy()
        for j in range(2):
            x, y = values[inside, j], values[~inside, j]
            t, p, told = plain_t(x, y)
            ours = by_gene(result, group).loc[ranked.var_names[j]]
            difference = abs(float(exact_moments(x)[0] - exact_moments(y)[0]))
            # Means are rounded as their values are, in units of the standard error.
            rounded = 32 * EPS * np.abs(values[:, j]).max() * abs(t) / difference
            assert abs(ours["scores"] - t) <= 1e-6 * abs(t) + rounded
            if told:
                np.testing.assert_allclose(ours["pvals"], p, rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("offset", [0.0, 1e4, 1e8])
def test_ten_million_cells(offset):
    """Sums of whole numbers of steps are exact in 64 bits."""
    n, step = 10_000_000, 2.0**-20
    rng = np.random.default_rng(3)
    numbers = rng.integers(0, 1000, n)
    values = offset + numbers * step
    assert ((values - offset) / step == numbers).all()
    means, squares, _, _ = moments_of_gene(values, np.zeros(n, dtype=np.int64))
    total, of_squares = int(numbers.sum()), int((numbers**2).sum())
    np.testing.assert_allclose(means[0], offset + total / n * step, rtol=1e-12)
    np.testing.assert_allclose(squares[0], (of_squares * n - total**2) / n * step**2, rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ten_million_equal_cells(dtype):
    values = np.full(10_000_000, 0.1, dtype=dtype)
    values[-1] = 0.2
    mean, squares, _, _ = moments_of_gene(values, np.zeros(values.size, dtype=np.int64))
    n, a, b = values.size, float(values[0]), float(values[-1])
    np.testing.assert_allclose(mean[0], a + (b - a) / n, rtol=2 * EPS)
    np.testing.assert_allclose(squares[0], (b - a) ** 2 * (n - 1) / n, rtol=1e-11)
