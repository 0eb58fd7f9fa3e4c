"""What must hold: one module per family of controls. No control knows a name of ours; each holds for any stack."""

from __future__ import annotations

from controls import (
    acc,
    aud,
    aud_alarms,
    aud_regions,
    dat,
    edg,
    edg_balancer,
    eks,
    eks_access,
    eks_admission,
    eks_entries,
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
    net_filters,
    red,
    red_backups,
    res,
    sto,
    sto_policies,
)
from machinery.control import Control

_MODULES = (
    net,
    net_filters,
    acc,
    iam,
    iam_policies,
    key,
    key_use,
    dat,
    sto,
    sto_policies,
    eks,
    eks_machines,
    eks_pods,
    eks_access,
    eks_admission,
    eks_signatures,
    eks_entries,
    gpu,
    gpu_training,
    mls,
    mls_training,
    mls_serving,
    mls_managed,
    edg,
    edg_balancer,
    aud,
    aud_alarms,
    aud_regions,
    red,
    red_backups,
    res,
)

CATALOGUE: tuple[Control, ...] = tuple(
    control for module in _MODULES for control in module.catalogue.controls
)
"""Every control of the pack, family by family."""
