"""The package's own shape: what is public, and that its documents are true."""

import ast
import re
import tomllib
from pathlib import Path

import pytest
from mutate import FAULTS

import scpdex

ROOT = Path(__file__).parents[2]
MODULES = sorted((ROOT / "src" / "scpdex").rglob("*.py"))


def test_types_are_there_for_others():
    assert (ROOT / "src" / "scpdex" / "py.typed").exists()


def test_public_names():
    assert scpdex.__all__ == ["__version__", "get", "parallel_differential_expression", "pdex", "tl"]
    ranking = ["rank_genes_parallel", "rank_genes_to_uns", "rank_genes_to_varm"]
    assert scpdex.tl.__all__ == ["markers_to_rank_genes", *ranking, "score_markers"]
    assert scpdex.get.__all__ == ["plan", "rank_genes_df", "score_markers_df"]


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


def anchors(page: Path) -> set[str]:
    """Anchors that MyST gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_row_has_tests():
    """Tests of a row of the promises say so where they say what they are for."""
    text = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    rows = {int(row) for row in re.findall(r"^\| (\d+) \|", text, flags=re.MULTILINE)}
    assert rows == set(range(1, 41))
    said: set[int] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for numbers in re.findall(r"\b[Rr]ows? (\d+)(?: and (\d+))?", path.read_text(encoding="utf-8")):
            said |= {int(row) for row in numbers if row}
    assert rows <= said


def test_messages_point_to_sections_that_exist():
    sources = "\n".join(path.read_text(encoding="utf-8") for path in MODULES if path.name != "links.py")
    links = re.findall(r"""page\(["']([\w-]+)["'], ["']([\w-]+)["']\)""", sources)
    assert len(links) >= 4
    assert sources.count("page(") - sources.count("def page(") == len(links)
    for name, section in links:
        assert section in anchors(ROOT / "docs" / f"{name}.md"), f"docs/{name}.md has no section {section}"
    assert "readthedocs" not in sources


def test_the_version_is_told_in_one_way():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for path in ("CITATION.cff", "docs/ecosystem/meta.yaml"):
        assert f"version: {project['version']}" in (ROOT / path).read_text(encoding="utf-8")


def test_workflows_are_pinned_and_can_do_little():
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        text = path.read_text(encoding="utf-8")
        for action in re.findall(r"uses: (\S+)", text):
            assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), f"{path.name}: {action}"
        assert "permissions:\n  contents: read\n" in text


@pytest.mark.skipif(not (ROOT / "benchmarks").exists(), reason="benchmarks are in a clone only")
def test_every_script_is_run_in_small():
    """Sessions that .ci/run runs start each script of benchmarks/ and docs/, or a script that starts it."""
    noxfile, ci = ((ROOT / name).read_text(encoding="utf-8") for name in ("noxfile.py", ".ci/run"))
    sessions = re.findall(r"(?ms)^def (\w+)\(session.*?\n(.*?)(?=^@|^def |\Z)", noxfile)
    commands = "".join(text for name, text in sessions if re.search(rf"-s {name}\b", ci))
    paths = [path for folder in ("benchmarks", "docs") for path in (ROOT / folder).rglob("*.py")]
    texts = {path: path.read_text(encoding="utf-8") for path in paths}
    scripts = [path for path, text in texts.items() if '__name__ == "__main__"' in text]
    assert len(scripts) >= 8
    for path in scripts:
        by_others = any(f'"{path.name}"' in text for other, text in texts.items() if other != path)
        assert by_others or f'"{path.relative_to(ROOT).as_posix()}"' in commands, f"no session runs {path.name}"


def test_deliberate_faults_fit_the_sources():
    """Each replaces a piece of code that is there once, or the mutation check would stop at it."""
    for fault in FAULTS:
        assert (ROOT / "src" / "scpdex" / fault.file).read_text(encoding="utf-8").count(fault.old) == 1, fault.name


@pytest.mark.parametrize("tests", sorted({tests for fault in FAULTS for tests in fault.tests.split()}))
def test_deliberate_faults_name_tests_that_exist(tests):
    path, *names = tests.split("::")
    code = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
    assert set(names) <= {node.name for node in code.body if isinstance(node, ast.FunctionDef)}


# What would run what data say.
_MODULES = {"code", "ctypes", "dill", "cloudpickle", "marshal", "pickle", "runpy", "shelve", "socket"}
_MODULES |= {"subprocess", "urllib", "webbrowser", "http", "ftplib", "requests", "smtplib", "telnetlib"}
_CALLS = {"__import__", "eval", "exec", "execv", "execve", "popen", "posix_spawn", "spawn", "system", "startfile"}
_CALLS |= {"loads", "mktemp", "read_pickle", "unpack_archive"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_is_unpickled_evaluated_or_run(path):
    """Sources name no such module, function or argument."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not {name.name.split(".")[0] for name in node.names} & _MODULES
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in _MODULES
        elif isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", None))
            assert name not in _CALLS, f"line {node.lineno}"
            assert not {keyword.arg for keyword in node.keywords} & {"allow_pickle", "shell"}, f"line {node.lineno}"
