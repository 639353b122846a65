"""The public names are pinned, and importing them costs nothing."""

from __future__ import annotations

import subprocess
import sys

import pytest

import understudy

NAMES = [
    "Dataset",
    "Schema",
    "TreeSynthesizer",
    "UnderstudyError",
    "UserError",
    "__version__",
    "audit",
    "load",
    "read",
    "synthesize",
]
HEAVY = (
    "dp_accounting duckdb jinja2 joblib narwhals numpy pandas polars pyarrow pydantic rich scipy "
    "sklearn sqlglot torch transformers typer yaml"
)


def _loaded_by(code: str) -> set[str]:
    check = f"import sys; {code}; print(*sorted(set({HEAVY!r}.split()) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_the_list_is_pinned() -> None:
    assert understudy.__all__ == NAMES
    assert dir(understudy) == sorted(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_name_is_there(name: str) -> None:
    assert getattr(understudy, name) is not None


def test_other_names_are_not() -> None:
    with pytest.raises(AttributeError, match="no attribute 'sinthesize'"):
        _ = understudy.sinthesize


def test_import_loads_nothing_heavy() -> None:
    assert _loaded_by("import understudy") == set()


def test_the_command_line_loads_no_library_that_its_help_does_not_need() -> None:
    loaded = _loaded_by("import understudy.cli.app, understudy.cli as c; c.app.build()")
    assert loaded <= {"typer", "rich"}
