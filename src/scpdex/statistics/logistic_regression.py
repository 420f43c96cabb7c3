"""Logistic regression of the labels on the genes: scikit-learn's classifier, and coefficients arranged as in scanpy."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray
    from sklearn.linear_model import LogisticRegression


def classifier_parameters() -> set[str]:
    """List the parameters of the classifier."""
    # scikit-learn takes longer to import than all else here, and few calls need it.
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return set(signature(LogisticRegression).parameters)


def make_classifier(options: Mapping[str, Any]) -> LogisticRegression:
    """Build the classifier; scikit-learn raises a TypeError for unknown options."""
    from sklearn.linear_model import LogisticRegression  # noqa: PLC0415

    return LogisticRegression(**options)


def coefficients(
    classifier: LogisticRegression, values: Any, codes: NDArray[np.intp], n_groups: int
) -> NDArray[np.float64]:
    """Fit the classifier and return its coefficients, groups x genes; two groups share one row.

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
