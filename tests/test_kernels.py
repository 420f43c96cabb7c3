"""The kernels alone, against plain definitions."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scpdex.kernels import entries as e
from scpdex.kernels.moments import group_moments, moments_of_rest, scan
from scpdex.kernels.rank_sums import rank_sums
from scpdex.kernels.sort import new_histogram, sort_entries

EXTREMES = [0.5, -0.5, 1e-40, -1e-40, 3.4e38, -3.4e38, 1.0, 1.0000001, -1.0, 2.0**24]


def make_entries(values: np.ndarray, codes: np.ndarray) -> Any:
    """Entries of one gene, by the plain definition of a key."""
    out = e.new_entries(values.size, wide=e.is_wide(values.dtype))
    for i, (value, code) in enumerate(zip(values, codes, strict=True)):
        e.put(out, i, e.to_key(e.as_real(value)), code)
    return out


def unpack(gene: Any) -> tuple[np.ndarray, np.ndarray]:
    """Keys and codes of entries of either layout."""
    n = e.n_entries(gene)
    return np.array([e.key_at(gene, i) for i in range(n)]), np.array([e.code_at(gene, i) for i in range(n)])


def assert_sorts(gene: Any) -> None:
    """Hold the sort against numpy's stable one."""
    keys, codes = unpack(gene)
    order = np.argsort(keys, kind="stable")
    wide = isinstance(gene, tuple)
    span = tuple(map(np.uint64, scan(gene, np.empty(1 << 17, dtype=np.int64), np.empty(1 << 17))))
    done = sort_entries(deepcopy(gene), e.new_entries(keys.size, wide=wide), new_histogram(), span)
    sorted_keys, sorted_codes = unpack(done)
    np.testing.assert_array_equal(sorted_keys, keys[order])
    np.testing.assert_array_equal(sorted_codes, codes[order])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keys_order_like_values_and_come_back(dtype):
    values = np.unique(np.array([*EXTREMES, *np.random.default_rng(0).normal(size=100)], dtype=dtype))
    keys = [e.to_key(value) for value in values]
    assert keys == sorted(keys)
    assert [e.to_real(key) for key in keys] == list(values)
    assert [e.is_negative(key) for key in keys] == list(values < 0)


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint16", "bool", "int32", "uint32", "int64", "float64"])
def test_entries_hold_every_value_and_code(dtype):
    top = np.finfo(dtype).max if "float" in dtype else np.iinfo(dtype).max if dtype != "bool" else True
    values = np.array([1, min(float(top), 2**53)]).astype(dtype)
    codes = np.array([70_000, (1 << 32) - 1])
    keys, kept = unpack(make_entries(values, codes))
    np.testing.assert_array_equal([e.to_real(key) for key in keys], values)
    np.testing.assert_array_equal(kept, codes)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_codes", [10, 70_000])
@pytest.mark.parametrize("n", [1, 2, 47, 48, 49, 1000, 20_000])
@pytest.mark.parametrize("kind", ["log", "counts", "negative", "wide", "equal", "few"])
def test_sort_is_stable_and_complete(dtype, n_codes, n, kind):
    rng = np.random.default_rng(n)
    values = {
        "log": np.log1p(rng.poisson(2, n) / rng.lognormal(size=n)),
        "counts": rng.poisson(3, n),
        "negative": rng.normal(size=n),
        "wide": rng.choice(EXTREMES, n) * rng.normal(size=n),
        "equal": np.full(n, 0.1),
        "few": rng.choice([0.1, 0.2], n),
    }[kind].astype(dtype)
    gene = make_entries(values, rng.integers(0, n_codes, n))
    assert_sorts(gene)


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(width=64, allow_nan=False, allow_infinity=False), min_size=1, max_size=200))
def test_sort_any_floats(values):
    gene = make_entries(np.array(values), np.arange(len(values)))
    assert_sorts(gene)


def _plain_u(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    ranks = stats.rankdata(np.concatenate([x, y]))
    t = np.unique(ranks, return_counts=True)[1].astype(float)
    return ranks[: len(x)].sum() - len(x) * (len(x) + 1) / 2, (t**3 - t).sum()


@settings(deadline=None, max_examples=150)
@given(
    st.lists(st.tuples(st.sampled_from([0, 0, 1, 2, 2.5, -1, -2]), st.integers(0, 3)), min_size=1, max_size=40),
    st.sampled_from([np.int64, np.float64]),
    st.booleans(),
)
def test_rank_sums(cells, tie_dtype, against_reference):
    """2 U and tie sums of groups 0, 1, 2 against all others or against group 3, zeros left out of the entries."""
    values, codes = np.array([v for v, _ in cells]), np.array([c for _, c in cells])
    sizes = np.bincount(codes, minlength=4).astype(np.int64)
    gene = make_entries(values[values != 0], codes[values != 0])
    starts, lengths = np.zeros(1, dtype=np.int64), np.array([e.n_entries(gene)])
    nonzero, sums = np.empty((1, 4), dtype=np.int64), np.empty((1, 4))
    twice_u = np.empty((1, 4), dtype=np.int64)
    tie_sums = np.empty((1, 4 if against_reference else 1), dtype=tie_dtype)
    seen = np.zeros(4, dtype=np.int64)
    scratch = (deepcopy(gene), new_histogram(), seen)
    reference = 3 if against_reference else -1
    rank_sums(gene, starts, lengths, sizes, reference, *scratch, nonzero, sums, twice_u, tie_sums)
    np.testing.assert_array_equal(nonzero[0], np.bincount(codes[values != 0], minlength=4))
    np.testing.assert_array_equal(sums[0], np.bincount(codes, weights=values, minlength=4))
    assert not seen.any()
    for group in range(3):
        other = codes == 3 if against_reference else codes != group
        u, tie_sum = _plain_u(values[codes == group], values[other])
        assert twice_u[0, group] == 2 * u
        assert tie_sums[0, group if against_reference else 0] == tie_sum


def test_tie_sums_past_int64():
    """3 million cells tied: t**3 does not fit int64, and float64 is right to rounding."""
    n = 3_000_000
    gene = (np.full(n, e.to_key(np.float64(1))), (np.arange(n) % 2).astype(np.uint32))
    sizes = np.array([n // 2, n // 2])
    tie_sums = np.empty((1, 2))
    twice_u = np.empty((1, 2), dtype=np.int64)
    scratch = (deepcopy(gene), new_histogram(), np.zeros(2, dtype=np.int64))
    starts, lengths = np.zeros(1, dtype=np.int64), np.array([n])
    sums = np.empty((1, 2))
    rank_sums(gene, starts, lengths, sizes, 1, *scratch, np.empty_like(twice_u), sums, twice_u, tie_sums)
    assert twice_u[0, 0] == (n // 2) ** 2
    assert float(tie_sums[0, 0]) == pytest.approx(n**3 - n, rel=1e-12)


def _moments(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, ...]:
    sizes = np.bincount(codes).astype(np.int64)
    gene = make_entries(values[values != 0], codes[values != 0])
    starts, lengths = np.zeros(1, dtype=np.int64), np.array([e.n_entries(gene)])
    nonzero = np.empty((1, sizes.size), dtype=np.int64)
    means, squares = np.empty(nonzero.shape), np.empty(nonzero.shape)
    group_moments(gene, starts, lengths, sizes, nonzero, means, squares, np.empty(sizes.size))
    rest_means, rest = np.empty_like(means), np.empty_like(squares)
    moments_of_rest(sizes, means, squares, np.empty((sizes.size, 3)), rest_means, rest)
    return means[0], squares[0], rest_means[0], rest[0]


@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
@pytest.mark.parametrize("density", [0.1, 0.9, 1])
def test_moments(offset, density):
    rng = np.random.default_rng(2)
    values = (rng.normal(size=900) + offset) * (rng.random(900) < density)
    codes = rng.integers(0, 5, 900)
    means, squares, rest_means, rest = _moments(values, codes)
    exact = values.astype(np.longdouble)
    for code in range(5):
        x, others = exact[codes == code], exact[codes != code]
        np.testing.assert_allclose(means[code], float(x.mean()), rtol=1e-14)
        np.testing.assert_allclose(rest_means[code], float(others.mean()), rtol=1e-14)
        np.testing.assert_allclose(squares[code], float(((x - x.mean()) ** 2).sum()), rtol=1e-10)
        np.testing.assert_allclose(rest[code], float(((others - others.mean()) ** 2).sum()), rtol=1e-10)


@pytest.mark.parametrize("spread", [1e-12, 1e-14, 1e-15])
def test_a_mean_that_rounding_moved(spread):
    """A million values near 0.1: their naive mean is so far off that the spread about it is not their variance."""
    values = 0.1 + spread * np.random.default_rng(3).normal(size=1_000_000)
    gene = (
        e.to_key(np.float64(0.1)) + (values.view(np.uint64) - np.float64(0.1).view(np.uint64)),
        np.zeros(10**6, "u4"),
    )
    one = np.array([10**6])
    means, squares = np.empty((1, 1)), np.empty((1, 1))
    group_moments(gene, one - one, one, one, np.empty((1, 1), dtype=np.int64), means, squares, np.empty(1))
    exact = values.astype(np.longdouble)
    naive = float(((exact - values.cumsum()[-1] / 10**6) ** 2).sum())
    expected = float(((exact - exact.mean()) ** 2).sum())
    assert abs(naive / expected - 1) > 1e-10
    np.testing.assert_allclose(squares[0, 0], expected, rtol=1e-10)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e300, -7.7])
def test_a_constant_group_has_no_spread(value):
    codes = np.repeat([0, 1], 1001)
    means, squares, _, rest = _moments(np.where(codes == 0, value, 2.0), codes)
    np.testing.assert_array_equal(means, [value, 2])
    np.testing.assert_array_equal(squares, [0, 0])
    np.testing.assert_array_equal(rest, [0, 0])
