"""Comparisons: from columns of obs to who is compared with whom."""
