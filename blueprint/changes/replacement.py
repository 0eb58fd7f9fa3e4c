"""Which properties cannot be changed in place: to change one, the provider destroys the resource and makes another.

The provider alone knows all of them, and it decides with the real state before it: ``pulumi preview`` shows it before
a deployment. No schema that comes with an SDK lists them, so here are those of what holds data, carries the network
or is somebody's identity (``ForceNew`` in the schemas of terraform-provider-aws; "immutable" in Kubernetes' API). A
change that is not on the list is called a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from blueprint.changes.properties import Change
from blueprint.graph import PROVIDER_PREFIX

_FORCED: Mapping[str, frozenset[str]] = {
    type_: frozenset(properties.split())
    for type_, properties in {
        "aws:acm/certificate:Certificate": "domainName subjectAlternativeNames validationMethod",
        "aws:autoscaling/group:Group": "name",
        "aws:backup/vault:Vault": "name kmsKeyArn",
        "aws:cloudtrail/trail:Trail": "name",
        "aws:cloudwatch/logGroup:LogGroup": "name logGroupClass",
        "aws:dynamodb/table:Table": "name hashKey rangeKey",
        "aws:ebs/volume:Volume": "availabilityZone encrypted kmsKeyId snapshotId",
        "aws:ec2/eip:Eip": "domain",
        "aws:ec2/flowLog:FlowLog": "vpcId subnetId eniId trafficType logDestination logDestinationType",
        "aws:ec2/instance:Instance": "ami availabilityZone subnetId keyName",
        "aws:ec2/natGateway:NatGateway": "subnetId allocationId connectivityType",
        "aws:ec2/networkAcl:NetworkAcl": "vpcId",
        "aws:ec2/routeTable:RouteTable": "vpcId",
        "aws:ec2/securityGroup:SecurityGroup": "name namePrefix description vpcId",
        "aws:ec2/subnet:Subnet": "vpcId cidrBlock availabilityZone availabilityZoneId",
        "aws:ec2/vpc:Vpc": "cidrBlock",
        "aws:ec2/vpcEndpoint:VpcEndpoint": "vpcId serviceName vpcEndpointType",
        "aws:ecr/repository:Repository": "name encryptionConfigurations",
        "aws:eks/accessEntry:AccessEntry": "clusterName principalArn type",
        "aws:eks/cluster:Cluster": "name roleArn kubernetesNetworkConfig.serviceIpv4Cidr kubernetesNetworkConfig.ipFamily",
        "aws:eks/nodeGroup:NodeGroup": "clusterName nodeGroupName nodeRoleArn subnetIds instanceTypes capacityType amiType diskSize",
        "aws:eks/podIdentityAssociation:PodIdentityAssociation": "clusterName namespace serviceAccount",
        "aws:iam/instanceProfile:InstanceProfile": "name path",
        "aws:iam/openIdConnectProvider:OpenIdConnectProvider": "url",
        "aws:iam/policy:Policy": "name path description",
        "aws:iam/role:Role": "name path",
        "aws:iam/rolePolicy:RolePolicy": "name role",
        "aws:iam/rolePolicyAttachment:RolePolicyAttachment": "role policyArn",
        "aws:kinesis/firehoseDeliveryStream:FirehoseDeliveryStream": "name destination",
        "aws:kms/alias:Alias": "name",
        "aws:kms/key:Key": "keyUsage customerMasterKeySpec multiRegion customKeyStoreId",
        "aws:kms/replicaKey:ReplicaKey": "primaryKeyArn",
        "aws:lambda/function:Function": "name packageType",
        "aws:lb/loadBalancer:LoadBalancer": "name internal loadBalancerType",
        "aws:lb/targetGroup:TargetGroup": "name port protocol targetType vpcId",
        "aws:networkfirewall/firewall:Firewall": "name vpcId",
        "aws:rds/instance:Instance": "engine kmsKeyId storageEncrypted username characterSetName availabilityZone dbName timezone",
        "aws:rds/parameterGroup:ParameterGroup": "name family description",
        "aws:rds/subnetGroup:SubnetGroup": "name",
        "aws:route53/zone:Zone": "name",
        "aws:s3/bucket:Bucket": "bucket bucketPrefix objectLockEnabled",
        "aws:secretsmanager/secret:Secret": "name namePrefix",
        "aws:sns/topic:Topic": "name fifoTopic",
        "aws:sqs/queue:Queue": "name fifoQueue",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule": "securityGroupId",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule": "securityGroupId",
        "aws:wafv2/ipSet:IpSet": "name scope ipAddressVersion",
        "aws:wafv2/webAcl:WebAcl": "name scope",
        "kubernetes:apps/v1:Deployment": "spec.selector",
        "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding": "roleRef",
        # Whatever a provider made lies in its region and account; another one makes everything anew.
        f"{PROVIDER_PREFIX}aws": "region",
    }.items()
}

_KUBERNETES = frozenset({"apiVersion", "kind", "metadata.name", "metadata.namespace"})
"""An object is found by these: with another one it is another object."""


def forcing(type_token: str, changes: Sequence[Change]) -> tuple[str, ...]:
    """Return the paths among the changes that force a replacement."""
    forced = _FORCED.get(type_token, frozenset())
    if type_token.startswith("kubernetes:"):
        forced |= _KUBERNETES
    if type_token.startswith("aws:"):
        forced |= {"region"}
    return tuple(change.path for change in changes if _names(change.path) & forced)


def _names(path: str) -> set[str]:
    """Return a path and all its ancestors, without the places in lists."""
    parts = path.split("[")[0].split(".")
    return {".".join(parts[: end + 1]) for end in range(len(parts))}
