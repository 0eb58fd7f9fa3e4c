"""GPU machines that training may run on: how many GPUs each type has, and how much memory each GPU.

Only families that encrypt what their machines send to each other (Amazon EC2 User Guide, "Encryption in transit"),
with x86-64 processors and GPUs that Bottlerocket's driver knows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, kw_only=True)
class GpuType:
    """What one type carries."""

    gpu: str
    count: int
    memory_gib: int
    """Of one GPU, as its maker names it."""


def _family(gpu: str, memory_gib: int, counts: Mapping[str, int]) -> dict[str, GpuType]:
    return {type_: GpuType(gpu=gpu, count=count, memory_gib=memory_gib) for type_, count in counts.items()}


_ONE_TO_EIGHT = {
    "xlarge": 1,
    "2xlarge": 1,
    "4xlarge": 1,
    "8xlarge": 1,
    "12xlarge": 4,
    "16xlarge": 1,
    "24xlarge": 4,
    "48xlarge": 8,
}


def _graphics(family: str) -> dict[str, int]:
    return {f"{family}.{size}": count for size, count in _ONE_TO_EIGHT.items()}


GPU_TYPES: Mapping[str, GpuType] = {
    **_family(
        "T4",
        16,
        {
            "g4dn.xlarge": 1,
            "g4dn.2xlarge": 1,
            "g4dn.4xlarge": 1,
            "g4dn.8xlarge": 1,
            "g4dn.12xlarge": 4,
            "g4dn.16xlarge": 1,
        },
    ),
    **_family("A10G", 24, _graphics("g5")),
    **_family("L4", 24, _graphics("g6")),
    **_family("L40S", 48, _graphics("g6e")),
    **_family("A100", 40, {"p4d.24xlarge": 8}),
    **_family("A100", 80, {"p4de.24xlarge": 8}),
    **_family("H100", 80, {"p5.4xlarge": 1, "p5.48xlarge": 8}),
    **_family("H200", 141, {"p5e.48xlarge": 8, "p5en.48xlarge": 8}),
}
"""Amazon EC2 Instance Types, "Specifications for Amazon EC2 accelerated computing instances"."""


def type_problem(instance_type: str) -> str | None:
    """Return what is wrong with a type for training, and what to write instead; ``None`` where it is good."""
    if instance_type in GPU_TYPES:
        return None
    nearest = get_close_matches(instance_type, GPU_TYPES, n=1, cutoff=0.7)
    remedy = f"did you mean {nearest[0]}?" if nearest else "write one like g6.xlarge"
    return f"{instance_type!r:.40} is no GPU type that is known here; {remedy}"
