"""The two keys: one of the bucket that holds the state, one of the secrets in the state."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from blueprint.bootstrap.cloud import Cloud, unless
from blueprint.bootstrap.documents import Document
from blueprint.bootstrap.target import Target
from blueprint.bootstrap.thing import Aspect, Thing, Whose, document, only, tags_of

ROTATION_DAYS = 365

_ABSENT = ("NotFoundException",)


class Key(Thing):
    """A customer-managed key, found by its alias, or by its tags where the alias is not there yet."""

    kind = "KMS key"

    def __init__(self, at: Target, cloud: Cloud, *, alias: str, about: str, policy: Document) -> None:
        """Know its alias and who may do what with it."""
        self._at, self._cloud, self._kms = at, cloud, cloud.client("kms", at.region)
        self._about, self._policy = about, policy
        self.name = alias
        self._tags = {**at.tags, "key": alias.removeprefix("alias/")}
        self._id = ""

    @property
    def arn(self) -> str:
        """ARN of the key; while there is none, words that say so and are no ARN."""
        if not self._id:
            return f"(the key of {self.name}, once it is made)"
        return str(self._metadata()["Arn"])

    def look(self) -> tuple[Whose, str]:
        """Return whose the key behind the alias is; without the alias, whether a run made the key and no more."""
        found = unless(_ABSENT, lambda: self._kms.describe_key(KeyId=self.name))
        if found is not None:
            self._id = str(found["KeyMetadata"]["KeyId"])
            tags = self._tags_of(self._id)
            if tags.get("managed-by") == self._at.mark and tags.get("key") == self._tags["key"]:
                return "ours", ""
            return (
                "theirs",
                f"its key does not carry the tags managed-by={self._at.mark}, key={self._tags['key']}",
            )
        self._id = self._without_alias()
        return ("ours", "") if self._id else ("nobody's", "")

    def make(self) -> None:
        """Make the key, closed by its policy from the first moment."""
        made = self._kms.create_key(
            Description=self._about,
            Policy=json.dumps(self._policy),
            Tags=[{"TagKey": key, "TagValue": value} for key, value in self._tags.items()],
        )
        self._id = str(made["KeyMetadata"]["KeyId"])

    def aspects(self) -> Sequence[Aspect]:
        """Return its state, policy, rotation, alias and tags."""
        kms, key = self._kms, self._id
        return [
            Aspect(
                name="enabled",
                wanted="Enabled",
                read=lambda: self._metadata()["KeyState"],
                write=self._enable,
            ),
            Aspect(
                name="policy",
                wanted=self._policy,
                read=lambda: document(kms.get_key_policy(KeyId=key, PolicyName="default")["Policy"]),
                write=lambda: kms.put_key_policy(
                    KeyId=key, PolicyName="default", Policy=json.dumps(self._policy)
                ),
            ),
            Aspect(
                name="rotation",
                wanted=[True, ROTATION_DAYS],
                read=self._rotation,
                write=lambda: kms.enable_key_rotation(KeyId=key, RotationPeriodInDays=ROTATION_DAYS),
            ),
            Aspect(
                name="alias",
                wanted=[self.name],
                read=self._aliases,
                write=lambda: kms.create_alias(AliasName=self.name, TargetKeyId=key),
            ),
            Aspect(
                name="tags",
                wanted=self._tags,
                read=lambda: only(self._tags, self._tags_of(key)),
                write=lambda: kms.tag_resource(
                    KeyId=key, Tags=[{"TagKey": k, "TagValue": v} for k, v in self._tags.items()]
                ),
            ),
        ]

    def _metadata(self) -> Any:
        return self._kms.describe_key(KeyId=self._id)["KeyMetadata"]

    def _enable(self) -> None:
        if self._metadata()["KeyState"] == "PendingDeletion":
            self._kms.cancel_key_deletion(KeyId=self._id)
        self._kms.enable_key(KeyId=self._id)

    def _rotation(self) -> list[Any]:
        told = self._kms.get_key_rotation_status(KeyId=self._id)
        return [told["KeyRotationEnabled"], told.get("RotationPeriodInDays", ROTATION_DAYS)]

    def _aliases(self) -> list[str]:
        """Return the alias, where it is there; others of the same key are no harm."""
        listed = self._cloud.every("kms", "list_aliases", "Aliases", self._at.region, KeyId=self._id)
        return [str(each["AliasName"]) for each in listed if each["AliasName"] == self.name]

    def _tags_of(self, key: str) -> dict[str, str]:
        return tags_of(
            list(self._cloud.every("kms", "list_resource_tags", "Tags", self._at.region, KeyId=key))
        )

    def _without_alias(self) -> str:
        """Return the id of a key that a run made before it was stopped; empty where there is none."""
        for key in self._cloud.every("kms", "list_keys", "Keys", self._at.region):
            # Keys whose policy hides their tags from us are none of ours.
            tags = unless(
                ("AccessDeniedException", "NotFoundException"),
                lambda: self._tags_of(key["KeyId"]),  # noqa: B023
            )
            if tags and tags.get("managed-by") == self._at.mark and tags.get("key") == self._tags["key"]:
                return str(key["KeyId"])
        return ""
