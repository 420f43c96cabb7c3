"""Options: all parameters of the functions, their help, and what reaches the functions."""

import inspect
import re

import pytest

import scpdex
from scpdex.command import _rank, main
from scpdex.command._docstrings import read_parameters, read_summary, remove_markup
from scpdex.command._rank_options import RANK_OPTIONS

RANK = ["rank", "x.h5ad", "--groupby", "gene", "--out", "hits.csv"]
# What is no option, and why: the file, where the result goes, the library, scikit-learn's arguments.
NO_OPTIONS = {"adata", "copy", "storage", "backend", "keep_labels", "kwds"}
FLAGS = {"key_added": "--key"}


def read_help(capsys, *command: str) -> str:
    with pytest.raises(SystemExit) as stop:
        main([*command, "--help"])
    assert stop.value.code == 0
    return " ".join(capsys.readouterr().out.split())


@pytest.fixture
def given(monkeypatch):
    """Give the arguments that a command line hands to the function."""

    def parse(*options: str) -> dict:
        calls = []
        monkeypatch.setattr(_rank, "open_files", lambda paths, _: paths)
        monkeypatch.setattr(_rank, "rank_to_csv", lambda _, arguments, __: calls.append(arguments))
        assert main([*RANK, *options]) == 0
        return calls[0]

    return parse


@pytest.mark.parametrize(
    ("command", "function"),
    [("rank", scpdex.tl.rank_genes_parallel), ("table", scpdex.get.rank_genes_df)],
)
def test_help_names_every_parameter(capsys, command, function):
    text = read_help(capsys, command)
    names = inspect.signature(function).parameters.keys() - NO_OPTIONS
    assert len(names) > 7
    descriptions = read_parameters(function)
    for name in names:
        assert FLAGS.get(name, "--" + name.replace("_", "-")) + " " in text.replace(",", " ")
        # Lines of help break at hyphens too.
        assert "".join(descriptions[name].split()) in "".join(text.split())
    for name in NO_OPTIONS:
        assert f"--{name}" not in text
    assert "``" not in text
    assert ":func:" not in text


def test_help_begins_with_the_summary(capsys):
    text = read_help(capsys, "rank")
    assert "[options] Rank genes for characterizing groups, as scanpy.tl.rank_genes_groups does, on all cores." in text
    assert "Cells without a label (NaN) are part of the rest, and of no other comparison." in text
    assert "rank plan" not in text
    # Plan takes the options of the call that it plans.
    plan = read_help(capsys, "plan")
    assert text[text.index("--groupby VALUE") :] == plan[plan.index("--groupby VALUE") :]


def test_descriptions_are_of_each_name():
    descriptions = read_parameters(scpdex.tl.rank_genes_parallel)
    assert descriptions["min_pct"] == descriptions["min_logfc"]
    assert descriptions["min_pct"].startswith("Test only genes that at least this fraction")
    assert descriptions["**kwds"].startswith("Arguments of sklearn.linear_model.LogisticRegression")
    assert set(inspect.signature(scpdex.tl.rank_genes_parallel).parameters) - {"kwds"} <= descriptions.keys()


def test_without_docstrings():
    """As under ``python -OO``."""

    def function(parameter): ...

    assert read_parameters(function) == {}
    assert read_summary(function) == ""


def test_markup():
    assert remove_markup('``a="b"`` of :func:`~x.y` and `z`, 5 %') == 'a="b" of x.y and z, 5 %'


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ([], {}),
        (["--tie-correct", "--no-pts", "--no-use-raw"], {"tie_correct": True, "pts": False, "use_raw": False}),
        (["--normalize", "1e4", "--n-genes", "5"], {"normalize": 1e4, "n_genes": 5}),
        (["--normalize", "median"], {"normalize": "median"}),
        (["--normalize", "log1p"], {"normalize": "log1p"}),
        (["--max-memory", "2GB", "--mask-var", "some"], {"max_memory": "2GB", "mask_var": "some"}),
        (["--groups", "a", "b"], {"groups": ["a", "b"]}),
        (["--groups", "a", "--groups", "b"], {"groups": ["a", "b"]}),
        (["--groups", "a"], {"groups": ["a"]}),
        (["--groups", "all"], {"groups": "all"}),
        (["--reference", "a"], {"reference": "a"}),
        (["--reference", "a", "b"], {"reference": ["a", "b"]}),
        (["--exclude", "a", "--extras", "auc", "means"], {"exclude": ["a"], "extras": ["auc", "means"]}),
        (["--no-label"], {"label": None}),
        (["--label", "plate"], {"label": "plate"}),
        (["--no-show-progress"], {"show_progress": False}),
        # A table has no key.
        (["--key", "markers"], {}),
    ],
)
def test_values(given, options, arguments):
    assert given(*options) == {"groupby": "gene"} | arguments


def test_all_kinds_are_known():
    """A parameter of a new kind needs a line in the options."""
    kinds = {str(parameter.annotation) for parameter in RANK_OPTIONS.parameters.values()}
    assert not [kind for kind in kinds if re.search("dict|Mapping|Callable", kind)]


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        ["no-command"],
        ["rank"],
        ["rank", "x.h5ad", "--groupby", "gene"],
        ["rank", "x.h5ad", "--out", "hits.csv"],
        [*RANK, "--in-place"],
        [*RANK, "--n-jobs", "abc"],
        [*RANK, "--normalize", "much"],
        # Abbreviations would change their meaning with each new option.
        [*RANK, "--tie"],
        [*RANK, "--copy"],
        [*RANK, "--storage", "uns"],
    ],
)
def test_wrong_usage(capsys, wrong):
    with pytest.raises(SystemExit) as stop:
        main(wrong)
    assert stop.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    assert err.startswith("usage: scpdex")


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"scpdex {scpdex.__version__}\n"
