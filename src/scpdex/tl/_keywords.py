"""Arguments beyond the parameters of the public verb (``**kwds``): misspelt, ignored, or for scikit-learn."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scpdex.comparisons.spelling import refuse_misspelt
from scpdex.messages.ranking_call import warn_of_ignored_arguments
from scpdex.statistics.logistic_regression import classifier_parameters, make_classifier
from scpdex.task import parameter_names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sklearn.linear_model import LogisticRegression


def take_keywords(kwds: Mapping[str, Any], method: object) -> LogisticRegression | None:
    """Make the classifier of ``method="logreg"`` from them; for other methods, name the ignored ones in one warning.

    Raises
    ------
    TypeError
        One of them is a misspelt parameter, or scikit-learn does not know it.
    """
    is_logistic = method == "logreg"
    unknown = kwds.keys() - (classifier_parameters() if is_logistic and kwds else set())
    refuse_misspelt([name for name in kwds if name in unknown], parameter_names(), "rank_genes_parallel")
    # scanpy drops this argument of its early versions, whatever the method.
    ignored = [name for name in kwds if not is_logistic or name == "only_positive"]
    all_signs = "only_positive" in kwds and not kwds["only_positive"]
    warn_of_ignored_arguments(ignored, " Pass rankby_abs=True for only_positive=False." if all_signs else "")
    if not is_logistic:
        return None
    return make_classifier({name: value for name, value in kwds.items() if name not in ignored})
