"""The kernels alone, against plain definitions."""

from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from scpdex.kernels import entries as e
from scpdex.kernels import keys as k
from scpdex.kernels.digits import most_bits_of_digit, significant_bits, span, sum_and_count
from scpdex.kernels.gather import order_by_group
from scpdex.kernels.moments import are_counts, group_moments, moments_of_rest
from scpdex.kernels.radix_sort import sort_entries, sort_few
from scpdex.kernels.rank_sums import new_scratch, rank_sums

EXTREMES = [0.5, -0.5, 1e-40, -1e-40, 3.4e38, -3.4e38, 1.0, 1.0000001, -1.0, 2.0**24]


def make_gene(values: np.ndarray, codes: np.ndarray, n_codes: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys of the non-zero values group by group, and where each group ends."""
    order = np.argsort(codes, kind="stable")
    order = order[values[order] != 0]
    unsigned = k.key_dtype(values.dtype)
    bits = values[order].astype(f"f{unsigned.itemsize}").view(unsigned)
    sign = unsigned.type(1) << unsigned.type(8 * unsigned.itemsize - 1)
    keys = np.where(bits & sign, ~bits, bits | sign)
    return keys, np.cumsum(np.bincount(codes[order], minlength=n_codes)).astype(np.uint32)


@numba.njit
def _radix_sort(keys, ends, first, second, histograms, sums):
    lowest, highest, varying = span(keys)
    shared, bits = significant_bits(lowest, highest, varying)
    n_digits = max(2, -(-bits // most_bits_of_digit(keys.size)))
    width = -(-bits // n_digits)
    sum_and_count(keys, ends, lowest, shared, width, width, sums, histograms)
    return sort_entries(keys, ends, lowest, shared, width, n_digits, histograms, first, second)


@numba.njit
def _insertion_sort(keys, ends, entries):
    sort_few(keys, ends, entries)


def assert_sorts(values: np.ndarray, codes: np.ndarray) -> None:
    """Hold the sort against numpy's stable one."""
    keys, ends = make_gene(values, codes, codes.max() + 1)
    kept = np.sort(codes[values != 0])
    wide = keys.itemsize == 8
    first, second = e.new_entries(keys.size, wide=wide), e.new_entries(keys.size, wide=wide)
    done = []
    if keys.size > 0:
        done.append(
            _radix_sort(keys, ends, first, second, np.zeros((2, 1 << 13), dtype=np.uint32), np.empty(ends.size))
        )
    if keys.size < 2000:
        few = e.new_entries(keys.size, wide=wide)
        _insertion_sort(keys, ends, few)
        done.append(few)
    order = np.argsort(keys, kind="stable")
    for entries in done:
        np.testing.assert_array_equal([e.key_at(entries, i) for i in range(keys.size)], keys[order])
        np.testing.assert_array_equal([e.code_at(entries, i) for i in range(keys.size)], kept[order])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_keys_order_like_values_and_come_back(dtype):
    values = np.unique(np.array([*EXTREMES, *np.random.default_rng(0).normal(size=100)], dtype=dtype))
    keys = [k.to_key(value) for value in values]
    assert keys == sorted(keys)
    assert [k.to_real(key) for key in keys] == list(values)
    assert [k.is_negative(key) for key in keys] == list(values < 0)


@pytest.mark.parametrize("dtype", ["float32", "int16", "uint16", "bool", "int32", "uint32", "int64", "float64"])
def test_keys_hold_every_value(dtype):
    top = np.finfo(dtype).max if "float" in dtype else np.iinfo(dtype).max if dtype != "bool" else True
    values = np.array([1, min(float(top), 2**53)]).astype(dtype)
    keys, ends = make_gene(values, np.array([0, 1]), 2)
    np.testing.assert_array_equal([k.to_real(key) for key in keys], values)
    np.testing.assert_array_equal([k.to_key(k.as_real(value)) for value in values], keys)
    np.testing.assert_array_equal(ends, [1, 2])


@pytest.mark.parametrize("wide", [True, False])
def test_entries_hold_every_key_and_code(wide):
    keys = np.array([0, np.iinfo(np.uint64 if wide else np.uint32).max], dtype=np.uint64)
    codes = [70_000, (1 << 32) - 1]
    entries = e.new_entries(2, wide=wide)
    for i in range(2):
        e.put(entries, i, keys[i], codes[i])
    assert [e.key_at(entries, i) for i in range(2)] == keys.tolist()
    assert [e.code_at(entries, i) for i in range(2)] == codes


@settings(deadline=None)
@given(st.lists(st.integers(0, 4), max_size=50))
def test_cells_in_the_order_of_their_groups(codes):
    order = np.empty(len(codes), dtype=np.int64)
    order_by_group(np.array(codes, dtype=np.int32), np.bincount(codes, minlength=5).astype(np.int64), order)
    np.testing.assert_array_equal(order, np.argsort(codes, kind="stable"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("values", "expected"), [([1, 2, 3e5], True), ([1, 2.5], False), ([-1, 2], False), ([], True)])
def test_are_counts(dtype, values, expected):
    keys, _ = make_gene(np.array(values, dtype=dtype), np.zeros(len(values), dtype=np.int64), 1)
    assert are_counts(keys) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n_codes", [10, 70_000])
@pytest.mark.parametrize("n", [1, 2, 47, 48, 49, 1000, 20_000])
@pytest.mark.parametrize("kind", ["log", "counts", "negative", "wide", "equal", "few"])
def test_sort_is_stable_and_complete(dtype, n_codes, n, kind):
    rng = np.random.default_rng(n)
    kinds = {
        "log": np.log1p(rng.poisson(2, n) / rng.lognormal(size=n)),
        "counts": rng.poisson(3, n),
        "negative": rng.normal(size=n),
        "wide": rng.choice(EXTREMES, n) * rng.normal(size=n),
        "equal": np.full(n, 0.1),
        "few": rng.choice([0.1, 0.2], n),
    }
    with np.errstate(over="ignore"):
        values = kinds[kind].astype(dtype)
    assert_sorts(values, rng.integers(0, n_codes, n))


@settings(deadline=None, max_examples=200)
@given(st.lists(st.floats(width=64, allow_nan=False, allow_infinity=False), min_size=1, max_size=200))
def test_sort_any_floats(values):
    assert_sorts(np.array(values), np.arange(len(values)))


def _plain_u(x: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    ranks = stats.rankdata(np.concatenate([x, y]))
    t = np.unique(ranks, return_counts=True)[1].astype(float)
    return ranks[: len(x)].sum() - len(x) * (len(x) + 1) / 2, (t**3 - t).sum()


def _rank_sums(values: np.ndarray, codes: np.ndarray, n_codes: int, reference: int, tie_dtype: Any) -> list[Any]:
    """Sums, 2 U and tie sums of one gene."""
    sizes = np.bincount(codes, minlength=n_codes).astype(np.int64)
    keys, ends = make_gene(values, codes, n_codes)
    zeros = sizes - np.diff(ends.astype(np.int64), prepend=0)
    scratch = new_scratch(keys.size, wide=keys.itemsize == 8)
    out = np.empty((1, n_codes)), np.empty((1, n_codes), dtype=np.int64)
    tie_sums = np.empty((1, n_codes if reference >= 0 else 1), dtype=tie_dtype)
    starts = np.zeros(1, dtype=np.int64)
    rank_sums(keys, starts, ends[None], sizes, zeros[None], reference, *out, tie_sums, *scratch)
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
    reference = data.draw(st.sampled_from([-1, 3]))
    codes[0] = max(reference, 0)
    sums, twice_u, tie_sums = _rank_sums(values, codes, 4, reference, data.draw(st.sampled_from([np.int64, float])))
    np.testing.assert_array_equal(sums, np.bincount(codes, weights=values, minlength=4))
    for group in range(3):
        other = codes == 3 if reference == 3 else codes != group
        u, tie_sum = _plain_u(values[codes == group], values[other])
        assert twice_u[group] == 2 * u
        assert tie_sums[group if reference == 3 else 0] == tie_sum


@pytest.mark.parametrize("n", [47, 48, 255, 256, 511, 512, 2000])
@pytest.mark.parametrize("reference", [-1, 2])
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
            other = codes == reference if reference >= 0 else codes != group
            u, tie_sum = _plain_u(values[codes == group], values[other])
            assert (twice_u[group], tie_sums[group if reference >= 0 else 0]) == (2 * u, tie_sum)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("reference", [-1, 2])
def test_zeros_beside_buckets(reference, sign):
    """They lie below values that are put in buckets if these are positive, and above them if these are negative."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 3, 600)
    values = np.float32(sign * (1 + rng.integers(0, 1 << 15, 600) / (1 << 15)) * (rng.random(600) < 0.7))
    _, twice_u, tie_sums = _rank_sums(values, codes, 3, reference, np.int64)
    for group in range(2):
        other = codes == reference if reference >= 0 else codes != group
        u, tie_sum = _plain_u(values[codes == group], values[other])
        assert (twice_u[group], tie_sums[group if reference >= 0 else 0]) == (2 * u, tie_sum)


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


def _moments(values: np.ndarray, codes: np.ndarray) -> tuple[np.ndarray, ...]:
    sizes = np.bincount(codes).astype(np.int64)
    keys, ends = make_gene(values, codes, sizes.size)
    means, squares = np.empty((1, sizes.size)), np.empty((1, sizes.size))
    group_moments(keys, np.zeros(1, dtype=np.int64), ends[None], sizes, means, squares)
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
    keys = k.to_key(np.float64(0.1)) + (values.view(np.uint64) - np.float64(0.1).view(np.uint64))
    one = np.array([10**6])
    means, squares = np.empty((1, 1)), np.empty((1, 1))
    group_moments(keys, one - one, one[None].astype(np.uint32), one, means, squares)
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
