"""Get: the plan of a call, and a stored result as one long table."""

from scpdex.get._plan import plan
from scpdex.get._rank_genes_df import rank_genes_df

__all__ = ["plan", "rank_genes_df"]
