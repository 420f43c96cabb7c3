"""Joined: several files or objects in the place of one, with the cells of each behind those of the one before."""
