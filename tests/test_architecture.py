"""The dependency rules of ARCHITECTURE.md: import contracts, and the few places that may touch the outside."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scale_core.settings import CHECKOUT

PACKAGES = ("scale_core", "scale_api", "scale_worker", "scale_server")

# Each list is complete: what is not in it may not, and what is in it and does not is to be taken out.
IMPORTS_PYMESOS = {"scale_worker/mesos/framework.py", "scale_worker/executor/driver.py"}
READS_ENVIRONMENT = {
    "scale_worker/flower.py",
    "scale_core/settings.py",
    "scale_core/settings_file.py",  # whether it has to be read at all
    "scale_server/__main__.py",  # hands all of it on to the processes that it starts
    "scale_server/launcher.py",  # NO_COLOR, and the PATH that is taken when none is set
    "scale_worker/devcluster/__main__.py",  # what executors inherit, as an agent's --executor_environment_variables
    "scale_worker/executor/__main__.py",  # the MESOS_* variables that an agent sets for its executor
    "scale_worker/executor/driver.py",  # the same
    "scale_worker/executor/guardian.py",  # whether there is a Docker Engine; it imports nothing of Scale, to stay small
    "scale_worker/executor/processes.py",  # the few variables that a job inherits, PATH among them
}
READS_CLOCK = {
    "scale_core/timestamps.py",
    "scale_worker/executor/driver.py",  # the timestamp of a TaskStatus: seconds since 1970, as Mesos wants it
    "scale_worker/executor/node.py",  # the same
}
IMPORTS_LATE = {
    "scale_api/sign_on.py",  # oidc: its libraries take 10 MB in each API, and most have no provider
    "scale_core/brokers/__init__.py",  # s3: its libraries take 50 MB and a third of a second, and few need them
    "scale_worker/executor/guardian.py",  # docker: it is large, and most guardians never need it
}
CLOCK_CALLS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "dt.datetime.now",
    "dt.datetime.utcnow",
    "dt.date.today",
    "time.time",
    "time.time_ns",
    "time.gmtime",
    "time.localtime",
}


def test_import_contracts() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    result = subprocess.run(
        [program, "--no-cache"],
        check=False,
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
    )

    assert result.returncode == 0, result.stdout + result.stderr


def _imports_pymesos(node: ast.AST) -> bool:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
    names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
    return any(name.split(".")[0] == "pymesos" for name in names)


def _reads_environment(node: ast.AST) -> bool:
    if isinstance(node, ast.ImportFrom) and node.module == "os":
        return any(alias.name in ("environ", "getenv") for alias in node.names)
    return isinstance(node, ast.Attribute) and ast.unparse(node) in ("os.environ", "os.getenv")


def _reads_clock(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) in CLOCK_CALLS


@pytest.mark.parametrize(
    ("does", "allowed"),
    [
        pytest.param(_imports_pymesos, IMPORTS_PYMESOS, id="imports pymesos"),
        pytest.param(_reads_environment, READS_ENVIRONMENT, id="reads the environment"),
        pytest.param(_reads_clock, READS_CLOCK, id="reads the wall clock"),
    ],
)
def test_only_these_files(does: Callable[[ast.AST], bool], allowed: set[str]) -> None:
    doing = {name for name, tree in _modules() if any(does(node) for node in ast.walk(tree))}

    assert doing == allowed


def test_services_and_queries_never_end_a_transaction() -> None:
    ending = {
        f"{name}:{node.lineno}"
        for name, tree in _modules("scale_core/services", "scale_core/queries")
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in ("commit", "rollback")
    }

    assert not ending


def test_imports_stand_at_the_top() -> None:
    """An import inside a function is often there to hide a cycle."""
    hidden = {
        name
        for name, tree in _modules("scale_core", "scale_api", "scale_worker")
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom)
    }

    assert hidden == IMPORTS_LATE


def _modules(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    for folder in folders or PACKAGES:
        for path in sorted((CHECKOUT / folder).rglob("*.py")):
            yield path.relative_to(CHECKOUT).as_posix(), ast.parse(path.read_text())
