"""Rank sums and tie sums of one gene, against all pairs of values."""

from typing import Any

import numpy as np
import pytest
from genes import make_gene
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scpdex.kernels.key_ranges import measure_keys
from scpdex.kernels.rank_sums import new_scratch, rank_sums


def _plain_u(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    ranks = stats.rankdata(np.concatenate([x, y]))
    t = np.unique(ranks, return_counts=True)[1].astype(float)
    return ranks[: len(x)].sum() - len(x) * (len(x) + 1) / 2, (t**3 - t).sum()


def _rank_sums(values: np.ndarray, codes: np.ndarray, n_codes: int, reference: int | None, tie_dtype: Any) -> list[Any]:
    """Sums, 2 U and tie sums of one gene."""
    sizes = np.bincount(codes, minlength=n_codes).astype(np.int64)
    keys, ends = make_gene(values, codes, n_codes)
    zeros = sizes - np.diff(ends.astype(np.int64), prepend=0)
    scratch = new_scratch(keys.size, wide=keys.itemsize == 8)
    out = np.empty((1, n_codes)), np.empty((1, n_codes), dtype=np.int64)
    tie_sums = np.empty((1, 1 if reference is None else n_codes), dtype=tie_dtype)
    starts, ends, zeros = np.zeros(1, dtype=np.int64), ends[None], zeros[None]
    ranges, _ = measure_keys(keys, starts, ends[:, -1])
    rank_sums(keys, starts, ends, ranges, sizes, zeros, reference, *out, tie_sums, scratch)
    without_ties = np.empty_like(out[1])
    rank_sums(keys, starts, ends, ranges, sizes, zeros, reference, out[0], without_ties, None, scratch)
    np.testing.assert_array_equal(without_ties, out[1])
    assert not scratch[3][3].any()
    return [array[0] for array in (*out, tie_sums)]


@settings(deadline=None, max_examples=400)
@given(st.data())
def test_rank_sums(data):
    """2 U and tie sums of groups 0, 1, 2 against all others or against group 3, zeros left out of the keys.

    Few cells are inserted, whole numbers counted in tables, fifteen bits put in buckets, and the others sorted.
    """
    n = data.draw(st.sampled_from([5, 40, 300]))
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    sign = data.draw(st.sampled_from([1, -1]))
    kind = data.draw(st.sampled_from(["counts", "halves", "both signs", "few signed", "fifteen bits", "twenty bits"]))
    values = {
        "counts": rng.poisson(1, n),
        "halves": rng.poisson(1, n) / 2,
        "both signs": (rng.normal(size=n) * (rng.random(n) < 0.5)).round(data.draw(st.integers(0, 3))),
        "few signed": rng.choice([0, 0, 1, 2, 3, -1], n),
        "fifteen bits": (1 + rng.integers(0, 1 << 15, n // 3 + 1) / (1 << 15))[rng.integers(0, n // 3 + 1, n)],
        "twenty bits": rng.poisson(1, n) * np.round(1 + rng.random(n), 6),
    }[kind] * sign
    values = values.astype(data.draw(st.sampled_from([np.float32, np.float64])))
    codes = rng.integers(0, data.draw(st.integers(1, 4)), n)
    reference = data.draw(st.sampled_from([None, 3]))
    codes[0] = reference or 0
    sums, twice_u, tie_sums = _rank_sums(values, codes, 4, reference, data.draw(st.sampled_from([np.int64, float])))
    np.testing.assert_array_equal(sums, np.bincount(codes, weights=values, minlength=4))
    for group in range(3):
        other = codes == 3 if reference == 3 else codes != group
        u, tie_sum = _plain_u(values[codes == group], values[other])
        assert twice_u[group] == 2 * u
        assert tie_sums[group if reference == 3 else 0] == tie_sum


@pytest.mark.parametrize("n", [47, 48, 255, 256, 511, 512, 2000])
@pytest.mark.parametrize("reference", [None, 2])
def test_every_number_of_bits(n, reference):
    """Each way to ranks at the edges of what it is for: keys of 1 to 26 significant bits."""
    rng = np.random.default_rng(n)
    codes = rng.integers(0, 3, n)
    for bits in range(1, 27):
        grain = rng.integers(0, 1 << min(bits, 23), n)
        grain[:2] = 0, (1 << min(bits, 23)) - 1
        values = np.float32(1 + grain / (1 << min(bits, 23))) * np.float32(2) ** rng.integers(
            0, 1 << max(0, bits - 23), n
        )
        _, twice_u, tie_sums = _rank_sums(values.astype(np.float32), codes, 3, reference, np.int64)
        for group in range(2):
            other = codes != group if reference is None else codes == reference
            u, tie_sum = _plain_u(values[codes == group], values[other])
            assert (twice_u[group], tie_sums[0 if reference is None else group]) == (2 * u, tie_sum)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("reference", [None, 2])
def test_zeros_beside_buckets(reference, sign):
    """They lie below values that are put in buckets if these are positive, and above them if these are negative."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 600)
    values = np.float32(sign * (1 + rng.integers(0, 1 << 15, 600) / (1 << 15)) * (rng.random(600) < 0.7))
    _, twice_u, tie_sums = _rank_sums(values, codes, 3, reference, np.int64)
    for group in range(2):
        other = codes != group if reference is None else codes == reference
        u, tie_sum = _plain_u(values[codes == group], values[other])
        assert (twice_u[group], tie_sums[0 if reference is None else group]) == (2 * u, tie_sum)


@pytest.mark.parametrize(("n_values", "dtype"), [(1, float), (10_000, float), (10_000, np.float32)])
def test_tie_sums_past_int64(n_values, dtype):
    """3 million cells tied: t**3 does not fit int64, and float64 is right to rounding. By table, sort and buckets."""
    n = 3_000_000
    values = np.where(np.arange(n) < n_values, 1 + np.arange(n) / 9999, 2.0).astype(dtype)
    _, twice_u, tie_sums = _rank_sums(values, np.arange(n) % 2, 2, 1, np.float64)
    u = stats.mannwhitneyu(values[::2].astype(float), values[1::2].astype(float)).statistic
    assert twice_u[0] == 2 * u
    tied = int((values == 2).sum())
    assert float(tie_sums[0]) == pytest.approx(float(tied) ** 3 - tied, rel=1e-12)
