"""What must hold: one module per family of controls. No control knows a name of ours; each holds for any stack."""

from __future__ import annotations

from controls import acc, dat, iam, key, net, res, sto
from machinery.control import Control

CATALOGUE: tuple[Control, ...] = tuple(
    control for family in (net, acc, iam, key, dat, sto, res) for control in family.catalogue.controls
)
"""Every control of the pack, family by family."""
