"""Options that the documentation types exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.call import Shell
from understudy.cli import VERBS

DOCS = sorted((Path(__file__).parents[2] / "docs").glob("*.md"))


def commands(page: Path) -> list[str]:
    """`understudy ...` as typed in blocks of code, continued lines joined."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?!python)\w*\n(.*?)^```", text, re.M | re.S)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    found = [re.search(r"understudy [a-z].*", line.partition("#")[0]) for line in lines]
    return [match.group() for match in found if match]


@pytest.mark.parametrize("page", DOCS, ids=lambda page: page.stem)
def test_options_in_the_documentation_exist(page: Path, shell: Shell) -> None:
    for command in commands(page):
        verb, *words = command.split()[1:]
        assert verb in VERBS, command
        known = shell(verb, "--help").out
        if verb == "ledger" and words:
            known += shell(verb, words[0], "--help").out
        for option in (word.partition("=")[0] for word in words if word.startswith("-")):
            assert re.search(rf"(?<![\w-]){option}\b", known), f"{option} in: {command}"


def test_the_recipe_shows_commands_at_all() -> None:
    page = next(page for page in DOCS if page.stem == "continuous-validation")
    assert len(commands(page)) >= 4
