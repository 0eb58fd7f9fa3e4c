"""The architecture as a picture: regions, tiers, what stands in them, and an arrow for each way that is open.

Everything is laid out by rule from the graph, so the same graph gives the same picture: a row for each tier, the order
within a row that makes arrows shortest, and between two rows a lane for each arrow, so that none lies on another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import permutations

from blueprint.audit_report.drawing import Picture
from blueprint.audit_report.paths import ENDPOINTS, TIERS, Node, Path, Paths, Subnet, Tier
from blueprint.audit_report.services import COLUMNS, Card

WIDTH = 1064.0
"""Of a picture with up to five columns; with more it is wider."""
_MARGIN, _INSET = 16.0, 16.0
_LABELS = 190.0
"""Room for a tier's name and its subnets, left of what stands in it."""
_NODE_HEIGHT, _TIER_HEIGHT = 54.0, 104.0
_NODE_WIDTH = 164.0
_NODES_LEFT = _MARGIN + 2 * _INSET + _LABELS
_COLUMN = 165.0
"""Least room for a column of nodes: names of twenty letters stay whole."""
_LANE, _CLEAR = 11.0, 24.0
"""Between two lanes, and between a lane and a row: the number of a port fits there."""
_SEARCHED = 6
"""Rows of more than this many are not put in order by trying all orders: 6! is 720."""


@dataclass(kw_only=True)
class _Arrow:
    """All open ways to the same ports of one place that come in on the same side: their lines meet."""

    sources: list[str]
    target: str
    ports: list[int]
    gutters: tuple[int, ...]
    """Gutters that it goes through, from its start; gutter ``n`` lies below row ``n``."""
    down: bool
    """Whether it comes in from above."""
    lanes: dict[int, float] = field(default_factory=dict)
    """Gutter to the height of the lane in it."""


def architecture(
    stack: str, regions: tuple[str, ...], paths: Paths, services: Mapping[str, tuple[Card, ...]]
) -> Picture:
    """Return the picture of one environment."""
    return _Layout(stack, regions, paths, services).picture()


class _Layout:
    """One picture in the making."""

    def __init__(
        self, stack: str, regions: tuple[str, ...], paths: Paths, services: Mapping[str, tuple[Card, ...]]
    ) -> None:
        self._stack, self._regions, self._paths, self._services = stack, regions, paths, services
        tiers: list[Tier] = ["outside", *TIERS]
        inside = {node.tier for node in paths.nodes} | {subnet.tier for subnet in paths.subnets}
        self._tiers = [tier for tier in tiers if tier in inside]
        self._rows = [_first_order([n for n in paths.nodes if n.tier == tier]) for tier in self._tiers]
        self._row_of = {node.name: row for row, nodes in enumerate(self._rows) for node in nodes}
        self._arrows = self._merged([path for path in paths.paths if path.open])
        self._x: dict[str, float] = {}
        self._top: list[float] = []
        """Where each row of nodes begins."""

    def picture(self) -> Picture:
        """Return it."""
        self._order()
        picture = Picture(
            name="architecture",
            title=f"Architecture of {self._stack}",
            about=self._told(),
            width=self._width,
            height=0,
        )
        vpc_bottom = self._place_rows()
        self._paint_regions(picture, vpc_bottom)
        self._paint_tiers(picture)
        for arrow in self._arrows:
            self._paint_arrow(picture, arrow)
        for row, nodes in enumerate(self._rows):
            for node in nodes:
                self._paint_node(picture, node, self._top[row])
        return picture

    def _told(self) -> str:
        """Return in words what the picture shows."""
        ways = "; ".join(
            f"{', '.join(arrow.sources)} to {arrow.target} on {', '.join(map(str, arrow.ports))}"
            for arrow in self._arrows
        )
        where = " and ".join(self._regions) or "no region that is known"
        return f"In {where}. Open ways: {ways or 'none'}. The table below says the same, layer by layer."

    # --- order ------------------------------------------------------------------------------------------

    def _merged(self, ways: Iterable[Path]) -> list[_Arrow]:
        numbers: dict[tuple[str, str], list[int]] = {}
        for way in ways:
            numbers.setdefault((way.start, way.end), []).append(way.port)
        found: dict[tuple[object, ...], _Arrow] = {}
        for (start, end), ports in sorted(numbers.items()):
            here, there = self._row_of[start], self._row_of[end]
            down = there > here
            gutters = (here, there - 1) if down else (max(there, here - 1), there)
            arrow = _Arrow(
                sources=[],
                target=end,
                ports=sorted(ports),
                gutters=tuple(dict.fromkeys(gutters)),
                down=down,
            )
            found.setdefault((end, tuple(arrow.ports), arrow.gutters, down), arrow).sources.append(start)
        return list(found.values())

    def _order(self) -> None:
        """Give the nodes of each row the columns that make the arrows shortest, one row after the other."""
        for row, nodes in enumerate(self._rows):
            self._spread(row, self._first_columns(nodes))
        rows = range(len(self._rows))
        for row in (*rows, *reversed(rows), *rows):
            nodes = self._rows[row]
            others = [node for node in nodes if node.name != ENDPOINTS]
            free = range(self._columns - (len(nodes) - len(others)))
            if len(others) <= _SEARCHED and len(free) <= _SEARCHED:
                tried = [[*each, self._columns - 1][: len(nodes)] for each in permutations(free, len(others))]
                self._spread(row, min(tried, key=lambda columns: self._length(row, columns)))

    def _first_columns(self, nodes: list[Node]) -> list[int]:
        columns = list(range(len(nodes)))
        return [*columns[:-1], self._columns - 1] if nodes and nodes[-1].name == ENDPOINTS else columns

    def _length(self, row: int, columns: list[int]) -> float:
        self._spread(row, columns)
        return sum(abs(self._x[s] - self._x[arrow.target]) for arrow in self._arrows for s in arrow.sources)

    def _spread(self, row: int, columns: list[int]) -> None:
        """Give the nodes of a row their middles."""
        for node, column in zip(self._rows[row], columns, strict=True):
            self._x[node.name] = _NODES_LEFT + self._nodes_room * (column + 0.5) / self._columns

    @property
    def _columns(self) -> int:
        return max([1, *map(len, self._rows)])

    @property
    def _width(self) -> float:
        return max(WIDTH, _NODES_LEFT + _COLUMN * self._columns + _MARGIN + 2 * _INSET)

    @property
    def _nodes_room(self) -> float:
        return self._width - _MARGIN - 2 * _INSET - _NODES_LEFT

    @property
    def _node_width(self) -> float:
        return min(_NODE_WIDTH, self._nodes_room / self._columns - 14)

    # --- heights ----------------------------------------------------------------------------------------

    def _place_rows(self) -> float:
        """Give every row and every lane its height; return where the network ends."""
        y = _MARGIN
        for row, tier in enumerate(self._tiers):
            within = 0 if tier == "outside" else (_TIER_HEIGHT - _NODE_HEIGHT) / 2
            self._top.append(y + within)
            y += _NODE_HEIGHT + 2 * within
            lanes = [arrow for arrow in self._arrows if row in arrow.gutters and not self._straight(arrow)]
            # Region and network begin, with a line of text each, between who is outside and what is in.
            y += 56 if tier == "outside" else 0
            for index, arrow in enumerate(sorted(lanes, key=lambda each: self._x[each.target])):
                arrow.lanes[row] = y + _CLEAR + index * _LANE
            if row + 1 < len(self._tiers) or lanes:
                y += 2 * _CLEAR + max(0, len(lanes) - 1) * _LANE
        return y + 12

    def _straight(self, arrow: _Arrow) -> bool:
        """Say whether it needs no lane: one line straight down or up."""
        start = arrow.sources[0]
        return (
            len(arrow.sources) == 1
            and len(arrow.gutters) == 1
            and self._row_of[start] != self._row_of[arrow.target]
            and abs(self._x[start] - self._x[arrow.target]) < 1
        )

    # --- paint ------------------------------------------------------------------------------------------

    def _paint_regions(self, picture: Picture, vpc_bottom: float) -> None:
        region_top = self._top[0] + _NODE_HEIGHT + 14 if self._tiers[:1] == ["outside"] else _MARGIN
        bottom = self._paint_services(picture, region_top, vpc_bottom)
        picture.height = bottom + _MARGIN

    def _paint_services(self, picture: Picture, region_top: float, vpc_bottom: float) -> float:
        left, width = _MARGIN, self._width - 2 * _MARGIN
        home = self._regions[0] if self._regions else ""
        heights = {region: _card_height(self._services.get(region, ())) for region in self._regions}
        y = vpc_bottom + 18
        bottom = y + 26 + heights.get(home, 0) + 14
        picture.box(left, region_top, width, bottom - region_top, "region", round=10)
        picture.words(left + 14, region_top + 22, f"Home region {home}", "big")
        picture.box(left + _INSET, region_top + 32, width - 2 * _INSET, vpc_bottom - region_top - 32, "vpc")
        picture.words(left + _INSET + 12, region_top + 50, f"VPC {self._paths.vpc}", "label")
        picture.words(left + _INSET, y + 14, "AWS services of the account, over the endpoints", "label")
        self._paint_cards(picture, home, y + 26, heights.get(home, 0))
        for region in self._regions[1:]:
            top = bottom + 44
            below = top + 34 + heights[region] + 14
            picture.box(left, top, width, below - top, "region", round=10)
            picture.words(left + 14, top + 22, f"Backup region {region}", "big")
            self._paint_cards(picture, region, top + 34, heights[region])
            self._paint_copies(picture, region, y + 26 + heights.get(home, 0), top + 34)
            bottom = below
        return bottom

    def _paint_cards(self, picture: Picture, region: str, top: float, height: float) -> None:
        for card in self._services.get(region, ()):
            x, width = self._column(card.column)
            picture.box(x, top, width, height, "card")
            picture.words(x + 10, top + 18, card.title, "name", room=width - 16)
            for index, line in enumerate(card.lines):
                picture.words(x + 10, top + 35 + index * 15, line, "small", room=width - 16)

    def _column(self, column: int) -> tuple[float, float]:
        room = self._width - 2 * _MARGIN - 2 * _INSET
        each = room / len(COLUMNS)
        return _MARGIN + _INSET + column * each + (4 if column else 0), each - (4 if column else 0) - 4

    def _paint_copies(self, picture: Picture, region: str, start: float, end: float) -> None:
        there = {card.column: card for card in self._services.get(region, ())}
        for card in self._services.get(self._regions[0], ()):
            if card.copied and card.column in there:
                x, width = self._column(card.column)
                middle = x + width / 2
                picture.way([(middle, start), (middle, end)], "copy", about=f"{card.title}: {card.copied}")
                _tag(picture, middle, (start + end) / 2 + 7, card.copied, "copy")

    def _paint_tiers(self, picture: Picture) -> None:
        for row, tier in enumerate(self._tiers):
            if tier == "outside":
                continue
            x, y = _MARGIN + 2 * _INSET - 4, self._top[row] - (_TIER_HEIGHT - _NODE_HEIGHT) / 2
            picture.box(x, y, self._width - 2 * x, _TIER_HEIGHT, f"tier {tier}", round=8)
            picture.words(x + 12, y + 21, f"{tier} subnets", f"label {tier}")
            picture.words(x + 12, y + 37, TIERS[tier], "small", room=_LABELS - 4)
            zones = _by_zone([subnet for subnet in self._paths.subnets if subnet.tier == tier])
            for index, line in enumerate(zones[:4]):
                picture.words(x + 12, y + 56 + index * 14, line, "small", room=_LABELS - 4)

    def _paint_node(self, picture: Picture, node: Node, top: float) -> None:
        width = self._node_width
        x = self._x[node.name] - width / 2
        picture.box(x, top, width, _NODE_HEIGHT, f"node {node.tier}", round=8)
        picture.words(x + width / 2, top + 23, node.name, "name", anchor="middle", room=width - 10)
        picture.words(x + width / 2, top + 40, node.about, "small", anchor="middle", room=width - 8)

    def _paint_arrow(self, picture: Picture, arrow: _Arrow) -> None:
        end = self._at(arrow, arrow.target)
        for index, source in enumerate(arrow.sources):
            start = self._at(arrow, source)
            heights = [arrow.lanes[gutter] for gutter in arrow.gutters if gutter in arrow.lanes]
            # What passes a row does so beside everything in it.
            turns = [start[0], *([self._width - _MARGIN - 1.5 * _INSET] * (len(heights) - 1)), end[0]]
            points = [start]
            if not heights:
                end = (start[0], end[1])
            for height, before, after in zip(heights, turns, turns[1:], strict=False):
                points += [(before, height), (after, height)]
            ports = ", ".join(map(str, arrow.ports))
            about = f"{source} to {arrow.target}: TCP {ports}"
            picture.way([*points, end], "open", arrow=index == 0, about=about)
        y = end[1] - 15 if arrow.down else end[1] + 21
        _tag(picture, end[0], y, "/".join(map(str, arrow.ports)), "")

    def _at(self, arrow: _Arrow, name: str) -> tuple[float, float]:
        """Return where an arrow meets a node: a place of its own on that side, in the order of the other ends."""
        top = self._meets_top(arrow, name)
        meets = sorted(
            (
                each
                for each in self._arrows
                if name in (each.target, *each.sources) and self._meets_top(each, name) == top
            ),
            key=lambda each: (self._other(each, name), each.target, each.ports),
        )
        width = self._node_width - 16
        x = self._x[name] - width / 2 + width * (meets.index(arrow) + 0.5) / len(meets)
        return x, self._top[self._row_of[name]] + (0 if top else _NODE_HEIGHT)

    def _meets_top(self, arrow: _Arrow, name: str) -> bool:
        if name == arrow.target:
            return arrow.down
        return self._row_of[name] > self._row_of[arrow.target]

    def _other(self, arrow: _Arrow, name: str) -> float:
        if name != arrow.target:
            return self._x[arrow.target]
        return sum(self._x[each] for each in arrow.sources) / len(arrow.sources)


def _first_order(nodes: list[Node]) -> list[Node]:
    return sorted(nodes, key=lambda node: (node.name == ENDPOINTS, node.name))


def _by_zone(subnets: list[Subnet]) -> list[str]:
    zones: dict[str, list[str]] = {}
    for subnet in subnets:
        zones.setdefault(subnet.zone[-1:], []).append(subnet.block)
    return [
        f"{zone}  {min(blocks)}{f' and {len(blocks) - 1} more' if len(blocks) > 1 else ''}"
        for zone, blocks in sorted(zones.items())
    ]


def _card_height(found: Iterable[Card]) -> float:
    lines = max((len(card.lines) for card in found), default=0)
    return 30 + 15 * lines if lines else 0


def _tag(picture: Picture, x: float, y: float, said: str, css: str) -> None:
    width = 7 * len(said) + 9
    picture.box(x - width / 2, y - 12, width, 16, f"tag {css}".strip(), round=8)
    picture.words(x, y, said, "port", anchor="middle")
