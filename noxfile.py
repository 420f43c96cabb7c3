"""Sessions: everything that is run on this project is run by one of these."""

import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.5"
nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "uv|virtualenv"

PROJECT = nox.project.load_toml("pyproject.toml")
OLDEST, NEWEST = "3.11", "3.13"
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def _install(session: nox.Session, group: str, package: str = ".") -> None:
    session.install(package, *nox.project.dependency_groups(PROJECT, group))


# A machine that has neither of the two Pythons runs the newest set on the one it has.
@nox.session(python=[OLDEST, NEWEST] if THIS in {OLDEST, NEWEST} else [OLDEST, NEWEST, THIS])
def tests(session: nox.Session) -> None:
    """Run the tests: on Python 3.11 with the oldest supported versions of all it needs, else with the newest."""
    _install(session, "test-oldest" if session.python == OLDEST else "test-newest", ".[dask,polars]")
    session.run("pytest", "-n", "auto", "--dist", "loadgroup", *session.posargs)


@nox.session(python=NEWEST)
def slow(session: nox.Session) -> None:
    """Run the tests that measure whole processes: their memory, and the kernels that they share."""
    _install(session, "test-newest", ".[dask,polars]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session(python=OLDEST)
def compat(session: nox.Session) -> None:
    """Hold the drop-in against pdex 0.1.28 itself."""
    _install(session, "compat", ".[polars]")
    session.run("pytest", "tests/compat", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Rank the cell types of 700 PBMCs, check the numbers against scanpy's, and draw scanpy's dotplot."""
    session.install(".")
    session.run("python", "docs/demo.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold style, types and the rules of the architecture."""
    _install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; warnings are errors."""
    _install(session, "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html")


@nox.session(python=NEWEST)
def bench(session: nox.Session) -> None:
    """Time scpdex and its peers side by side; ``-- --quick`` takes 3 minutes."""
    _install(session, "bench", ".[dask,polars]")
    # Two versions of one package cannot share an environment.
    old = Path(session.create_tmp()) / "pdex 0.1"
    session.install("--target", str(old), "pdex==0.1.28")
    session.run("python", "benchmarks/run.py", "--old-pdex", str(old), *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build wheel and sdist, and import each from a clean environment."""
    session.install("build")
    dist = Path(session.create_tmp()) / "dist"
    session.run("python", "-m", "build", "--outdir", str(dist))
    for package in (*dist.glob("*.whl"), *dist.glob("*.tar.gz")):
        session.install("--force-reinstall", "--no-deps", str(package))
        session.install(str(package))
        with session.chdir(dist):
            session.run("python", "-c", "import scpdex; print(scpdex.__version__, scpdex.__file__)")
