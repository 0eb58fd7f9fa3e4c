"""What runs on the platform: closed namespaces, the gate of the cluster, and the services that the settings name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pulumi

from components.addressing import TierPlan
from components.admission import AdmissionRules
from components.cluster_limits import api_server_address, service_range
from components.cluster_roles import Duties, Duty
from components.data_api import AuditLog, DataApiBoundary, DataApiService, DatabaseAccess
from components.database import Database
from components.federation import Doorway, Outcome, Surroundings
from components.ip_blocker import Log
from components.ml_jobs import Models, Place, RedTeam, Run, Trainer
from components.model_signing import ModelSigningKey
from components.namespaces import ClosedNamespace, Quota
from components.personas import Persona
from components.pod_endpoint import PodEndpoint
from components.pod_network import Addresses, Pods
from components.pods import Image, Size
from components.rights import Secrets
from components.serving import Endpoints, Entrance, Gateway, QueryLog, Vouchers
from components.signatures import SignedImages
from components.target_registration import TargetRegistration
from components.token_issuer import Issuer
from stacks.parts import federation
from stacks.parts.cluster import DATA_API_PORT, ClusterHandles
from stacks.parts.foundation import Foundation
from stacks.sections.federation import Coordinates, Joins
from stacks.sections.services import Job, Service, Services, Signatures
from stacks.sections.services import Trainer as TrainerSettings

GATEWAY_PORT = 8443

_HTTPS, _POSTGRESQL = 443, 5432

_MOST_REFUSALS_PER_5MIN = 20
"""A caller with a wrong purpose tries a few times; a script tries on."""


@dataclass(frozen=True, kw_only=True)
class ServiceLogs:
    """Log groups of what services were asked; none of a service that is not there."""

    data_api: pulumi.Output[str] | None = None
    gateway: Log | None = None

    @property
    def by_service(self) -> dict[str, pulumi.Input[str]]:
        """Names of the log groups, by the names of the services."""
        names: dict[str, pulumi.Input[str]] = {}
        if self.data_api is not None:
            names["data-api"] = self.data_api
        if self.gateway is not None:
            names["gateway"] = self.gateway.group_name
        return names


def services_of(
    base: Foundation,
    cluster: ClusterHandles,
    data_api: DataApiBoundary,
    database: Database,
    entrance: Entrance | None,
) -> ServiceLogs:
    """Build the gate and what the settings name; return where they write down what they were asked."""
    rules = AdmissionRules(base.prefix, registry_host=cluster.registry_host, opts=_inside(base, cluster))
    if signatures := base.settings.services.signatures:
        gate = _signed_images(base, cluster, rules, signatures)
        return _Services(base, cluster, [*rules.ready, *gate.ready]).build(data_api, database, entrance)
    return ServiceLogs()


def _signed_images(
    base: Foundation, cluster: ClusterHandles, rules: AdmissionRules, digests: Signatures
) -> SignedImages:
    vpc = base.settings.network.cidr_block
    api_server = api_server_address(service_range(vpc))
    return SignedImages(
        f"{base.prefix}-signatures",
        cluster_name=cluster.name,
        kubernetes_version=base.settings.cluster.kubernetes_version,
        registry_host=cluster.registry_host,
        repository_prefix=base.prefix,
        digests={"kyverno": digests.kyverno, "kyvernopre": digests.kyvernopre},
        signing_key_arn=cluster.signing_key_arn,
        callers=_tier(base, "private"),
        reaches=[Addresses(cidr=cidr, port=_HTTPS) for cidr in (api_server, vpc)],
        permissions_boundary_arn=base.roles.boundary_arn,
        needs=rules.ready,
        opts=_inside(base, cluster),
    )


def _tier(base: Foundation, tier: Literal["private", "isolated"]) -> tuple[str, ...]:
    """Return the ranges of a tier; where the isolated one is in a VPC that was brought, only the VPC's is known."""
    network = base.settings.network
    if network.existing:
        return network.existing.private_cidrs if tier == "private" else (network.cidr_block,)
    plan = TierPlan.split(network.cidr_block, zones=len(network.zones))
    return plan.private if tier == "private" else plan.isolated


def _inside(base: Foundation, cluster: ClusterHandles) -> pulumi.ResourceOptions:
    return pulumi.ResourceOptions(providers=[base.regions.home, cluster.kubernetes])


_SERVING = "serving"

_RESTARTS: Mapping[Persona, Duty] = {"operator": "restarts"}


@dataclass(frozen=True, kw_only=True)
class _Opened:
    """A namespace whose pods are registered in a target group."""

    namespace: ClosedNamespace
    target_group_arn: pulumi.Input[str]


class _Services:
    def __init__(self, base: Foundation, cluster: ClusterHandles, gate: list[pulumi.Resource]) -> None:
        self._base, self._cluster, self._gate = base, cluster, gate
        self._opts = _inside(base, cluster)
        self._vpc = base.settings.network.cidr_block
        self._models = Models(
            bucket=base.buckets.models.bucket,
            bucket_arn=base.buckets.models.arn,
            key_arn=base.keys.models_arn,
        )

    def build(self, data_api: DataApiBoundary, database: Database, entrance: Entrance | None) -> ServiceLogs:
        asked = self._base.settings.services
        if not asked.data_api:
            return ServiceLogs()
        audit = self._data_api(asked.data_api, data_api, database).log_group_name
        if joins := self._base.settings.federation.joins:
            self._silo(joins)
        if not asked.trainer:
            return ServiceLogs(data_api=audit)
        s3 = self._endpoint("s3")
        trainer_key = self._trainer(asked.trainer, s3)
        if not asked.redteam:
            return ServiceLogs(data_api=audit)
        verdict_key = self._redteam(asked.redteam, s3, trainer_key)
        opened = self._opened(asked, entrance)
        if not opened:
            return ServiceLogs(data_api=audit)
        registration = self._registration(opened)
        if coordinates := self._base.settings.federation.coordinates:
            self._federation(coordinates, opened[federation.SERVER], registration, s3, trainer_key)
        if not (asked.gateway and entrance):
            return ServiceLogs(data_api=audit)
        vouchers = Vouchers(trainer_key_arn=trainer_key.arn, verdict_key_arn=verdict_key.arn)
        gateway = self._gateway(
            asked.gateway, opened[_SERVING].namespace, vouchers, s3, entrance, registration
        )
        queries = Log(group_name=gateway.log_group_name, group_arn=gateway.log_group_arn)
        return ServiceLogs(data_api=audit, gateway=queries)

    def _opened(self, asked: Services, entrance: Entrance | None) -> dict[str, _Opened]:
        """Return the namespaces whose pods somebody outside reaches, by name, and through which target group."""
        opened = {}
        if asked.gateway and entrance:
            namespace = self._namespace(_SERVING, _quota(asked.gateway), _RESTARTS)
            opened[_SERVING] = _Opened(namespace=namespace, target_group_arn=entrance.target_group_arn)
        if coordinates := self._base.settings.federation.coordinates:
            door = federation.door_of(self._base, self._cluster, coordinates)
            namespace = self._namespace(federation.SERVER, federation.server_quota(coordinates), _RESTARTS)
            opened[federation.SERVER] = _Opened(namespace=namespace, target_group_arn=door.target_group_arn)
        return opened

    def _federation(
        self,
        coordinates: Coordinates,
        opened: _Opened,
        registration: TargetRegistration,
        s3: PodEndpoint,
        trainer_key: ModelSigningKey,
    ) -> None:
        operator = self._namespace(federation.OPERATOR, federation.OPERATOR_QUOTA, {"operator": "runs-jobs"})
        image = coordinates.image
        federation.federation_of(
            coordinates,
            server=self._surroundings(
                opened.namespace, "superlink", image, federation.server_size(coordinates)
            ),
            operator=self._surroundings(operator, "federation-operator", image, federation.OPERATOR_SIZE),
            doorway=Doorway(
                cidrs=federation.door_cidrs(self._base),
                target_group_arn=opened.target_group_arn,
                registration=registration,
            ),
            outcome=Outcome(models=self._models, s3_url=s3.url, signing_key_arn=trainer_key.arn),
            opts=self._opts,
        )

    def _silo(self, joins: Joins) -> None:
        namespace = self._namespace(federation.SILO, federation.silo_quota(joins), _RESTARTS)
        federation.silo_of(
            self._base,
            self._cluster,
            joins,
            surroundings=self._surroundings(namespace, "supernode", joins.image, federation.silo_size(joins)),
            data_api=Pods(namespace="data-api", app="data-api", port=DATA_API_PORT),
            opts=self._opts,
        )

    def _surroundings(self, namespace: ClosedNamespace, app: str, image: str, size: Size) -> Surroundings:
        return Surroundings(
            cluster_name=self._cluster.name,
            namespace=namespace.name,
            needs=[*self._gate, *namespace.ready],
            image=self._image("federated", image),
            size=size,
            secrets=self._secrets(app),
            aws_endpoints=self._aws(),
            region=self._base.home_region,
            permissions_boundary_arn=self._base.roles.boundary_arn,
        )

    def _trainer(self, asked: TrainerSettings, s3: PodEndpoint) -> ModelSigningKey:
        coordinates = self._base.settings.federation.coordinates
        key = self._signing_key(
            "candidates",
            "training",
            "trainer",
            "Says who made a model",
            others=[(federation.SERVER, "superlink")] if coordinates else [],
        )
        Trainer(
            "trainer",
            place=self._place("training", "trainer", asked, s3, {"ml-engineer": "runs-jobs"}),
            run=self._run("trainer", asked),
            models=self._models,
            signing_key_arn=key.arn,
            manifest_key_arn=asked.manifest_key_arn,
            epsilon=asked.epsilon,
            delta=asked.delta,
            opts=self._opts,
        )
        return key

    def _redteam(self, asked: Job, s3: PodEndpoint, trainer_key: ModelSigningKey) -> ModelSigningKey:
        key = self._signing_key(
            "models", "redteam", "redteam", "Signs verdicts on models, which make them serve"
        )
        RedTeam(
            "redteam",
            # Not who trains: a job in this namespace may sign what serves.
            place=self._place("redteam", "redteam", asked, s3, {"operator": "runs-jobs"}),
            run=self._run("redteam", asked),
            models=self._models,
            trainer_key_arn=trainer_key.arn,
            signing_key_arn=key.arn,
            opts=self._opts,
        )
        return key

    def _data_api(self, asked: Service, boundary: DataApiBoundary, database: Database) -> DataApiService:
        base = self._base
        namespace = self._namespace("data-api", _quota(asked), _RESTARTS)
        return DataApiService(
            "data-api",
            cluster_name=self._cluster.name,
            namespace=namespace.name,
            needs=[*self._gate, *namespace.ready],
            image=self._image("data-api", asked.image),
            size=_size(asked),
            replicas=asked.replicas,
            port=DATA_API_PORT,
            reached_by=[
                Pods(namespace="training", app="trainer", port=DATA_API_PORT),
                Pods(namespace="redteam", app="redteam", port=DATA_API_PORT),
                *(
                    [Pods(namespace=federation.SILO, app="supernode", port=DATA_API_PORT)]
                    if base.settings.federation.joins
                    else []
                ),
            ],
            database=DatabaseAccess(
                address=database.endpoint_address,
                resource_id=database.resource_id,
                network=[Addresses(cidr=cidr, port=_POSTGRESQL) for cidr in _tier(base, "isolated")],
            ),
            security_group_id=boundary.security_group_id,
            node_security_group_id=self._cluster.node_security_group_id,
            secrets=self._secrets("data-api"),
            audit=AuditLog(
                name=f"/{base.prefix}/data-api/audit",
                key_arn=base.keys.logs_arn,
                retention_days=base.settings.retention.log_days,
                alarm_topic_arn=base.alerts.arn,
                most_refusals_per_5min=_MOST_REFUSALS_PER_5MIN,
            ),
            issuer=self._issuer(),
            aws_endpoints=self._aws(),
            account_id=base.settings.account_id,
            region=base.home_region,
            permissions_boundary_arn=base.roles.boundary_arn,
            opts=self._opts,
        )

    def _gateway(
        self,
        asked: Service,
        namespace: ClosedNamespace,
        vouchers: Vouchers,
        s3: PodEndpoint,
        entrance: Entrance,
        registration: TargetRegistration,
    ) -> Gateway:
        base = self._base
        return Gateway(
            "gateway",
            cluster_name=self._cluster.name,
            namespace=namespace.name,
            needs=[*self._gate, *namespace.ready],
            image=self._image("gateway", asked.image),
            size=_size(asked),
            replicas=asked.replicas,
            port=GATEWAY_PORT,
            models=self._models,
            vouchers=vouchers,
            secrets=self._secrets("gateway"),
            issuer=self._issuer(),
            endpoints=Endpoints(
                usual=self._aws(), s3_url=s3.url, dynamodb_url=self._endpoint("dynamodb").url
            ),
            entrance=entrance,
            registration=registration,
            node_security_group_id=self._cluster.node_security_group_id,
            log=QueryLog(
                name=f"/{base.prefix}/gateway/queries",
                key_arn=base.keys.logs_arn,
                retention_days=base.settings.retention.log_days,
                alarm_topic_arn=base.alerts.arn,
            ),
            budget_key_arn=base.keys.platform_arn,
            region=base.home_region,
            permissions_boundary_arn=base.roles.boundary_arn,
            opts=self._opts,
        )

    def _registration(self, opened: Mapping[str, _Opened]) -> TargetRegistration:
        base = self._base
        digest = base.settings.services.load_balancer_controller
        return TargetRegistration(
            f"{base.prefix}-registration",
            cluster_name=self._cluster.name,
            vpc_id=base.network.vpc_id,
            region=base.home_region,
            registry_host=self._cluster.registry_host,
            repository_prefix=base.prefix,
            image=self._image("mirror/aws-load-balancer-controller", digest or ""),
            target_group_arns={name: each.target_group_arn for name, each in opened.items()},
            permissions_boundary_arn=base.roles.boundary_arn,
            needs=[*self._gate, *(one for each in opened.values() for one in each.namespace.ready)],
            opts=self._opts,
        )

    def _issuer(self) -> Issuer:
        return Issuer(
            url=self._cluster.oidc_issuer,
            api_server=Addresses(cidr=api_server_address(service_range(self._vpc)), port=_HTTPS),
            security_group_id=self._cluster.cluster_security_group_id,
        )

    def _place(
        self, namespace: str, app: str, asked: Job, s3: PodEndpoint, duties: Mapping[Persona, Duty]
    ) -> Place:
        jobs = asked.jobs_at_once
        made = self._namespace(
            namespace,
            Quota(
                cpu=f"{jobs * asked.cpu_millicores}m",
                memory=f"{jobs * asked.memory_mb}Mi",
                pods=jobs,
                gpus=asked.gpu_quota,
            ),
            duties,
        )
        return Place(
            cluster_name=self._cluster.name,
            namespace=made.name,
            needs=[*self._gate, *made.ready],
            data_api=Pods(namespace="data-api", app="data-api", port=DATA_API_PORT),
            secrets=self._secrets(app),
            aws_endpoints=self._aws(),
            s3_url=s3.url,
            region=self._base.home_region,
            permissions_boundary_arn=self._base.roles.boundary_arn,
        )

    def _run(self, service: str, asked: Job) -> Run:
        size = Size(
            cpu=f"{asked.cpu_millicores}m",
            memory=f"{asked.memory_mb}Mi",
            disk=f"{asked.scratch_gb}Gi",
            gpus=asked.gpus,
        )
        return Run(
            image=self._image(service, asked.image), size=size, deadline_seconds=asked.deadline_hours * 3600
        )

    def _namespace(self, name: str, quota: Quota, duties: Mapping[Persona, Duty]) -> ClosedNamespace:
        made = ClosedNamespace(
            name,
            namespace=name,
            kubernetes_version=self._base.settings.cluster.kubernetes_version,
            quota=quota,
            opts=self._opts,
        )
        Duties(f"{name}-duties", namespace=name, duties=duties, needs=made.ready, opts=self._opts)
        return made

    def _signing_key(
        self,
        what: str,
        namespace: str,
        service_account: str,
        about: str,
        *,
        others: Sequence[tuple[str, str]] = (),
    ) -> ModelSigningKey:
        base = self._base
        return ModelSigningKey(
            f"{base.prefix}-{what}-signing",
            cluster_name=self._cluster.name,
            namespace=namespace,
            service_account=service_account,
            others=others,
            about=about,
            administrator_arns=[base.roles.role_arns["operator"], base.roles.role_arns["break-glass"]],
            deletion_window_days=base.settings.keys.deletion_window_days,
            account_id=base.settings.account_id,
            region=base.home_region,
            opts=base.regions.at_home,
        )

    def _endpoint(self, service: Literal["s3", "dynamodb"]) -> PodEndpoint:
        base = self._base
        return PodEndpoint(
            f"{base.prefix}-{service}",
            service=service,
            vpc_id=base.network.vpc_id,
            subnet_ids=base.network.private_subnet_ids,
            endpoint_security_group_id=base.network.endpoint_security_group_id,
            account_id=base.settings.account_id,
            region=base.home_region,
            opts=base.regions.at_home,
        )

    def _image(self, service: str, digest: str) -> Image:
        return Image(repository_url=self._cluster.repository_urls[service], digest=digest)

    def _secrets(self, service: str) -> Secrets:
        base = self._base
        return Secrets(
            prefix=f"{base.prefix}/{service}/",
            account_id=base.settings.account_id,
            region=base.home_region,
            key_arn=base.keys.platform_arn,
        )

    def _aws(self) -> Addresses:
        return Addresses(cidr=self._vpc, port=_HTTPS)


def _size(asked: Service) -> Size:
    return Size(cpu=f"{asked.cpu_millicores}m", memory=f"{asked.memory_mb}Mi")


def _quota(asked: Service) -> Quota:
    """Return room for all replicas, and for the one more that a new version begins with."""
    pods = asked.replicas + 1
    return Quota(cpu=f"{pods * asked.cpu_millicores}m", memory=f"{pods * asked.memory_mb}Mi", pods=pods)
