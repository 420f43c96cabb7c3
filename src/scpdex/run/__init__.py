"""Run: carry out the plan on threads, from gene blocks to ordered statistics of every gene and group."""

from scpdex.run._columns import Columns
from scpdex.run._gene_rows import GeneRows
from scpdex.run._job import Job
from scpdex.run._logistic_regression import fitted_groups, refuse_for_logistic_regression, run_logistic_regression
from scpdex.run._marker_measure import MarkerMeasure
from scpdex.run._measure import Measure
from scpdex.run._order_genes import order_table
from scpdex.run._rank_in_pairs import rank_in_pairs
from scpdex.run._run_plan import run_plan
from scpdex.run._statistics_table import Table
from scpdex.run._tallies import NotCountsError
from scpdex.run._test_measure import TestMeasure

__all__ = [
    "Columns",
    "GeneRows",
    "Job",
    "MarkerMeasure",
    "Measure",
    "NotCountsError",
    "Table",
    "TestMeasure",
    "fitted_groups",
    "order_table",
    "rank_in_pairs",
    "refuse_for_logistic_regression",
    "run_logistic_regression",
    "run_plan",
]
