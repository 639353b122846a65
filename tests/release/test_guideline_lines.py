"""Effect bounds of singling out, linkability and inference; what was not tried is not cleared."""

from __future__ import annotations

import pytest

from understudy.release.guideline_lines import guideline_lines
from understudy.release.privacy_lines import privacy_lines
from understudy.release.thresholds import DEFAULTS


def risk(low: float, high: float, **more) -> dict:
    value = (low + high) / 2
    found = {"tries": 1000, "attack": 0.2, "control": 0.2 - value, "chance": 0.01}
    for name in ("residual", "advantage"):
        found |= {name: value, f"{name}_low": low, f"{name}_high": high}
    return found | more


def battery(single=(-0.02, 0.03), link=(-0.01, 0.01), infer=(-0.02, 0.02), corrected=-0.03):
    secret = {"secret": "income", "method": "model", "corrected_low": corrected}
    return {
        "singling_out": {"one_column": None, "many_columns": risk(*single)},
        "linkability": risk(*link),
        "inference": [risk(*infer, **secret)],
        "inference_worst": risk(*infer),
        "attacks": [{}],
    }


def rulings(found) -> list[str]:
    return [line.ruling for line in guideline_lines(found, DEFAULTS)]


def test_small_gains_pass():
    assert rulings(battery()) == ["PASS"] * 3


@pytest.mark.parametrize(("which", "at"), [("single", 0), ("link", 1), ("infer", 2)])
def test_an_interval_beyond_the_bound_fails_and_one_across_it_is_inconclusive(which, at):
    assert rulings(battery(**{which: (0.15, 0.30)}))[at] == "FAIL"
    lines = guideline_lines(battery(**{which: (0.0, 0.30)}), DEFAULTS)
    assert lines[at].ruling == "INCONCLUSIVE"
    assert "up to 30.0 cannot be excluded" in lines[at].detail


def test_one_secret_convicts_although_the_halves_chose_another():
    assert rulings(battery(corrected=0.06))[2] == "FAIL"


def test_the_gain_that_was_judged_stands_beside_its_own_rates_only():
    """The halves' gain of -3.3 and the rates of the largest single try are two findings."""
    found = battery()
    found["inference_worst"] = risk(-0.053, -0.013)
    found["inference"][0] |= risk(0.006, 0.046) | {"attack": 0.715, "control": 0.687}
    line = guideline_lines(found, DEFAULTS)[2]
    judged, largest = line.detail.split(" Over all people ")
    assert "judged on the other half" in judged
    assert "a gain of -3.3 points [-5.3, -1.3]" in judged
    assert "%" not in judged
    assert "2.6 points: 'income' (model), right for 71.5 %" in largest
    assert "68.7 % of strangers" in largest
    assert line.value == pytest.approx(-0.033)


def test_a_secret_that_convicts_is_told_with_its_own_gain():
    found = battery(corrected=0.06)
    found["inference"][0] |= {"advantage": 0.08, "advantage_low": 0.07, "advantage_high": 0.09}
    line = guideline_lines(found, DEFAULTS)[2]
    assert "'income' (model)" in line.detail
    assert "a gain of 8.0 points [7.0, 9.0], beyond the bound" in line.detail
    assert (line.ruling, line.value) == ("FAIL", 0.08)


def test_what_was_not_measured_is_not_cleared():
    nothing = {"singling_out": {}, "linkability": {}, "inference": [], "attacks": []}
    assert rulings(nothing) == ["INCONCLUSIVE"] * 3
    assert rulings({**nothing, "attacks": [{}]})[1] == "INFO"
    assert guideline_lines({}, DEFAULTS) == []


def test_omission_fails_with_its_own_words():
    group = {
        "attack": "nearest synthetic row", "stratum": "all", "members": 900, "others": 900,
        "auc": 0.41, "auc_low": 0.39, "auc_high": 0.43,
        "tpr_at_5": 0.03, "tpr_at_5_low": 0.02, "tpr_at_5_high": 0.04, "p": 1.0, "p_lower": 0.001,
    }  # fmt: skip
    found = {"exchangeable": {"c2st": 0.5, "ok": True}, "power": {"smallest_auc": 0.52}}
    lines = privacy_lines({**found, "strata": [group]}, DEFAULTS)
    line = next(line for line in lines if line.name == "membership, unusual people")
    assert line.ruling == "FAIL"
    assert "score lower" in line.detail


def test_the_bound_over_all_attacks_acquits_and_one_attack_convicts():
    wide = {"name": "lucky", "auc": 0.525, "auc_low": 0.51, "auc_high": 0.54}
    found = {
        "exchangeable": {"c2st": 0.5, "ok": True},
        "power": {"smallest_auc": 0.52},
        "attacks": [wide],
    }

    def average(battery) -> str:
        lines = privacy_lines(battery, DEFAULTS)
        return next(line.ruling for line in lines if line.name == "membership, on average")

    assert average(found) == "INCONCLUSIVE"
    chosen = {
        "stratum": "all", "measure": "auc", "attacks": ["lucky"],
        "value": 0.505, "low": 0.49, "high": 0.52,
    }  # fmt: skip
    assert average({**found, "best": [chosen]}) == "PASS"
    guilty = {**wide, "auc": 0.6, "auc_low": 0.55, "auc_high": 0.65}
    assert average({**found, "best": [chosen], "attacks": [guilty]}) == "FAIL"
