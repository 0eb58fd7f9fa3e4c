"""Shapes of a picture, and the picture as SVG: places and sizes are numbers, whatever is written is escaped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

FOLDER = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Box:
    """A rectangle in units of the picture; ``css`` names what it is."""

    x: float
    y: float
    width: float
    height: float
    css: str
    round: float = 6
    kind: str = "box"


@dataclass(frozen=True, kw_only=True)
class Words:
    """One line of text. ``whole`` is what it was cut from, which a pointer on it shows."""

    x: float
    y: float
    text: str
    css: str
    anchor: str = "start"
    whole: str = ""
    kind: str = "words"


@dataclass(frozen=True, kw_only=True)
class Way:
    """A line through points, with round corners; an arrow where ``arrow`` says so."""

    d: str
    css: str
    arrow: bool = True
    about: str = ""
    kind: str = "way"


@dataclass(kw_only=True)
class Picture:
    """Shapes in the order in which they are painted."""

    name: str
    title: str
    about: str
    width: float
    height: float
    shapes: list[Box | Words | Way] = field(default_factory=list)

    def box(self, x: float, y: float, width: float, height: float, css: str, *, round: float = 6) -> None:
        """Add a rectangle."""
        self.shapes.append(Box(x=x, y=y, width=width, height=height, css=css, round=round))

    def words(
        self, x: float, y: float, said: str, css: str, *, anchor: str = "start", room: float = 0
    ) -> None:
        """Add a line of text, cut to ``room``."""
        shown = fitted(said, room, css) if room else said
        whole = said if shown != said else ""
        self.shapes.append(Words(x=x, y=y, text=shown, css=css, anchor=anchor, whole=whole))

    def way(
        self, points: Sequence[tuple[float, float]], css: str, *, arrow: bool = True, about: str = ""
    ) -> None:
        """Add a line through points that lie across or above one another."""
        self.shapes.append(Way(d=rounded(points), css=css, arrow=arrow, about=about))


_WIDTHS = {"name": 7.2, "label": 6.8, "big": 8.4}
"""Mean width of a character of Helvetica, and of what has its metrics, at the sizes of ``picture.css``; wide is safe."""


def fitted(said: str, room: float, css: str) -> str:
    """Return a text cut to so much room, in units of the picture."""
    most = max(4, int(room / _WIDTHS.get(css.split()[0], 5.9)))
    return said if len(said) <= most else f"{said[: most - 1].rstrip(' ,-')}…"


def rounded(points: Sequence[tuple[float, float]], radius: float = 7) -> str:
    """Return the path through points as SVG writes it, its corners rounded."""
    points = [point for index, point in enumerate(points) if index == 0 or point != points[index - 1]]
    d = f"M{_number(points[0][0])} {_number(points[0][1])}"
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        room = min(radius, _distance(before, corner) / 2, _distance(corner, after) / 2)
        start, end = _towards(corner, before, room), _towards(corner, after, room)
        d += f"L{_number(start[0])} {_number(start[1])}"
        d += f"Q{_number(corner[0])} {_number(corner[1])} {_number(end[0])} {_number(end[1])}"
    return f"{d}L{_number(points[-1][0])} {_number(points[-1][1])}"


def _distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    return abs(one[0] - other[0]) + abs(one[1] - other[1])


def _towards(start: tuple[float, float], end: tuple[float, float], by: float) -> tuple[float, float]:
    far = _distance(start, end) or 1
    return start[0] + (end[0] - start[0]) * by / far, start[1] + (end[1] - start[1]) * by / far


def _number(value: float) -> str:
    return f"{value:.1f}".rstrip("0").rstrip(".")


def svg(picture: Picture, *, alone: bool = False) -> str:
    """Return the picture as SVG. ``alone``: a file of its own, with its colours; else the page has them."""
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=jinja2.FileSystemLoader(FOLDER),
    )
    environment.filters["number"] = _number
    style = (FOLDER / "picture.css").read_text(encoding="utf-8") if alone else ""
    return environment.get_template("picture.svg.j2").render(picture=picture, style=style)
