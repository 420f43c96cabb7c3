"""Fixtures: a small screen in a file with all kinds of content."""

from pathlib import Path

import pytest
from screens import make_screen


@pytest.fixture
def screen(tmp_path: Path) -> Path:
    """Path of the screen, whose column of groups holds strings."""
    path = tmp_path / "screen.h5ad"
    make_screen().write_h5ad(path, compression="gzip", convert_strings_to_categoricals=False)
    return path
