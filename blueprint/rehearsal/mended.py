"""moto's server with what its version 5.2.5 gets wrong mended: each mend says what AWS does instead.

What is missing altogether is not built here: it stands in ``planned_only``.
"""

from __future__ import annotations

import json
import sys
import threading
from typing import Any

from moto.core.responses import ActionResult
from moto.ec2.responses import EC2Response
from moto.kms.models import kms_backends
from moto.kms.responses import KmsResponse
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from moto.rds.exceptions import RDSClientError
from moto.rds.models import RDSBackend
from moto.s3.models import FakeBucket
from waitress import serve


def replicate_key(response: Any) -> str:
    """Answer ReplicateKey. The replica's policy, description, tags, aliases and part are its own."""
    told = json.loads(response.body)
    replica = response.kms_backend.replicate_key(told["KeyId"], told["ReplicaRegion"])
    replica.aliases = {}
    replica.multi_region_configuration = {
        **replica.multi_region_configuration,
        "MultiRegionKeyType": "REPLICA",
    }
    replica.policy = told.get("Policy") or replica.generate_default_policy()
    replica.description = told.get("Description", "")
    there = kms_backends[response.current_account][told["ReplicaRegion"]]
    there.tagger.tag_resource(replica.id, told.get("Tags") or [])
    return json.dumps(
        {"ReplicaKeyMetadata": replica.to_dict()["KeyMetadata"], "ReplicaPolicy": replica.policy}
    )


def may_receive_logs(*, target_bucket: FakeBucket, target_prefix: str | None) -> bool:
    """Say whether S3 may deliver access logs. AWS takes lists in a policy, and moto single names only."""
    policy = json.loads(target_bucket.policy.decode()) if target_bucket.policy else {"Statement": []}
    wanted = f"{target_bucket.arn}/{target_prefix or ''}*"
    return any(
        statement["Effect"] == "Allow"
        and isinstance(statement.get("Principal"), dict)
        and "logging.s3.amazonaws.com" in _list(statement["Principal"].get("Service"))
        and "s3:PutObject" in _list(statement.get("Action"))
        and {wanted, f"{target_bucket.arn}/*"} & set(_list(statement.get("Resource")))
        for statement in policy["Statement"]
    )


def create_subnet_group(
    backend: RDSBackend, name: str, description: str, subnets: list[Any], tags: list[dict[str, str]]
) -> Any:
    """Make a subnet group; AWS refuses one that stands in a single zone, and moto does not."""
    if len({subnet.availability_zone for subnet in subnets}) < 2:
        raise RDSClientError(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. "
            "Add subnets to cover at least 2 AZs.",
        )
    return _create_subnet_group(backend, name, description, subnets, tags)


_create_subnet_group = RDSBackend.create_subnet_group


def get_ebs_default_kms_key_id(response: Any) -> ActionResult:
    """Answer GetEbsDefaultKmsKeyId with what ModifyEbsDefaultKmsKeyId said."""
    return ActionResult({"KmsKeyId": response.ec2_backend.default_kms_key_id})


def reset_ebs_default_kms_key_id(response: Any) -> ActionResult:
    """Answer ResetEbsDefaultKmsKeyId: back to AWS's own key."""
    response.ec2_backend.default_kms_key_id = "alias/aws/ebs"
    return ActionResult({"KmsKeyId": "alias/aws/ebs"})


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def mend() -> None:
    """Put every mend in its place."""
    for owner, name, mended in (
        (KmsResponse, "replicate_key", replicate_key),
        (FakeBucket, "_log_permissions_enabled_policy", staticmethod(may_receive_logs)),
        (RDSBackend, "create_subnet_group", create_subnet_group),
        (EC2Response, "get_ebs_default_kms_key_id", get_ebs_default_kms_key_id),
        (EC2Response, "reset_ebs_default_kms_key_id", reset_ebs_default_kms_key_id),
    ):
        setattr(owner, name, mended)


class OneAtATime:
    """Serves one request at a time: moto's state is not guarded, and forty at once corrupt it now and then."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
        """Answer one request, whole."""
        with self._lock:
            return list(self._app(environ, start_response))


def main(port: int) -> None:
    """Serve on a loopback port. moto's own development server breaks connections off under load."""
    mend()
    serve(
        OneAtATime(DomainDispatcherApplication(create_backend_app)), host="127.0.0.1", port=port, threads=40
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
