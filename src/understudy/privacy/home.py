"""The folder that holds the ledger, the key that only its owner has, and the ledger's counter.

`ledger.head` says, under a code keyed with `key`, how many entries the ledger has and what the
hash of the last is. It lies outside the database, so that a ledger whose end was cut off, whose
hashes were made anew, or that was replaced by an older copy does not fit it.

What cannot be found out: somebody who puts older copies of both files back together, or deletes the
whole folder, or holds the key. Keep the folder where those who ask for releases cannot write.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from understudy.errors import FormatError

KEY, HEAD, DATABASE = "key", "ledger.head", "ledger.sqlite"
SECTOR = 512
START = "0" * 64
"""What stands for the hash before the first entry."""


@dataclass(frozen=True)
class Head:
    """Where a ledger ends: how many entries it has and the hash of the last."""

    entries: int = 0
    hash: str = START


def home_folder() -> Path:
    """`$UNDERSTUDY_HOME`, or understudy's place in the user's data folder."""
    if named := os.environ.get("UNDERSTUDY_HOME"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "understudy"


def read_key(folder: Path) -> bytes | None:
    """The folder's secret, or None where there is none yet."""
    try:
        key = (folder / KEY).read_bytes()
    except FileNotFoundError:
        return None
    if len(key) != 32:
        raise FormatError(
            f"{folder / KEY} is not a key: 32 bytes expected, {len(key)} found. Restore it from a "
            "backup; without it the ledger can neither be checked nor added to."
        )
    return key


def make_key(folder: Path) -> bytes:
    """A new secret and the counter of an empty ledger; the key comes last, as it counts."""
    key = secrets.token_bytes(32)
    write_head(folder, key, Head())
    _write(folder / KEY, key)
    return key


def read_head(folder: Path, key: bytes) -> tuple[Head, ...]:
    """Where the ledger ends. Two answers mean that a process died between them: either may hold.

    Raises `FormatError` when the file is gone, damaged, or was written without the key.
    """
    path = folder / HEAD
    try:
        found = json.loads(path.read_text("ascii"))
        heads = tuple(Head(int(n), str(h)) for n, h in found["heads"])
        genuine = hmac.compare_digest(str(found["code"]), _code(key, heads))
    except FileNotFoundError:
        raise FormatError(
            f"{path} is gone. It says where the ledger ends; without it nobody can tell whether "
            "entries are missing. Restore it from a backup together with the database."
        ) from None
    except (ValueError, TypeError, KeyError):
        raise FormatError(f"{path} is damaged. Restore it from a backup.") from None
    if not genuine or not heads:
        raise FormatError(
            f"{path} was changed by something other than understudy: its code does not fit this "
            "home's key. Restore it from a backup."
        )
    return heads


def write_head(folder: Path, key: bytes, *heads: Head) -> None:
    """Overwrites the counter; on disk before it returns where it admits a new end.

    It fits into one sector, which disks write whole. That the old end is no longer admitted need
    not be waited for: until it is on disk the counter admits both.
    """
    content = {"heads": [[h.entries, h.hash] for h in heads], "code": _code(key, heads)}
    handle = os.open(folder / HEAD, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.write(handle, json.dumps(content).encode("ascii").ljust(SECTOR))
        if len(heads) > 1:
            os.fsync(handle)
    finally:
        os.close(handle)


def keyed(key: bytes, purpose: str) -> hmac.HMAC:
    """A fresh HMAC-SHA256 under a key derived for `purpose`."""
    derived = hmac.new(key, purpose.encode(), hashlib.sha256).digest()
    return hmac.new(derived, digestmod=hashlib.sha256)


def _code(key: bytes, heads: tuple[Head, ...]) -> str:
    code = keyed(key, "understudy ledger head")
    code.update(json.dumps([[h.entries, h.hash] for h in heads]).encode("ascii"))
    return code.hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Replaces `path` as a whole, on disk before it returns, readable by its owner only."""
    building = path.with_name(f".{path.name}.{os.getpid()}.part")
    handle = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(handle, content)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(building, path)
    if sys.platform != "win32":  # the renaming itself must survive a power cut
        folder = os.open(path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)
