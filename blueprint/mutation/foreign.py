"""Insecure resources beside those of the platform: what somebody may add without touching a line that is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from blueprint.graph import STACK_TYPE, Resource
from blueprint.mutation.mutant import Scene

Inputs = Mapping[str, Any]
Beside = tuple[str, str, Callable[[Resource], Inputs]]
"""What it does, its type, and its inputs given the resource that it stands beside."""

NOT_PROTECTING: Mapping[str, str] = {
    "aws:athena/namedQuery:NamedQuery": "a question that is kept",
    "aws:backup/regionSettings:RegionSettings": "AWS opts its regions in by itself",
    "aws:cloudwatch/logStream:LogStream": "a delivery makes its own",
    "aws:ec2/eip:Eip": "an address",
    "aws:ec2/placementGroup:PlacementGroup": "where machines stand",
    "aws:ec2/vpcEndpointConnectionAccepter:VpcEndpointConnectionAccepter": "a way in that is closed without it",
    "aws:ecr/lifecyclePolicy:LifecyclePolicy": "which old images go",
    "aws:ecr/pullThroughCacheRule:PullThroughCacheRule": "a way to images that is closed without it",
    "aws:ecr/repository:Repository": "nothing is stored where nothing is",
    "aws:ecr/repositoryCreationTemplate:RepositoryCreationTemplate": "how repositories are made for the cache",
    "aws:eks/accessEntry:AccessEntry": "without it nobody comes in by it",
    "aws:eks/accessPolicyAssociation:AccessPolicyAssociation": "without it nobody comes in by it",
    "aws:eks/nodeGroup:NodeGroup": "machines",
    "aws:eks/podIdentityAssociation:PodIdentityAssociation": "a right that is gone",
    "aws:glue/catalogTable:CatalogTable": "a way to read logs that is found missing at the first question",
    "aws:iam/rolePolicy:RolePolicy": "rights that are gone",
    "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "rights that are gone",
    "aws:iam/serviceLinkedRole:ServiceLinkedRole": "AWS makes it when it needs it",
    "aws:iam/role:Role": "rights that are gone",
    "aws:kms/alias:Alias": "a name",
    "aws:lambda/permission:Permission": "a right that is gone",
    "aws:lb/listener:Listener": "a door that is gone",
    "aws:route53/record:Record": "a name",
    "aws:acm/certificateValidation:CertificateValidation": "waits until a certificate is there",
    "aws:s3/bucketOwnershipControls:BucketOwnershipControls": "buckets made since April 2023 have no lists without it",
    "aws:scheduler/schedule:Schedule": "what runs on it does not",
    "aws:ec2/route:Route": "a way that is gone",
    "aws:ec2/routeTable:RouteTable": "a table that nothing uses",
    "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "a way out that is gone",
    "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "a way in that is gone",
    "kubernetes:apps/v1:Deployment": "a program that is gone",
    "kubernetes:apps/v1:StatefulSet": "a program that is gone",
    "kubernetes:batch/v1:CronJob": "a program that is gone",
    "kubernetes:core/v1:Service": "a name that is gone",
    "kubernetes:core/v1:ServiceAccount": "an identity that is gone",
    "kubernetes:elbv2.k8s.aws/v1beta1:TargetGroupBinding": "a way in that is gone",
    "kubernetes:rbac.authorization.k8s.io/v1:Role": "rights that are gone",
    "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": "rights that are gone",
}
"""Types whose absence protects no less, and why."""

_WORLD = "0.0.0.0/0"
_EVERYTHING = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
)


def _public(action: str) -> str:
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": "*"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _rule(port: int | None) -> Inputs:
    ports = {"ipProtocol": "-1"} if port is None else {"ipProtocol": "tcp", "fromPort": port, "toPort": port}
    return {**ports, "description": "for now", "cidrIpv4": _WORLD}


def _object(kind: str, api: str, near: Resource, name: str, **more: Any) -> Inputs:
    namespace = near.inputs["metadata"].get("name" if near.type.endswith(":Namespace") else "namespace")
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name, "namespace": namespace}, **more}


_CONTAINER = {"name": "shell", "image": "docker.io/library/busybox:latest", "command": ["sleep", "1000000"]}

BESIDE: Mapping[str, tuple[Beside, ...]] = {
    "aws:ec2/securityGroup:SecurityGroup": (
        (
            "a rule that admits the world to SSH",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            lambda group: {"securityGroupId": group.id, **_rule(22)},
        ),
        (
            "a rule that admits the world to the database's port",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            lambda group: {"securityGroupId": group.id, **_rule(5432)},
        ),
        (
            "a rule that lets everything out to the world",
            "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
            lambda group: {"securityGroupId": group.id, **_rule(None)},
        ),
        (
            "a rule of the old kind that admits the world",
            "aws:ec2/securityGroupRule:SecurityGroupRule",
            lambda group: {
                "securityGroupId": group.id,
                "type": "ingress",
                "protocol": "-1",
                "fromPort": 0,
                "toPort": 0,
                "cidrBlocks": [_WORLD],
                "description": "for now",
            },
        ),
    ),
    "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup": (
        (
            "a rule in the default group",
            "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
            lambda group: {"securityGroupId": group.id, **_rule(443), "cidrIpv4": "10.0.0.0/8"},
        ),
    ),
    "aws:ec2/networkAcl:NetworkAcl": (
        (
            "a rule that admits the world to SSH first",
            "aws:ec2/networkAclRule:NetworkAclRule",
            lambda acl: {
                "networkAclId": acl.id,
                "ruleNumber": 1,
                "protocol": "tcp",
                "ruleAction": "allow",
                "cidrBlock": _WORLD,
                "fromPort": 22,
                "toPort": 22,
                "egress": False,
            },
        ),
    ),
    "aws:s3/bucket:Bucket": (
        (
            "a list that lets everybody read",
            "aws:s3/bucketAcl:BucketAcl",
            lambda bucket: {"bucket": bucket.id, "acl": "public-read"},
        ),
        (
            "a second policy that lets everybody read",
            "aws:s3/bucketPolicy:BucketPolicy",
            lambda bucket: {"bucket": bucket.id, "policy": _public("s3:GetObject")},
        ),
        (
            "a second block of public access that blocks nothing",
            "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
            lambda bucket: {
                "bucket": bucket.id,
                "blockPublicAcls": False,
                "blockPublicPolicy": False,
                "ignorePublicAcls": False,
                "restrictPublicBuckets": False,
            },
        ),
        (
            "versions that stop",
            "aws:s3/bucketVersioning:BucketVersioning",
            lambda bucket: {"bucket": bucket.id, "versioningConfiguration": {"status": "Suspended"}},
        ),
        (
            "a web site",
            "aws:s3/bucketWebsiteConfiguration:BucketWebsiteConfiguration",
            lambda bucket: {"bucket": bucket.id, "indexDocument": {"suffix": "index.html"}},
        ),
        (
            "a copy of everything in a stranger's bucket",
            "aws:s3/bucketReplicationConfig:BucketReplicationConfig",
            lambda bucket: {
                "bucket": bucket.id,
                "role": "arn:aws:iam::999999999999:role/copy",
                "rules": [
                    {
                        "id": "all",
                        "status": "Enabled",
                        "destination": {"bucket": "arn:aws:s3:::strangers", "account": "999999999999"},
                    }
                ],
            },
        ),
        (
            "a point of access without a block",
            "aws:s3/accessPoint:AccessPoint",
            lambda bucket: {
                "bucket": bucket.id,
                "name": "open",
                "policy": _public("s3:GetObject"),
                "publicAccessBlockConfiguration": {
                    "blockPublicAcls": False,
                    "blockPublicPolicy": False,
                    "ignorePublicAcls": False,
                    "restrictPublicBuckets": False,
                },
            },
        ),
    ),
    "aws:iam/role:Role": (
        (
            "AdministratorAccess",
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            lambda role: {"role": role.id, "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"},
        ),
        (
            "everything on everything",
            "aws:iam/rolePolicy:RolePolicy",
            lambda role: {"role": role.id, "policy": _EVERYTHING},
        ),
    ),
    "aws:kms/key:Key": (
        (
            "a policy that admits everybody",
            "aws:kms/keyPolicy:KeyPolicy",
            lambda key: {"keyId": key.id, "policy": _public("kms:*")},
        ),
        (
            "a grant for a stranger",
            "aws:kms/grant:Grant",
            lambda key: {
                "keyId": key.id,
                "granteePrincipal": "arn:aws:iam::999999999999:root",
                "operations": ["Decrypt"],
            },
        ),
    ),
    "aws:sns/topic:Topic": (
        (
            "a policy that admits everybody",
            "aws:sns/topicPolicy:TopicPolicy",
            lambda topic: {"arn": topic.outputs.get("arn"), "policy": _public("sns:*")},
        ),
    ),
    "aws:sqs/queue:Queue": (
        (
            "a policy that admits everybody",
            "aws:sqs/queuePolicy:QueuePolicy",
            lambda queue: {"queueUrl": queue.id, "policy": _public("sqs:*")},
        ),
    ),
    "aws:ecr/repository:Repository": (
        (
            "a policy that admits everybody",
            "aws:ecr/repositoryPolicy:RepositoryPolicy",
            lambda repository: {"repository": repository.id, "policy": _public("ecr:*")},
        ),
    ),
    "aws:backup/vault:Vault": (
        (
            "a policy that lets everybody copy",
            "aws:backup/vaultPolicy:VaultPolicy",
            lambda vault: {"backupVaultName": vault.id, "policy": _public("backup:*")},
        ),
    ),
    "aws:lambda/function:Function": (
        (
            "a URL that anybody may call",
            "aws:lambda/functionUrl:FunctionUrl",
            lambda function: {"functionName": function.id, "authorizationType": "NONE"},
        ),
        (
            "a permission for anybody",
            "aws:lambda/permission:Permission",
            lambda function: {"function": function.id, "action": "lambda:InvokeFunction", "principal": "*"},
        ),
    ),
    "aws:eks/cluster:Cluster": (
        (
            "an administrator of another account",
            "aws:eks/accessPolicyAssociation:AccessPolicyAssociation",
            lambda cluster: {
                "clusterName": cluster.id,
                "principalArn": "arn:aws:iam::999999999999:role/anybody",
                "policyArn": "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy",
                "accessScope": {"type": "cluster"},
            },
        ),
        (
            "an entry in the group of masters",
            "aws:eks/accessEntry:AccessEntry",
            lambda cluster: {
                "clusterName": cluster.id,
                "principalArn": "arn:aws:iam::999999999999:role/anybody",
                "kubernetesGroups": ["system:masters"],
            },
        ),
        (
            "machines that SSH reaches",
            "aws:eks/nodeGroup:NodeGroup",
            lambda cluster: {
                "clusterName": cluster.id,
                "nodeRoleArn": cluster.inputs["roleArn"],
                "subnetIds": cluster.inputs["vpcConfig"]["subnetIds"],
                "remoteAccess": {"ec2SshKey": "key"},
                "scalingConfig": {"minSize": 1, "maxSize": 1, "desiredSize": 1},
            },
        ),
    ),
    "aws:rds/instance:Instance": (
        (
            "a second database in clear and in public",
            "aws:rds/instance:Instance",
            lambda _: {
                "engine": "postgres",
                "instanceClass": "db.t4g.micro",
                "allocatedStorage": 20,
                "publiclyAccessible": True,
                "username": "admin",
                "manageMasterUserPassword": True,
            },
        ),
        (
            "a snapshot for everybody",
            "aws:rds/snapshot:Snapshot",
            lambda database: {
                "dbInstanceIdentifier": database.id,
                "dbSnapshotIdentifier": "copy",
                "sharedAccounts": ["all"],
            },
        ),
    ),
    "aws:ec2/vpc:Vpc": (
        (
            "a subnet that gives public addresses",
            "aws:ec2/subnet:Subnet",
            lambda vpc: {"vpcId": vpc.id, "cidrBlock": "10.250.0.0/24", "mapPublicIpOnLaunch": True},
        ),
        (
            "a way into another account's network",
            "aws:ec2/vpcPeeringConnection:VpcPeeringConnection",
            lambda vpc: {"vpcId": vpc.id, "peerVpcId": "vpc-99999999", "peerOwnerId": "999999999999"},
        ),
    ),
    "aws:ec2/subnet:Subnet": (
        (
            "a machine with a public address and an open metadata service",
            "aws:ec2/instance:Instance",
            lambda subnet: {
                "ami": "ami-0123456789abcdef0",
                "instanceType": "t3.micro",
                "subnetId": subnet.id,
                "associatePublicIpAddress": True,
            },
        ),
    ),
    "aws:lb/loadBalancer:LoadBalancer": (
        (
            "a listener without TLS that forwards",
            "aws:lb/listener:Listener",
            lambda balancer: {
                "loadBalancerArn": balancer.id,
                "port": 8080,
                "protocol": "HTTP",
                "defaultActions": [{"type": "forward", "targetGroupArn": "arn:aws:elasticloadbalancing:x"}],
            },
        ),
        (
            "a second load balancer without a web ACL",
            "aws:lb/loadBalancer:LoadBalancer",
            lambda balancer: {
                key: balancer.inputs[key] for key in ("securityGroups", "subnets") if key in balancer.inputs
            },
        ),
    ),
    "kubernetes:core/v1:Namespace": (
        (
            "a binding to cluster-admin",
            "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding",
            lambda near: _object(
                "RoleBinding",
                "rbac.authorization.k8s.io/v1",
                near,
                "all",
                roleRef={
                    "apiGroup": "rbac.authorization.k8s.io",
                    "kind": "ClusterRole",
                    "name": "cluster-admin",
                },
                subjects=[
                    {
                        "kind": "Group",
                        "name": "system:authenticated",
                        "apiGroup": "rbac.authorization.k8s.io",
                    }
                ],
            ),
        ),
        (
            "a role that reads every secret",
            "kubernetes:rbac.authorization.k8s.io/v1:Role",
            lambda near: _object(
                "Role",
                "rbac.authorization.k8s.io/v1",
                near,
                "reads",
                rules=[{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]}],
            ),
        ),
        (
            "a pod as Kubernetes makes it by default",
            "kubernetes:core/v1:Pod",
            lambda near: _object("Pod", "v1", near, "shell", spec={"containers": [dict(_CONTAINER)]}),
        ),
        (
            "a network policy that admits everybody to every pod",
            "kubernetes:networking.k8s.io/v1:NetworkPolicy",
            lambda near: _object(
                "NetworkPolicy",
                "networking.k8s.io/v1",
                near,
                "open",
                spec={
                    "podSelector": {},
                    "policyTypes": ["Ingress", "Egress"],
                    "ingress": [{}],
                    "egress": [{}],
                },
            ),
        ),
        (
            "a service that makes a load balancer of its own",
            "kubernetes:core/v1:Service",
            lambda near: _object(
                "Service",
                "v1",
                near,
                "public",
                spec={"type": "LoadBalancer", "selector": {"app": "x"}, "ports": [{"port": 80}]},
            ),
        ),
    ),
    STACK_TYPE: (),
}

LOOSE: tuple[tuple[str, str, Inputs], ...] = (
    ("a user", "aws:iam/user:User", {}),
    ("a key of a user", "aws:iam/accessKey:AccessKey", {"user": "somebody"}),
    ("a policy of everything on everything", "aws:iam/policy:Policy", {"policy": _EVERYTHING}),
    ("a bucket as S3 makes it by default", "aws:s3/bucket:Bucket", {}),
    (
        "a volume in clear",
        "aws:ebs/volume:Volume",
        {"availabilityZone": "us-east-1a", "size": 8, "encrypted": False},
    ),
    ("a file system in clear", "aws:efs/fileSystem:FileSystem", {}),
    ("a secret that never changes", "aws:secretsmanager/secret:Secret", {}),
    (
        "a parameter with a credential in clear",
        "aws:ssm/parameter:Parameter",
        {"type": "String", "value": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"},
    ),
    ("a topic in clear", "aws:sns/topic:Topic", {}),
    ("a queue in clear", "aws:sqs/queue:Queue", {"sqsManagedSseEnabled": False}),
    (
        "a table in clear that anybody may delete",
        "aws:dynamodb/table:Table",
        {"attributes": [{"name": "id", "type": "S"}], "hashKey": "id"},
    ),
    ("logs in clear that are kept for a day", "aws:cloudwatch/logGroup:LogGroup", {"retentionInDays": 1}),
    ("a key that does not rotate", "aws:kms/key:Key", {"enableKeyRotation": False}),
    ("a private key in the state", "tls:index/privateKey:PrivateKey", {"algorithm": "RSA"}),
    ("a repository whose images change", "aws:ecr/repository:Repository", {"imageTagMutability": "MUTABLE"}),
    (
        "an API without authorisation",
        "aws:apigatewayv2/api:Api",
        {"protocolType": "HTTP", "target": "https://example.org"},
    ),
    (
        "a distribution without TLS",
        "aws:cloudfront/distribution:Distribution",
        {
            "enabled": True,
            "origins": [{"originId": "o", "domainName": "example.org"}],
            "defaultCacheBehavior": {"viewerProtocolPolicy": "allow-all", "targetOriginId": "o"},
            "viewerCertificate": {"cloudfrontDefaultCertificate": True},
            "restrictions": {"geoRestriction": {"restrictionType": "none"}},
        },
    ),
    (
        "a notebook on the internet",
        "aws:sagemaker/notebookInstance:NotebookInstance",
        {"directInternetAccess": "Enabled", "instanceType": "ml.t3.medium", "rootAccess": "Enabled"},
    ),
    ("a cache in clear", "aws:elasticache/replicationGroup:ReplicationGroup", {"description": "cache"}),
    (
        "a search domain in clear",
        "aws:opensearch/domain:Domain",
        {"domainName": "logs", "encryptAtRest": {"enabled": False}},
    ),
    (
        "a warehouse in clear",
        "aws:redshift/cluster:Cluster",
        {"publiclyAccessible": True, "encrypted": False},
    ),
    (
        "an image for everybody",
        "aws:ec2/amiLaunchPermission:AmiLaunchPermission",
        {"imageId": "ami-1", "group": "all"},
    ),
    (
        "an identity provider of somebody else",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider",
        {"url": "https://idp.evil.example", "clientIdLists": ["x"]},
    ),
)
"""What needs nothing of the platform's to stand beside."""


def beside(scene: Scene, resource: Resource) -> Iterator[tuple[str, Resource]]:
    """Yield what may be added beside a resource; beside the stack itself, what needs nothing to stand beside."""
    for number, (what, type_, inputs) in enumerate(BESIDE.get(resource.type, ())):
        yield what, scene.beside(resource, type_, f"{resource.name}-foreign-{number}", inputs(resource))
    if resource.type == STACK_TYPE:
        neighbour = next(each for each in scene.graph.resources if each.type.startswith("aws:"))
        for number, (what, type_, loose) in enumerate(LOOSE):
            yield what, scene.beside(neighbour, type_, f"foreign-{number}", loose)
    if resource.type == "aws:ec2/routeTable:RouteTable":
        yield from _way_out(scene, resource)


def _way_out(scene: Scene, table: Resource) -> Iterator[tuple[str, Resource]]:
    if table.inputs.get("tags", {}).get("tier") == "isolated":
        for gateway in scene.of("aws:ec2/internetGateway:InternetGateway", "aws:ec2/natGateway:NatGateway")[
            :2
        ]:
            key = "natGatewayId" if "natGateway" in gateway.type else "gatewayId"
            route = {"routeTableId": table.id, "destinationCidrBlock": _WORLD, key: gateway.id}
            made = scene.beside(table, "aws:ec2/route:Route", f"{table.name}-foreign-{gateway.name}", route)
            yield f"a route through {gateway.type.rpartition(':')[2]}", made
