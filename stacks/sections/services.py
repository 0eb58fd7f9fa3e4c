"""What runs on the platform: which image, how many, how large, within which bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from components.pods import DIGEST
from stacks.fields import arn, wrong
from stacks.sections.section import Section


def _digest(text: str) -> str:
    if "/" in text or "@" in text:
        raise ValueError(
            "names a registry or a repository, and images come from the platform's own; write the digest alone: "
            "sha256: and 64 hexadecimal digits"
        )
    if not DIGEST.fullmatch(text):
        raise ValueError(
            "is no digest, and a tag can be moved to another image; write sha256: and 64 hexadecimal digits"
        )
    return text


Digest = Annotated[str, AfterValidator(_digest)]


class Service(Section):
    """A service that stays."""

    image: Digest
    """Digest in the service's own repository of the platform's registry."""
    replicas: Annotated[int, Field(ge=2, le=50)] = 2
    cpu_millicores: Annotated[int, Field(ge=100, le=64_000)] = 500
    """Of each replica: promised, and never more."""
    memory_mb: Annotated[int, Field(ge=128, le=512_000)] = 1024


class Job(Section):
    """A job that people start, and that ends. The sizes left out fit a ``g6.xlarge`` with what runs beside it."""

    image: Digest
    cpu_millicores: Annotated[int, Field(ge=100, le=192_000)] = 3000
    memory_mb: Annotated[int, Field(ge=128, le=2_000_000)] = 12_288
    scratch_gb: Annotated[int, Field(ge=1, le=10_000)] = 50
    deadline_hours: Annotated[int, Field(ge=1, le=336)] = 24
    """After this long it is stopped."""
    gpus: Annotated[int, Field(ge=0, le=16)] = 1
    """Of one job, on one machine of ``training.pools``."""
    gpu_quota: Annotated[int, Field(ge=0, le=1000)] = 1
    """Of all jobs of its namespace together."""

    @model_validator(mode="after")
    def _one_job_fits(self) -> Job:
        if self.gpu_quota < self.gpus:
            raise wrong(
                "gpu_quota",
                f"{self.gpu_quota} is below the {self.gpus} GPUs that one job asks for; write {self.gpus} or more",
            )
        return self

    @property
    def jobs_at_once(self) -> int:
        """How many fit into the quota."""
        return self.gpu_quota // self.gpus if self.gpus else 1


class Trainer(Job):
    """The training job, with its privacy budget."""

    epsilon: Annotated[float, Field(gt=0, le=10)]
    """Most that a model may reveal of one person."""
    delta: Annotated[float, Field(gt=0, le=1e-3)]
    """Probability that it reveals more; below one over the number of people."""
    manifest_key_arn: Annotated[str, arn("kms", "key/.+")]
    """Key (ECC_NIST_P256, SIGN_VERIFY) of whoever vouches for datasets; not one of who trains."""


class Signatures(Section):
    """What checks signatures: Kyverno's images, mirrored into the platform's own registry."""

    kyverno: Digest
    kyvernopre: Digest


class Services(Section):
    """What is deployed. A service that is left out is not there: begin without any, push images, add them."""

    signatures: Signatures | None = None
    load_balancer_controller: Digest | None = None
    """Of the mirrored controller that registers the gateway's pods behind the load balancer."""
    data_api: Service | None = None
    gateway: Service | None = None
    trainer: Trainer | None = None
    redteam: Job | None = None

    @model_validator(mode="after")
    def _images_are_verified(self) -> Services:
        if not self.signatures and (self.data_api or self.gateway or self.trainer or self.redteam):
            raise wrong(
                "signatures",
                "is missing, and nothing runs whose signature nobody checks; mirror Kyverno and write its digests",
            )
        return self

    @model_validator(mode="after")
    def _jobs_have_data(self) -> Services:
        for name in ("trainer", "redteam"):
            if getattr(self, name) and not self.data_api:
                raise wrong(name, "reads through the data-access API; add data_api")
        if self.redteam and not self.trainer:
            raise wrong("redteam", "judges what the trainer made and signed; add trainer")
        if self.gateway and not self.redteam:
            raise wrong("gateway", "serves only what the red team signed; add redteam")
        if self.gateway and not self.load_balancer_controller:
            raise wrong(
                "load_balancer_controller",
                "is missing, and nothing registers the gateway behind the load balancer; mirror it and write its digest",
            )
        return self
