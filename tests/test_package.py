"""The package's own shape: what is public, and that its documents are true."""

import re
import tomllib
from pathlib import Path

import pytest

import scpdex

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "src" / "scpdex").rglob("*.py"))


def test_public_names():
    assert scpdex.__all__ == ["__version__", "get", "parallel_differential_expression", "tl"]
    assert scpdex.tl.__all__ == ["rank_genes_parallel", "rank_genes_to_uns", "rank_genes_to_varm"]
    assert scpdex.get.__all__ == ["plan", "rank_genes_df"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_what_it_is_for(path):
    text = path.read_text(encoding="utf-8")
    assert re.match(r'""".{20,}', text)
    assert text.count("\n") < 350


def test_lower_bounds_are_tested():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = {pin for pin in project["dependency-groups"]["test-oldest"] if isinstance(pin, str)}
    optional = project["project"]["optional-dependencies"]
    bounds = [*project["project"]["dependencies"], *(bound for extra in optional.values() for bound in extra)]
    assert {bound.replace(">=", "==") for bound in bounds} == pins


def test_architecture_names_every_room():
    named = set(re.findall(r"`([\w/]+\.py)`", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
    existing = {path.relative_to(ROOT / "src" / "scpdex").as_posix() for path in MODULES}
    assert named == {path for path in existing if not path.endswith("__init__.py")}
