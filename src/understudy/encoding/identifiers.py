"""Identifiers made anew: valid in form, none equal to a real one, learnt from nothing but looks.

Every form keeps what a reader (or a parser) relies on - length, country, checksum, character
classes - and draws the rest. Real values enter only as a list of what must not come out.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from understudy.errors import ConstraintError
from understudy.schema import Identifier

ROUNDS = 40
FIRST = [
    "Ada",
    "Alan",
    "Amara",
    "Ana",
    "Anil",
    "Boris",
    "Chen",
    "Clara",
    "Dara",
    "Elif",
    "Emil",
    "Farah",
    "Goran",
    "Hana",
    "Ines",
    "Ivan",
    "Jonas",
    "Kaja",
    "Kofi",
    "Lena",
    "Lars",
    "Maya",
    "Mira",
    "Nadia",
    "Noor",
    "Olga",
    "Omar",
    "Pablo",
    "Priya",
    "Ravi",
    "Rosa",
    "Sami",
    "Sofia",
    "Tariq",
    "Uma",
    "Vera",
    "Wanda",
    "Xenia",
    "Yara",
    "Zoe",
]
LAST = [
    "Abbott",
    "Baker",
    "Castro",
    "Dvorak",
    "Evans",
    "Fischer",
    "Gupta",
    "Haas",
    "Ito",
    "Jansen",
    "Kaya",
    "Lopez",
    "Meyer",
    "Novak",
    "Okafor",
    "Patel",
    "Quist",
    "Rossi",
    "Silva",
    "Tanaka",
    "Ueda",
    "Varga",
    "Weber",
    "Xu",
    "Yilmaz",
    "Zeller",
    "Berg",
    "Costa",
    "Dubois",
    "Eriksen",
]
Draw = Callable[[int, np.random.Generator], NDArray[np.str_]]


def make(column: Identifier, real: pa.ChunkedArray, n: int, rng: np.random.Generator) -> pa.Array:
    """`n` identifiers of the Arrow type of `real`, which holds the values never to be made.

    Unique when the real ones are, repeated as often on average when not; missing at the real rate.
    Raises `ConstraintError` when the form has too few values left.
    """
    present = real.drop_null()
    if len(present) == 0:
        return pa.nulls(n, real.type)
    distinct = pc.unique(present)
    repeats = len(present) / len(distinct)
    needed = n if repeats == 1 else max(1, min(n, int(np.ceil(n / repeats))))
    if pa.types.is_integer(real.type):
        made: pa.Array = _integers(distinct, needed, rng).cast(real.type)
    else:
        texts = distinct.cast(pa.string())
        made = _texts(column, texts, needed, rng).cast(real.type)
    if needed < n:
        made = made.take(pa.array(rng.integers(0, needed, n)))
    share = 1 - len(present) / len(real)
    if share == 0:
        return made
    return pc.if_else(pa.array(rng.random(n) < share), pa.scalar(None, real.type), made)


def _integers(distinct: pa.Array, n: int, rng: np.random.Generator) -> pa.Array:
    """Whole numbers of the same number of digits; one digit more when those are used up."""
    taken = distinct.to_numpy()
    low, high = int(taken.min()), int(taken.max())
    top = 10 ** len(str(abs(high))) - 1
    bottom = min(low, 10 ** (len(str(abs(low))) - 1)) if low > 0 else low
    most = int(np.iinfo(taken.dtype).max)
    while (min(top, most) - bottom + 1) < 2 * (len(taken) + n):
        if top >= most:
            raise ConstraintError(
                f"column type {taken.dtype} has too few whole numbers for {n} keys."
            )
        top = top * 10 + 9
    top = min(top, most)

    def draw(count: int) -> NDArray[np.integer]:
        return rng.integers(bottom, top, count, dtype=taken.dtype, endpoint=True)

    made = np.zeros(0, taken.dtype)
    for _ in range(ROUNDS):
        fresh = np.concatenate([made, draw(2 * (n - len(made)) + 10)])
        _, first = np.unique(fresh, return_index=True)
        fresh = fresh[np.sort(first)]
        made = fresh[~np.isin(fresh, taken)][:n]
        if len(made) == n:
            return pa.array(made)
    raise ConstraintError(f"could not make {n} whole numbers that are none of the real ones.")


def _texts(column: Identifier, distinct: pa.Array, n: int, rng: np.random.Generator) -> pa.Array:
    looks = distinct.take(pa.array(rng.integers(0, len(distinct), min(500, len(distinct)))))
    draw = _form(column.form, looks.to_pylist())
    made = pa.array([], pa.string())
    for attempt in range(ROUNDS):
        fresh = pa.array(draw(int(1.1 * (n - len(made))) + 10 * (attempt + 1), rng), pa.string())
        fresh = pc.unique(pa.concat_arrays([made, fresh]))
        real = pc.is_in(fresh, value_set=distinct)
        made = fresh.filter(pc.invert(real))[:n]
        if len(made) == n:
            return made
    raise ConstraintError(
        f"column {column.name!r}: only {len(made):,} of {n:,} {column.form} identifiers could be made "
        "that are none of the real ones; its form has too few values. Ask for fewer rows."
    )


def _form(form: str, looks: list[str]) -> Draw:
    match form:
        case "email":
            return _emails
        case "name":
            return _names(looks)
        case "uuid":
            return _uuids
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
    compact = [look.replace(" ", "") for look in looks]
    body = _alike([look[4:] for look in compact])
    countries = np.array([look[:2] for look in compact])

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        bodies = body(n, rng)
        lengths = {len(look): look[:2] for look in compact}
        made = []
        for text, country in zip(
            bodies, countries[rng.integers(0, len(countries), n)], strict=True
        ):
            country = lengths.get(len(text) + 4, country)
            number = int("".join(str(int(c, 36)) for c in f"{text}{country}00".upper()))
            made.append(f"{country}{98 - number % 97:02d}{text}")
        return np.array(made, dtype=object)

    return draw


def _cards(looks: list[str]) -> Draw:
    """Sixteen digits (or as many as the looks have) with the scheme's first digit and a Luhn digit."""
    width = max(len([c for c in look if c.isdigit()]) for look in looks)
    spaced = (
        " " if any(" " in look for look in looks) else "-" if any("-" in x for x in looks) else ""
    )
    firsts = np.array([int(next(c for c in look if c.isdigit())) for look in looks])

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        digits = rng.integers(0, 10, (n, width))
        digits[:, 0] = firsts[rng.integers(0, len(firsts), n)]
        odd = digits[:, -2::-2] * 2
        total = np.where(odd > 9, odd - 9, odd).sum(1) + digits[:, -3::-2].sum(1)
        digits[:, -1] = (10 - total % 10) % 10
        joined = [("".join(map(str, row))) for row in digits]
        if spaced:
            joined = [spaced.join(d[i : i + 4] for i in range(0, width, 4)) for d in joined]
        return np.array(joined, dtype=object)

    return draw


def _nationals(looks: list[str]) -> Draw:
    """United States numbers get the area 9xx, which is never issued; others keep their look."""
    if all(len(look) == 11 and look[3] == "-" and look[6] == "-" for look in looks):

        def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
            parts = (rng.integers(1, 899, n), rng.integers(1, 99, n), rng.integers(1, 9999, n))
            area = np.where(parts[0] == 666, 667, parts[0])
            return np.array(
                [f"{a:03d}-{g:02d}-{s:04d}" for a, g, s in zip(area, *parts[1:], strict=True)],
                dtype=object,
            )

        return draw
    return _alike(looks)


def _emails(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    hosts = np.array(["@example.com", "@example.org", "@example.net"], dtype=object)
    return _letters(n, 9, rng) + hosts[rng.integers(0, 3, n)]


def _names(looks: list[str]) -> Draw:
    words = max(1, round(float(np.mean([len(look.split()) for look in looks]))))

    def draw(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
        first = np.array(FIRST, dtype=object)[rng.integers(0, len(FIRST), n)]
        last = np.array(LAST, dtype=object)[rng.integers(0, len(LAST), n)]
        tail = np.array(LAST, dtype=object)[rng.integers(0, len(LAST), n)]
        double = rng.random(n) < 0.5
        last = np.where(double, last + "-" + tail, last)
        return last if words == 1 else first + " " + last

    return draw


def _uuids(n: int, rng: np.random.Generator) -> NDArray[np.str_]:
    """Random UUIDs, version 4 (RFC 9562)."""
    import uuid

    raw = rng.bytes(16 * n)
    return np.array(
        [str(uuid.UUID(bytes=raw[16 * i : 16 * i + 16], version=4)) for i in range(n)], dtype=object
    )


def _addresses(looks: list[str]) -> Draw:
    """Addresses reserved for documentation (RFC 5737, 3849), private ones (RFC 1918) for more."""
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
