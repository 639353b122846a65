"""Small drawings as inline SVG. Colours come from the page's style sheet, so dark mode is free.

Every builder takes plain numbers and returns safe markup; labels from data are escaped here.
Blue is real, orange synthetic, the grey band what two real samples differ by. Each drawing carries
its content as a sentence for those who do not see it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from understudy.release.figures import compact, percent

WIDTH, HEIGHT = 320, 132
LEVEL_ROW, TALLEST_ROW = 18.0, 34.0
MOST_LEVELS = 9

Shares = Sequence[float]


def svg(width: float, height: float, says: str, body: str, css: str = "") -> Markup:
    """An image with its description; `body` must be safe already."""
    label = escape(says)
    return Markup(
        f'<svg class="{css}" viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{label}">'
        f"{body}</svg>"
    )


def interval(
    value: float,
    low: float | None,
    high: float | None,
    *,
    bound: float | None = None,
    floor: float | None = None,
    good: str = "below",
    also: Sequence[float] = (),
) -> Markup:
    """A dot with its interval on a line, the bound as a wall, the floor as a tick.

    `good` says which side of the bound is the good one: "below" or "above". The line reaches as
    far as the numbers in `also`, so that several drawings can share an axis.
    """
    low, high = value if low is None else low, value if high is None else high
    marks = [value, low, high, *also, *(x for x in (bound, floor) if x is not None)]
    start, stop = min(marks), max(marks)
    room = (stop - start or abs(stop) or 1.0) * 0.12
    start, stop = start - room, stop + room
    width, middle = 200.0, 13.0

    def at(x: float) -> float:
        return 4 + (width - 8) * (x - start) / (stop - start)

    parts = [f'<line class="track" x1="4" x2="{width - 4:g}" y1="{middle}" y2="{middle}"/>']
    if bound is not None:
        wall = at(bound)
        left, span = (wall, width - 4 - wall) if good == "below" else (4.0, wall - 4)
        parts.append(
            f'<rect class="beyond" x="{left:.1f}" y="3" width="{max(0.0, span):.1f}" height="20"/>'
            f'<line class="bound" x1="{wall:.1f}" x2="{wall:.1f}" y1="3" y2="23"/>'
        )
    if floor is not None:
        parts.append(
            f'<line class="floor" x1="{at(floor):.1f}" x2="{at(floor):.1f}" y1="6" y2="20"/>'
        )
    parts.append(
        f'<line class="ci" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{middle}" y2="{middle}"/>'
        f'<circle class="dot" cx="{at(value):.1f}" cy="{middle}" r="4.5"/>'
    )
    said = f"{compact(value)}, interval {compact(low)} to {compact(high)}"
    said += f", bound {compact(bound)}" if bound is not None else ""
    said += f", floor {compact(floor)}" if floor is not None else ""
    return svg(width, 26, said, "".join(parts), "interval")


def histogram(name: str, kind: str, data: Mapping[str, Any]) -> Markup:
    """Real, synthetic and the band between real samples; synthetic alone where that is all."""
    synthetic = _filled(data.get("synthetic") or data.get("shares") or ())
    if not synthetic:
        return Markup('<p class="quiet">No values to draw.</p>')
    layers = {key: _filled(data.get(key) or ()) for key in ("real", "floor_low", "floor_high")}
    layers["synthetic"] = synthetic
    labels = [str(label) for label in data.get("labels") or ()]
    labels += [""] * (len(synthetic) - len(labels))
    if data.get("edges") or kind in ("number", "datetime", "duration", "geo"):
        return _vertical(name, labels, layers)
    return _horizontal(name, labels, layers)


def _vertical(name: str, labels: Sequence[str], layers: Mapping[str, Shares]) -> Markup:
    """Bars side by side along a number line."""
    synthetic, real = layers["synthetic"], layers["real"]
    high, low = layers["floor_high"], layers["floor_low"]
    base, count = HEIGHT - 22.0, len(synthetic)
    top = max([*synthetic, *real, *high, 1e-9])
    step = WIDTH / count

    def y(share: float) -> float:
        return base - (base - 6) * share / top

    gap = 1.0 if count > 12 else 3.0
    parts = [
        f'<rect class="syn" x="{i * step + gap / 2:.1f}" y="{y(s):.1f}" width="{step - gap:.1f}" '
        f'height="{base - y(s):.1f}"/>'
        for i, s in enumerate(synthetic)
    ]
    parts += [
        f'<rect class="band" x="{i * step:.1f}" y="{y(b):.1f}" width="{step:.1f}" '
        f'height="{max(0.8, y(a) - y(b)):.1f}"/>'
        for i, (a, b) in enumerate(zip(low, high, strict=False))
    ]
    if real:
        path = "".join(
            f"{'M' if i == 0 else 'L'}{i * step:.1f} {y(s):.1f}H{(i + 1) * step:.1f}"
            for i, s in enumerate(real)
        )
        parts.append(f'<path class="real" d="{path}"/>')
    parts.append(f'<line class="axis" x1="0" x2="{WIDTH}" y1="{base}" y2="{base}"/>')
    parts += _ticks(labels, step, base)
    return svg(WIDTH, HEIGHT, _said(name, labels, layers), "".join(parts), "histogram")


def _ticks(labels: Sequence[str], step: float, base: float) -> list[str]:
    """Three labels: bars of ranges are named at their left edge, bars of values in the middle."""
    count = len(labels)
    ranges = any(" to " in label for label in labels)
    wanted = sorted({1 if ranges and count > 2 else 0, count // 2, count - 1})
    found = []
    for order, i in enumerate(wanted):
        x = i * step + (0 if ranges else step / 2)
        anchor = ("start", "middle", "end")[order if len(wanted) == 3 else 1]
        x = {"start": max(0.0, x - 4), "middle": x, "end": min(WIDTH - 1.0, x + step)}[anchor]
        text = escape(_tick(labels[i].partition(" to ")[0] if ranges else labels[i]))
        found.append(
            f'<text class="tick" x="{x:.1f}" y="{base + 15}" text-anchor="{anchor}">{text}</text>'
        )
    return found


def _horizontal(name: str, labels: Sequence[str], layers: Mapping[str, Shares]) -> Markup:
    """A row per level: an orange bar, a blue mark, the grey band around the mark."""
    labels, layers = _folded(labels, layers)
    top = max([*layers["synthetic"], *layers["real"], *layers["floor_high"], 1e-9])
    left, right = 112.0, 48.0

    def x(share: float) -> float:
        return left + (WIDTH - left - right) * share / top

    row = min(TALLEST_ROW, max(LEVEL_ROW, HEIGHT / max(1, len(labels))))
    height = max(HEIGHT, len(labels) * row + 4)
    start, thick = (height - len(labels) * row) / 2, 0.66 * row
    parts = []
    for i, label in enumerate(labels):
        share, y = layers["synthetic"][i], start + i * row + (row - thick) / 2
        parts.append(
            f'<text class="level" x="{left - 8:g}" y="{y + thick / 2 + 4:.1f}" text-anchor="end">'
            f"{escape(_short(label, 17))}<title>{escape(label)}</title></text>"
            f'<rect class="syn" x="{left:g}" y="{y:.1f}" width="{max(0.6, x(share) - left):.1f}" '
            f'height="{thick:.1f}"/>'
            f'<text class="tick" x="{WIDTH}" y="{y + thick / 2 + 4:.1f}" text-anchor="end">'
            f"{percent(share)}</text>"
        )
        if layers["floor_high"]:
            a, b = x(layers["floor_low"][i]), x(layers["floor_high"][i])
            parts.append(
                f'<rect class="band" x="{a:.1f}" y="{y - 1:.1f}" width="{max(1.0, b - a):.1f}" '
                f'height="{thick + 2:.1f}"/>'
            )
        if layers["real"]:
            at = x(layers["real"][i])
            parts.append(
                f'<line class="real" x1="{at:.1f}" x2="{at:.1f}" y1="{y - 2:.1f}" '
                f'y2="{y + thick + 2:.1f}"/>'
            )
    return svg(WIDTH, height, _said(name, labels, layers), "".join(parts), "histogram")


def _folded(
    labels: Sequence[str], layers: Mapping[str, Shares]
) -> tuple[list[str], Mapping[str, Shares]]:
    """The first levels, and the rest as one row."""
    if len(labels) <= MOST_LEVELS + 1:
        return list(labels), layers
    rest = f"{len(labels) - MOST_LEVELS} more"
    kept = {k: [*s[:MOST_LEVELS], sum(s[MOST_LEVELS:])] if s else s for k, s in layers.items()}
    return [*labels[:MOST_LEVELS], rest], kept


def heatmap(
    names: Sequence[str],
    values: Sequence[Sequence[float | None]],
    title: str,
    *,
    top: float = 1.0,
) -> Markup:
    """A square of shaded cells: teal above zero, magenta below, the darker the further."""
    count = len(names)
    cell = 300 / max(1, count)
    parts = []
    for i, row in enumerate(values[:count]):
        for j, value in enumerate(row[:count]):
            if value is None or i == j:
                continue
            strength = min(1.0, abs(value) / top) if top else 0.0
            said = escape(f"{names[i]} × {names[j]}: {compact(value)}")
            parts.append(
                f'<rect class="{"over" if value >= 0 else "under"}" x="{j * cell:.2f}" '
                f'y="{i * cell:.2f}" width="{cell:.2f}" height="{cell:.2f}" '
                f'fill-opacity="{strength:.2f}"><title>{said}</title></rect>'
            )
    parts.append('<rect class="frame" x="0" y="0" width="300" height="300"/>')
    says = f"{title}, {count} columns; the strongest pairs are listed in the table below"
    return svg(300, 300, says, "".join(parts), "heatmap")


def dumbbell(real: float, synthetic: float, low: float, high: float, span: Shares) -> Markup:
    """Trained on real (blue) and on synthetic rows (orange), on the shared axis `span`."""
    start, stop = span
    width, middle = 420.0, 16.0

    def at(x: float) -> float:
        return 8 + (width - 16) * (x - start) / ((stop - start) or 1)

    body = (
        f'<line class="track" x1="8" x2="{width - 8:g}" y1="{middle}" y2="{middle}"/>'
        f'<line class="ci faint" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{middle}" '
        f'y2="{middle}"/>'
        f'<line class="bar" x1="{at(real):.1f}" x2="{at(synthetic):.1f}" y1="{middle}" '
        f'y2="{middle}"/>'
        f'<circle class="real-dot" cx="{at(real):.1f}" cy="{middle}" r="7"/>'
        f'<circle class="syn-dot" cx="{at(synthetic):.1f}" cy="{middle}" r="7"/>'
    )
    says = f"trained on real rows {compact(real)}, on synthetic rows {compact(synthetic)}"
    return svg(width, 32, says, body, "dumbbell")


def _said(name: str, labels: Sequence[str], layers: Mapping[str, Shares]) -> str:
    """The bar that differs most, or the tallest one when there is nothing to compare with."""
    synthetic, real = layers["synthetic"], layers["real"]
    if not real:
        tallest = max(range(len(synthetic)), key=synthetic.__getitem__)
        return f"{name}: most common {labels[tallest]}, {percent(synthetic[tallest])}"
    worst = max(range(len(real)), key=lambda i: abs(real[i] - synthetic[i]))
    return (
        f"{name}: largest difference at {labels[worst]}, real {percent(real[worst])}, "
        f"synthetic {percent(synthetic[worst])}"
    )


def _filled(shares: Sequence[float | None]) -> list[float]:
    return [0.0 if share is None else share for share in shares]


def _tick(label: str) -> str:
    """Numbers rounded, anything else cut short."""
    try:
        return f"{float(label):.4g}"
    except ValueError:
        return _short(label, 16)


def _short(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
