"""Training and its judge, apart: the trainer cannot release a model, and the red team cannot make one.

The trainer reads data through the data-access API, and writes and signs ``candidates/``. The red team attacks a
candidate; of what withstands it signs the verdict, with a key of its own, and writes both to ``released/``, the only
place that serving reads. What serves needs both signatures.
"""

from __future__ import annotations

from dataclasses import dataclass

import pulumi

from components.data_api import AUDIENCE
from components.documents import Statement
from components.pod_network import Addresses, Pods
from components.pods import TOKENS, Container, Image, Size
from components.rights import Objects, Secrets, signs, verifies
from components.workload import JobWorkload, Rights

CANDIDATES, RELEASED = "candidates/", "released/"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a job runs, and what it talks to there."""

    cluster_name: pulumi.Input[str]
    namespace: str
    needs: list[pulumi.Resource]
    data_api: Pods
    secrets: Secrets
    """Its own: ``data-api-ca`` is the authority that the data-access API's certificate descends from."""
    aws_endpoints: Addresses
    s3_url: pulumi.Input[str]
    region: str
    permissions_boundary_arn: pulumi.Input[str]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What runs, and how long at most."""

    image: Image
    size: Size
    deadline_seconds: int


@dataclass(frozen=True, kw_only=True)
class Models:
    """The bucket of models, and its key."""

    bucket: pulumi.Input[str]
    bucket_arn: pulumi.Input[str]
    key_arn: pulumi.Input[str]

    def under(self, prefix: str) -> Objects:
        """Return the models of one prefix."""
        return Objects(bucket_arn=self.bucket_arn, prefix=prefix, key_arn=self.key_arn)


_KEEP_SECONDS = 24 * 3600
"""A day to read why it failed."""


class Trainer(pulumi.ComponentResource):
    """The training job, within a privacy budget, as a template that people start."""

    def __init__(
        self,
        name: str,
        *,
        place: Place,
        run: Run,
        models: Models,
        signing_key_arn: pulumi.Input[str],
        manifest_key_arn: pulumi.Input[str],
        epsilon: float,
        delta: float,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the job.

        Args:
            name: Name of the app.
            place: Where it runs.
            run: What runs.
            models: Where candidates are written.
            signing_key_arn: The key that says who made a candidate.
            manifest_key_arn: The key of whoever vouches for datasets.
            epsilon: Most that training may reveal of one person (Dwork and Roth, "The Algorithmic Foundations
                of Differential Privacy", 2014), over 0.
            delta: Probability that it reveals more, between 0 and 1.
            opts: Options of the component, with the providers of AWS and of the cluster.

        Raises:
            ValueError: the budget is none.
        """
        super().__init__("secureml:ml_jobs:Trainer", name, None, opts)
        if not (0 < epsilon < float("inf") and 0 < delta < 1):
            raise ValueError(
                f"epsilon {epsilon} and delta {delta} are no budget; write one like 3.0 and 1e-6"
            )
        _job(
            self,
            name,
            place,
            run,
            about="Trains models and signs them as its own; cannot judge or release one",
            statements=[
                *models.under(CANDIDATES).writable(place.region),
                signs(signing_key_arn),
                verifies(manifest_key_arn),
            ],
            environment={
                "MODEL_BUCKET": models.bucket,
                "MODEL_PREFIX": CANDIDATES,
                "SIGNING_KEY_ARN": signing_key_arn,
                "MANIFEST_KEY_ARN": manifest_key_arn,
                "DP_EPSILON": f"{epsilon:g}",
                "DP_DELTA": f"{delta:g}",
            },
        )
        self.register_outputs({})


class RedTeam(pulumi.ComponentResource):
    """The promotion gate: attacks candidates, signs what it found, and alone releases what withstands."""

    def __init__(
        self,
        name: str,
        *,
        place: Place,
        run: Run,
        models: Models,
        trainer_key_arn: pulumi.Input[str],
        signing_key_arn: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the job.

        Args:
            name: Name of the app.
            place: Where it runs; not in the trainer's namespace.
            run: What runs.
            models: Where candidates are read and released models written.
            trainer_key_arn: The key that candidates are signed with.
            signing_key_arn: The key of verdicts, which makes a model fit to serve.
            opts: Options of the component, with the providers of AWS and of the cluster.
        """
        super().__init__("secureml:ml_jobs:RedTeam", name, None, opts)
        _job(
            self,
            name,
            place,
            run,
            about="Attacks models; signs the verdict, and releases those that withstand",
            statements=[
                *models.under(CANDIDATES).readable(place.region),
                *models.under(RELEASED).writable(place.region),
                signs(signing_key_arn),
                verifies(trainer_key_arn),
            ],
            environment={
                "MODEL_BUCKET": models.bucket,
                "CANDIDATE_PREFIX": CANDIDATES,
                "RELEASE_PREFIX": RELEASED,
                "SIGNING_KEY_ARN": signing_key_arn,
                "TRAINER_KEY_ARN": trainer_key_arn,
            },
        )
        self.register_outputs({})


def _job(
    parent: pulumi.ComponentResource,
    name: str,
    place: Place,
    run: Run,
    *,
    about: str,
    statements: list[Statement],
    environment: dict[str, pulumi.Input[str]],
) -> None:
    JobWorkload(
        name,
        namespace=place.namespace,
        container=Container(
            image=run.image,
            size=run.size,
            environment={
                **environment,
                "AWS_REGION": place.region,
                "AWS_ENDPOINT_URL_S3": place.s3_url,
                "DATA_API_CA_SECRET_ID": place.secrets.name("data-api-ca"),
                "DATA_API_URL": f"https://{place.data_api.app}.{place.data_api.namespace}.svc",
                "DATA_API_TOKEN_FILE": f"{TOKENS}/{AUDIENCE}",
            },
            audiences=(AUDIENCE,),
        ),
        deadline_seconds=run.deadline_seconds,
        keep_seconds=_KEEP_SECONDS,
        retries=2,
        reaches=[place.data_api, place.aws_endpoints],
        rights=Rights(
            cluster_name=place.cluster_name,
            about=about,
            permissions_boundary_arn=place.permissions_boundary_arn,
            statements=[*statements, *place.secrets.readable()],
        ),
        needs=place.needs,
        opts=pulumi.ResourceOptions(parent=parent),
    )
