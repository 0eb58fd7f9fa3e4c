"""An exported file comes back as the same graph; a broken one gets one message that says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from blueprint import deployment
from blueprint.errors import BadInput
from blueprint.graph import SECRET, SIGNATURE, UNKNOWN, Graph
from tests.policies.cases import recorded

STACK_URN = "urn:pulumi:prod::shop::pulumi:pulumi:Stack::shop-prod"


def program() -> None:
    vpc = aws.ec2.Vpc("vpc", cidr_block="10.0.0.0/16", tags={"Name": "vpc"})
    aws.ec2.Subnet(
        "subnet", vpc_id=vpc.id, cidr_block="10.0.0.0/24", opts=pulumi.ResourceOptions(protect=True)
    )
    pulumi.export("vpc", vpc.id)


def exported(tmp_path: Path, *resources: dict[str, Any], **top: Any) -> Path:
    file = tmp_path / "stack.json"
    stack = {"urn": STACK_URN, "type": "pulumi:pulumi:Stack", "custom": False}
    document = {"version": 3, "deployment": {"resources": [stack, *resources]}, **top}
    file.write_text(json.dumps(document))
    return file


@pytest.mark.parametrize("unknowns", [False, True])
def test_a_graph_survives_its_export(unknowns: bool, tmp_path: Path) -> None:
    graph = recorded(program, unknowns=unknowns)
    file = tmp_path / "graph.json"
    file.write_text(deployment.write(graph))
    assert deployment.read(file) == graph


def test_an_export_is_the_same_every_time() -> None:
    assert deployment.write(recorded(program)) == deployment.write(recorded(program))


def test_a_secret_of_the_program_does_not_reach_the_file() -> None:
    def secretive() -> None:
        aws.ssm.Parameter("p", type="SecureString", value=pulumi.Output.secret("hunter2-hunter2"))

    assert "hunter2" not in deployment.write(recorded(secretive))


def secret(**fields: str) -> dict[str, str]:
    return {SIGNATURE: SECRET, **fields}


def test_an_encrypted_secret_is_unknown_and_a_shown_one_is_known(tmp_path: Path) -> None:
    parameter = {
        "urn": "urn:pulumi:prod::shop::aws:ssm/parameter:Parameter::p",
        "type": "aws:ssm/parameter:Parameter",
        "custom": True,
        "inputs": {"value": secret(ciphertext="v1:abc"), "shown": secret(plaintext='"open"')},
    }
    resource = deployment.read(exported(tmp_path, parameter)).of("aws:ssm/parameter:Parameter")[0]
    assert resource.inputs == {"value": UNKNOWN, "shown": {SIGNATURE: SECRET, "value": "open"}}


def test_what_is_on_its_way_out_is_not_judged(tmp_path: Path) -> None:
    old = {
        "urn": "urn:pulumi:prod::shop::aws:ec2/vpc:Vpc::v",
        "type": "aws:ec2/vpc:Vpc",
        "custom": True,
        "delete": True,
    }
    graph: Graph = deployment.read(exported(tmp_path, old))
    assert graph.of("aws:ec2/vpc:Vpc") == []


def refused(file: Path) -> str:
    with pytest.raises(BadInput) as caught:
        deployment.read(file)
    assert str(caught.value).startswith(str(file))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "nothing.json")


def test_a_truncated_file_is_told_from_other_garbage(tmp_path: Path) -> None:
    file = tmp_path / "half.json"
    text = deployment.write(recorded(program))
    file.write_text(text[: len(text) // 2])
    assert "ends in the middle" in refused(file)
    file.write_text("<html></html>")
    assert "is not JSON" in refused(file)


@pytest.mark.parametrize(
    "raw", [b"age-encryption.org/v1\n-> X25519", b"-----BEGIN PGP MESSAGE-----", b"Salted__abc"]
)
def test_an_encrypted_file_is_recognised(raw: bytes, tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    file.write_bytes(raw)
    assert "is encrypted; decrypt it first" in refused(file)


def test_a_binary_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    file.write_bytes(b"\x1f\x8b\x08\x00\xff\xfe")
    assert "is not text" in refused(file)


@pytest.mark.parametrize(
    ("top", "says"),
    [({"version": 2}, "version 2"), ({"version": 4}, "version 4"), ({"version": None}, "no version")],
)
def test_another_version_is_refused(top: dict[str, Any], says: str, tmp_path: Path) -> None:
    assert says in refused(exported(tmp_path, **top))


def test_a_file_of_200_mb_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "huge.json"
    with file.open("wb") as handle:
        handle.truncate(200_000_000)
    assert "200 MB" in refused(file)


@pytest.mark.parametrize(
    "state",
    [
        "text",
        {"type": "aws:ec2/vpc:Vpc"},
        {"urn": "urn:pulumi:a::b::c::d"},
        {"urn": "nonsense", "type": "x"},
        {"urn": "urn:pulumi:a::b::c::d", "type": "x", "inputs": []},
    ],
)
def test_a_broken_resource_is_located(state: Any, tmp_path: Path) -> None:
    assert "deployment.resources[1]" in refused(exported(tmp_path, state))


@pytest.mark.parametrize(
    "text", ["[]", '"x"', "3", '{"version": 3}', '{"version": 3, "deployment": {"resources": []}}']
)
def test_a_file_without_resources_does_not_pass(text: str, tmp_path: Path) -> None:
    file = tmp_path / "stack.json"
    file.write_text(text)
    refused(file)


def test_deep_nesting_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "deep.json"
    file.write_text("[" * 200_000)
    assert "nested too deeply" in refused(file)
