"""Means and squared deviations of one gene, against long doubles; which values are counts."""

import numpy as np
import pytest
from genes import make_gene, moments_of_gene

from scpdex.kernels import keys as k
from scpdex.kernels.moments import are_counts, group_moments


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("values", "expected"), [([1, 2, 3e5], True), ([1, 2.5], False), ([-1, 2], False), ([], True)])
def test_are_counts(dtype, values, expected):
    keys, _ = make_gene(np.array(values, dtype=dtype), np.zeros(len(values), dtype=np.int64), 1)
    assert are_counts(keys) == expected


@pytest.mark.parametrize("offset", [0, 1e3, 1e6])
@pytest.mark.parametrize("density", [0.1, 0.9, 1])
def test_moments(offset, density):
    rng = np.random.default_rng(2)
    values = (rng.normal(size=900) + offset) * (rng.random(900) < density)
    codes = rng.integers(0, 5, 900)
    means, squares, rest_means, rest = moments_of_gene(values, codes)
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
    means, squares, _, rest = moments_of_gene(np.where(codes == 0, value, 2.0), codes)
    np.testing.assert_array_equal(means, [value, 2])
    np.testing.assert_array_equal(squares, [0, 0])
    np.testing.assert_array_equal(rest, [0, 0])
