"""moto's server with what its version 5.2.5 gets wrong mended: each mend says what AWS does instead.

What is missing altogether is not built here: it stands in ``planned_only``.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from moto.athena.responses import AthenaResponse
from moto.backup.responses import BackupResponse
from moto.cloudtrail.models import CloudTrailBackend
from moto.core.responses import ActionResult
from moto.ec2.exceptions import InvalidSecurityGroupRuleIdNotFoundError
from moto.ec2.models import EC2Backend
from moto.ec2.responses import EC2Response
from moto.elbv2 import models as elbv2_models
from moto.elbv2.exceptions import ELBClientError
from moto.guardduty.models import Detector
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


def register_certificate(*, account_id: str, region: str, arn_certificate: str, arn_user: str) -> None:
    """Take any certificate: one that a stack brings along was there before, and moto begins with none."""


def delete_load_balancer(backend: Any, arn: str) -> None:
    """Delete a load balancer, unless it is protected: moto keeps the protection and does not heed it."""
    balancer = backend.load_balancers.get(arn)
    if balancer and balancer.attrs.get("deletion_protection.enabled") == "true":
        raise ELBClientError("OperationNotPermitted", f"{arn}: deletion protection is enabled")
    backend.load_balancers.pop(arn, None)


def update_detector(
    detector: Detector,
    enable: bool,
    finding_publishing_frequency: str,
    data_sources: dict[str, Any],
    features: list[dict[str, Any]] | None,
) -> None:
    """Change a detector: the features that are named, and not all others away with them."""
    known = {feature["name"]: feature for feature in (*detector.features, *(features or ()))}
    _update_detector(
        detector, enable, finding_publishing_frequency, data_sources, features=list(known.values())
    )


_update_detector = Detector.update


def delete_trail(backend: CloudTrailBackend, name: str) -> None:
    """Delete a trail, by its name or by its ARN."""
    backend.trails.pop(name.rpartition("/")[2], None)


def list_backup_tags(response: Any) -> str:
    """Answer ListTags of AWS Backup, with a slash at the end of the path or without."""
    arn = unquote(response.path.rstrip("/").partition("/tags/")[2])
    return json.dumps({"Tags": response.backup_backend.list_tags(resource_arn=arn)})


def delete_named_query(response: Any) -> str:
    """Answer DeleteNamedQuery, which moto has not."""
    response.athena_backend.named_queries.pop(json.loads(response.body)["NamedQueryId"], None)
    return "{}"


def revoking(revoke: Callable[..., None]) -> Callable[..., None]:
    """Return a revocation that says of a rule that is gone what AWS says, so that a call sent twice does no harm."""

    def revoke_known(backend: EC2Backend, **arguments: Any) -> None:
        group = backend.get_security_group_by_name_or_id(arguments["group_name_or_id"])
        known = {rule.id for rule in (*group.ingress_rules, *group.egress_rules)} if group else set()
        for rule_id in arguments.get("security_rule_ids") or ():
            if rule_id not in known:
                raise InvalidSecurityGroupRuleIdNotFoundError(rule_id)
        revoke(backend, **arguments)

    return revoke_known


def _list(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def mend() -> None:
    """Put every mend in its place."""
    for owner, name, mended in (
        (KmsResponse, "replicate_key", replicate_key),
        (FakeBucket, "_log_permissions_enabled_policy", staticmethod(may_receive_logs)),
        (RDSBackend, "create_subnet_group", create_subnet_group),
        (Detector, "update", update_detector),
        (CloudTrailBackend, "delete_trail", delete_trail),
        (BackupResponse, "list_tags", list_backup_tags),
        (AthenaResponse, "delete_named_query", delete_named_query),
        *(
            (EC2Backend, name, revoking(getattr(EC2Backend, name)))
            for name in ("revoke_security_group_ingress", "revoke_security_group_egress")
        ),
        (EC2Response, "get_ebs_default_kms_key_id", get_ebs_default_kms_key_id),
        (elbv2_models.ELBv2Backend, "delete_load_balancer", delete_load_balancer),
        (elbv2_models, "register_certificate", register_certificate),
        (EC2Response, "reset_ebs_default_kms_key_id", reset_ebs_default_kms_key_id),
    ):
        setattr(owner, name, mended)


_REMEMBERED = 5_000
"""Answers that are kept: many more than forty callers have under way."""


class OneAtATime:
    """Serves one request at a time: moto's state is not guarded, and forty at once corrupt it now and then.

    A request that is made again is answered as it was at first, and changes nothing: its first answer was lost on
    the way, and a deletion would meet what it has deleted itself. AWS's SDKs give each request an id that stays
    the same over its attempts (SDKs and Tools Reference Guide, "Retry behavior").
    """

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, tuple[str, list[tuple[str, str]], bytes]] = OrderedDict()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        """Answer one request, whole."""
        with self._lock:
            request = environ.get("HTTP_AMZ_SDK_INVOCATION_ID", "")
            status, headers, body = self._answers.get(request) or self._ask(environ)
            # A failure of the server's own is worth another try.
            if request and not status.startswith("5"):
                self._answers[request] = status, headers, body
                if len(self._answers) > _REMEMBERED:
                    self._answers.popitem(last=False)
        start_response(status, headers)
        return [body]

    def _ask(self, environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes]:
        told: list[Any] = []
        body = b"".join(self._app(environ, lambda status, headers, *_: told.append((status, headers))))
        ((status, headers),) = told[-1:]
        return status, headers, body


def main(port: int) -> None:
    """Serve on a loopback port. moto's own development server breaks connections off under load."""
    mend()
    serve(
        OneAtATime(DomainDispatcherApplication(create_backend_app)), host="127.0.0.1", port=port, threads=40
    )


if __name__ == "__main__":
    main(int(sys.argv[1]))
