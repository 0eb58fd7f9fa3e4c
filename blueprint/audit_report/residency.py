"""The map of data as a picture: which region holds what, and where its replicas and backups are."""

from __future__ import annotations

from blueprint.audit_report.drawing import Picture
from blueprint.audit_report.holdings import Holdings, Store

_WIDTH, _ROW, _TOP = 920.0, 40.0, 66.0
_LEFT, _BOX = 26.0, 316.0


def residency(stack: str, regions: tuple[str, ...], held: Holdings) -> Picture:
    """Return the picture: a row for each store of the home region, its copies beside it."""
    home = regions[0] if regions else "?"
    away = regions[1] if len(regions) > 1 else ""
    rows = [store for store in held.stores if store.region == home]
    height = _TOP + _ROW * len(rows) + 12
    picture = Picture(
        name="residency",
        title=f"Where the data of {stack} is",
        about=_told(rows, home, away),
        width=_WIDTH,
        height=height + 8,
    )
    picture.box(8, 8, _BOX + 2 * (_LEFT - 8), height - 8, "region", round=10)
    picture.words(_LEFT, 34, f"Home region {home}", "big")
    right = _WIDTH - _LEFT - _BOX
    if away:
        picture.box(right - _LEFT + 8, 8, _BOX + 2 * (_LEFT - 8), height - 8, "region", round=10)
        picture.words(right, 34, f"Backup region {away}", "big")
    for index, store in enumerate(rows):
        _paint(picture, store, _TOP + index * _ROW, right, _copy(store, held))
    return picture


def _told(rows: list[Store], home: str, away: str) -> str:
    copied = [store.name for store in rows if store.replica_region or store.backed_up]
    return (
        f"{len(rows)} stores in {home}; copied to {away or 'no other region'}: {', '.join(copied) or 'none'}."
    )


def _copy(store: Store, held: Holdings) -> tuple[str, str]:
    """Return how a store is copied away, and to what."""
    vaults = {vault.name for vault in held.vaults}
    away = [each.rpartition(":")[2] for rule in held.rules for each in rule.copies]
    backed_up = store.backed_up and any(each in vaults for each in away)
    if store.replica_region:
        return ("replica, backup" if backed_up else "replica"), store.replica
    return ("backup", "vault of backups") if backed_up else ("", "")


def _paint(picture: Picture, store: Store, y: float, right: float, copy: tuple[str, str]) -> None:
    _pill(picture, _LEFT, y, store.name, f"{store.kind}, {store.domain}")
    how, where = copy
    if how:
        _pill(picture, right, y, where, "")
        picture.way(
            [(_LEFT + _BOX, y + 15), (right, y + 15)], "copy", about=f"{store.name}: {how} in {where}"
        )
        middle = (_LEFT + _BOX + right) / 2
        width = 7 * len(how) + 10
        picture.box(middle - width / 2, y + 7, width, 16, "tag copy", round=8)
        picture.words(middle, y + 19, how, "port", anchor="middle")


def _pill(picture: Picture, x: float, y: float, name: str, about: str) -> None:
    picture.box(x, y, _BOX, 30, "card", round=8)
    picture.words(x + 10, y + 19, name, "label", room=150 if about else _BOX - 20)
    if about:
        picture.words(x + _BOX - 10, y + 19, about, "small", anchor="end", room=148)
