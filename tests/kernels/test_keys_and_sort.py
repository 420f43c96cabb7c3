"""Keys, entries and their sort, against plain definitions."""

import numba
import numpy as np
import pytest
from genes import make_gene
from hypothesis import given, settings
from hypothesis import strategies as st

from scpdex.kernels import entries as e
from scpdex.kernels import keys as k
from scpdex.kernels.digits import most_bits_of_digit, sum_and_count
from scpdex.kernels.key_ranges import measure_keys
from scpdex.kernels.radix_sort import sort_entries, sort_few

EXTREMES = [0.5, -0.5, 1e-40, -1e-40, 3.4e38, -3.4e38, 1.0, 1.0000001, -1.0, 2.0**24]


@numba.njit
def _radix_sort(keys, ends, lowest, shared, bits, first, second, histograms, sums):
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
        ranges, _ = measure_keys(keys, np.zeros(1, dtype=np.int64), ends[-1:])
        of_gene = (ranges.lowest[0], ranges.shared[0], ranges.bits[0])
        histograms = np.zeros((2, 1 << 13), dtype=np.uint32)
        done.append(_radix_sort(keys, ends, *of_gene, first, second, histograms, np.empty(ends.size)))
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
