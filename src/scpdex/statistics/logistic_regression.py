"""Logistic regression of the labels on the genes, by scikit-learn and with scanpy's reading of the coefficients."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression


def classifier_parameters() -> set[str]:
    """Name the options of the classifier."""
    # scikit-learn takes longer to import than all else here, and few calls need it.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return set(signature(LogisticRegression).parameters)


def make_classifier(options: Mapping[str, Any]) -> LogisticRegression:
    """Build the classifier; scikit-learn refuses unknown options with a TypeError."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(**options)


def coefficients(
    classifier: LogisticRegression, values: Any, codes: NDArray[np.intp], n_groups: int
) -> NDArray[np.float64]:
    """Fit and give the coefficients, groups x genes; with two groups there is one row, for both.

    Parameters
    ----------
    values
        Cells x genes, dense or sparse, of the selected groups only.
    codes
        Position of each cell's label in the order of the categories, which decides the sign with two groups.
    """
    classifier.fit(values, codes)
    fitted = np.asarray(classifier.coef_, dtype=np.float64)
    return fitted if n_groups > 2 else fitted[:1]
