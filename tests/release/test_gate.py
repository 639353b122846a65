"""The truth table of the gate, line by line, and that nothing worse is ever ruled better."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.release import fake_run
from understudy.contracts import Line
from understudy.release.gate import DEFAULTS, SEVERITY, decide

Change = Callable[[dict[str, Any]], None]


def lines(
    battery: Change | None = None, scorecard: Change | None = None, **options: Any
) -> dict[str, Line]:
    """The lines by name, after changes to findings that pass."""
    attacks, card = fake_run.battery(), fake_run.scorecard()
    if battery:
        battery(attacks)
    if scorecard:
        scorecard(card)
    verdict = decide(card, attacks, fake_run.validity(), **options)
    return {line.name: line for line in verdict.lines}


def attack(p: float | None = None, **found: float | None) -> Change:
    """An attack on all rows, and its p value after correcting for all attacks."""

    def change(battery: dict[str, Any]) -> None:
        battery["attacks"][0].update(found)
        if p is not None:
            battery["strata"][0].update(p=p)

    return change


def stratum(**found: Any) -> Change:
    return lambda battery: battery["strata"][1].update(found)


def copies(**found: Any) -> Change:
    return lambda battery: battery["copies"].update(found)


def closeness(**found: Any) -> Change:
    return lambda battery: battery["closeness"].update(found)


def pair(**found: Any) -> Change:
    return lambda card: card["measurements"]["pair_error"].update(found)


def utility(**found: Any) -> Change:
    return lambda card: card["utility"][0].update(found)


PRIVACY = [
    ("membership, on average", attack(auc_high=0.53), "PASS"),
    ("membership, on average", attack(auc_high=0.531), "INCONCLUSIVE"),
    ("membership, on average", attack(auc_low=0.53, auc_high=0.56), "INCONCLUSIVE"),
    ("membership, on average", attack(0.05, auc_low=0.531, auc_high=0.56), "FAIL"),
    ("membership, on average", attack(0.06, auc_low=0.531, auc_high=0.56), "INCONCLUSIVE"),
    ("membership, on average", attack(auc=None), "INCONCLUSIVE"),
    ("membership, on average", lambda b: b.update(attacks=[]), "INCONCLUSIVE"),
    ("membership, few false alarms", attack(tpr_at_1_high=0.02), "PASS"),
    ("membership, few false alarms", attack(tpr_at_1_high=0.021), "INCONCLUSIVE"),
    ("membership, few false alarms", attack(0.05, tpr_at_1_low=0.021, tpr_at_1_high=0.03), "FAIL"),
    (
        "membership, few false alarms",
        attack(0.06, tpr_at_1_low=0.021, tpr_at_1_high=0.03),
        "INCONCLUSIVE",
    ),
    ("membership, unusual people", stratum(tpr_at_5_high=0.15), "PASS"),
    ("membership, unusual people", stratum(tpr_at_5_high=0.151), "INCONCLUSIVE"),
    ("membership, unusual people", stratum(tpr_at_5_low=0.101, tpr_at_5_high=0.2), "INCONCLUSIVE"),
    ("membership, unusual people", stratum(p=None, tpr_at_5_low=0.101, tpr_at_5_high=0.2), "FAIL"),
    ("membership, unusual people", stratum(p=0.05, auc=0.56), "FAIL"),
    ("membership, unusual people", stratum(p=0.05, auc=0.55), "PASS"),
    ("membership, unusual people", stratum(p=0.05, tpr_at_5=0.101), "FAIL"),
    ("membership, unusual people", stratum(p=0.06, auc=0.56), "PASS"),
    ("membership, unusual people", stratum(members=100), "INCONCLUSIVE"),
    ("membership, unusual people", lambda b: b.update(strata=b["strata"][:1]), "INCONCLUSIVE"),
    ("copies", copies(p=0.01, share_train=0.002), "FAIL"),
    ("copies", copies(p=0.01, share_train=0.00105), "PASS"),
    ("copies", copies(p=0.02, share_train=0.002), "PASS"),
    ("copies", copies(near_p=0.001, near_share_train=0.02), "FAIL"),
    ("copies", copies(p=0.001, share_train=0.001, share_holdout=0.0), "FAIL"),
    ("copies", lambda b: b.update(copies={}), "INCONCLUSIVE"),
    ("closeness", closeness(high=0.55), "PASS"),
    ("closeness", closeness(high=0.56), "INCONCLUSIVE"),
    ("closeness", closeness(low=0.551, high=0.6), "FAIL"),
    ("closeness", closeness(tie_share=0.95), "INCONCLUSIVE"),
    ("closeness", closeness(tie_share=0.95, low=0.551, high=0.6), "FAIL"),
    ("closeness", lambda b: b.update(closeness={}), "INCONCLUSIVE"),
    ("a fair comparison", lambda b: b["power"].update(smallest_auc=0.55), "PASS"),
    ("a fair comparison", lambda b: b["power"].update(smallest_auc=0.56), "INCONCLUSIVE"),
    ("a fair comparison", lambda b: b["exchangeable"].update(ok=False), "INCONCLUSIVE"),
    ("a fair comparison", lambda b: b["exchangeable"].update(c2st=None), "INCONCLUSIVE"),
]


@pytest.mark.parametrize(("name", "change", "ruling"), PRIVACY)
def test_privacy_lines_turn_at_their_bounds(name: str, change: Change, ruling: str) -> None:
    assert lines(change)[name].ruling == ruling


@pytest.mark.parametrize(
    ("name", "change", "ruling"),
    [
        ("pair error", pair(high=2.7), "PASS"),
        ("pair error", pair(high=2.71), "INCONCLUSIVE"),
        ("pair error", pair(low=2.71, value=3.0, high=3.2), "FAIL"),
        ("pair error", pair(floor=None), "INCONCLUSIVE"),
        ("usefulness", utility(low=-0.05), "PASS"),
        ("usefulness", utility(low=-0.051), "INCONCLUSIVE"),
        ("usefulness", utility(low=-0.09, high=-0.051), "FAIL"),
        ("usefulness", lambda card: card.update(utility=[]), "INCONCLUSIVE"),
        ("usefulness", lambda card: card.update(target=None, utility=[]), "INFO"),
    ],
)
def test_fidelity_lines_turn_at_their_bounds(name: str, change: Change, ruling: str) -> None:
    assert lines(scorecard=change)[name].ruling == ruling
    assert lines(scorecard=change, guarantee=fake_run.statement())[name].ruling == "INFO"


def inside(low: float | None, high: float = 0.6) -> Change:
    """What looking into the model found; None: it could not be looked into."""
    found = {"name": "loss", "auc": 0.5, "auc_low": low, "auc_high": high, "tpr_at_1": 0.01}
    return lambda battery: battery.update(white_box={"attacks": [found]} if low else {})


@pytest.mark.parametrize(
    ("change", "rulings"),
    [
        (inside(0.48, 0.52), ("INFO", "PASS", "PASS")),
        (inside(0.48, 0.54), ("INFO", "INCONCLUSIVE", "INCONCLUSIVE")),
        (inside(0.54, 0.60), ("INFO", "FAIL", "FAIL")),
        (inside(None), (None, "INCONCLUSIVE", "INCONCLUSIVE")),
    ],
)
def test_a_verdict_is_about_what_is_released(change: Change, rulings: tuple[str | None]) -> None:
    for released, ruling in zip(("data", "model", "query"), rulings, strict=True):
        line = lines(battery=change, released=released).get("the model itself")
        assert (line.ruling if line else None) == ruling


def test_under_a_budget_the_guarantee_covers_the_model_and_attacks_still_convict() -> None:
    options: dict[str, Any] = {"guarantee": fake_run.statement(), "released": "model"}
    unseen = lines(battery=inside(None), **options)
    assert unseen["the model itself"].ruling == "INFO"
    assert "for the model as for the rows" in unseen["the guarantee"].detail
    assert "model" not in lines(guarantee=fake_run.statement())["the guarantee"].detail
    assert lines(battery=inside(0.54, 0.60), **options)["the model itself"].ruling == "FAIL"


def test_a_useful_and_safe_table_passes() -> None:
    verdict = decide(fake_run.scorecard(), fake_run.battery(), fake_run.validity())
    assert verdict.ruling == "PASS"
    assert verdict.because.count(". ") == 0  # one sentence
    assert {line.ruling for line in verdict.lines} == {"PASS", "INFO"}


def test_nothing_measured_never_passes() -> None:
    verdict = decide({}, {}, {})
    assert verdict.ruling == "INCONCLUSIVE"
    assert all(line.ruling in ("INCONCLUSIVE", "INFO") for line in verdict.lines)


def test_an_invalid_table_fails_with_the_problem_in_the_sentence() -> None:
    invalid = {"rows": 5, "problems": ["primary key 'id' repeats"], "checked": ["keys"]}
    verdict = decide(fake_run.scorecard(), fake_run.battery(), invalid)
    assert verdict.ruling == "FAIL"
    assert "primary key 'id' repeats" in verdict.because


def test_without_a_fair_comparison_attacks_decide_nothing() -> None:
    def shifted(battery: dict[str, Any]) -> None:
        battery["exchangeable"]["ok"] = False
        battery["attacks"][0].update(auc=0.9, auc_low=0.88, auc_high=0.92)

    assert lines(shifted)["membership, on average"].ruling == "INCONCLUSIVE"


def test_inconclusive_names_the_smallest_leak_it_could_have_seen() -> None:
    assert "0.524" in lines(attack(auc_high=0.54))["membership, on average"].detail


def test_every_bound_has_a_source() -> None:
    assert all(bound["source"] for bound in DEFAULTS.as_list())


RATES = st.floats(0, 1, allow_nan=False)


@settings(max_examples=300, deadline=None)
@given(start=st.lists(RATES, min_size=12, max_size=12), more=st.data())
def test_a_worse_privacy_number_never_improves_the_ruling(
    start: list[float], more: st.DataObject
) -> None:
    """Each number of the battery that a leak raises, raised alone; p values are lowered."""
    raised = more.draw(st.integers(0, len(start) - 1))
    worse = list(start)
    worse[raised] = more.draw(st.floats(start[raised], 1, allow_nan=False))
    before, after = _ruling(start), _ruling(worse)
    assert SEVERITY[after] >= SEVERITY[before]


def _ruling(x: list[float]) -> Any:
    """Numbers are placed independently: the gate may not rely on their order."""
    battery = fake_run.battery()
    battery["attacks"][0].update(auc=x[0], auc_low=x[1], auc_high=x[2])
    battery["attacks"][0].update(tpr_at_1=x[3], tpr_at_1_low=x[4], tpr_at_1_high=x[5])
    group = {"auc": x[6], "tpr_at_5": x[7], "tpr_at_5_low": x[8], "tpr_at_5_high": x[9]}
    battery["strata"][1].update(group, p=1 - x[10])
    battery["copies"].update(p=1 - x[11], share_train=0.01)
    return decide(fake_run.scorecard(), battery, fake_run.validity()).ruling


@pytest.mark.parametrize(("name", "change", "ruling"), PRIVACY)
def test_under_a_budget_attacks_convict_and_need_not_acquit(
    name: str, change: Change, ruling: str
) -> None:
    found = lines(change, guarantee=fake_run.statement())[name].ruling
    assert found == ("INFO" if ruling == "INCONCLUSIVE" else ruling)


def test_the_guarantee_is_a_line_and_fails_beyond_its_budget() -> None:
    kept = fake_run.statement()
    assert lines(guarantee=kept)["the guarantee"].ruling == "PASS"
    over = {**kept, "epsilon": 1.001}
    assert lines(guarantee=over)["the guarantee"].ruling == "FAIL"
    assert "the guarantee" not in lines()


def test_accountants_that_disagree_stop_a_release() -> None:
    stated = fake_run.statement()
    assert "the guarantee, added up twice" not in lines(guarantee=stated)
    twice = {"low": 0.96, "high": 1.1}
    agreed = lines(guarantee={**stated, "second_accountant": twice})
    assert agreed["the guarantee, added up twice"].ruling == "PASS"
    more = {"low": 1.2, "high": None}
    wrong = lines(guarantee={**stated, "second_accountant": more})["the guarantee, added up twice"]
    assert wrong.ruling == "FAIL"
    assert "0.970 is claimed" in wrong.detail


def test_canaries_of_a_run_convict_when_they_prove_more_than_is_claimed() -> None:
    stated = fake_run.statement()
    untried = lines(guarantee=stated)["the guarantee, tried"]
    assert untried.ruling == "INFO"
    assert "held no canaries" in untried.detail
    audit = {"canaries": 1000, "sure": 0.61, "because": "shift of noisy tables"}
    kept = lines(guarantee={**stated, "audit": audit})["the guarantee, tried"]
    assert (kept.ruling, kept.value, kept.bound) == ("PASS", 0.61, 0.97)
    assert "0.610" in kept.detail
    assert "0.970" in kept.detail
    broken = lines(guarantee={**stated, "audit": {**audit, "sure": 0.98}})
    assert broken["the guarantee, tried"].ruling == "FAIL"
