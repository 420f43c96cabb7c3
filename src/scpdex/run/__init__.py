"""Run: carry out the plan on threads, from gene blocks to ordered statistics of every gene and group."""

from scpdex.run._logistic import refuse_for_logistic_regression, run_logistic_regression
from scpdex.run._order import order_table
from scpdex.run._ranks import run_plan
from scpdex.run._table import Table
from scpdex.run._tallies import NotCountsError

__all__ = [
    "NotCountsError",
    "Table",
    "order_table",
    "refuse_for_logistic_regression",
    "run_logistic_regression",
    "run_plan",
]
