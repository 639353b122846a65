"""`understudy replay ENGINE`, as typed: neighbours and canaries, and one exit code for both."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from understudy.cli.replay import replay as verb
from understudy.errors import EngineError
from understudy.selfcheck.trainers import half_the_noise
from understudy.synthesizers import registry
from understudy.synthesizers.tabular.marginals import MarginalSynthesizer


def typed(*words: str) -> Result:
    app = typer.Typer()
    app.command()(verb)
    result = CliRunner().invoke(app, words)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_the_marginal_engine_keeps_its_budget() -> None:
    """The noise is real: this fails once in 1,000 runs."""
    result = typed("marginals", "--json")
    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert told["clean"]
    assert told["audit"]["kept"]
    assert told["audit"]["canaries"] == 2000
    assert told["audit"]["second_accountant"]["low"] <= told["audit"]["claim"]["epsilon"]


def test_an_engine_with_half_the_noise_passes_replay_and_fails_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Frozen answers cannot show how noisy they were."""

    def cheat(name: str, **config: Any) -> Any:
        return half_the_noise(MarginalSynthesizer(target="grade"))

    monkeypatch.setattr(registry, "create", cheat)
    result = typed("marginals")
    assert result.exit_code == 3
    assert "nothing found" in result.stdout
    assert "The noise is too small" in result.stdout


def test_an_engine_without_a_budget_has_nothing_to_replay() -> None:
    with pytest.raises(EngineError, match="keeps no privacy budget"):
        typed("tree")
