"""The forms of identifiers: how an e-mail address, an IBAN or a card number is drawn.

Every form keeps what a reader (or a parser) relies on - length, country, checksum, character
classes, groups - and draws the rest.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from understudy.data.recognisers import NINO, SSN, national_valid

FIRST = (
    "Ada Alan Amara Ana Anil Boris Chen Clara Dara Elif Emil Farah Goran Hana Ines Ivan Jonas Kaja "
    "Kofi Lena Lars Maya Mira Nadia Noor Olga Omar Pablo Priya Ravi Rosa Sami Sofia Tariq Uma Vera "
    "Wanda Xenia Yara Zoe"
)
SYLLABLES = (
    "ba be bo da de do fa fe ga go ha he ja jo ka ke ko la le lo ma me mi mo na ne ni no pa pe ra "
    "re ri ro sa se so ta te ti to va ve vi vo wa we za ze zo"
)
ENDINGS = "berg dal der feld ford kov lund man ner nik rov sen ska son ster ton vic vitch well wood"
Draw = Callable[[int, np.random.Generator], NDArray[np.str_]]


def drawing(form: str, looks: list[str]) -> Draw:
    """Draws identifiers of `form` that look like `looks`, with repetitions and by chance real."""
    match form:
        case "email":
            return _emails
        case "name":
            return _names(looks)
        case "uuid":
            return _uuids(looks)
        case "ip":
            return _addresses(looks)
        case "iban":
            return _ibans(looks)
        case "card":
            return _cards(looks)
        case "url":
            return lambda n, rng: _join("https://example.org/", _letters(n, 10, rng))
        case "national":
            return _nationals(looks)
        case _:
            return _alike(looks)


def _alike(looks: list[str]) -> Draw:
    """Character class by character class: digits for digits, letters for letters, marks kept.

    A leading part that all looks share is kept, so `ACC-00123` stays an `ACC-` number.
    """
    prefix = _common_prefix(looks)
    keep = len(prefix.rstrip("0123456789")) if len(set(looks)) > 1 else 0
    by_width: dict[int, list[str]] = {}
    for look in looks:
        by_width.setdefault(len(look), []).append(look)

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        shape = rng.integers(0, len(looks), n)
        widths = np.array([len(look) for look in looks])[shape]
        made = np.empty(n, dtype=object)
        for width in np.unique(widths):
            rows = np.flatnonzero(widths == width)
            chars = np.array([list(look) for look in looks if len(look) == width])
            if width == 0:
                made[rows] = ""
                continue
            table = chars[rng.integers(0, len(chars), len(rows))]
            table = _redraw(table, keep, rng)
            made[rows] = table.view(f"<U{width}").ravel()
        return made

    return draw


def _redraw(table: NDArray[np.str_], keep: int, rng: np.random.Generator) -> NDArray[np.str_]:
    table = np.ascontiguousarray(table, dtype="<U1")
    for j in range(keep, table.shape[1]):
        cells = table[:, j]
        for kind, letters in (
            (np.char.isdigit, "0123456789"),
            (np.char.isupper, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"),
            (np.char.islower, "abcdefghijklmnopqrstuvwxyz"),
        ):
            hit = kind(cells)
            if letters[0] == "0" and j == keep and table.shape[1] > 1:
                letters = "123456789"
            pool = np.array(list(letters))
            cells[hit] = pool[rng.integers(0, len(pool), int(hit.sum()))]
    return table


def _ibans(looks: list[str]) -> Draw:
    """A country's account number redrawn, with the check digits of ISO 13616; groups kept."""
    compact = [look.replace(" ", "").upper() for look in looks]
    spaced = sum(" " in look for look in looks) > len(looks) / 2
    bodies: dict[str, list[str]] = {}
    for look in compact:
        bodies.setdefault(look[:2], []).append(look[4:])
    draws = {country: _alike(found) for country, found in bodies.items()}
    countries = np.array([look[:2] for look in compact])

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        chosen = countries[rng.integers(0, len(countries), n)]
        made = np.empty(n, dtype=object)
        for country, body in draws.items():
            rows = np.flatnonzero(chosen == country)
            made[rows] = [_checked(country, text, spaced) for text in body(len(rows), rng)]
        return made

    return draw


def _checked(country: str, body: str, spaced: bool) -> str:
    number = int("".join(str(int(c, 36)) for c in f"{body}{country}00"))
    text = f"{country}{98 - number % 97:02d}{body}"
    return " ".join(text[i : i + 4] for i in range(0, len(text), 4)) if spaced else text


def _cards(looks: list[str]) -> Draw:
    """Digits anew but for the scheme's first, the last by Luhn's rule; length and groups kept."""
    shapes = ["".join("0" if c.isdigit() else c for c in look) for look in looks]
    firsts = np.array([int(next(c for c in look if c.isdigit())) for look in looks])

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        chosen = rng.integers(0, len(looks), n)
        made = np.empty(n, dtype=object)
        for i, look in enumerate(chosen):
            shape = shapes[look]
            digits = rng.integers(0, 10, shape.count("0"))
            digits[0] = firsts[look]
            doubled = digits[-2::-2] * 2
            total = np.where(doubled > 9, doubled - 9, doubled).sum() + digits[-3::-2].sum()
            digits[-1] = -total % 10
            following = iter(digits)
            made[i] = "".join(str(next(following)) if c == "0" else c for c in shape)
        return made

    return draw


def _nationals(looks: list[str]) -> Draw:
    """United States, British and Indian numbers valid in form; others keep their look."""
    if all(SSN.fullmatch(look) for look in looks):
        return _ssns
    if all(NINO.fullmatch(look) for look in looks):
        return _of_digits(_alike(looks), NINO.fullmatch)
    if all(national_valid(look) for look in looks):
        return _of_digits(_alike(looks), national_valid)
    return _alike(looks)


def _ssns(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Areas 000, 666 and 900 on, group 00 and serial 0000 are never issued."""
    area = rng.integers(1, 899, n)
    area += area >= 666
    group, serial = rng.integers(1, 100, n), rng.integers(1, 10_000, n)
    return np.array(
        [f"{a:03d}-{g:02d}-{s:04d}" for a, g, s in zip(area, group, serial, strict=True)],
        dtype=object,
    )


def _of_digits(draw: Draw, valid: Callable[[str], object]) -> Draw:
    """What of `draw` is valid: about one in ten where one digit checks the others."""

    def valid_only(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        return np.array([text for text in draw(12 * n, rng) if valid(text)], dtype=object)

    return valid_only


def _emails(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    hosts = np.array(["@example.com", "@example.org", "@example.net"], dtype=object)
    return _letters(n, 9, rng) + hosts[rng.integers(0, 3, n)]


def _names(looks: list[str]) -> Draw:
    """Names of as many words as usual, the last one coined, so that there are enough of them."""
    words = max(1, round(float(np.mean([len(look.split()) for look in looks]))))

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        parts = [_picked(pool, n, rng) for pool in (SYLLABLES, SYLLABLES, ENDINGS)]
        last = np.array([name.capitalize() for name in parts[0] + parts[1] + parts[2]], object)
        for _ in range(words - 1):
            last = _picked(FIRST, n, rng) + " " + last
        return last

    return draw


def _picked(words: str, n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    pool = np.array(words.split(), dtype=object)
    return pool[rng.integers(0, len(pool), n)]


def _uuids(looks: list[str]) -> Draw:
    """Random UUIDs, version 4 (RFC 9562), spelled as the first one is."""
    import uuid

    first = looks[0]

    def spelled(value: uuid.UUID) -> str:
        text = str(value) if "-" in first else value.hex
        text = text.upper() if any(c.isupper() for c in first) else text
        return f"{{{text}}}" if first.startswith("{") else text

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        raw = rng.bytes(16 * n)
        values = [uuid.UUID(bytes=raw[16 * i : 16 * i + 16], version=4) for i in range(n)]
        return np.array([spelled(value) for value in values], dtype=object)

    return draw


def _addresses(looks: list[str]) -> Draw:
    """Private IPv4 addresses (RFC 1918), IPv6 ones reserved for documentation (RFC 3849)."""
    if all(":" in look for look in looks):
        return lambda n, rng: np.array(
            [
                "2001:db8:" + ":".join(f"{part:x}" for part in row)
                for row in rng.integers(1, 65_536, (n, 6))
            ],
            dtype=object,
        )

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        return np.array(
            [f"10.{a}.{b}.{c}" for a, b, c in rng.integers(0, 256, (n, 3))], dtype=object
        )

    return draw


def _letters(n: int, width: int, rng: np.random.Generator) -> NDArray[np.str_]:
    pool = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    table = np.ascontiguousarray(pool[rng.integers(0, 26, (n, width))])
    return table.view(f"<U{width}").ravel().astype(object)


def _join(prefix: str, tails: NDArray[np.str_]) -> NDArray[np.str_]:
    return np.array([prefix], dtype=object) + tails


def _common_prefix(texts: list[str]) -> str:
    low, high = min(texts), max(texts)
    for i, char in enumerate(low):
        if i >= len(high) or char != high[i]:
            return low[:i]
    return low
