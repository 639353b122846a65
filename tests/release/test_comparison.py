"""Two runs side by side."""

from __future__ import annotations

from tests.release import fake_run
from understudy.release.comparison import as_text, compare


def test_changes_are_marked_and_gaps_are_dashes() -> None:
    a, b = fake_run.run(), fake_run.run()
    b["scorecard"]["measurements"]["pair_error"]["value"] = 2.0
    del b["scorecard"]["measurements"]["c2st"]
    b["verdict"]["ruling"] = "FAIL"
    rows = {row[0]: row[1:] for row in compare(a, b)}
    assert rows["verdict"] == ("PASS", "FAIL", "≠")
    assert rows["copies"] == ("PASS", "PASS", "")
    assert rows["pair_error"] == ("1.60", "2.00", "+0.4")
    assert rows["c2st"][1:] == ("–", "")
    assert "pair_error" in as_text(compare(a, b), ("old", "new"))
