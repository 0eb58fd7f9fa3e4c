"""The cluster: its Kubernetes version, who reaches its API, its machines, and the GPUs of training."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from components.cluster_limits import SMALLEST_DISK_GB, api_range_problem, system_type_problem
from components.eks_versions import version_problem
from components.training import Capacity, pool_problem
from stacks.fields import ZoneLetter, arn, matching, wrong
from stacks.sections.section import Section


def _version(text: str) -> str:
    if problem := version_problem(text, datetime.now(UTC).date()):
        raise ValueError(problem)
    return text


def _api_range(text: str) -> str:
    if problem := api_range_problem(text):
        raise ValueError(problem)
    return text


def _system_type(text: str) -> str:
    if problem := system_type_problem(text):
        raise ValueError(problem)
    return text


def _ranges(value: Any) -> Any:
    """``private`` is a list of nobody."""
    if value == "private":
        return ()
    if not isinstance(value, list) or not value:
        raise ValueError(
            "is neither private nor a list of addresses; write private, or list the approved ones"
        )
    return tuple(value)


class SystemNodes(Section):
    """The machines of the cluster's own services and of the platform's."""

    instance_type: Annotated[str, AfterValidator(_system_type)] = "m7i.large"
    """An x86-64 type whose network interfaces can be shared with pods: no burstable one."""
    min_nodes: Annotated[int, Field(ge=2, le=50)] = 2
    max_nodes: Annotated[int, Field(ge=2, le=50)] = 4
    disk_gb: Annotated[int, Field(ge=SMALLEST_DISK_GB, le=1000)] = 50

    @model_validator(mode="after")
    def _can_grow(self) -> SystemNodes:
        if self.max_nodes < self.min_nodes:
            raise wrong("max_nodes", f"is below min_nodes; write {self.min_nodes} or more")
        return self


class Cluster(Section):
    """The Kubernetes cluster."""

    kubernetes_version: Annotated[str, AfterValidator(_version)]
    """A version of ``components/eks_versions.py`` that is in standard support today."""
    endpoint: Annotated[tuple[Annotated[str, AfterValidator(_api_range)], ...], BeforeValidator(_ranges)] = ()
    """``private``, or the IPv4 ranges, each /24 or narrower, that may reach the Kubernetes API from outside."""
    deployer_role_arn: Annotated[str, arn("iam", "role/.+")] | None = None
    """The role that runs ``pulumi up``: the cluster's administrator. ``<prefix>-deploy`` where it is left out."""
    deployer_security_group_id: (
        Annotated[
            str, matching(r"sg-[0-9a-f]{8,17}", "is not a security group id; write one like sg-0abc1234")
        ]
        | None
    ) = None
    """Group of the machine inside the VPC that runs ``pulumi up``: it reaches a private API where nobody else does."""
    system: SystemNodes = Field(default_factory=SystemNodes)


class TrainingPool(Section):
    """GPU machines of one kind in one zone; none run while there is nothing to train."""

    name: str
    instance_types: tuple[str, ...]
    """Types of ``components/gpu_families.py`` with the same GPUs."""
    max_nodes: int
    capacity: Capacity = "on-demand"
    zone: ZoneLetter | None = None
    """Letter of a zone of ``network.zones``; the first where it is left out."""
    disk_gb: Annotated[int, Field(ge=SMALLEST_DISK_GB, le=16000)] = 500
    capacity_reservation_id: (
        Annotated[str, matching(r"cr-[0-9a-f]{8,17}", "is not a reservation; write one like cr-0abc1234")]
        | None
    ) = None
    """The block of capacity that was bought, with ``capacity: capacity-block``."""

    @model_validator(mode="after")
    def _is_a_pool(self) -> TrainingPool:
        problem = pool_problem(
            name=self.name,
            instance_types=self.instance_types,
            max_nodes=self.max_nodes,
            capacity=self.capacity,
            capacity_reservation_id=self.capacity_reservation_id,
        )
        if problem:
            raise wrong(*problem)
        return self


class Training(Section):
    """Where models are trained."""

    pools: tuple[TrainingPool, ...] = ()
    monthly_budget_usd: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """What their instances may cost a month before somebody is told; US dollars."""

    @model_validator(mode="after")
    def _costs_are_watched(self) -> Training:
        if self.pools and self.monthly_budget_usd is None:
            raise wrong(
                "monthly_budget_usd",
                "is missing, and a stolen GPU costs thousands a day; write how many US dollars a month are planned",
            )
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> Training:
        names = [pool.name for pool in self.pools]
        for index, name in enumerate(names):
            if name in names[:index]:
                raise wrong(f"pools[{index}].name", f"{name!r} is the name of another pool; choose another")
        return self
