"""A run that looks real: made-up numbers in the exact shape the other rooms hand over."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from understudy.data.dataset import Dataset
from understudy.release.gate import decide
from understudy.schema import Category, Number, one_table

ROWS = 500


def synthetic(rows: int = ROWS) -> Dataset:
    """A table with a hostile level and a unicode column name."""
    rng = np.random.default_rng(3)
    schema = one_table("people", [Number(name="age", integer=True), Category(name="größe <b>")])
    levels = np.array(["small", "<script>alert(1)</script>", "large"])
    table = pa.table(
        {
            "age": pa.array(rng.integers(18, 90, rows)),
            "größe <b>": pa.array(levels[rng.integers(0, 3, rows)]),
        }
    )
    return Dataset.single(schema, table)


def measurement(name: str, value: float, floor: float, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "value": value,
        "low": 0.95 * value,
        "high": 1.05 * value,
        "floor": floor,
        "n": ROWS,
        "meaning": f"what {name} means",
        "better": "lower",
        "floor_low": None,
        "floor_high": None,
        "unit": "%",
        **more,
    }


def scorecard() -> dict[str, Any]:
    data = synthetic()
    names = data.table.column_names
    histogram = {
        "labels": ["small", "<script>alert(1)</script>", "large"],
        "edges": None,
        "real": [0.3, 0.4, 0.3],
        "holdout": [0.31, 0.39, 0.3],
        "synthetic": [0.33, 0.33, 0.34],
        "floor_low": [0.27, 0.37, 0.27],
        "floor_high": [0.33, 0.43, 0.33],
    }
    columns = [
        {
            "name": name,
            "kind": kind,
            "shape_error": 1.2,
            "shape_floor": 0.8,
            "shape_low": 1.0,
            "shape_high": 1.4,
            "wasserstein": None,
            "wasserstein_floor": None,
            "missing": {"real": 0.0, "synthetic": 0.0},
            "histogram": histogram,
        }
        for name, kind in zip(names, ("number", "category"), strict=True)
    ]
    return {
        "format": 1,
        "rows": {"train": 14_000, "holdout": 4_000, "reference": 2_000, "synthetic": ROWS},
        "target": "age",
        "measurements": {
            "pair_error": measurement("pair_error", 1.6, 0.9),
            "shape_error": measurement("shape_error", 0.8, 0.5),
            "c2st": measurement("c2st", 0.52, 0.5, better="near"),
        },
        "columns": columns,
        "pairs": {"columns": names, "error": [[None, 1.5], [1.5, None]], "floor": [[0, 0.9]] * 2},
        "correlations": {
            "columns": names,
            "real": [[1.0, 0.31], [0.31, 1.0]],
            "synthetic": [[1.0, 0.28], [0.28, 1.0]],
            "measure": [["pearson", "ratio"]] * 2,
        },
        "utility": [
            {
                "model": "boosted trees",
                "metric": "auc",
                "trained_on_real": 0.92,
                "trained_on_synthetic": 0.91,
                "low": -0.02,
                "high": 0.0,
                "difference": -0.01,
            }
        ],
        "notes": [],
    }


def battery() -> dict[str, Any]:
    """Attacks that found nothing in 4,000 rows a side."""
    attack = {
        "name": "nearest-row ratio (values)",
        "attacker": {"knows": "the full record", "access": "the table", "cost": "seconds"},
        "auc": 0.505,
        "auc_low": 0.495,
        "auc_high": 0.515,
        "tpr_at_1": 0.011,
        "tpr_at_1_low": 0.008,
        "tpr_at_1_high": 0.015,
        "realised_fpr": 0.01,
        "roc": [[0.001, 0.001], [0.01, 0.011], [0.1, 0.105], [1.0, 1.0]],
        "stratum": "all",
    }
    group = {
        "attack": attack["name"],
        "members": 410,
        "others": 390,
        "auc": 0.51,
        "auc_low": 0.47,
        "auc_high": 0.55,
        "tpr_at_5": 0.055,
        "tpr_at_5_low": 0.035,
        "tpr_at_5_high": 0.08,
        "p": 0.6,
    }
    return {
        "format": 1,
        "exchangeable": {"c2st": 0.5, "low": 0.48, "high": 0.52, "ok": True},
        "copies": {
            "exact_train": 14,
            "exact_holdout": 6,
            "p": 0.6,
            "share_train": 0.001,
            "share_holdout": 0.001,
            "near_train": 140,
            "near_holdout": 61,
            "near_p": 0.55,
            "near_share_train": 0.01,
            "near_share_holdout": 0.01,
            "rare_keys": {
                "tried": 12,
                "columns": ["age"],
                "train": 3,
                "holdout": 2,
                "share_train": 0.2,
                "share_holdout": 0.2,
                "p": 1.0,
            },
            "duplicates_in_source": 0.1,
        },
        "closeness": {
            "closer_to_train": 0.51,
            "low": 0.50,
            "high": 0.52,
            "tie_share": 0.1,
        },
        "attacks": [attack],
        "strata": [
            {**group, "stratum": "all", "members": 4_000, "others": 4_000},
            {**group, "stratum": "top 10 % most unusual"},
        ],
        "family": {"p": 0.6, "strongest": "AUC", "z": 1.0, "permutations": 999},
        "power": {"smallest_auc": 0.524, "sentence": "An AUC of .524 would have been noticed."},
        "notes": [],
    }


def validity() -> dict[str, Any]:
    return {"rows": ROWS, "problems": [], "checked": ["column names, order and types"]}


def run() -> dict[str, Any]:
    """A whole run with its verdict, which is PASS."""
    data, card, attacks, valid = synthetic(), scorecard(), battery(), validity()
    return {
        "format": 1,
        "title": "A made-up run",
        "created": "2026-11-24T00:00:00Z",
        "understudy": "0.1.0",
        "seed": 424242,
        "engine": {"name": "tree", "config": {"leaf": 20}},
        "privacy": {"mode": "none", "sentence": "Made without differential privacy."},
        "source": {"name": "people", "rows": 20_000, "columns": 2, "fingerprint": "content-hash"},
        "schema": data.schema.model_dump(mode="json"),
        "split": {"train": 14_000, "holdout": 4_000, "reference": 2_000},
        "scorecard": card,
        "battery": attacks,
        "validity": valid,
        "verdict": decide(card, attacks, valid).as_dict(),
        "preview": {
            "columns": data.table.column_names,
            "rows": [list(row.values()) for row in data.table.slice(0, 5).to_pylist()],
        },
        "notes": [],
    }


def statement() -> dict[str, Any]:
    """What the ledger says of a run that spent epsilon .97 of 1."""
    return {
        "format": 1,
        "run": "people-1f2e3d4c",
        "dataset": "ab" * 32,
        "unit": "row",
        "relation": "add or remove one unit",
        "budget": {"epsilon": 1.0, "delta": 1e-6},
        "epsilon": 0.97,
        "delta": 1e-6,
        "curve": [{"delta": 1e-5, "epsilon": 0.83}, {"delta": 1e-6, "epsilon": 0.97}],
        "tpr_at_fpr": [{"fpr": 0.01, "tpr": 0.021}, {"fpr": 0.05, "tpr": 0.1}],
        "accountant": {"method": "pld", "because": "", "dp_accounting": "0.6.0"},
        "events": [
            {"query": "age, 1-way", "event": {"event": "gaussian", "sigma": 37.4}, "entry": 1},
        ],
        "public": [{"what": "levels of größe <b>", "from": "the plan"}],
        "all_runs": {"spent": 0.97, "cap": 10.0},
        "assumptions": ["Names and kinds of columns are public."],
    }


def private_run() -> dict[str, Any]:
    """The same run under a budget."""
    found = run()
    sentence = "Differential privacy with epsilon 0.97 and delta 1e-06 for each row."
    found["privacy"] = {"mode": "dp", "sentence": sentence, "statement": statement()}
    found["verdict"] = decide(
        found["scorecard"], found["battery"], found["validity"], guarantee=statement()
    ).as_dict()
    return found
