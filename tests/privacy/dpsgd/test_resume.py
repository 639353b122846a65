"""A resumed training forgets no step that was drawn, and takes no other training's checkpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.privacy.dpsgd.sessions import PLAN, ledgered, rows, seeded, squared, training, weights
from understudy.errors import BudgetError, EngineError, FormatError
from understudy.privacy.dpsgd import DPSGD, PrivacyPlan
from understudy.privacy.statement import statement

LONG = PrivacyPlan(rate=0.02, steps=400, sigma=2.0, expected_batch=4)


def steps(trained: DPSGD, count: int) -> None:
    batches = trained.batches(rows())
    for _ in range(count):
        trained.step(next(batches), lambda part: squared(trained.module, part))


def test_one_event_in_the_ledger_however_often_it_is_resumed(tmp_path: Path) -> None:
    for _ in range(3):
        session = ledgered(tmp_path)
        session.reserve_plan([PLAN.event])
        with training(session) as trained:
            steps(trained, 5)
    assert trained.steps_drawn == 15
    assert session.charged == session.spent == (PLAN.event,)
    assert [line["query"] for line in statement(session, {})["events"]] == ["training"]


def test_a_checkpoint_brings_back_weights_and_optimizer(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    with training(ledgered(tmp_path), canaries=30) as first:
        steps(first, 8)
        first.save(path)
    second = training(ledgered(tmp_path), canaries=30)
    assert not torch.equal(weights(first), weights(second))
    second.resume(path)
    assert torch.equal(weights(first), weights(second))
    before, after = first.optimizer.state_dict(), second.optimizer.state_dict()
    for index, kept in before["state"].items():
        torch.testing.assert_close(after["state"][index], kept, rtol=0, atol=0)
    assert before["param_groups"] == after["param_groups"]
    assert (second.steps_drawn, second.steps_left) == (8, 32)
    assert second._canaries.steps == 8
    assert (second._canaries.member == first._canaries.member).all()
    assert (second._canaries.evidence == first._canaries.evidence).all()
    steps(second, 32)
    with pytest.raises(BudgetError, match="were drawn"):
        second._paid.draw()


KILLED = """
import os, sys
from pathlib import Path
from tests.privacy.dpsgd.test_resume import LONG, ledgered, steps, training
folder = Path(sys.argv[1])
trained = training(ledgered(folder), LONG)
steps(trained, 10)
trained.save(folder / "checkpoint")
steps(trained, 7)
os.kill(os.getpid(), 9)
"""


def test_steps_drawn_before_a_kill_are_counted(tmp_path: Path) -> None:
    run = [sys.executable, "-c", KILLED, str(tmp_path)]
    assert subprocess.run(run, capture_output=True).returncode == -9
    trained = training(ledgered(tmp_path), LONG)
    trained.resume(tmp_path / "checkpoint")
    # 17 were drawn, in claims of a hundredth of the training each: 18 count.
    assert trained.steps_drawn == 18
    assert trained.steps_left == 382


def test_a_restart_without_the_checkpoint_forgets_nothing_either(tmp_path: Path) -> None:
    with training(ledgered(tmp_path)) as first:
        steps(first, 9)
    assert training(ledgered(tmp_path)).steps_drawn == 9


def test_without_the_answers_the_training_is_paid_for_again(tmp_path: Path) -> None:
    with training(ledgered(tmp_path)) as first:
        steps(first, 9)
    (tmp_path / "run.sqlite").unlink()
    session = ledgered(tmp_path)
    again = training(session)
    assert again.steps_drawn == 0
    assert session.charged == (PLAN.event, PLAN.event)


def test_another_plan_under_the_same_name_is_refused(tmp_path: Path) -> None:
    training(ledgered(tmp_path)).close()
    with pytest.raises(EngineError, match="different parameters"):
        training(ledgered(tmp_path), LONG)


def test_a_seeded_training_goes_on_with_other_noise(tmp_path: Path) -> None:
    first, second = training(seeded()), training(seeded())
    steps(first, 6)
    first.save(tmp_path / "checkpoint")
    second.resume(tmp_path / "checkpoint")
    assert second.steps_drawn == 6


def test_a_checkpoint_holds_no_generator(tmp_path: Path) -> None:
    trained = training(ledgered(tmp_path))
    steps(trained, 3)
    trained.save(tmp_path / "checkpoint")
    from safetensors import safe_open

    with safe_open(tmp_path / "checkpoint", framework="pt") as file:
        names = set(file.keys())
        told = json.loads(file.metadata()["understudy"])
    assert {name.split(".")[0] for name in names} == {"module", "optimizer", "canaries"}
    assert set(told) == {"format", "training", "drawn", "observed", "groups", "plain"}
    assert told["drawn"] == 3


@pytest.mark.parametrize("damage", ["cut", "other training", "newer", "missing", "not ours"])
def test_a_wrong_checkpoint_is_refused_in_words(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "checkpoint"
    trained = training(ledgered(tmp_path))
    steps(trained, 2)
    trained.save(path)
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    if damage == "newer":
        path.write_bytes(content.replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    if damage == "missing":
        path.unlink()
    if damage == "not ours":
        from safetensors.torch import save_file

        save_file({"x": torch.zeros(2)}, path)
    other = training(seeded()) if damage == "other training" else trained
    before = weights(other)
    with pytest.raises(FormatError, match=r"checkpoint"):
        other.resume(path)
    assert torch.equal(before, weights(other))
