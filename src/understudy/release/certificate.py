"""The certificate: what is claimed about a bundle, on what evidence, and by which bounds.

It is made from the public view of a run, so it holds nothing computed from real rows except the
verdict's lines. The source is named by a keyed fingerprint: an unkeyed hash would let anyone who
guesses the whole table confirm the guess.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.privacy.home import home_folder
from understudy.release.disclosure import is_private, public_view
from understudy.release.evidence import evidence
from understudy.release.review import REASON, review_by
from understudy.release.thresholds import DEFAULTS, Thresholds
from understudy.release.versions import versions
from understudy.release.white_box_lines import OBJECTS

FORMAT = 1


def certificate(
    run: Mapping[str, Any],
    files: Sequence[Mapping[str, Any]],
    *,
    thresholds: Thresholds = DEFAULTS,
    override: str | None = None,
) -> dict[str, Any]:
    """The JSON of `certificate.json`; `files` come from `describe_file`."""
    view = public_view(run)
    verdict = view["verdict"]
    return {
        "format": FORMAT,
        "title": view["title"],
        "created": view["created"],
        "verdict": {
            "ruling": verdict.get("ruling"),
            "because": verdict.get("because"),
            "override": override,
        },
        "released": {"what": view["releases"], "means": OBJECTS[view["releases"]]},
        "review": {"by": review_by(view["created"]), "why": REASON},
        "claims": _claims(view, override),
        "privacy": {**view["privacy"], "unit": view["schema"]["unit"], "notice": view["notice"]},
        "assumptions": _assumptions(view),
        "lines": list(verdict.get("lines") or ()),
        "thresholds": thresholds.as_list(),
        "evidence": evidence({**view, "override": override}),
        "columns": view["schema"]["tables"],
        "provenance": {
            "versions": versions(view["understudy"]),
            "engine": view["engine"],
            "seed": "withheld: it stays in the run folder, since whoever holds it and candidate "
            "rows could rerun the engine and compare",
            "source": {
                "name": view["source"].get("name"),
                # Under a budget not even a keyed one: two of them tell whether a row was changed.
                "keyed_fingerprint": None
                if is_private(run)
                else _fingerprint((run.get("source") or {}).get("fingerprint")),
            },
            "files": list(files),
        },
    }


def describe_file(path: Path, root: Path, rows: int | None = None) -> dict[str, Any]:
    """Path below `root`, size and SHA-256 of a file of the bundle."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    about = {"path": path.relative_to(root).as_posix(), "sha256": digest}
    return {**about, "bytes": path.stat().st_size, **({} if rows is None else {"rows": rows})}


def _claims(view: Mapping[str, Any], override: str | None) -> list[str]:
    lines = view["verdict"].get("lines") or ()
    claims = [f"{line['name']}: {line['detail']}" for line in lines if line["ruling"] == "PASS"]
    if is_private(view):
        claims.append(view["privacy"]["sentence"])
    if override:
        claims.insert(0, f"RELEASED BY OVERRIDE, without a PASS. Reason given: {override}")
    return claims


def _assumptions(view: Mapping[str, Any]) -> list[str]:
    if is_private(view):
        return list(view["privacy"]["statement"]["assumptions"])
    return [
        "Names and kinds of columns, and the name of the source, are public.",
        "The held-out and reference rows come from the population of the rows learnt from, and "
        "share no protected unit with them.",
        "Attackers are those listed; one with other knowledge or a better attack may do better.",
        f"The verdict is about {OBJECTS[view['releases']]}.",
        "No differential privacy: the protection is what the attacks did not find, not a "
        "mathematical guarantee.",
    ]


def _fingerprint(content: str | None) -> str | None:
    if content is None:
        return None
    return hmac.new(_key(), content.encode(), hashlib.sha256).hexdigest()


def _key() -> bytes:
    """This house's secret for fingerprints, made on first use and never published."""
    path = home_folder() / "fingerprint.key"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        own = path.with_suffix(f".{os.getpid()}")
        own.touch(mode=0o600)
        own.write_bytes(secrets.token_bytes(32))
        try:
            os.link(own, path)  # loses to a process that was first, instead of overwriting its key
        except FileExistsError:
            pass
        finally:
            own.unlink()
    return path.read_bytes()
