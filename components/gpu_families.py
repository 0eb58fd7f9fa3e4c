"""GPU machines that training may run on: how many GPUs each type has, and how much memory each GPU.

Only types with x86-64 processors that encrypt what they send to each other (Amazon EC2 User Guide, "Encryption in
transit"): gradients tell of the data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, kw_only=True)
class GpuType:
    """What one type carries."""

    gpu: str
    count: int
    memory_mib: int
    """Of one GPU: what a program may use of it, less than its maker's round number."""


_GRAPHICS = {
    "xlarge": 1,
    "2xlarge": 1,
    "4xlarge": 1,
    "8xlarge": 1,
    "12xlarge": 4,
    "16xlarge": 1,
    "24xlarge": 4,
    "48xlarge": 8,
}

_FAMILIES: Mapping[str, tuple[str, int, Mapping[str, int]]] = {
    # family: (GPU, memory of one in MiB, GPUs by size)
    "g4dn": ("T4", 16384, {size: _GRAPHICS[size] for size in list(_GRAPHICS)[:6]}),
    "g5": ("A10G", 22888, _GRAPHICS),
    "g6": ("L4", 22888, _GRAPHICS),
    "g6e": ("L40S", 45776, _GRAPHICS),
    "p4d": ("A100", 40960, {"24xlarge": 8}),
    "p4de": ("A100", 81920, {"24xlarge": 8}),
    "p5": ("H100", 81920, {"4xlarge": 1, "48xlarge": 8}),
    "p5e": ("H200", 144384, {"48xlarge": 8}),
    "p5en": ("H200", 144384, {"48xlarge": 8}),
    "p6-b200": ("B200", 183359, {"48xlarge": 8}),
}
"""What EC2 itself tells (DescribeInstanceTypes, ``GpuInfo``)."""


def _types() -> Iterator[tuple[str, GpuType]]:
    for family, (gpu, memory_mib, sizes) in _FAMILIES.items():
        for size, count in sizes.items():
            yield f"{family}.{size}", GpuType(gpu=gpu, count=count, memory_mib=memory_mib)


GPU_TYPES: Mapping[str, GpuType] = dict(_types())
"""Each type, by its name."""


def type_problem(instance_type: str) -> str | None:
    """Return what is wrong with a type for training, and what to write instead; ``None`` where it is good."""
    if instance_type in GPU_TYPES:
        return None
    nearest = get_close_matches(instance_type, GPU_TYPES, n=1, cutoff=0.7)
    remedy = f"did you mean {nearest[0]}?" if nearest else "write one like g6.xlarge"
    return f"{instance_type!r:.40} is no GPU type that is known here; {remedy}"
