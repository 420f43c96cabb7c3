"""Sessions: everything that is run on this project is run by one of these."""

import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.11"
nox.options.sessions = ["tests"]
nox.options.default_venv_backend = "uv|virtualenv"
# A Python that is missing is skipped, not fetched.
nox.options.download_python = "never"

PROJECT = nox.project.load_toml("pyproject.toml")
OLDEST, NEWEST = "3.11", "3.13"
# .ci/run runs all but the last, which the workflow on the project's page runs.
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
# Scripts among the tests import what they share.
SUPPORT = {"PYTHONPATH": str(Path("tests", "support").resolve())}
THIS = f"{sys.version_info.major}.{sys.version_info.minor}"


def _install(session: nox.Session, group: str, package: str = ".") -> None:
    session.install(package, *nox.project.dependency_groups(PROJECT, group))


def _test(session: nox.Session, *, others_may_warn: bool) -> None:
    """Run the fast tests; packages that are not the newest warn each other of what has changed since."""
    _, *filters = PROJECT["tool"]["pytest"]["ini_options"]["filterwarnings"]
    options = ["-o", "\n".join(["filterwarnings=ignore", *filters])] if others_may_warn else []
    session.run("pytest", "-n", "auto", "--dist", "loadgroup", *options, *session.posargs)


# A machine that has none of these Pythons runs the newest set on the one it has.
@nox.session(python=PYTHONS if THIS in PYTHONS else [*PYTHONS, THIS])
def tests(session: nox.Session) -> None:
    """Run the fast tests on each Python that is there, with the newest versions of the packages for that Python."""
    _install(session, "test" if session.python == OLDEST else "test-newest", ".[dask,parquet,polars]")
    _test(session, others_may_warn=session.python == OLDEST)


@nox.session(python=OLDEST)
def lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions that pyproject.toml allows."""
    _install(session, "test-oldest", ".[dask,parquet,polars]")
    _test(session, others_may_warn=True)


@nox.session(python=NEWEST)
def slow(session: nox.Session) -> None:
    """Run the tests that measure whole processes: their memory, and the kernels that they share."""
    _install(session, "test-newest", ".[dask,parquet,polars]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session(python=NEWEST)
def bounds(session: nox.Session) -> None:
    """Run the tests of the kernels with every index checked, in kernels that are compiled anew."""
    _install(session, "test-newest", ".[dask,parquet,polars]")
    environment = {"NUMBA_BOUNDSCHECK": "1", "NUMBA_CACHE_DIR": str(Path(session.create_tmp()).resolve() / "kernels")}
    tests = [
        *("kernels/test_keys_and_sort", "kernels/test_rank_sums", "kernels/test_moments"),
        *("behaviour/test_properties", "comparisons/test_split", "comparisons/test_strata"),
        *("statistics/test_anderson", "statistics/test_brunner_munzel", "statistics/test_auc_intervals"),
        *("matrix/test_stored_matrices", "matrix/test_normalize_in_parts", "run/test_row_strategies"),
        *("markers/test_score_markers", "markers/test_marker_storages"),
    ]
    paths = [f"tests/{name}.py" for name in tests]
    session.run("pytest", "-n", "auto", "--dist", "loadgroup", *paths, *session.posargs, env=environment)


@nox.session(python=NEWEST)
def fuzz(session: nox.Session) -> None:
    """Rank whatever Hypothesis makes up, against plain code, scipy and scanpy; ``-- --minutes 60`` says how long."""
    _install(session, "test-newest", ".[dask,parquet,polars]")
    session.run("python", "tests/tools/fuzz.py", *session.posargs, env=SUPPORT)


@nox.session(python=NEWEST)
def interrupt(session: nox.Session) -> None:
    """Interrupt 200 calls at random times, on every way through the package; ``-- --runs 1000`` for more."""
    _install(session, "test-newest", ".[dask,parquet,polars]")
    session.run("python", "tests/tools/interrupt.py", *session.posargs, env=SUPPORT)


@nox.session(python=NEWEST)
def mutate(session: nox.Session) -> None:
    """Put deliberate faults in, one at a time: the fast tests have to notice each."""
    _install(session, "test-newest", ".[dask,parquet,polars]")
    session.run("python", "tests/tools/mutate.py", *session.posargs)


@nox.session(python=OLDEST)
@nox.parametrize("peer", ["pdex_0_1", "pdex_0_3", "scranpy"])
def compat(session: nox.Session, peer: str) -> None:
    """Compare with pdex 0.1.28, pdex 0.3.0 and scranpy 0.3.1 themselves, each in an environment of its own."""
    _install(session, f"compat-{peer.replace('_', '-')}", ".[polars]")
    session.run("pytest", "-n", "auto", f"tests/beside_peers/test_{peer}.py", *session.posargs)


@nox.session(python=NEWEST)
def clients(session: nox.Session) -> None:
    """Evaluate a real screen by the newest cell-eval, once with pdex and once with the drop-in."""
    _install(session, "clients", ".[polars]")
    session.run("pytest", "tests/beside_clients", *session.posargs)


@nox.session
def dev(session: nox.Session) -> None:
    """Make .venv with all that working on scpdex takes, scpdex itself in editable mode."""
    session.run("python", "-m", "venv", "--clear", ".venv")
    python = str(Path(".venv", "Scripts" if sys.platform == "win32" else "bin", "python"))
    groups = nox.project.dependency_groups(PROJECT, "dev")
    session.run(python, "-m", "pip", "install", "--quiet", "-e", ".[dask,parquet,polars]", *groups, external=True)
    session.log(f"use {python}, or activate .venv")


@nox.session
def demo(session: nox.Session) -> None:
    """Rank 700 PBMCs and a CRISPR screen, check the numbers against scanpy's, and draw scanpy's dotplot."""
    session.install(".")
    session.run("python", "docs/demo.py", *session.posargs)
    session.run("python", "docs/demo_screen.py", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Hold style, types and the rules of the architecture, and look for known holes in what this depends on."""
    _install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("lint-imports")
    session.run("pip-audit", "--progress-spinner", "off")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation, tutorials executed; warnings, cells that raise and broken internal links are errors."""
    _install(session, "docs", ".[dask,parquet]")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "docs/_build/html", *session.posargs)
    internal = ["-D", "linkcheck_ignore=^https?://", "-D", "nb_execution_mode=off"]
    session.run("sphinx-build", "-q", *internal, "-b", "linkcheck", "docs", "docs/_build/linkcheck")


def _install_peers(session: nox.Session) -> str:
    """Install what scpdex is timed beside, and give the folder of pdex 0.1."""
    _install(session, "bench", ".[dask,parquet,polars]")
    # Two versions of one package cannot share an environment.
    old = str(Path(session.create_tmp()) / "pdex 0.1")
    session.install("--target", old, "pdex==0.1.28")
    return old


@nox.session(python=NEWEST)
def bench(session: nox.Session) -> None:
    """Time scpdex and its peers side by side; ``-- --quick`` takes 3 minutes."""
    old = _install_peers(session)
    session.run("python", "benchmarks/run.py", "--old-pdex", old, *session.posargs)


@nox.session(python=NEWEST)
def scripts(session: nox.Session) -> None:
    """Run each script of benchmarks/ in small, so that none names what is gone."""
    old, results = _install_peers(session), str(Path(session.create_tmp()) / "results")
    session.run("python", "benchmarks/scaling.py", "--small")
    for storage in ("CSR", "CSC", "dense"):
        session.run("python", "benchmarks/stages.py", "--small", "--only", f"vs rest, log {storage}")
    for method in ("t-test", "anderson"):
        session.run("python", "benchmarks/stages.py", "--small", "--method", method)
    session.run("python", "benchmarks/run.py", "--small", "--old-pdex", old, "--out", results)


@nox.session
def build(session: nox.Session) -> None:
    """Build and check wheel and sdist, and run the demo from each in a clean environment; ``-- FOLDER`` keeps them."""
    session.install(*nox.project.dependency_groups(PROJECT, "build"))
    dist = Path(session.posargs[0] if session.posargs else Path(session.create_tmp()) / "dist").resolve()
    shutil.rmtree(dist, ignore_errors=True)
    session.run("python", "-m", "build", "--outdir", str(dist))
    packages = sorted(dist.glob("*"))
    session.run("twine", "check", "--strict", *map(str, packages))
    session.run("check-wheel-contents", *map(str, dist.glob("*.whl")))
    demo = Path("docs/demo.py").resolve()
    for package in packages:
        clean = Path(session.create_tmp()).resolve() / "clean"
        session.run("python", "-m", "venv", "--clear", str(clean))
        python = str(clean / ("Scripts" if sys.platform == "win32" else "bin") / "python")
        session.run(python, "-m", "pip", "install", "--quiet", str(package), external=True)
        with session.chdir(dist.parent):
            session.run(python, "-c", "import scpdex; print(scpdex.__version__, scpdex.__file__)", external=True)
            session.run(python, str(demo), external=True)
