"""Fixtures of tests of tables."""

import pytest


@pytest.fixture(params=["uns", "varm"])
def storage(request: pytest.FixtureRequest) -> str:
    """Either form of results."""
    return request.param
