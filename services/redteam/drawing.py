"""Pictures and curves as parts of one page: PNG and SVG inside the HTML, each with words for who cannot see it."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from html import escape

import numpy as np
from PIL import Image

from services.redteam.findings import Array, Chart, Line

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 64, 16, 16, 52
"""Of a chart, in its own units; margins hold the axes' names."""

LEAST = 1e-4
"""Where a logarithmic axis begins at most: rates below cannot be measured with the examples that anybody has."""

DASHES = ("", "7 5", "2 4")
"""Lines are told apart by these, not by colour alone."""


SMALLEST = 64
"""Pixels of a picture's side: a smaller one is made larger in whole steps, since printing smooths what it enlarges."""


def png(image: Array) -> str:
    """Return a picture as the address of its own data; values between 0 and 1."""
    kept, times = io.BytesIO(), max(1, SMALLEST // min(image.shape[:2]))
    drawn = np.rint(255 * np.clip(image, 0, 1)).astype(np.uint8).repeat(times, axis=0).repeat(times, axis=1)
    Image.fromarray(drawn).save(kept, "PNG", optimize=True)
    return f"data:image/png;base64,{base64.b64encode(kept.getvalue()).decode()}"


class Axis:
    """Numbers along one side of a chart."""

    def __init__(self, least: float, most: float, begin: float, end: float, *, logarithmic: bool) -> None:
        """Take values from ``least`` to ``most`` to places from ``begin`` to ``end``."""
        self.logarithmic, self.least, self.most = logarithmic, least, most
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        """Return the place of a value; what lies outside is drawn at the edge."""
        value = min(max(value, self.least), self.most)
        if self.logarithmic:
            share = math.log(value / self.least) / math.log(self.most / self.least)
        else:
            share = (value - self.least) / (self.most - self.least)
        return round(self._begin + share * (self._end - self._begin), 1)

    def ticks(self) -> list[tuple[float, str]]:
        """Return places and names of its marks."""
        if self.logarithmic:
            powers = range(round(math.log10(self.least)), round(math.log10(self.most)) + 1)
            return [(self.at(10.0**power), f"{100 * 10.0**power:g}%") for power in powers]
        steps = np.linspace(self.least, self.most, 5 + 1)
        return [(self.at(float(step)), f"{step:.3g}") for step in steps]


def chart(said: Chart) -> str:
    """Return a chart as SVG."""
    across, up = _axes(said)
    parts = [*_frame(said, across, up)]
    if said.logarithmic:
        diagonal = Line(name="chance", x=(across.least, 1.0), y=(across.least, 1.0))
        parts.append(_path(diagonal, across, up, 2, step=False))
    for place, line in enumerate(said.lines):
        parts.append(_path(line, across, up, place, step=said.logarithmic))
    names = [*(line.name for line in said.lines), *(["chance"] if said.logarithmic else [])]
    # Curves of accuracy fall from the upper left, those of rates rise to the upper right.
    parts += _key(names, TOP + 16 if said.logarithmic else HEIGHT - BOTTOM + 4 - 20 * len(names))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(described(said))}">{"".join(parts)}</svg>'


def described(said: Chart) -> str:
    """Return a chart in words."""
    return f"{said.title}. {said.y_name} against {said.x_name}. " + " ".join(
        f"{line.name}: from {line.y[0]:.3g} at {line.x[0]:.3g} to {line.y[-1]:.3g} at {line.x[-1]:.3g}."
        for line in said.lines
    )


def _axes(said: Chart) -> tuple[Axis, Axis]:
    begin, end, low, high = LEFT, WIDTH - RIGHT, HEIGHT - BOTTOM, TOP
    if not said.logarithmic:
        most = max(max(line.x) for line in said.lines)
        return (
            Axis(0, most, begin, end, logarithmic=False),
            Axis(0, 1, low, high, logarithmic=False),
        )
    smallest = min(value for line in said.lines for value in (*line.x, *line.y) if value > 0)
    least = max(LEAST, 10.0 ** math.floor(math.log10(smallest)))
    return Axis(least, 1, begin, end, logarithmic=True), Axis(least, 1, low, high, logarithmic=True)


def _frame(said: Chart, across: Axis, up: Axis) -> list[str]:
    low = HEIGHT - BOTTOM
    parts = []
    for place, name in across.ticks():
        parts.append(f'<path class="grid" d="M{place} {TOP}V{low}"/>')
        parts.append(f'<text class="tick" x="{place}" y="{low + 18}" text-anchor="middle">{name}</text>')
    for place, name in up.ticks():
        parts.append(f'<path class="grid" d="M{LEFT} {place}H{WIDTH - RIGHT}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{place + 4}" text-anchor="end">{name}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(
        f'<text class="name" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{escape(said.x_name)}</text>'
    )
    centre = (TOP + low) / 2
    parts.append(
        f'<text class="name" x="14" y="{centre}" text-anchor="middle" transform="rotate(-90 14 {centre})">'
        f"{escape(said.y_name)}</text>"
    )
    return parts


def _path(line: Line, across: Axis, up: Axis, place: int, *, step: bool) -> str:
    points = _places(line, across, up)
    drawn = [f"M{points[0][0]} {points[0][1]}"]
    drawn += [f"H{x}V{y}" if step else f"L{x} {y}" for x, y in points[1:]]
    dash = f' stroke-dasharray="{DASHES[place % 3]}"' if place % 3 else ""
    dots = (
        ""
        if step or place == 2
        else "".join(f'<circle class="dot{place}" cx="{x}" cy="{y}" r="4"/>' for x, y in points)
    )
    return f'<path class="line{place % 3}" d="{"".join(drawn)}"{dash}/>{dots}'


def _places(line: Line, across: Axis, up: Axis) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for x, y in zip(line.x, line.y, strict=True):
        place = (across.at(x), up.at(y))
        if not found or place != found[-1]:
            found.append(place)
    return found


def _key(names: Sequence[str], top: int) -> list[str]:
    parts = []
    for place, name in enumerate(names):
        y = top + 20 * place
        dash = f' stroke-dasharray="{DASHES[place % 3]}"' if place % 3 else ""
        parts.append(f'<path class="line{place % 3}" d="M{LEFT + 16} {y}h36"{dash}/>')
        parts.append(f'<text class="name" x="{LEFT + 60}" y="{y + 4}">{escape(name)}</text>')
    return parts
