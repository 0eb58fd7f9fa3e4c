"""What a control cannot see it neither passes nor refuses: it says so."""

from __future__ import annotations

import json

import pulumi_aws as aws

from blueprint.pack import RunningPack
from tests.policies.cases import ACCOUNT, judged, problems, waits


def role_under_a_boundary_of_another_stack() -> None:
    trust = {
        "Statement": {
            "Effect": "Allow",
            "Action": "sts:AssumeRole",
            "Principal": {"Service": "ec2.amazonaws.com"},
        }
    }
    aws.iam.Role(
        "role",
        assume_role_policy=json.dumps(trust),
        permissions_boundary=f"arn:aws:iam::{ACCOUNT}:policy/organisation",
    )


def test_a_boundary_of_another_stack_leaves_its_regions_undecided(pack: RunningPack) -> None:
    verdict = judged(pack, role_under_a_boundary_of_another_stack)
    assert problems(verdict, "RES-06") == []
    assert waits(verdict, "RES-06") == ["what the permissionsBoundary of another stack denies"]
    assert problems(verdict, "IAM-05") == []
