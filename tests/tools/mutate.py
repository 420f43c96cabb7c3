"""Check that the tests notice deliberate faults: ``nox -s mutate``, with parts of names for some of them."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from queue import SimpleQueue
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "src" / "scpdex"
# The copies have no sibling folder where the tests look by themselves.
DATA = os.environ.get("SCPDEX_DATA", str(ROOT.parent / "shared" / "data"))
# No run takes as long, unless a fault makes it go on forever.
MOST_SECONDS = 1_800
TESTS_FAILED = 1


@dataclass(frozen=True)
class Fault:
    """A piece of a file, there once, what takes its place, and tests that should notice, the quickest first."""

    file: str
    old: str
    new: str
    tests: str
    name: str


FAULTS = (
    Fault(
        "kernels/rank_by_sort.py",
        "twice_midrank = 2 * below + n_counted\n",
        "twice_midrank = 2 * below + n_counted + 1\n",
        "kernels/test_rank_sums.py::test_every_number_of_bits",
        "sorted values: twice the rank is one too much",
    ),
    Fault(
        "kernels/rank_by_sort.py",
        "if last - first > np.uint64(1):",
        "if last - first > np.uint64(2):",
        "kernels/test_rank_sums.py::test_every_number_of_bits",
        "sorted values: ties of two are no ties",
    ),
    Fault(
        "kernels/rank_by_sort.py",
        "reference, below + n_zeros, ties",
        "reference, below, ties",
        "kernels/test_rank_sums.py::test_rank_sums",
        "sorted values: zeros do not lie below positive ones",
    ),
    Fault(
        "kernels/rank_by_sort.py",
        "ties = term_of(n_zeros, tie_sums)",
        "ties = term_of(1, tie_sums)",
        "kernels/test_rank_sums.py::test_rank_sums",
        "sorted values: zeros are no tie",
    ),
    Fault(
        "kernels/radix_sort.py",
        "key_at(entries, j - 1) > key:",
        "key_at(entries, j - 1) >= key:",
        "kernels/test_keys_and_sort.py::test_sort_is_stable_and_complete",
        "few values: the sort is not stable",
    ),
    Fault(
        "kernels/rank_by_table.py",
        "twice_midrank[value] = 2 * below + counted[value]",
        "twice_midrank[value] = 2 * below",
        "kernels/test_rank_sums.py::test_every_number_of_bits",
        "tables: equal values are not counted",
    ),
    Fault(
        "kernels/rank_by_table.py",
        "if twice_midrank_of_zero < 0 and not is_negative(",
        "if twice_midrank_of_zero < 0 and is_negative(",
        "kernels/test_rank_sums.py::test_rank_sums",
        "tables: zeros lie below negative values",
    ),
    Fault(
        "kernels/rank_by_buckets.py",
        "twice_u[_code(packed[i])] += twice_zeros_below + n_below + n_upto",
        "twice_u[_code(packed[i])] += twice_zeros_below + n_below + n_upto - 1",
        "kernels/test_rank_sums.py::test_every_number_of_bits",
        "buckets: twice the rank is one too little",
    ),
    Fault(
        "kernels/rank_by_buckets.py",
        "np.int64(0), 2 * n_counted + n_zeros",
        "2 * n_zeros, n_zeros",
        "kernels/test_rank_sums.py::test_zeros_beside_buckets",
        "buckets: zeros lie below negative values",
    ),
    Fault(
        "kernels/tie_sums.py",
        "3 * t * n * (t + n)",
        "3 * t * n * t",
        "kernels/test_rank_sums.py::test_every_number_of_bits",
        "ties with the reference are too small",
    ),
    Fault(
        "kernels/tie_sums.py",
        "tie_sums[g, code] += ties[g] + rise",
        "tie_sums[g, code] += ties[g]",
        "kernels/test_rank_sums.py::test_rank_sums",
        "zeros of a group do not tie with those of the reference",
    ),
    Fault(
        "kernels/rank_sums.py",
        "twice_u -= sizes * sizes\n",
        "twice_u -= sizes * (sizes + 1)\n",
        "kernels/test_rank_sums.py::test_every_number_of_bits",
        "U against the rest: a group's own pairs are too many",
    ),
    Fault(
        "kernels/moments.py",
        "total += to_real(keys[i])\n",
        "total = np.float64(np.float32(total + to_real(keys[i])))\n",
        "kernels/test_rank_sums.py::test_rank_sums",
        "sums are rounded to float32",
    ),
    Fault(
        "kernels/moments.py",
        "MOST_PASSES = 3",
        "MOST_PASSES = 1",
        "kernels/test_moments.py::test_a_constant_group_has_no_spread",
        "squared deviations are not taken again",
    ),
    Fault(
        "kernels/moments.py",
        "square -= excess\n",
        "square -= 0 * excess\n",
        "kernels/test_moments.py::test_a_mean_that_rounding_moved",
        "squared deviations are not corrected",
    ),
    Fault(
        "kernels/moments.py",
        "            _, rest_means[g, code], rest_squares[g, code] = "
        "_pool(n, mean, square, after[0], after[1], after[2])\n"
        "            n, mean, square = _pool(n, mean, square, float(sizes[code]), means[g, code], squares[g, code])\n",
        "            n, mean, square = _pool(n, mean, square, float(sizes[code]), means[g, code], squares[g, code])\n"
        "            _, rest_means[g, code], rest_squares[g, code] = "
        "_pool(n, mean, square, after[0], after[1], after[2])\n",
        "kernels/test_moments.py::test_moments",
        "moments of the rest include the group",
    ),
    Fault(
        "kernels/benjamini_hochberg.py",
        "least = min(least, pvals[g, gene]",
        "least = min(1.0, pvals[g, gene]",
        "statistics/test_statistics.py",
        "Benjamini-Hochberg: no running minimum",
    ),
    Fault(
        "statistics/multiple_testing.py",
        "np.maximum.accumulate(tested, out=tested)",
        "np.maximum(tested, tested, out=tested)",
        "statistics/test_corrections_and_filters.py::test_corrections",
        "Holm: no running maximum",
    ),
    Fault(
        "statistics/multiple_testing.py",
        "np.divide(n_tests, adjusted, out=adjusted)",
        "np.divide(pvals.size, adjusted, out=adjusted)",
        "statistics/test_corrections_and_filters.py::test_filters",
        "Benjamini-Hochberg of all groups: untested genes count as tests",
    ),
    Fault(
        "kernels/argsort.py",
        "np.uint64(i) if digit == 0",
        "np.uint64(keys.size) - np.uint64(1) - i if digit == 0",
        "statistics/test_statistics.py",
        "equal scores are not in var order",
    ),
    Fault(
        "kernels/anderson_darling_sums.py",
        "- 2 * k * (running[1, stop]",
        "- k * (running[1, stop]",
        "statistics/test_anderson.py::test_large_groups",
        "Anderson-Darling: a term of the running sums",
    ),
    Fault(
        "kernels/anderson_darling_sums.py",
        "total += l * x * x / (t * (2.0 * n - t) - n * l)",
        "total += l * x * x / (t * (2.0 * n - t))",
        "statistics/test_anderson.py::test_large_groups",
        "Anderson-Darling: ties are not counted against a reference",
    ),
    Fault(
        "kernels/pairwise_ranks.py",
        "            below[code] += 2\n",
        "            below[code] += 1\n",
        "markers/test_score_markers.py",
        "pairs: a lower value counts once",
    ),
    Fault(
        "kernels/pairwise_ranks.py",
        "        _rank_tie(n_with_zeros, rows, twice_u[g], ties, below, own_ties, tied, n_tied)\n",
        "",
        "markers/test_score_markers.py",
        "pairs: zeros are left out",
    ),
    Fault(
        "kernels/pairwise_ranks.py",
        "        own_ties[:] = 0\n",
        "",
        "markers/test_score_markers.py::test_pvals",
        "pairs: tie sums are those of the gene before, too",
    ),
    Fault(
        "kernels/pairwise_ranks.py",
        "row[tied[i]] += 3 * n * t * (n + t)",
        "row[tied[i]] += 3 * n * t * t",
        "markers/test_score_markers.py::test_pvals",
        "pairs: shared ties are counted for one side",
    ),
    Fault(
        "statistics/pairwise_effects.py",
        "if difference != 0 or variance != 0:",
        "if variance != 0:",
        "markers/test_score_markers.py",
        "pairs: a separated gene without spread has no d",
    ),
    Fault(
        "statistics/pairwise_effects.py",
        "np.add(self.first_sizes > 1, self.second_sizes > 1, dtype=np.float64)",
        "np.add(self.first_sizes > 0, self.second_sizes > 0, dtype=np.float64)",
        "markers/test_score_markers.py::test_groups_of_one_cell",
        "pairs: a group of one cell halves the variance",
    ),
    Fault(
        "statistics/pairwise_effects.py",
        "weights *= np.minimum(sizes, _MOST_CELLS_OF_WEIGHT) / _MOST_CELLS_OF_WEIGHT",
        "weights *= sizes / _MOST_CELLS_OF_WEIGHT",
        "markers/test_score_markers.py::test_many_cells_of_a_block_weigh_as_1000",
        "pairs: weights of blocks grow with their cells",
    ),
    Fault(
        "statistics/marker_summaries.py",
        "ranks[gene] = min(ranks[gene], k + 1)",
        "ranks[gene] = k + 1",
        "markers/test_score_markers.py",
        "markers: the last rank in place of the best",
    ),
    Fault(
        "statistics/marker_summaries.py",
        "_select(values, n, n // 2 - 1, spare)",
        "_select(values, n, n // 2, spare)",
        "markers/test_score_markers.py",
        "markers: the median of an even number is the upper one",
    ),
    Fault(
        "statistics/marker_summaries.py",
        "            k -= n_below + n_equal\n",
        "            k -= n_below\n",
        "markers/test_score_markers.py::test_medians_of_many_groups",
        "markers: the median does not count what equals the pivot",
    ),
    Fault(
        "statistics/marker_summaries.py",
        "least = min(least, in_order[k] * n / (k + 1))",
        "least = min(least, in_order[k] * n)",
        "markers/test_score_markers.py::test_pvals",
        "markers: Bonferroni in place of Simes",
    ),
    Fault(
        "run/_rank_in_pairs.py",
        "for sign, groups in ((1, first), (-1, second)):",
        "for sign, groups in ((1, first), (1, second)):",
        "markers/test_score_markers.py",
        "markers: ranks of the other direction",
    ),
    Fault(
        "run/_rank_in_pairs.py",
        "np.minimum(best_ranks, ranks[effect], out=best_ranks)",
        "pass",
        "markers/test_marker_storages.py",
        "markers: ranks of one thread are forgotten",
    ),
    Fault(
        "comparisons/cluster_pairs.py",
        "(other < 0) | (other > self.rows[self.first])",
        "other > self.rows[self.first]",
        "markers/test_score_markers.py::test_some_groups_against_all_others",
        "markers: pairs with groups that are not scored are forgotten",
    ),
    Fault(
        "kernels/placements.py",
        "        n_others -= n_group\n",
        "",
        "statistics/test_brunner_munzel.py",
        "placements: a group's own cells are taken for others of its ties",
    ),
    Fault(
        "kernels/placements.py",
        "_place_cells(np.uint64(code), zeros[g, code], below, n_zeros[g]",
        "_place_cells(np.uint64(code), zeros[g, code], np.int64(0), n_zeros[g]",
        "statistics/test_brunner_munzel.py",
        "placements: zeros are placed below negative values",
    ),
    Fault(
        "kernels/placements.py",
        "        tie_sum += term_of(n_counted, tie_sums)\n",
        "",
        "statistics/test_auc_intervals.py::test_wilcoxon_is_what_it_was",
        "placements: ties among the counted cells are not added up",
    ),
    Fault(
        "statistics/brunner_munzel.py",
        "return whole + np.float64(r * (n - r)) / n",
        "return np.float64(squares) - np.float64(total) * np.float64(total) / n",
        "statistics/test_brunner_munzel.py::test_variances_of_many_cells",
        "Brunner-Munzel: a variance is the difference of large sums",
    ),
    Fault(
        "kernels/placements.py",
        "group_squares[code] += dtype(n_group) * w * w",
        "group_squares[code] += dtype(n_group) * w",
        "statistics/test_brunner_munzel.py",
        "placements: not squared",
    ),
    Fault(
        "kernels/placements.py",
        "    n_below[code] += n_group\n",
        "",
        "statistics/test_brunner_munzel.py",
        "placements: a group's cells below are not counted",
    ),
    Fault(
        "kernels/placements.py",
        "        n_below[:] = 0\n        tie_sum",
        "        tie_sum",
        "statistics/test_brunner_munzel.py",
        "placements: cells below are those of the gene before, too",
    ),
    Fault(
        "kernels/placements.py",
        "_place_cells(np.uint64(code), zeros[g, code], below, n_zeros[g]",
        "_place_cells(np.uint64(code), zeros[g, code], below, np.int64(0)",
        "statistics/test_brunner_munzel.py",
        "placements: zeros are no ties",
    ),
    Fault(
        "kernels/placements.py",
        "dtype(n_group) * dtype(n_others)\n",
        "dtype(n_group)\n",
        "statistics/test_brunner_munzel.py",
        "placements: ties of the others",
    ),
    Fault(
        "kernels/placements.py",
        "tie_sums[code] += rise_of_tie_term(",
        "tie_sums[code] += 0 * rise_of_tie_term(",
        "statistics/test_auc_intervals.py::test_wilcoxon_is_what_it_was",
        "placements: ties of a group with the reference are not added up",
    ),
    Fault(
        "statistics/brunner_munzel.py",
        "if total in (0, 2 * n_pairs):",
        "if total == 0:",
        "statistics/test_brunner_munzel.py::test_separated_and_constant_genes",
        "Brunner-Munzel: a group above all others has no variance",
    ),
    Fault(
        "statistics/brunner_munzel.py",
        "variance1 = variance2 = 1 / (4 * cells1",
        "variance1 = variance2 = 1 / (2 * cells1",
        "statistics/test_brunner_munzel.py::test_separated_and_constant_genes",
        "Brunner-Munzel: the variance of separated sides is twice the smallest",
    ),
    Fault(
        "statistics/brunner_munzel.py",
        "other_squares[g, group], 2 * n_pairs - total, n2",
        "other_squares[g, group], total, n2",
        "statistics/test_brunner_munzel.py",
        "Brunner-Munzel: the others' placements are those of the group",
    ),
    Fault(
        "statistics/brunner_munzel.py",
        "variance1 = spread1 / (4 * cells1 * (cells1 - 1)",
        "variance1 = spread1 / (4 * cells1 * cells1",
        "statistics/test_brunner_munzel.py::test_against_scipy",
        "Brunner-Munzel: variance by n",
    ),
    Fault(
        "statistics/brunner_munzel.py",
        "share2 * share2 / (cells2 - 1)",
        "share2 * share2 / (cells1 - 1)",
        "statistics/test_brunner_munzel.py::test_against_scipy",
        "Brunner-Munzel: degrees of freedom of the other side",
    ),
    Fault(
        "statistics/brunner_munzel.py",
        "(1 + confidence) / 2",
        "confidence",
        "statistics/test_auc_intervals.py::test_against_plain_placements",
        "intervals of the AUC: one-sided",
    ),
    Fault(
        "statistics/brunner_munzel.py",
        "np.clip(auc + margin, 0, 1)",
        "auc + margin",
        "statistics/test_auc_intervals.py::test_ends_are_cut",
        "intervals of the AUC: above 1",
    ),
    Fault(
        "run/_apply_tests.py",
        "if options.min_effect:",
        "if options.min_effect is not None:",
        "statistics/test_min_effect.py::test_no_effect_is_the_usual_test",
        "minimal effect: 0 is not the usual test to the bit",
    ),
    Fault(
        "statistics/options.py",
        "0 <= self.min_effect < bound",
        "0 <= self.min_effect <= bound",
        "statistics/test_min_effect.py::test_an_auc_is_at_most_a_half_from_a_half",
        "minimal effect: an AUC's may be a half",
    ),
    Fault(
        "statistics/minimal_effect.py",
        "np.sign(difference) * np.maximum(nearest, 0)",
        "np.sign(difference) * nearest",
        "statistics/test_min_effect.py::test_against_plain_code",
        "minimal effect: scores of smaller effects are not 0",
    ),
    Fault(
        "statistics/minimal_effect.py",
        '"less": -difference}',
        '"less": difference}',
        "statistics/test_min_effect.py::test_against_plain_code",
        "minimal effect: less is greater",
    ),
    Fault(
        "statistics/minimal_effect.py",
        "    pvals[undefined] = 1\n",
        "",
        "statistics/test_min_effect.py::test_means_without_spread",
        "minimal effect: p is NaN without any spread",
    ),
    Fault(
        "statistics/minimal_effect.py",
        '    pvals = np.minimum(np.sum([t_tail(bound, freedom, "greater") for bound in bounds], axis=0), 1)\n',
        '    pvals = np.sum([t_tail(bound, freedom, "greater") for bound in bounds], axis=0)\n',
        "statistics/test_min_effect.py::test_two_tails_that_round_to_more_than_1",
        "minimal effect: p is above 1",
    ),
    Fault(
        "statistics/minimal_effect.py",
        "bounds.append((distance + min_effect)",
        "bounds.append((distance - min_effect)",
        "statistics/test_min_effect.py",
        "minimal effect: the far tail is the near one",
    ),
    Fault(
        "kernels/gather.py",
        "if indices[middle] < column:",
        "if indices[middle] <= column:",
        "matrix/test_views.py::test_views",
        "CSR: the first tested column is passed over",
    ),
    Fault(
        "kernels/gather.py",
        "if data[start + np.uint64(p)] != 0 else -1",
        "if data[start + np.uint64(p)] == data[start + np.uint64(p)] else -1",
        "behaviour/test_awkward_data.py::test_explicit_zeros",
        "CSC: explicit zeros are values",
    ),
    Fault(
        "kernels/gather.py",
        "            disorder += indices[p] <= indices[np.uint64(p) - np.uint64(1)]\n"
        "        for p in range(start, stop):\n            counts[",
        "            disorder += indices[p] < indices[np.uint64(p) - np.uint64(1)]\n"
        "        for p in range(start, stop):\n            counts[",
        "matrix/test_kinds_of_matrix.py::test_indices_of_the_last_row_or_column",
        "CSR: repeated columns are not noticed",
    ),
    Fault(
        "kernels/transpose.py",
        "        code = row_codes[i]\n",
        "        code = row_codes[max(i - 1, 0)]\n",
        "run/test_row_strategies.py::test_row_strategies",
        "pieces: codes are those of the row before",
    ),
    Fault(
        "kernels/accumulate.py",
        "not_finite[g] += not np.isfinite(value)",
        "not_finite[g] += np.isnan(value)",
        "matrix/test_stored_matrices.py::test_not_finite",
        "row passes: infinite values are not refused",
    ),
    Fault(
        "matrix/memory/_sparse.py",
        "if not all(canonical):",
        "if not any(canonical):",
        "matrix/test_kinds_of_matrix.py::test_indices_of_the_last_row_or_column",
        "CSR: one thread's unsorted rows are not noticed",
    ),
    Fault(
        "matrix/chunked/_row_stream.py",
        "self.codes[read.cells], self.columns",
        "self.codes[read.cells][: max(1, read.cells.stop - read.cells.start - 1)], self.columns",
        "run/test_row_strategies.py::test_row_strategies",
        "pieces: the last row is dropped",
    ),
    Fault(
        "matrix/_anndata.py",
        "    rows, columns = _positions(adata._oidx, parent.n_obs), ",
        "    rows, columns = np.arange(adata.n_obs), ",
        "matrix/test_views.py::test_views",
        "rows of views are ignored",
    ),
    Fault(
        "matrix/_gene_block.py",
        "self.starts + offsets, ends",
        "self.starts, ends",
        "comparisons/test_strata.py::test_against_the_plain_formula",
        "strata: values are those of the first",
    ),
    Fault(
        "plan/plan.py",
        "return cut_range(block, min(self.genes_per_tile, genes_per_thread))",
        "return cut_range(range(block.start, max(block.start + 1, block.stop - 1)), genes_per_thread)",
        "behaviour/test_against_scipy.py::test_mannwhitneyu",
        "blocks: the last gene is dropped",
    ),
    Fault(
        "statistics/rank_sum.py",
        "np.float64(n2) + 1) / 12",
        "np.float64(n2)) / 12",
        "behaviour/test_against_scipy.py::test_rank_sum_formula",
        "rank sums: variance of one cell less",
    ),
    Fault(
        "statistics/rank_sum.py",
        "twice_u[g, group] - n1 * n2",
        "n1 * n2 - twice_u[g, group]",
        "behaviour/test_against_scipy.py::test_rank_sum_formula",
        "rank sums: groups are swapped",
    ),
    Fault(
        "statistics/rank_sum.py",
        "max(abs(deviation) - 0.5, 0.0)",
        "abs(deviation)",
        "behaviour/test_against_scipy.py::test_rank_sum_formula",
        "continuity: none on both sides",
    ),
    Fault(
        "statistics/rank_sum.py",
        "deviation - 0.5 * alternative",
        "deviation + 0.5 * alternative",
        "statistics/test_extras.py::test_rank_test",
        "continuity: the wrong way on one side",
    ),
    Fault(
        "statistics/rank_sum.py",
        "_FEW_CELLS = 8",
        "_FEW_CELLS = 9",
        "compat/test_pdex_0_1_numbers.py::test_exact_distribution_of_large_groups",
        "exact p-values: for one cell too many",
    ),
    Fault(
        "statistics/tails.py",
        "math.erfc(alternative * z / _SQRT_2)",
        "math.erfc(-alternative * z / _SQRT_2)",
        "statistics/test_extras.py::test_rank_test",
        "one-sided p-values of the other side",
    ),
    Fault(
        "statistics/tails.py",
        "2 * special.stdtr(freedom, -np.abs(t))",
        "special.stdtr(freedom, -np.abs(t))",
        "behaviour/test_against_scipy.py::test_ttest_ind",
        "two-sided p-values of t are halved",
    ),
    Fault(
        "statistics/log_tails.py",
        "_LEAST_P = 1e-290",
        "_LEAST_P = 0.0",
        "statistics/test_log_tails.py::test_log_p_of_t",
        "log10 of p: taken from p that is 0",
    ),
    Fault(
        "statistics/log_tails.py",
        "1 / (640 * a**5)",
        "1 / (64 * a**5)",
        "statistics/test_log_tails.py::test_log_p_of_t",
        "log10 of p: a term of the series",
    ),
    Fault(
        "statistics/welch.py",
        "squares_group / (n_group - 1) / n_group",
        "squares_group / n_group / n_group",
        "behaviour/test_against_scipy.py::test_ttest_ind",
        "Welch: variance by n",
    ),
    Fault(
        "statistics/welch.py",
        "(error_other / error) ** 2 / (counted_as - 1)",
        "(error_other / error) ** 2 / (n_other - 1)",
        "behaviour/test_against_scipy.py::test_ttest_ind",
        "Welch: degrees of freedom of an overestimated variance",
    ),
    Fault(
        "statistics/student.py",
        "freedom = n_group + n_other - 2",
        "freedom = n_group + n_other - 1",
        "compat/test_pdex_0_1_numbers.py::test_against_scipy",
        "Student: one degree of freedom too many",
    ),
    Fault(
        "compat/_pdex_0_3_rows.py",
        "exceeds[0] | exceeds[1]",
        "exceeds[0]",
        "compat/test_pdex_0_3_numbers.py",
        "cpm_filter: one side is enough to be left out",
    ),
    Fault(
        "compat/_pdex_0_3_rows.py",
        'np.where(is_kept, statistics["pvals"], np.nan)',
        "pvals",
        "compat/test_pdex_0_3_numbers.py",
        "cpm_filter: rows that are left out count in fdr",
    ),
    Fault(
        "compat/_pdex_0_3_rows.py",
        '("means", "count_means") if is_log1p else ("log_means", "means")',
        '("means", "count_means") if is_log1p else ("means", "means")',
        "compat/test_pdex_0_3_numbers.py",
        "geometric mean of counts: of the counts themselves",
    ),
    Fault(
        "compat/_pdex_0_3_table.py",
        "(target - ref) / (ref + epsilon)",
        "(target - ref) / ref",
        "compat/test_pdex_0_3_numbers.py",
        "percent change without epsilon",
    ),
    Fault(
        "comparisons/target_design.py",
        "for i in in_order if labels.names[i]]",
        "for i in in_order]",
        "compat/test_pdex_0_3_numbers.py",
        "pdex 0.3: cells with an empty label are a group",
    ),
    Fault(
        "kernels/moments.py",
        "return np.expm1(log_scale * value)",
        "return np.expm1(value)",
        "statistics/test_count_means.py",
        "mean counts: the base of the logs is left out",
    ),
    Fault(
        "statistics/van_elteren.py",
        "1 / (n_group[group] + n_other[group] + 1.0)",
        "1 / (n_group[group] + n_other[group] + 0.0)",
        "comparisons/test_strata.py::test_against_the_plain_formula",
        "van Elteren: weights of one cell less",
    ),
    Fault(
        "statistics/fold_change.py",
        "np.exp(log_count) - 1 + PSEUDOCOUNT",
        "np.exp(log_count) - 1",
        "behaviour/test_against_scipy.py::test_mean_of_counts_changes_fold_changes_only",
        "fold changes: no pseudocount",
    ),
    Fault(
        "statistics/options.py",
        "return 1.0 if self.log_base is None else float(np.log(self.log_base))",
        "return 1.0",
        "behaviour/test_against_scipy.py::test_mean_of_counts_changes_fold_changes_only",
        "fold changes: base of the logarithm is ignored",
    ),
    Fault(
        "run/_gene_statistics.py",
        "rest[:, :n_groups] / comparison.other_sizes",
        "rest[:, :n_groups] / comparison.sizes.sum()",
        "statistics/test_extras.py::test_rank_test",
        "fold changes: mean of the rest over all cells",
    ),
    Fault(
        "run/_gene_statistics.py",
        "highest >= options.min_pct",
        "highest > options.min_pct",
        "statistics/test_corrections_and_filters.py::test_genes_at_the_limit_are_tested",
        "min_pct: genes at the limit are left out",
    ),
    Fault(
        "run/_block_kernels.py",
        "np.flatnonzero(~np.isfinite(sums.means).all(axis=1))",
        "np.flatnonzero(~np.isfinite(sums.means).any(axis=1))",
        "behaviour/test_awkward_data.py::test_not_finite",
        "NaN in some groups is not refused",
    ),
    Fault(
        "run/_tallies.py",
        "2 * (n_zeros[g] + np.cumsum(counts)) - counts",
        "2 * np.cumsum(counts) - counts",
        "run/test_row_strategies.py::test_row_strategies",
        "tallies: zeros do not lie below",
    ),
    Fault(
        "run/_partial_sums.py",
        "difference * difference * first.sizes * share",
        "difference * difference * second.sizes * share",
        "matrix/test_dask_matrices.py::test_same_tests",
        "chunks: squared deviations are pooled with the wrong weight",
    ),
    Fault(
        "task.py",
        "min(self.options.n_genes, n_tested)",
        "min(self.options.n_genes - 1, n_tested)",
        "results/test_layout.py::test_n_genes_keeps_the_top",
        "n_genes: one too few",
    ),
    Fault(
        "comparisons/make_comparison.py",
        "        skipped = [i for i in candidates if sizes[i] < least]\n"
        "        tested = [i for i in candidates if sizes[i] >= least]\n",
        "        skipped = [i for i in candidates if sizes[i] <= least]\n"
        "        tested = [i for i in candidates if sizes[i] > least]\n",
        "comparisons/test_groups.py::test_groups_of_just_min_cells_are_tested",
        "min_cells: groups of just so many are left out",
    ),
    Fault(
        "comparisons/make_comparison.py",
        "        if self.min_cells is not None:\n            return\n",
        "",
        "comparisons/test_groups_of_one_cell.py",
        "min_cells=1: groups of one cell are refused",
    ),
    Fault(
        "run/_apply_tests.py",
        "    undefined = np.isnan(t)\n",
        "    undefined = np.isnan(t) & (comparison.group_sizes > 1)\n",
        "comparisons/test_groups_of_one_cell.py",
        "min_cells=1: p of a t-test of one cell is NaN",
    ),
    Fault(
        "comparisons/make_design.py",
        "takes_part = ~request.is_excluded[labels.codes]",
        "takes_part = ~request.is_excluded[labels.codes] | (labels.codes < 0)",
        "comparisons/test_groups.py",
        "exclude: cells without a label stay",
    ),
    Fault(
        "get/_table_labels.py",
        "    position_of |= {name: i for i, name in enumerate(labels.names)}\n",
        "",
        "get/test_keep_labels.py",
        "keep_labels: an equal number goes before the label itself",
    ),
    Fault(
        "get/_table_labels.py",
        "            dtype = dtype.categories.dtype\n",
        "            dtype = None\n",
        "get/test_keep_labels.py",
        "keep_labels: categories lose their dtype",
    ),
    Fault(
        "get/_long_table.py",
        "np.cumsum(keep, axis=1) <= self.top_n",
        "np.cumsum(keep, axis=1) < self.top_n",
        "get/test_rank_genes_df.py get/test_on_target.py",
        "tables: top_n is one too few",
    ),
    Fault(
        "results/_conversion_memory.py",
        "if n_bytes > limits.max_memory:",
        "if n_bytes > 2 * limits.max_memory:",
        "results/test_moved_results.py::test_too_little_memory",
        "conversions: take all of the available memory",
    ),
    Fault(
        "results/_stored_records.py",
        "if (order < 0).any() or not _invert(order, ranks):",
        "if (order < 0).any() or _invert(order, ranks) is None:",
        "results/test_moved_results.py::test_names_without_a_row",
        "conversions: a name that a group has twice is moved",
    ),
    Fault(
        "results/_long_rows.py",
        'has_row = ~np.isnan(np.take_along_axis(values["pvals"], order, axis=1))',
        'has_row |= ~np.isnan(np.take_along_axis(values["pvals"], order, axis=1))',
        "results/test_parquet_results.py::test_the_table_is_that_of_uns",
        "result files: untested genes have rows",
    ),
    Fault(
        "results/_read_file.py",
        "!= file.result_id:",
        '== "":',
        "results/test_parquet_results.py::test_a_file_that_another_call_replaced",
        "result files: the numbers of a later call are taken",
    ),
    Fault(
        "results/_parquet_result.py",
        "!= self.raw_metadata:",
        "is None:",
        "results/test_parquet_results.py::test_a_file_that_is_replaced_while_it_is_read",
        "result files: two results are mixed",
    ),
    Fault(
        "results/_table_storage.py",
        "if self.path.exists() and not self.is_result():",
        "if self.path.exists() and not self.path.is_file():",
        "results/test_parquet_results.py::test_what_is_replaced",
        "result files: any file is replaced",
    ),
    Fault(
        "results/_parquet_result.py",
        "is_ranked[genes] = True",
        "is_ranked[genes[:-1]] = True",
        "results/test_parquet_results.py::test_scanpys_layout_is_made_of_it",
        "result files: a gene without a row is one that has a row",
    ),
    Fault(
        "machine/replaced_file.py",
        "except psutil.NoSuchProcess:\n        return True",
        "except psutil.NoSuchProcess:\n        return False",
        "machine/test_replaced_file.py",
        "replaced files: those of killed processes stay",
    ),
    Fault(
        "command/_in_place.py",
        "if _read_state(path) != state:",
        "if not _read_state(path):",
        "command/test_in_place.py",
        "in place: a file that was changed meanwhile is replaced",
    ),
)


def make_copy(folder: Path) -> Path:
    """Copy what the tests need to a folder for one worker."""
    for part in ("src", "tests"):
        shutil.copytree(ROOT / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def on_a_copy(copies: SimpleQueue[Path], work: Callable[[Path, Any], Any], item: Any) -> Any:
    """Do some work on the copy that is free, as there is one for each worker."""
    copy = copies.get()
    try:
        return work(copy, item)
    finally:
        copies.put(copy)


def run_tests(copy: Path, tests: str) -> tuple[int, str]:
    """Run test files of a copy, or tests in them, up to the first failure; give the exit status and what was said."""
    own = {"PYTHONPATH": str(copy / "src"), "NUMBA_CACHE_DIR": str(copy / "kernels"), "SCPDEX_DATA": DATA}
    files = [f"tests/{name}" for name in tests.split()]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-n", "0", *files],
        cwd=copy,
        env=os.environ | own,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=MOST_SECONDS,
        check=False,
    )
    return done.returncode, done.stdout


def judge(status: int, output: str) -> tuple[bool, str]:
    """Tell whether a fault was caught, and by what."""
    failed = next((line for line in output.splitlines() if line.startswith("FAILED ")), None)
    if status == TESTS_FAILED and failed is not None:
        return True, failed.removeprefix("FAILED ").split(" - ")[0]
    if status < 0:
        return True, f"the interpreter crashed, signal {-status}"
    reason = "no test failed" if status == 0 else f"pytest's exit status is {status}, which says nothing"
    return False, reason if status == 0 else "\n".join([reason, *output.splitlines()[-15:]])


def try_fault(copy: Path, fault: Fault) -> bool:
    """Make a fault in a copy, run its tests, and put the file right again."""
    start = time.monotonic()
    file = copy / "src" / "scpdex" / fault.file
    right = file.read_text(encoding="utf-8")
    file.write_text(right.replace(fault.old, fault.new), encoding="utf-8")
    try:
        caught, by = judge(*run_tests(copy, fault.tests))
    except subprocess.TimeoutExpired:
        caught, by = False, "the tests do not end"
    finally:
        file.write_text(right, encoding="utf-8")
    seconds = time.monotonic() - start
    print(f"{'caught  ' if caught else 'SURVIVED'}  {fault.name} ({fault.file}), {seconds:.0f} s: {by}", flush=True)
    return caught


def refuse_outdated() -> None:
    """Exit where the code of a fault is not there, or there more than once."""
    for fault in FAULTS:
        n_times = (SOURCES / fault.file).read_text(encoding="utf-8").count(fault.old)
        if n_times != 1:
            sys.exit(f"{fault.name}: its code is in {fault.file} {n_times} times, not once.")


def main() -> int:
    wanted = sys.argv[1:] or [""]
    faults = [fault for fault in FAULTS if any(part in fault.name for part in wanted)]
    if not faults:
        sys.exit(f"no fault has {wanted!r} in its name.")
    refuse_outdated()
    start = time.monotonic()
    names = dict.fromkeys(name for fault in faults for name in fault.tests.split())
    by_file = [" ".join(of_file) for _, of_file in groupby(sorted(names), key=lambda name: name.split("::")[0])]
    n_workers = os.cpu_count() or 1
    pool = ThreadPoolExecutor(n_workers)
    with tempfile.TemporaryDirectory() as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for worker in range(n_workers):
            copies.put(make_copy(Path(folder, str(worker))))
        try:
            outputs = pool.map(partial(on_a_copy, copies, run_tests), by_file)
            for tests, (status, output) in zip(by_file, outputs, strict=True):
                if status != 0:
                    sys.exit(f"{output}\nWithout any fault these do not pass: {tests}.")
            print(f"all tests pass without a fault, {time.monotonic() - start:.0f} s", flush=True)
            caught = list(pool.map(partial(on_a_copy, copies, try_fault), faults))
        finally:
            pool.shutdown(cancel_futures=True)
    survived = [fault.name for fault, is_caught in zip(faults, caught, strict=True) if not is_caught]
    print(f"{sum(caught)} of {len(faults)} faults were caught in {time.monotonic() - start:.0f} s", flush=True)
    for name in survived:
        print(f"not caught: {name}")
    return int(bool(survived))


if __name__ == "__main__":
    sys.exit(main())
