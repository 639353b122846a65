"""The verbs as one Typer application; a verb's module is imported when it is called."""

from __future__ import annotations

import importlib
import sys

import typer

import understudy
from understudy.cli import VERBS


def build() -> typer.Typer:
    """The application, holding the verb asked for, or all of them by name for the help."""
    app = typer.Typer(
        name="understudy",
        help=understudy.__doc__,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback(invoke_without_command=True)(_version)
    asked = next((word for word in sys.argv[1:] if not word.startswith("-")), None)
    for verb, what in VERBS.items():
        if verb == asked:
            module = importlib.import_module(f"understudy.cli.{verb}")
            app.command(verb, help=module.__doc__)(getattr(module, verb))
        else:
            app.command(verb, help=what)(_placeholder)
    return app


def _version(
    version: bool = typer.Option(False, "--version", help="Show the version.", is_eager=True),
) -> None:
    """Synthetic training data that preserves privacy, handed over only with proof."""
    if version:
        print(f"understudy {understudy.__version__}")
        raise typer.Exit


def _placeholder() -> None:
    """Stands in the help for a verb that was not asked for."""
