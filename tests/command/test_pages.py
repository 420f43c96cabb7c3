"""Commands that the pages show: all are commands with options that exist."""

import re
import shlex
from pathlib import Path

import pytest

from scpdex.command import _main

ROOT = Path(__file__).parents[2]
_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINE = re.compile(r"^(?:\$ )?(scpdex (?:rank|plan|table|compile)\b.*)$", re.MULTILINE)
COMMANDS = [line for page in _PAGES for line in _LINE.findall(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_a_page(command):
    """It is parsed without an error."""
    _, *arguments = shlex.split(command)
    assert _main._make_parser().parse_args(arguments)


def test_the_snakemake_rule():
    """Its command as well, once names stand for its placeholders."""
    page = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
    lines = re.findall(r'^ +"(.*)"$', page, flags=re.MULTILINE)
    _, *arguments = shlex.split("".join(lines).format(input="a.h5ad", output="a.parquet", threads=8))
    assert _main._make_parser().parse_args(arguments).n_jobs == 8


def test_there_are_such_commands():
    assert {command.split()[1] for command in COMMANDS} == {"rank", "plan", "table"}
