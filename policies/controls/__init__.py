"""What must hold: one module per family of controls. No control knows a name of ours; each holds for any stack."""

from __future__ import annotations

from controls import (
    acc,
    aud,
    aud_alarms,
    aud_regions,
    dat,
    edg,
    eks,
    eks_access,
    eks_admission,
    eks_machines,
    eks_pods,
    eks_signatures,
    gpu,
    gpu_training,
    iam,
    iam_policies,
    key,
    key_use,
    mls,
    mls_managed,
    mls_serving,
    mls_training,
    net,
    red,
    res,
    sto,
)
from machinery.control import Control

_MODULES = (
    net,
    acc,
    iam,
    iam_policies,
    key,
    key_use,
    dat,
    sto,
    eks,
    eks_machines,
    eks_pods,
    eks_access,
    eks_admission,
    eks_signatures,
    gpu,
    gpu_training,
    mls,
    mls_training,
    mls_serving,
    mls_managed,
    edg,
    aud,
    aud_alarms,
    aud_regions,
    red,
    res,
)

CATALOGUE: tuple[Control, ...] = tuple(
    control for module in _MODULES for control in module.catalogue.controls
)
"""Every control of the pack, family by family."""
