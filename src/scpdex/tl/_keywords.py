"""Keyword arguments of the public verb beyond its parameters: misspelt, ignored, or scikit-learn's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scpdex.comparisons.names import find_misspelt
from scpdex.statistics.logistic_regression import classifier_parameters, make_classifier
from scpdex.task import parameter_names, tell_of_ignored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sklearn.linear_model import LogisticRegression


def take_keywords(kwds: Mapping[str, Any], method: object) -> LogisticRegression | None:
    """Make the classifier of ``method="logreg"`` of them; for other methods, say in one warning which are ignored.

    Raises
    ------
    TypeError
        One of them is a misspelt parameter, or unknown to scikit-learn.
    """
    is_logistic = method == "logreg"
    unknown = kwds.keys() - (classifier_parameters() if is_logistic and kwds else set())
    if misspelt := find_misspelt([name for name in kwds if name in unknown], parameter_names()):
        wrong, right = (", ".join(map(repr, names)) for names in (misspelt, misspelt.values()))
        msg = f"rank_genes_parallel() got unexpected keyword arguments {wrong}. Did you mean {right}?"
        raise TypeError(msg)
    # scanpy takes this argument of its early versions out for every method.
    ignored = [name for name in kwds if not is_logistic or name == "only_positive"]
    all_signs = "only_positive" in kwds and not kwds["only_positive"]
    tell_of_ignored(ignored, " Pass rankby_abs=True for only_positive=False." if all_signs else "")
    if not is_logistic:
        return None
    return make_classifier({name: value for name, value in kwds.items() if name not in ignored})
