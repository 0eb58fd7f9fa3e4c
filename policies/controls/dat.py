"""DAT."""

from __future__ import annotations

from machinery.control import Catalogue

catalogue = Catalogue()
