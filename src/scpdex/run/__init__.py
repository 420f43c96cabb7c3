"""Run: carry out the plan on threads, from gene blocks to ordered statistics of every gene and group."""

from scpdex.run._columns import Columns
from scpdex.run._gene_rows import GeneRows
from scpdex.run._job import Job
from scpdex.run._logistic_regression import fitted_groups, refuse_for_logistic_regression, run_logistic_regression
from scpdex.run._order_genes import order_table
from scpdex.run._run_plan import run_plan
from scpdex.run._statistics_table import Table
from scpdex.run._tallies import NotCountsError

__all__ = [
    "Columns",
    "GeneRows",
    "Job",
    "NotCountsError",
    "Table",
    "fitted_groups",
    "order_table",
    "refuse_for_logistic_regression",
    "run_logistic_regression",
    "run_plan",
]
