"""What AWS would answer: plausible identifiers and ARNs of the right shape, the same at every run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from blueprint.graph import SIGNATURE, Resource


@dataclass(frozen=True)
class _Shape:
    """How one resource type names itself.

    Templates may hold ``{partition} {region} {account} {name} {id} {hex8} {hex17}`` and any input, as
    ``{in.bucket}``. ``physical`` is the input that holds the name; where the program leaves it out, Pulumi
    names the resource after its logical name and seven random characters.
    """

    id: str = "{name}"
    arn: str = ""
    physical: str = "name"
    more: Mapping[str, Any] = field(default_factory=dict)


def _ec2(prefix: str, kind: str, **more: Any) -> _Shape:
    return _Shape(
        id=f"{prefix}-{{hex17}}",
        arn=f"arn:{{partition}}:ec2:{{region}}:{{account}}:{kind}/{{id}}",
        physical="",
        more=more,
    )


def _beside(owner: str) -> _Shape:
    """Shape of a sub-resource, which carries the id of its owner."""
    return _Shape(id=f"{{in.{owner}}}", physical="")


def _named_by_arn(service: str, resource: str, *, physical: str = "name", **more: Any) -> _Shape:
    """Shape of what has its ARN for an id."""
    arn = f"arn:{{partition}}:{service}:{{region}}:{{account}}:{resource}"
    return _Shape(id=arn, arn=arn, physical=physical, more=more)


def _wafv2(kind: str, **more: Any) -> _Shape:
    return _Shape(
        id="{key_id}",
        arn=f"arn:{{partition}}:wafv2:{{region}}:{{account}}:regional/{kind}/{{name}}/{{key_id}}",
        more={"lockToken": "{key_id}", **more},
    )


_KMS_KEY = "arn:{partition}:kms:{region}:{account}:key/{id}"

_SHAPES: dict[str, _Shape] = {
    "aws:ec2/vpc:Vpc": _ec2(
        "vpc",
        "vpc",
        defaultSecurityGroupId="sg-{hex17}",
        defaultNetworkAclId="acl-{hex17}",
        defaultRouteTableId="rtb-{hex17}",
        mainRouteTableId="rtb-{hex17}",
        ownerId="{account}",
    ),
    "aws:ec2/subnet:Subnet": _ec2("subnet", "subnet"),
    "aws:ec2/securityGroup:SecurityGroup": _ec2("sg", "security-group", name="{name}", ownerId="{account}"),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": _ec2("sg", "security-group"),
    "aws:ec2/networkAcl:NetworkAcl": _ec2("acl", "network-acl"),
    "aws:ec2/defaultNetworkAcl:DefaultNetworkAcl": _ec2("acl", "network-acl"),
    "aws:ec2/routeTable:RouteTable": _ec2("rtb", "route-table"),
    "aws:ec2/defaultRouteTable:DefaultRouteTable": _ec2("rtb", "route-table"),
    "aws:ec2/internetGateway:InternetGateway": _ec2("igw", "internet-gateway"),
    "aws:ec2/natGateway:NatGateway": _Shape(id="nat-{hex17}", physical="", more={"publicIp": "{public_ip}"}),
    "aws:ec2/eip:Eip": _Shape(
        id="eipalloc-{hex17}",
        arn="arn:{partition}:ec2:{region}:{account}:elastic-ip/{id}",
        physical="",
        more={"allocationId": "eipalloc-{hex17}", "publicIp": "{public_ip}"},
    ),
    "aws:ec2/vpcEndpoint:VpcEndpoint": _ec2(
        "vpce",
        "vpc-endpoint",
        prefixListId="pl-{hex8}",
        dnsEntries=[
            {"dnsName": "*.{id}-{hex8}.s3.{region}.vpce.amazonaws.com", "hostedZoneId": "Z{HEX13}"},
        ],
    ),
    "aws:ec2/vpcEndpointService:VpcEndpointService": _ec2(
        "vpce-svc",
        "vpc-endpoint-service",
        serviceName="com.amazonaws.vpce.{region}.{id}",
        serviceType="Interface",
    ),
    "aws:ec2/flowLog:FlowLog": _ec2("fl", "vpc-flow-log"),
    "aws:ec2/launchTemplate:LaunchTemplate": _ec2(
        "lt", "launch-template", name="{name}", latestVersion=1, defaultVersion=1
    ),
    "aws:ec2/managedPrefixList:ManagedPrefixList": _ec2("pl", "prefix-list"),
    "aws:ec2/keyPair:KeyPair": _Shape(
        arn="arn:{partition}:ec2:{region}:{account}:key-pair/{name}", physical="keyName"
    ),
    "aws:ec2/route:Route": _Shape(id="r-{in.routeTableId}{hex8}", physical=""),
    "aws:ec2/routeTableAssociation:RouteTableAssociation": _Shape(id="rtbassoc-{hex17}", physical=""),
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": _ec2("sgr", "security-group-rule"),
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": _ec2("sgr", "security-group-rule"),
    "aws:s3/bucket:Bucket": _Shape(
        arn="arn:{partition}:s3:::{name}",
        physical="bucket",
        more={
            "bucketDomainName": "{name}.s3.amazonaws.com",
            "bucketRegionalDomainName": "{name}.s3.{region}.amazonaws.com",
        },
    ),
    "aws:s3/bucketVersioning:BucketVersioning": _beside("bucket"),
    "aws:s3/bucketPolicy:BucketPolicy": _beside("bucket"),
    "aws:s3/bucketLogging:BucketLogging": _beside("bucket"),
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": _beside("bucket"),
    "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock": _beside("bucket"),
    "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration": _beside("bucket"),
    "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration": _beside("bucket"),
    "aws:s3/bucketReplicationConfig:BucketReplicationConfig": _beside("bucket"),
    "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration": _beside(
        "bucket"
    ),
    "aws:kms/key:Key": _Shape(id="{key_id}", arn=_KMS_KEY, physical="", more={"keyId": "{key_id}"}),
    "aws:kms/replicaKey:ReplicaKey": _Shape(
        id="{key_id}", arn=_KMS_KEY, physical="", more={"keyId": "{key_id}"}
    ),
    "aws:kms/alias:Alias": _Shape(
        arn="arn:{partition}:kms:{region}:{account}:{name}",
        more={"targetKeyArn": "arn:{partition}:kms:{region}:{account}:key/{in.targetKeyId}"},
    ),
    "aws:iam/role:Role": _Shape(
        arn="arn:{partition}:iam::{account}:role{path}{name}", more={"uniqueId": "AROA{hex17}"}
    ),
    "aws:iam/policy:Policy": _Shape(
        id="arn:{partition}:iam::{account}:policy{path}{name}",
        arn="arn:{partition}:iam::{account}:policy{path}{name}",
    ),
    "aws:iam/instanceProfile:InstanceProfile": _Shape(
        arn="arn:{partition}:iam::{account}:instance-profile{path}{name}"
    ),
    "aws:iam/openIdConnectProvider:OpenIdConnectProvider": _Shape(
        id="arn:{partition}:iam::{account}:oidc-provider/{issuer}",
        arn="arn:{partition}:iam::{account}:oidc-provider/{issuer}",
        physical="",
    ),
    "aws:cloudwatch/logGroup:LogGroup": _Shape(
        arn="arn:{partition}:logs:{region}:{account}:log-group:{name}"
    ),
    "aws:cloudwatch/metricAlarm:MetricAlarm": _Shape(
        arn="arn:{partition}:cloudwatch:{region}:{account}:alarm:{name}"
    ),
    "aws:sns/topic:Topic": _Shape(
        id="arn:{partition}:sns:{region}:{account}:{name}",
        arn="arn:{partition}:sns:{region}:{account}:{name}",
    ),
    "aws:sns/topicSubscription:TopicSubscription": _Shape(
        id="{in.topic}:{key_id}", arn="{in.topic}:{key_id}", physical=""
    ),
    "aws:lb/loadBalancer:LoadBalancer": _named_by_arn(
        "elasticloadbalancing",
        "loadbalancer/app/{name}/{hex16}",
        arnSuffix="app/{name}/{hex16}",
        dnsName="{name}-{hex8}.{region}.elb.amazonaws.com",
        # AWS has one for each region (AWS General Reference, "Elastic Load Balancing endpoints and quotas").
        zoneId="Z{HEX13}",
    ),
    "aws:lb/targetGroup:TargetGroup": _named_by_arn(
        "elasticloadbalancing", "targetgroup/{name}/{hex16}", arnSuffix="targetgroup/{name}/{hex16}"
    ),
    "aws:lb/listener:Listener": _named_by_arn(
        "elasticloadbalancing", "listener/app/{name}/{hex16}/{hex16}", physical=""
    ),
    "aws:wafv2/webAcl:WebAcl": _wafv2("webacl", capacity=1200),
    "aws:wafv2/ipSet:IpSet": _wafv2("ipset"),
    "aws:wafv2/webAclAssociation:WebAclAssociation": _Shape(
        id="{in.webAclArn},{in.resourceArn}", physical=""
    ),
    "aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration": _beside("resourceArn"),
    "aws:acm/certificate:Certificate": _named_by_arn(
        "acm",
        "certificate/{key_id}",
        physical="",
        domainValidationOptions=[
            {
                "domainName": "{in.domainName}",
                "resourceRecordName": "_{hex16}.{in.domainName}.",
                "resourceRecordType": "CNAME",
                "resourceRecordValue": "_{hex17}.acm-validations.aws.",
            }
        ],
    ),
    "aws:acm/certificateValidation:CertificateValidation": _beside("certificateArn"),
    "aws:route53/zone:Zone": _Shape(
        id="Z{HEX13}",
        arn="arn:{partition}:route53:::hostedzone/{id}",
        physical="name",
        more={"zoneId": "{id}"},
    ),
    "aws:route53/record:Record": _Shape(
        id="{in.zoneId}_{in.name}_{in.type}", more={"fqdn": "{in.name}"}, physical=""
    ),
    "aws:lambda/function:Function": _Shape(
        arn="arn:{partition}:lambda:{region}:{account}:function:{name}",
        more={
            "invokeArn": "arn:{partition}:apigateway:{region}:lambda:path/2015-03-31/functions/"
            "arn:{partition}:lambda:{region}:{account}:function:{name}/invocations",
            "version": "$LATEST",
        },
    ),
    "aws:dynamodb/table:Table": _Shape(arn="arn:{partition}:dynamodb:{region}:{account}:table/{name}"),
    "aws:sqs/queue:Queue": _Shape(
        id="https://sqs.{region}.amazonaws.com/{account}/{name}",
        arn="arn:{partition}:sqs:{region}:{account}:{name}",
        more={"url": "https://sqs.{region}.amazonaws.com/{account}/{name}"},
    ),
    "aws:scheduler/scheduleGroup:ScheduleGroup": _Shape(
        arn="arn:{partition}:scheduler:{region}:{account}:schedule-group/{name}"
    ),
    "aws:scheduler/schedule:Schedule": _Shape(
        id="{in.groupName}/{name}",
        arn="arn:{partition}:scheduler:{region}:{account}:schedule/{in.groupName}/{name}",
    ),
    "aws:autoscaling/group:Group": _Shape(
        arn="arn:{partition}:autoscaling:{region}:{account}:autoScalingGroup:{key_id}:autoScalingGroupName/{name}"
    ),
    "aws:rds/subnetGroup:SubnetGroup": _Shape(arn="arn:{partition}:rds:{region}:{account}:subgrp:{name}"),
    "aws:rds/parameterGroup:ParameterGroup": _Shape(arn="arn:{partition}:rds:{region}:{account}:pg:{name}"),
    "aws:rds/instance:Instance": _Shape(
        id="db-{HEX26}",
        arn="arn:{partition}:rds:{region}:{account}:db:{name}",
        physical="identifier",
        more={
            "port": 5432,
            "address": "{name}.{hex8}.{region}.rds.amazonaws.com",
            "endpoint": "{name}.{hex8}.{region}.rds.amazonaws.com:5432",
            "resourceId": "db-{HEX26}",
            "masterUserSecrets": [
                {
                    "kmsKeyId": "{in.masterUserSecretKmsKeyId}",
                    "secretArn": "arn:{partition}:secretsmanager:{region}:{account}:secret:rds!db-{key_id}-{hex6}",
                    "secretStatus": "active",
                }
            ],
        },
    ),
    "aws:cloudtrail/trail:Trail": _Shape(
        id="arn:{partition}:cloudtrail:{region}:{account}:trail/{name}",
        arn="arn:{partition}:cloudtrail:{region}:{account}:trail/{name}",
        more={"homeRegion": "{region}"},
    ),
    "aws:cloudwatch/eventRule:EventRule": _Shape(
        arn="arn:{partition}:events:{region}:{account}:rule/{name}", more={"eventBusName": "default"}
    ),
    "aws:cloudwatch/logMetricFilter:LogMetricFilter": _Shape(),
    "aws:cloudwatch/logStream:LogStream": _Shape(
        arn="arn:{partition}:logs:{region}:{account}:log-group:{in.logGroupName}:log-stream:{name}"
    ),
    "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": _Shape(
        id="arn:{partition}:firehose:{region}:{account}:deliverystream/{name}",
        arn="arn:{partition}:firehose:{region}:{account}:deliverystream/{name}",
    ),
    "aws:guardduty/detector:Detector": _Shape(
        id="{hex32}", arn="arn:{partition}:guardduty:{region}:{account}:detector/{id}", physical=""
    ),
    "aws:securityhub/account:Account": _Shape(
        id="{account}", arn="arn:{partition}:securityhub:{region}:{account}:hub/default", physical=""
    ),
    "aws:securityhub/standardsSubscription:StandardsSubscription": _Shape(
        id="arn:{partition}:securityhub:{region}:{account}:subscription/{standard}", physical=""
    ),
    "aws:securityhub/findingAggregator:FindingAggregator": _Shape(
        id="arn:{partition}:securityhub:{region}:{account}:finding-aggregator/{key_id}", physical=""
    ),
    "aws:inspector2/enabler:Enabler": _Shape(id="{account}", physical=""),
    "aws:macie2/account:Account": _Shape(
        id="{account}",
        physical="",
        more={
            "serviceRole": "arn:{partition}:iam::{account}:role/aws-service-role/macie.amazonaws.com/AWSServiceRoleForAmazonMacie"
        },
    ),
    "aws:macie2/classificationJob:ClassificationJob": _Shape(
        id="{hex32}",
        more={
            "jobId": "{hex32}",
            "jobArn": "arn:{partition}:macie2:{region}:{account}:classification-job/{hex32}",
        },
    ),
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": _Shape(
        id="arn:{partition}:iam::{account}:role/aws-service-role/{in.awsServiceName}/{service_role}",
        arn="arn:{partition}:iam::{account}:role/aws-service-role/{in.awsServiceName}/{service_role}",
        physical="",
        more={"name": "{service_role}", "path": "/aws-service-role/{in.awsServiceName}/"},
    ),
    "aws:athena/workgroup:Workgroup": _Shape(
        arn="arn:{partition}:athena:{region}:{account}:workgroup/{name}"
    ),
    "aws:athena/namedQuery:NamedQuery": _Shape(id="{key_id}"),
    "aws:glue/catalogDatabase:CatalogDatabase": _Shape(
        id="{account}:{name}",
        arn="arn:{partition}:glue:{region}:{account}:database/{name}",
        more={"catalogId": "{account}"},
    ),
    "aws:glue/catalogTable:CatalogTable": _Shape(
        id="{account}:{in.databaseName}:{name}",
        arn="arn:{partition}:glue:{region}:{account}:table/{in.databaseName}/{name}",
        more={"catalogId": "{account}"},
    ),
    "aws:backup/vault:Vault": _Shape(arn="arn:{partition}:backup:{region}:{account}:backup-vault:{name}"),
    "aws:backup/vaultLockConfiguration:VaultLockConfiguration": _Shape(
        id="{in.backupVaultName}",
        physical="",
        more={
            "backupVaultArn": "arn:{partition}:backup:{region}:{account}:backup-vault:{in.backupVaultName}"
        },
    ),
    "aws:backup/vaultPolicy:VaultPolicy": _Shape(
        id="{in.backupVaultName}",
        physical="",
        more={
            "backupVaultArn": "arn:{partition}:backup:{region}:{account}:backup-vault:{in.backupVaultName}"
        },
    ),
    "aws:backup/plan:Plan": _Shape(
        id="{key_id}",
        arn="arn:{partition}:backup:{region}:{account}:backup-plan:{id}",
        more={"version": "{hex17}"},
    ),
    "aws:backup/selection:Selection": _Shape(id="{key_id}"),
    "aws:backup/framework:Framework": _Shape(
        arn="arn:{partition}:backup:{region}:{account}:framework:{name}-{key_id}"
    ),
    "aws:backup/restoreTestingPlan:RestoreTestingPlan": _Shape(
        arn="arn:{partition}:backup:{region}:{account}:restore-testing-plan:{name}-{key_id}"
    ),
    "aws:networkfirewall/firewall:Firewall": _Shape(
        id="arn:{partition}:network-firewall:{region}:{account}:firewall/{name}",
        arn="arn:{partition}:network-firewall:{region}:{account}:firewall/{name}",
        more={
            "firewallStatuses": [
                {
                    "syncStates": [
                        {
                            "availabilityZone": f"{{region}}{zone}",
                            "attachments": [{"endpointId": f"vpce-{zone}{{hex16}}"}],
                        }
                        for zone in "abcdef"
                    ]
                }
            ]
        },
    ),
    "aws:ec2/placementGroup:PlacementGroup": _Shape(
        arn="arn:{partition}:ec2:{region}:{account}:placement-group/{name}",
        more={"placementGroupId": "pg-{hex17}"},
    ),
    "aws:eks/cluster:Cluster": _Shape(
        arn="arn:{partition}:eks:{region}:{account}:cluster/{name}",
        more={
            "endpoint": "https://{HEX26}.gr7.{region}.eks.amazonaws.com",
            # Base64 of "certificate": what stands there is nobody's.
            "certificateAuthority": {"data": "Y2VydGlmaWNhdGU="},
            "identities": [
                {"oidcs": [{"issuer": "https://oidc.eks.{region}.amazonaws.com/id/{HEX26}"}]},
            ],
            "vpcConfig": {"clusterSecurityGroupId": "sg-{hex17}", "vpcId": "vpc-{hex17}"},
            "status": "ACTIVE",
        },
    ),
    "aws:eks/nodeGroup:NodeGroup": _Shape(
        id="{in.clusterName}:{name}",
        arn="arn:{partition}:eks:{region}:{account}:nodegroup/{in.clusterName}/{name}/{key_id}",
        physical="nodeGroupName",
        more={"resources": [{"autoscalingGroups": [{"name": "eks-{name}-{key_id}"}]}]},
    ),
    "aws:eks/addon:Addon": _Shape(
        id="{in.clusterName}:{in.addonName}",
        arn="arn:{partition}:eks:{region}:{account}:addon/{in.clusterName}/{in.addonName}/{key_id}",
        physical="",
    ),
    "aws:eks/accessEntry:AccessEntry": _Shape(
        id="{in.clusterName}:{in.principalArn}",
        physical="",
        more={
            "accessEntryArn": "arn:{partition}:eks:{region}:{account}:access-entry/{in.clusterName}/role/{key_id}"
        },
    ),
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": _Shape(
        id="{in.clusterName}#{in.principalArn}#{in.policyArn}", physical=""
    ),
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": _Shape(
        id="a-{hex17}",
        physical="",
        more={
            "associationArn": "arn:{partition}:eks:{region}:{account}:podidentityassociation/{in.clusterName}/a-{hex17}",
            "associationId": "a-{hex17}",
        },
    ),
    "aws:ecr/repository:Repository": _Shape(
        arn="arn:{partition}:ecr:{region}:{account}:repository/{name}",
        more={
            "registryId": "{account}",
            "repositoryUrl": "{account}.dkr.ecr.{region}.amazonaws.com/{name}",
        },
    ),
    "aws:ecr/repositoryPolicy:RepositoryPolicy": _beside("repository"),
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": _beside("repository"),
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": _Shape(id="{in.ecrRepositoryPrefix}", physical=""),
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": _Shape(
        id="{in.prefix}", physical="", more={"registryId": "{account}"}
    ),
    "aws:ecr/registryScanningConfiguration:RegistryScanningConfiguration": _Shape(
        id="{account}", physical="", more={"registryId": "{account}"}
    ),
    "aws:route53/resolverQueryLogConfig:ResolverQueryLogConfig": _Shape(
        id="rqlc-{hex17}",
        arn="arn:{partition}:route53resolver:{region}:{account}:resolver-query-log-config/{id}",
    ),
}


def resolve(resource: Resource, provider_inputs: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the id and the outputs (inputs included) that AWS would give to ``resource``.

    Region and account come from the resource's own ``region``, then from its provider's ``region`` and first
    ``allowedAccountIds``. A type that is not in the table gets its name as the id and a generic ARN.
    """
    if resource.type.startswith("kubernetes:"):
        return _kubernetes(resource)
    shape = _SHAPES.get(resource.type) or _generic(resource.type)
    facts = _facts(resource, provider_inputs, shape)
    facts["id"] = _fill(shape.id, facts, resource.inputs)
    computed = {key: _fill(value, facts, resource.inputs) for key, value in shape.more.items()}
    if shape.physical:
        computed[shape.physical] = facts["name"]
    if shape.arn:
        computed["arn"] = _fill(shape.arn, facts, resource.inputs)
    return facts["id"], {"id": facts["id"], **together(computed, resource.inputs)}


def together(computed: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return outputs that hold the inputs, and inside a block that was asked for also what AWS adds to it."""
    return {
        key: {**computed[key], **inputs[key]}
        if isinstance(computed.get(key), dict) and isinstance(inputs.get(key), dict)
        else inputs.get(key, computed.get(key))
        for key in (*computed, *(key for key in inputs if key not in computed))
    }


def _kubernetes(resource: Resource) -> tuple[str, dict[str, Any]]:
    """Return ``namespace/name`` as the id of a Kubernetes object, as its provider does."""
    known = known_before(resource)
    metadata = known.get("metadata")
    names = [metadata.get("namespace"), metadata.get("name")] if isinstance(metadata, dict) else []
    made_id = "/".join(name for name in names if isinstance(name, str)) or resource.name
    return made_id, {"id": made_id, **known}


def known_before(resource: Resource) -> dict[str, Any]:
    """Return the outputs that are known at the engine's preview: the inputs, and the name of a Kubernetes object.

    Its provider makes the name up itself: the logical name and eight random characters.
    """
    metadata = resource.inputs.get("metadata", {})
    is_object = resource.type.startswith("kubernetes:") and "kind" in resource.inputs
    if not is_object or not isinstance(metadata, dict) or SIGNATURE in metadata:
        return dict(resource.inputs)
    digest = hashlib.sha256(resource.urn.encode()).hexdigest()
    return {**resource.inputs, "metadata": {"name": f"{resource.name}-{digest[:8]}", **metadata}}


def _generic(type_token: str) -> _Shape:
    if not type_token.startswith("aws:"):
        return _Shape(physical="")
    module, _, rest = type_token.removeprefix("aws:").partition("/")
    kind = rest.partition(":")[0].lower()
    return _Shape(
        arn=f"arn:{{partition}}:{module.lower()}:{{region}}:{{account}}:{kind}/{{name}}", physical=""
    )


def _facts(resource: Resource, provider_inputs: Mapping[str, Any], shape: _Shape) -> dict[str, str]:
    digest = hashlib.sha256(resource.urn.encode()).hexdigest()
    region = resource.inputs.get("region") or provider_inputs.get("region") or "us-east-1"
    given = resource.inputs.get(shape.physical) if shape.physical else None
    prefix = resource.inputs.get("namePrefix") or f"{resource.name}-"
    # 192.0.2.0/24 is TEST-NET-1 (RFC 5737): an address that nobody owns.
    return {
        "partition": _partition(region),
        "region": region,
        "account": _account(provider_inputs),
        "name": given if isinstance(given, str) else f"{prefix}{digest[:7]}",
        "path": resource.inputs.get("path") or "/",
        "service_role": _service_role(str(resource.inputs.get("awsServiceName", ""))),
        "standard": str(resource.inputs.get("standardsArn", "")).rpartition("standards/")[2],
        "issuer": str(resource.inputs.get("url", "")).removeprefix("https://"),
        "hex6": digest[:6],
        "hex8": digest[:8],
        "hex16": digest[:16],
        "hex17": digest[:17],
        "HEX13": digest[:13].upper(),
        "hex32": digest[:32],
        "HEX26": digest[:26].upper(),
        "key_id": f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}",
        "public_ip": f"192.0.2.{int(digest[:2], 16)}",
    }


def _service_role(service: str) -> str:
    """Return how AWS would call the service-linked role of ``config.amazonaws.com``, nearly."""
    return f"AWSServiceRoleFor{service.partition('.')[0].title()}"


def _partition(region: str) -> str:
    special = {"us-gov": "aws-us-gov", "cn-nor": "aws-cn"}
    return special.get(region[:6], "aws")


def _account(provider_inputs: Mapping[str, Any]) -> str:
    """Return the first allowed account; provider inputs hold lists as JSON text."""
    allowed = provider_inputs.get("allowedAccountIds", "[]")
    accounts = json.loads(allowed) if isinstance(allowed, str) else allowed
    return str(accounts[0]) if accounts else "123456789012"


def _fill(template: Any, facts: Mapping[str, str], inputs: Mapping[str, Any]) -> Any:
    if isinstance(template, list):
        return [_fill(item, facts, inputs) for item in template]
    if isinstance(template, dict):
        return {key: _fill(item, facts, inputs) for key, item in template.items()}
    if not isinstance(template, str) or "{" not in template:
        return template
    text = template
    for key, value in facts.items():
        text = text.replace(f"{{{key}}}", value)
    for key, value in inputs.items():
        text = text.replace(f"{{in.{key}}}", str(value))
    return text
