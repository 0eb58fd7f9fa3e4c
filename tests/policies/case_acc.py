"""Cases of the family ACC."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pulumi
import pulumi_aws as aws

from tests.policies.cases import Case

OFFICE = "203.0.113.0/24"
PUBLIC_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGsyI5uYzGkpPqDL1mYvY7lqYlU2rGkWnHZ8yM0dXh3P alice"
PRIVATE_KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE\n-----END OPENSSH PRIVATE KEY-----"
BASTION = {"role": "bastion"}
TIGHT = {"http_tokens": "required", "http_put_response_hop_limit": 1, "http_endpoint": "enabled"}


def group(tags: dict[str, str] | None = None) -> aws.ec2.SecurityGroup:
    return aws.ec2.SecurityGroup("group", description="x", vpc_id="vpc-0abc", tags=tags)


def ssh(cidr: str, tags: dict[str, str] | None = None) -> None:
    family: dict[str, Any] = {"cidr_ipv6" if ":" in cidr else "cidr_ipv4": cidr}
    aws.vpc.SecurityGroupIngressRule(
        "rule",
        security_group_id=group(tags).id,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        description="x",
        **family,
    )


def ssh_from_bastion() -> None:
    bastion = aws.ec2.SecurityGroup("bastion", description="x", vpc_id="vpc-0abc", tags=BASTION)
    aws.vpc.SecurityGroupIngressRule(
        "rule",
        security_group_id=group().id,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        description="x",
        referenced_security_group_id=bastion.id,
    )


def inline_ssh(cidr: str, tags: dict[str, str] | None) -> None:
    rule = {"protocol": "tcp", "from_port": 0, "to_port": 1024, "cidr_blocks": [cidr], "description": "x"}
    aws.ec2.SecurityGroup("group", description="x", vpc_id="vpc-0abc", tags=tags, ingress=[rule])  # type: ignore[list-item]


def legacy_everything() -> None:
    aws.ec2.SecurityGroupRule(
        "rule",
        type="ingress",
        security_group_id=group().id,
        protocol="all",
        from_port=0,
        to_port=0,
        cidr_blocks=["10.0.0.0/24"],
        description="x",
    )


def instance(**more: Any) -> None:
    aws.ec2.Instance(
        "machine", ami="ami-0abc", instance_type="g5.xlarge", **{"metadata_options": TIGHT, **more}
    )


def template(**more: Any) -> None:
    aws.ec2.LaunchTemplate("template", **{"metadata_options": TIGHT, **more})


def tls_key() -> None:
    pulumi.CustomResource("tls:index/privateKey:PrivateKey", "key", {"algorithm": "ED25519"})


SSHD = "#cloud-config\nPasswordAuthentication no\nPermitRootLogin no\n"


def bastion(text: str, *, encoded: bool = True) -> None:
    template(tags=BASTION, user_data=base64.b64encode(text.encode()).decode() if encoded else text)


def watched(
    *, filtered: bool = True, told: bool = True, namespace: str = "ssh", enabled: bool | None = None
) -> None:
    template(tags=BASTION)
    logs = aws.cloudwatch.LogGroup("logs")
    if filtered:
        aws.cloudwatch.LogMetricFilter(
            "failed",
            log_group_name=logs.name,
            pattern="x",
            metric_transformation={"name": "FailedLogins", "namespace": "ssh", "value": "1"},
        )
    aws.cloudwatch.MetricAlarm(
        "failed",
        metric_name="FailedLogins",
        namespace=namespace,
        actions_enabled=enabled,
        comparison_operator="GreaterThanThreshold",
        evaluation_periods=1,
        alarm_actions=["arn:aws:sns:eu-central-1:111122223333:alerts"] if told else [],
    )


def function(**variables: str) -> None:
    aws.lambda_.Function(
        "function",
        role="arn:aws:iam::111122223333:role/f",
        environment={"variables": variables},
        image_uri="x",
    )


def parameter(value: str, name: str = "/app/setting") -> None:
    aws.ssm.Parameter("parameter", name=name, type="String", value=value)


def task(**variables: str) -> None:
    environment = [{"name": name, "value": value} for name, value in variables.items()]
    aws.ecs.TaskDefinition(
        "task", family="t", container_definitions=json.dumps([{"name": "c", "environment": environment}])
    )


TOKEN = "ghp_" + "a1B2" * 9
ARN = "arn:aws:secretsmanager:eu-central-1:111122223333:secret:db"


def unknown_beside_password() -> None:
    other = aws.ec2.Eip("address", domain="vpc")
    function(ADDRESS=other.public_ip, DB_PASSWORD="Sup3r-S3cret")  # type: ignore[arg-type]


def ssh_from_group(tags: dict[str, str] | None, *, inline: bool = False) -> None:
    source = aws.ec2.SecurityGroup("source", description="x", vpc_id="vpc-0abc", tags=tags)
    ports: Any = {"from_port": 22, "to_port": 22, "description": "x"}
    if inline:
        rule: Any = {"protocol": "tcp", "security_groups": [source.id], **ports}
        aws.ec2.SecurityGroup(
            "group",
            description="x",
            vpc_id="vpc-0abc",
            ingress=[rule],
        )
    else:
        aws.ec2.SecurityGroupRule(
            "rule",
            type="ingress",
            protocol="tcp",
            security_group_id=group().id,
            source_security_group_id=source.id,
            **ports,
        )


def ssh_from_prefix_list(tags: dict[str, str] | None) -> None:
    listed = aws.ec2.ManagedPrefixList(
        "offices", address_family="IPv4", max_entries=1, entries=[{"cidr": OFFICE}]
    )
    aws.vpc.SecurityGroupIngressRule(
        "rule",
        security_group_id=group(tags).id,
        ip_protocol="tcp",
        from_port=22,
        to_port=22,
        description="x",
        prefix_list_id=listed.id,
    )


def fleet(**specification: Any) -> None:
    launched: Any = {"ami": "ami-0abc", "instance_type": "g5.xlarge", **specification}
    aws.ec2.SpotFleetRequest(
        "fleet",
        iam_fleet_role="arn:aws:iam::111122223333:role/fleet",
        target_capacity=1,
        launch_specifications=[launched],
    )


def fleet_of_template() -> None:
    aws.ec2.SpotFleetRequest(
        "fleet", iam_fleet_role="arn:aws:iam::111122223333:role/fleet", target_capacity=1
    )


def notebook(version: str | None) -> None:
    aws.sagemaker.NotebookInstance(
        "notebook",
        role_arn="arn:aws:iam::111122223333:role/n",
        instance_type="ml.t3.medium",
        instance_metadata_service_configuration=(
            {"minimum_instance_metadata_service_version": version} if version else None
        ),
    )


def address(tags: dict[str, str] | None, *, associated: bool = False) -> None:
    options: Any = TIGHT
    machine = aws.ec2.Instance(
        "machine", ami="ami-0abc", instance_type="t4g.micro", metadata_options=options, tags=tags
    )
    fixed = aws.ec2.Eip("address", domain="vpc", instance=None if associated else machine.id)
    if associated:
        aws.ec2.EipAssociation("association", allocation_id=fixed.id, instance_id=machine.id)


def address_on_interface(tags: dict[str, str] | None) -> None:
    interface = aws.ec2.NetworkInterface("interface", subnet_id="subnet-0abc", tags=tags)
    aws.ec2.Eip("address", domain="vpc", network_interface=interface.id)


def base64_of(text: str, *, zipped: bool = False) -> str:
    data = text.encode()
    return base64.b64encode(gzip.compress(data, mtime=0) if zipped else data).decode()


def wrapped(text: str) -> str:
    """What a MIME part of user data looks like."""
    lines = base64.encodebytes(text.encode()).decode()
    return f"MIME-Version: 1.0\nContent-Transfer-Encoding: base64\n\n{lines}"


def written_file(text: str) -> str:
    return f"#cloud-config\nwrite_files:\n- path: /etc/app\n  encoding: b64\n  content: {base64_of(text)}\n"


def containers(*definitions: dict[str, Any]) -> None:
    aws.ecs.TaskDefinition("task", family="t", container_definitions=json.dumps(definitions))


def build(kind: str) -> None:
    variable: Any = {"name": "DB_PASSWORD", "value": "prod/Db7:password", "type": kind}
    aws.codebuild.Project(
        "build",
        service_role="arn:aws:iam::111122223333:role/b",
        artifacts={"type": "NO_ARTIFACTS"},
        source={"type": "NO_SOURCE", "buildspec": "version: 0.2"},
        environment={
            "compute_type": "BUILD_GENERAL1_SMALL",
            "image": "aws/codebuild/standard:7.0",
            "type": "LINUX_CONTAINER",
            "environment_variables": [variable],
        },
    )


def secure_parameter(value: str) -> None:
    aws.ssm.Parameter("parameter", name="/app/setting", type="SecureString", value=value)


# Built from pieces: a scanner of this repository must not take them for real ones.
PASSWORD = "Sup3rS3cret9"
EXPORT = f"export DB_PASSWORD={PASSWORD}\n"
AWS_SECRET = "wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYzEXAMPLEKEY"[:18]
HARMLESS = "#!/bin/sh\nset -eu\nsystemctl restart trainer\n"


CASES = [
    Case(
        control="ACC-01",
        compliant=lambda: ssh(OFFICE, BASTION),
        violating=lambda: ssh(OFFICE),
        mentions="not the bastion",
    ),
    Case(
        control="ACC-01",
        compliant=ssh_from_bastion,
        violating=lambda: ssh("203.0.0.0/16", BASTION),
        mentions="wide range",
    ),
    Case(
        control="ACC-01",
        compliant=lambda: ssh("2001:db8::/56", BASTION),
        violating=lambda: ssh("::/0", BASTION),
        mentions="wide range",
    ),
    Case(
        control="ACC-01",
        compliant=lambda: inline_ssh(OFFICE, BASTION),
        violating=lambda: inline_ssh("0.0.0.0/1", BASTION),
        mentions="ingress[0].cidrBlocks[0]",
    ),
    Case(
        control="ACC-01", compliant=ssh_from_bastion, violating=legacy_everything, mentions="not the bastion"
    ),
    Case(
        control="ACC-02",
        compliant=lambda: aws.ec2.KeyPair("key", public_key=PUBLIC_KEY),
        violating=lambda: aws.ec2.KeyPair("key", public_key=PRIVATE_KEY),
        mentions="publicKey",
    ),
    Case(control="ACC-02", compliant=lambda: None, violating=tls_key, mentions="private key"),
    Case(
        control="ACC-03",
        compliant=instance,
        violating=lambda: instance(metadata_options=None),
        mentions="httpTokens",
    ),
    Case(
        control="ACC-03",
        compliant=template,
        violating=lambda: template(metadata_options={**TIGHT, "http_tokens": "optional"}),
        mentions="httpTokens",
    ),
    Case(
        control="ACC-03",
        compliant=lambda: template(metadata_options={"http_endpoint": "disabled"}),
        violating=lambda: template(metadata_options={"http_tokens": "required"}),
        mentions="httpPutResponseHopLimit",
    ),
    Case(
        control="ACC-03",
        compliant=instance,
        violating=lambda: aws.ec2.LaunchConfiguration("c", image_id="ami-0abc", instance_type="g5.xlarge"),
        mentions="httpTokens",
    ),
    Case(
        control="ACC-04",
        compliant=lambda: instance(associate_public_ip_address=False),
        violating=lambda: instance(associate_public_ip_address=True),
        mentions="associatePublicIpAddress",
    ),
    Case(
        control="ACC-04",
        compliant=lambda: template(
            tags=BASTION, network_interfaces=[{"associate_public_ip_address": "true"}]
        ),
        violating=lambda: template(network_interfaces=[{"associate_public_ip_address": "true"}]),
        mentions="networkInterfaces[0].associatePublicIpAddress",
    ),
    Case(
        control="ACC-04",
        compliant=instance,
        violating=lambda: instance(ipv6_address_count=1),
        mentions="ipv6AddressCount",
    ),
    Case(
        control="ACC-05",
        compliant=lambda: bastion(SSHD),
        violating=lambda: bastion("PermitRootLogin no"),
        mentions="password",
    ),
    Case(
        control="ACC-05",
        compliant=lambda: bastion('{"ssh_pwauth": false, "disable_root": true}', encoded=False),
        violating=lambda: bastion("PasswordAuthentication no\nPermitRootLogin yes"),
        mentions="root",
    ),
    Case(
        control="ACC-06",
        compliant=watched,
        violating=lambda: watched(filtered=False),
        mentions="no log group",
    ),
    Case(control="ACC-06", compliant=watched, violating=lambda: watched(told=False), mentions="no alarm"),
    Case(
        control="ACC-07",
        compliant=lambda: instance(
            user_data="#!/bin/sh\nexport DB_PASSWORD=$(aws secretsmanager get-secret-value)\n"
        ),
        violating=lambda: instance(user_data="#!/bin/sh\nexport DB_PASSWORD=Sup3rS3cret9\n"),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: bastion(SSHD),
        violating=lambda: template(
            user_data=base64.b64encode(b"aws configure set key AKIAIOSFODNN7EXAMPLE").decode()
        ),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(DB_SECRET_ARN=ARN, LOG_LEVEL="info", PASSWORD_LENGTH="14"),
        violating=lambda: function(DB_PASSWORD="Sup3r-S3cret"),
        mentions="environment.variables.DB_PASSWORD",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(URL="https://example.org"),
        violating=lambda: function(NOTE=TOKEN),
        mentions="NOTE",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(URL="postgres://db:5432/x"),
        violating=lambda: function(URL="postgres://me:hunter22@db:5432/x"),
        mentions="URL",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: parameter("eu-central-1"),
        violating=lambda: parameter(PRIVATE_KEY),
        mentions="value",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: parameter("arn:aws:iam::1:role/x", "/app/secret"),
        violating=lambda: parameter("Zx8-kL2p-Qq91", "/app/api_key"),
        mentions="value",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: task(MODE="fast"),
        violating=lambda: task(API_TOKEN="Zx8kL2pQq91v"),
        mentions="containerDefinitions",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(MODE="fast"),
        violating=unknown_beside_password,
        mentions="DB_PASSWORD",
    ),
    Case(
        control="ACC-01",
        compliant=lambda: ssh_from_group(BASTION),
        violating=lambda: ssh_from_group(None),
        mentions="not the bastion's",
    ),
    Case(
        control="ACC-01",
        compliant=lambda: ssh_from_group(BASTION, inline=True),
        violating=lambda: ssh_from_group(None, inline=True),
        mentions="ingress[0].securityGroups[0]",
    ),
    Case(
        control="ACC-01",
        compliant=lambda: ssh_from_prefix_list(BASTION),
        violating=lambda: ssh_from_prefix_list(None),
        mentions="not the bastion",
    ),
    Case(
        control="ACC-02",
        compliant=lambda: aws.lightsail.KeyPair("key", public_key=PUBLIC_KEY),
        violating=lambda: aws.lightsail.KeyPair("key"),
        mentions="publicKey",
    ),
    Case(
        control="ACC-02",
        compliant=lambda: aws.acm.Certificate("certificate", domain_name="example.org"),
        violating=lambda: aws.acm.Certificate("certificate", private_key=PRIVATE_KEY, certificate_body="x"),
        mentions="privateKey",
    ),
    Case(
        control="ACC-03",
        compliant=lambda: template(
            metadata_options={**TIGHT, "http_put_response_hop_limit": 2},
            tags={"hop-limit-reason": "pods read the region"},
        ),
        violating=lambda: template(metadata_options={**TIGHT, "http_put_response_hop_limit": 2}),
        mentions="HopLimit",
    ),
    Case(
        control="ACC-03",
        compliant=lambda: notebook("2"),
        violating=lambda: notebook("1"),
        mentions="IMDSv1",
    ),
    Case(
        control="ACC-03",
        compliant=lambda: notebook("2"),
        violating=lambda: notebook(None),
        mentions="minimumInstanceMetadataServiceVersion",
    ),
    Case(
        control="ACC-03",
        compliant=lambda: fleet_of_template(),
        violating=lambda: fleet(),
        mentions="launchSpecifications",
    ),
    Case(
        control="ACC-04",
        compliant=lambda: fleet(),
        violating=lambda: fleet(associate_public_ip_address=True),
        mentions="launchSpecifications[0]",
    ),
    Case(
        control="ACC-04",
        compliant=lambda: template(network_interfaces=[{"associate_public_ip_address": "false"}]),
        violating=lambda: template(network_interfaces=[{}, {"associate_public_ip_address": "1"}]),
        mentions="networkInterfaces[1]",
    ),
    Case(
        control="ACC-04",
        compliant=lambda: template(network_interfaces=[{"ipv4_address_count": 1}]),
        violating=lambda: template(network_interfaces=[{"ipv6_prefix_count": 1}]),
        mentions="ipv6PrefixCount",
    ),
    Case(
        control="ACC-05",
        compliant=lambda: bastion(SSHD),
        violating=lambda: bastion("# PasswordAuthentication no\nPermitRootLogin no\n"),
        mentions="password",
    ),
    Case(
        control="ACC-05",
        compliant=lambda: bastion(SSHD),
        violating=lambda: bastion("PasswordAuthentication yes\n" + SSHD),
        mentions="password",
    ),
    Case(
        control="ACC-05",
        compliant=lambda: bastion(
            "#!/bin/sh\nsed -i 's/^PasswordAuthentication yes/PasswordAuthentication no/' /etc/ssh/sshd_config\n"
            "echo 'PermitRootLogin no' >> /etc/ssh/sshd_config\n"
        ),
        violating=lambda: bastion(SSHD.replace("RootLogin no", "RootLogin prohibit-password")),
        mentions="root",
    ),
    Case(
        control="ACC-05",
        compliant=lambda: bastion(written_file(SSHD)),
        violating=lambda: bastion(written_file(HARMLESS)),
        mentions="password",
    ),
    Case(
        control="ACC-06",
        compliant=lambda: watched(),
        violating=lambda: watched(namespace="elsewhere"),
        mentions="no alarm",
    ),
    Case(
        control="ACC-06",
        compliant=lambda: watched(enabled=True),
        violating=lambda: watched(enabled=False),
        mentions="no alarm",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: template(user_data=base64_of(HARMLESS, zipped=True)),
        violating=lambda: template(user_data=base64_of(EXPORT, zipped=True)),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: instance(user_data=written_file(HARMLESS)),
        violating=lambda: instance(user_data=written_file(EXPORT)),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: instance(user_data=wrapped(HARMLESS * 4)),
        violating=lambda: instance(user_data=wrapped(HARMLESS * 4 + EXPORT)),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: fleet(user_data=HARMLESS),
        violating=lambda: fleet(user_data=EXPORT),
        mentions="launchSpecifications[0].userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(DB_PASSWORD_FILE="/run/secrets/database"),
        violating=lambda: function(DB_PASSWORD="correcthorse"),
        mentions="DB_PASSWORD",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(COMPASS="north-West-9"),
        violating=lambda: function(DB_PASS=PASSWORD),
        mentions="DB_PASS",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(REVISION="0a1b2c3d4e" * 4),
        violating=lambda: function(SETTING=AWS_SECRET),
        mentions="SETTING",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: function(
            SECRET_NAME="prod/database/reader",
            MAX_TOKENS="4096000",
            TOKENIZER_PATH="models/bert-base-uncased",
            TOKEN_ISSUER="https://oidc.eks.eu-central-1.amazonaws.com/id/ABC",
        ),
        violating=lambda: function(NOTE="sk-proj-" + "aB3dE" * 8),
        mentions="NOTE",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: instance(user_data='#!/bin/sh\necho "admin:$PASSWORD" | chpasswd\n'),
        violating=lambda: instance(user_data=f"#!/bin/sh\necho 'admin:{PASSWORD}' | chpasswd\n"),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: instance(user_data="#cloud-config\nusers:\n- name: a\n  lock_passwd: true\n"),
        violating=lambda: instance(
            user_data="#cloud-config\nusers:\n- passwd: $6$rounds=4096$abcdefgh$WxQ1234567890\n"
        ),
        mentions="userData",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: containers({"name": "c", "secrets": [{"name": "DB_PASSWORD", "valueFrom": ARN}]}),
        violating=lambda: containers(
            {"Name": "c", "Environment": [{"Name": "API_TOKEN", "Value": "Zx8kL2pQq91v"}]}
        ),
        mentions="containerDefinitions",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: containers({"name": "c", "value": "x"}),
        violating=lambda: containers(
            {"name": "c", "value": "x", "environment": [{"name": "API_TOKEN", "value": "Zx8kL2pQq91v"}]}
        ),
        mentions="environment[0].value",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: containers({"name": "c", "command": ["run", "--password-file", "/run/secrets/x"]}),
        violating=lambda: containers({"name": "c", "command": ["run", "--password", PASSWORD]}),
        mentions="command",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: build("SECRETS_MANAGER"),
        violating=lambda: build("PLAINTEXT"),
        mentions="environmentVariables[0].value",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: secure_parameter("placeholder"),
        violating=lambda: secure_parameter("correcthorsebattery"),
        mentions="value",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: parameter("[section]\nlevel = info\n"),
        violating=lambda: parameter(f"[section]\npassword = {PASSWORD}\n"),
        mentions="value",
    ),
    Case(
        control="ACC-07",
        compliant=lambda: aws.glue.Connection("glue", connection_properties={"SECRET_ID": ARN}),
        violating=lambda: aws.glue.Connection(
            "glue", connection_properties={"USERNAME": "u", "PASSWORD": PASSWORD}
        ),
        mentions="PASSWORD",
    ),
    Case(
        control="ACC-08",
        compliant=lambda: address(BASTION),
        violating=lambda: address(None),
        mentions="instance",
    ),
    Case(
        control="ACC-08",
        compliant=lambda: address(BASTION, associated=True),
        violating=lambda: address(None, associated=True),
        mentions="instanceId",
    ),
    Case(
        control="ACC-08",
        compliant=lambda: address_on_interface(BASTION),
        violating=lambda: address_on_interface(None),
        mentions="networkInterface",
    ),
    Case(
        control="ACC-09",
        compliant=lambda: pulumi.export("key", PUBLIC_KEY),
        violating=lambda: pulumi.export("key", PRIVATE_KEY),
        mentions="private key",
    ),
]
