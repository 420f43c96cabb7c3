"""Strategies: how each way through the data is carried out, in files named as those of ``plan/strategies``.

Each has a generator ``run(source, job)`` that gives the tested genes in batches, whose cells are all together.
"""
