"""Every mistake in a stack file gets one line: the file, the key, what to write instead."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest
import yaml

from blueprint.environments import ROOT, configuration
from components.detectors import STANDARDS
from stacks.errors import SettingsError
from stacks.profiles import PROFILES
from stacks.reading import parse
from stacks.residency import JURISDICTIONS
from stacks.settings import Settings

PREFIX = "secure-ml-platform:"

Change = Callable[[dict[str, Any]], object]


def values(environment: str = "prod") -> dict[str, Any]:
    """Return the values of an environment that the repository ships."""
    config = yaml.safe_load((ROOT / "stacks" / f"Pulumi.{environment}.yaml").read_text())["config"]
    return {key.removeprefix(PREFIX): value for key, value in config.items() if key.startswith(PREFIX)}


def texts(settings: dict[str, Any]) -> dict[str, str]:
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in settings.items()}


def refusal(change: Change, environment: str = "prod") -> str:
    """Return what is said when ``change`` was made to a good stack file."""
    settings = copy.deepcopy(values(environment))
    change(settings)
    with pytest.raises(SettingsError) as caught:
        parse(texts(settings), stack=environment)
    return str(caught.value)


@pytest.mark.parametrize("environment", ["dev", "staging", "prod"])
def test_every_environment_that_ships_is_good(environment: str) -> None:
    config = configuration(environment)
    prefixed = {k.removeprefix(PREFIX): v for k, v in config.items() if k.startswith(PREFIX)}
    settings = parse(prefixed, stack=environment)
    assert settings.environment == environment
    assert settings.zone_names[0] == "us-east-1a"


def edit(path: str, value: Any) -> Change:
    """Return a change that puts ``value`` at a dotted path."""

    def change(settings: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            settings = settings.setdefault(parent, {})
        settings[last] = value

    return change


def remove(path: str) -> Change:
    def change(settings: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        for parent in parents:
            settings = settings[parent]
        del settings[last]

    return change


PRIVATE_KEY = (
    "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjEAAAAABG5vbmU=\n-----END OPENSSH PRIVATE KEY-----"
)

KEY = " ".join(values()["bastion"]["public_keys"][0].split()[:2])

POOL = {"name": "small", "instance_types": ["g6.xlarge"], "max_nodes": 1}


def day(away: int) -> str:
    return (datetime.now(UTC).date() + timedelta(days=away)).isoformat()


def counting(**changed: Any) -> list[dict[str, Any]]:
    entry = {
        "group": "AWSManagedRulesSQLiRuleSet",
        "until": day(20),
        "reason": "first weeks of a new service",
    }
    return [{**entry, **changed}]


MISTAKES: list[tuple[Change, str, str]] = [
    # (the change, the key it names, what it says)
    (edit("bastion.allowed_cidrs", ["0.0.0.0/0"]), "bastion.allowed_cidrs[0]", "opens SSH to the world"),
    (edit("bastion.allowed_cidrs", ["::/0"]), "bastion.allowed_cidrs[0]", "opens SSH to the world"),
    (edit("bastion.allowed_cidrs", ["203.0.0.0/16"]), "bastion.allowed_cidrs[0]", "wider than /24"),
    (edit("bastion.allowed_cidrs", ["2001:db8::/48"]), "bastion.allowed_cidrs[0]", "wider than /56"),
    (edit("bastion.allowed_cidrs", ["203.0.113.8/24"]), "bastion.allowed_cidrs[0]", "write 203.0.113.0/24"),
    (edit("bastion.allowed_cidrs", ["office"]), "bastion.allowed_cidrs[0]", "write one like 203.0.113.8/32"),
    (edit("bastion.allowed_cidrs", []), "bastion.allowed_cidrs", "write 1 or more"),
    (edit("bastion.allowed_cidrs", "203.0.113.8/32"), "bastion.allowed_cidrs", "is not a list"),
    (
        edit("bastion.allowed_cidrs", ["203.0.113.0/24", "203.0.113.8/32"]),
        "bastion.allowed_cidrs[1]",
        "overlaps allowed_cidrs[0]",
    ),
    (
        edit("bastion.allowed_cidrs", ["10.60.1.0/24"]),
        "bastion.allowed_cidrs[0]",
        "overlaps network.cidr_block",
    ),
    (
        edit("bastion.allowed_cidrs", [f"203.0.113.{n}/32" for n in range(0, 60, 2)]),
        "bastion.allowed_cidrs",
        "30 IPv4 ranges; a network ACL has room for 13",
    ),
    (edit("network.allowed_egress_domains", []), "network.allowed_egress_domains", "write 1 or more"),
    (edit("bastion.public_keys", [PRIVATE_KEY]), "bastion.public_keys[0]", "is a private key"),
    (
        edit("bastion.public_keys", ["ssh-ed25519 garbage"]),
        "bastion.public_keys[0]",
        "not an OpenSSH public key",
    ),
    (edit("bastion.public_keys", [KEY]), "bastion.public_keys[0]", "names no account"),
    (edit("bastion.public_keys", [f"{KEY} root"]), "bastion.public_keys[0]", "names no account"),
    (edit("bastion.alowed_cidrs", []), "bastion.alowed_cidrs", "did you mean allowed_cidrs?"),
    (edit("bastion.idle_timeout_minutes", 0), "bastion.idle_timeout_minutes", "write 1 or more"),
    (edit("bastion.idle_timeout_minutes", "15"), "bastion.idle_timeout_minutes", "without quotes"),
    (edit("netwrok", {}), "netwrok", "did you mean network?"),
    (edit("xyz", "1"), "xyz", "the keys here are environment, owner"),
    (remove("network"), "network", "is missing"),
    (remove("database.instance_class"), "database.instance_class", "is missing"),
    (edit("network", "10.0.0.0/16"), "network", "is not a section"),
    (edit("network.cidr_block", "10.60.0.1/16"), "network.cidr_block", "write 10.60.0.0/16"),
    (edit("network.cidr_block", "8.8.0.0/16"), "network.cidr_block", "not a private IPv4 range"),
    (edit("network.cidr_block", "172.17.0.0/16"), "network.cidr_block", "Docker"),
    (edit("network.cidr_block", "10.60.0.0/26"), "network.cidr_block", "too small"),
    (edit("network.zones", []), "network.zones", "0 zones; name two or three"),
    (edit("network.zones", ["a"]), "network.zones", "1 zones"),
    (edit("network.zones", ["a", "a", "b"]), "network.zones", "twice"),
    (edit("network.zones", ["a", "b"]), "network.zones", "three zones"),
    (edit("network.zones", ["us-east-1a", "b", "c"]), "network.zones[0]", "letter of a zone"),
    (edit("network.nat_gateways", "one"), "network.nat_gateways", "write per-zone"),
    (edit("network.nat_gateways", "none"), "network.nat_gateways", "'one' or 'per-zone'"),
    (
        edit("residency.home_region", "eu-central-1"),
        "residency.home_region",
        "is not in the jurisdiction 'us'",
    ),
    (edit("residency.backup_region", "us-east-1"), "residency.backup_region", "is the home region"),
    (edit("residency.jurisdiction", "mars"), "residency.jurisdiction", "choose among"),
    (edit("residency.jurisdiction", "sg"), "residency.jurisdiction", "has one AWS region"),
    (edit("account_id", "1234"), "account_id", "twelve digits"),
    (edit("profile", "hippa"), "profile", "'hipaa'"),
    (edit("owner", "team"), "owner", "e-mail"),
    (edit("retention.log_days", 365), "retention.log_days", "under the 2192 that profile 'hipaa' asks for"),
    (edit("retention.log_days", 2200), "retention.log_days", "write 2557"),
    (edit("retention.audit_days", 30), "retention.audit_days", "write 2192 or more"),
    (edit("database.backup_retention_days", 7), "database.backup_retention_days", "write 30 or more"),
    (edit("database.backup_retention_days", 3), "database.backup_retention_days", "write 7 or more"),
    (edit("database.standby", "none"), "database.standby", "write other-zone"),
    (
        edit("database.max_allocated_storage_gb", 20),
        "database.max_allocated_storage_gb",
        "leave room to grow",
    ),
    (edit("keys", {"deletion_window_days": 14}), "keys.deletion_window_days", "write 30 or more"),
    (edit("keys", {"existing": {"data": "mine"}}), "keys.existing.data", "is not an ARN"),
    (
        edit("keys", {"existing": {"data": "arn:aws:kms:eu-west-1:777788889999:key/1"}}),
        "keys.existing.data",
        "not in the home region",
    ),
    (edit("keys", {"existing": {"dat": "x"}}), "keys.existing", "'data'"),
    (edit("identity.people_principal_arns", []), "identity.people_principal_arns", "write 1 or more"),
    (edit("identity.people_principal_arns", ["*"]), "identity.people_principal_arns[0]", "is not an ARN"),
    (
        edit("identity.administrator_arns", ["arn:aws:iam::111122223333:role/*"]),
        "identity.administrator_arns[0]",
        "is not one user or role",
    ),
    (edit("identity.github_repository", "platform"), "identity.github_repository", "write owner/name"),
    (edit("cluster.kubernetes_version", "1.33"), "cluster.kubernetes_version", "left standard support on"),
    (edit("cluster.kubernetes_version", "1.7"), "cluster.kubernetes_version", "no version of EKS"),
    (edit("cluster.endpoint", ["0.0.0.0/0"]), "cluster.endpoint[0]", "opens the Kubernetes API to the world"),
    (
        edit("cluster.endpoint", ["203.0.113.8/32", "198.51.0.0/16"]),
        "cluster.endpoint[1]",
        "wider than /24",
    ),
    (edit("cluster.endpoint", []), "cluster.endpoint", "write private, or list"),
    (edit("cluster.endpoint", "public"), "cluster.endpoint", "write private, or list"),
    (edit("cluster.deployer_role_arn", "me"), "cluster.deployer_role_arn", "is not an ARN"),
    (edit("cluster.system.instance_type", "t3.large"), "cluster.system.instance_type", "like m7i.large"),
    (edit("cluster.system.min_nodes", 1), "cluster.system.min_nodes", "write 2 or more"),
    (edit("cluster.system.max_nodes", 2), "cluster.system.max_nodes", "write 3 or more"),
    (edit("cluster.system.disk", 1), "cluster.system.disk", "did you mean disk_gb?"),
    (
        edit("training.pools", [{**POOL, "instance_types": ["p5.48xlagre"]}]),
        "training.pools[0].instance_types[0]",
        "did you mean p5.48xlarge?",
    ),
    (
        edit("training.pools", [{**POOL, "instance_types": ["m7i.large"]}]),
        "training.pools[0].instance_types[0]",
        "write one like g6.xlarge",
    ),
    (edit("training.pools", [POOL, POOL]), "training.pools[1].name", "another pool"),
    (edit("training.pools", [{**POOL, "max_nodes": 0}]), "training.pools[0].max_nodes", "write 1 to 100"),
    (
        edit("training.pools", [{**POOL, "capacity": "reserved"}]),
        "training.pools[0].capacity",
        "'capacity-block'",
    ),
    (
        edit("training.pools", [{**POOL, "capacity": "capacity-block"}]),
        "training.pools[0].capacity_reservation_id",
        "like cr-0abc1234",
    ),
    (edit("training.pools", [{**POOL, "zone": "d"}]), "training.pools[0].zone", "write a, b, c"),
    (edit("alerts.email", "nobody"), "alerts.email", "e-mail"),
    (remove("edge"), "edge", "is missing"),
    (remove("edge.certificate_arn"), "edge.certificate_arn", "or the hosted_zone_id of a zone"),
    (edit("edge.hosted_zone_id", "Z0123456789"), "edge.hosted_zone_id", "keep one of the two"),
    (edit("edge.hosted_zone_id", "example.org"), "edge.hosted_zone_id", "is not a zone of Route 53"),
    (
        edit("edge.certificate_arn", "arn:aws:acm:eu-west-1:777788889999:certificate/1"),
        "edge.certificate_arn",
        "not in the home region",
    ),
    (edit("edge.certificate_arn", "mine"), "edge.certificate_arn", "is not an ARN"),
    (edit("edge.domain_name", "https://api.example.org"), "edge.domain_name", "like api.example.org"),
    (edit("edge.max_requests_per_5min", 9), "edge.max_requests_per_5min", "write 10 or more"),
    (edit("edge.max_requests_per_5min", 2_000_000_001), "edge.max_requests_per_5min", "write 20000 or less"),
    (edit("edge.max_requests_per_5min", "2000"), "edge.max_requests_per_5min", "without quotes"),
    (
        edit("edge.path_max_requests_per_5min", {"/v1/predict": 1000}),
        "edge.path_max_requests_per_5min./v1/predict",
        "is not below max_requests_per_5min",
    ),
    (
        edit("edge.path_max_requests_per_5min", {"/": 100}),
        "edge.path_max_requests_per_5min",
        "is not how a path begins",
    ),
    (
        edit("edge.path_max_requests_per_5min", {f"/v{n}": 100 for n in range(6)}),
        "edge.path_max_requests_per_5min",
        "write 5 or fewer",
    ),
    (edit("edge.upload_paths", ["/"]), "edge.upload_paths[0]", "is not how a path begins"),
    (edit("edge.max_body_bytes", 65536), "edge.max_body_bytes", "write 8192 or less"),
    (edit("edge.monitor_cidrs", ["0.0.0.0/0"]), "edge.monitor_cidrs[0]", "is the whole internet"),
    (edit("edge.monitor_cidrs", ["::/0"]), "edge.monitor_cidrs[0]", "is the whole internet"),
    (edit("edge.monitor_cidrs", ["198.0.0.0/8"]), "edge.monitor_cidrs[0]", "wider than /16"),
    (edit("edge.own_cidrs", ["2001::/16"]), "edge.own_cidrs[0]", "wider than /32"),
    (edit("edge.own_cidrs", ["198.51.100.9/24"]), "edge.own_cidrs[0]", "write 198.51.100.0/24"),
    (edit("edge.bot_control", "on"), "edge.bot_control", "'none', 'common' or 'targeted'"),
    (edit("edge.shield", "off"), "edge.shield", "'standard' or 'advanced'"),
    (edit("edge.count_mode", counting()), "edge.count_mode", "prod refuses what a managed group knows"),
    (
        edit("edge.count_mode", counting(until=day(-1))),
        "edge.count_mode[0].until",
        "is over; remove this entry",
    ),
    (edit("edge.count_mode", counting(until=day(61))), "edge.count_mode[0].until", "60 days away"),
    (edit("edge.count_mode", counting(until="soon")), "edge.count_mode[0].until", "is not a day"),
    (
        edit("edge.count_mode", counting(group="SQLi")),
        "edge.count_mode[0].group",
        "'AWSManagedRulesSQLiRuleSet'",
    ),
    (edit("edge.count_mode", counting(reason="why not")), "edge.count_mode[0].reason", "10 characters"),
    (edit("edge.count_mode", counting() * 2), "edge.count_mode[1].group", "named twice"),
    (
        edit("edge.count_mode", counting(group="AWSManagedRulesBotControlRuleSet")),
        "edge.count_mode[0].group",
        "set bot_control",
    ),
    (
        edit("audit.findings_emails", ["nobody"]),
        "audit.findings_emails[0]",
        "write one like team@example.org",
    ),
    (edit("audit.findings_emails", []), "audit.findings_emails", "write 1 or more"),
    (
        edit("audit.findings_emails", ["a@example.org", "a@example.org"]),
        "audit.findings_emails[1]",
        "name each address once",
    ),
    (edit("audit.query_limit_gb", 0), "audit.query_limit_gb", "write 1 or more"),
    (edit("audit.enabled", False), "audit.enabled", "unknown key"),
    (remove("audit"), "audit", "is missing"),
    (
        edit("backup.vault_lock_days", 60),
        "backup.vault_lock_days",
        "60 is more than the 35 days that some backups stay, and the vault would refuse those; write 35 or less",
    ),
    (
        edit("backup.vault_lock_days", 7),
        "backup.vault_lock_days",
        "under the 30 that profile 'hipaa' asks for",
    ),
    (edit("backup.weekly_retention_days", 29), "backup.vault_lock_days", "write 29 or less"),
    (
        edit("backup.recovery_point_hours", 6),
        "backup.recovery_point_hours",
        "6 cannot be met: with a backup every 6 hours that may take 4, 10 hours can be lost; write 10 or more",
    ),
    (edit("backup.every_hours", 24), "backup.recovery_point_hours", "28 hours can be lost"),
    (edit("backup.complete_within_hours", 8), "backup.recovery_point_hours", "14 hours can be lost"),
    (edit("backup.every_hours", 5), "backup.every_hours", "1, 2, 3, 4, 6, 8, 12 or 24"),
    (edit("backup.recovery_time_hours", 0), "backup.recovery_time_hours", "write 1 or more"),
    (edit("backup.retention_days", "35"), "backup.retention_days", "without quotes"),
    (remove("backup.vault_lock_days"), "backup.vault_lock_days", "is missing"),
    (remove("backup"), "backup", "is missing"),
]


@pytest.mark.parametrize(("change", "key", "says"), MISTAKES, ids=[f"{k}: {s}" for _, k, s in MISTAKES])
def test_a_mistake_is_located_and_remedied(change: Change, key: str, says: str) -> None:
    message = refusal(change)
    assert message.startswith(f"stacks/Pulumi.prod.yaml: {key}")
    assert says in message
    assert "\n" not in message


def test_a_managed_group_may_only_count_outside_prod_and_until_its_day() -> None:
    settings = values("staging")
    settings["edge"]["count_mode"] = counting(until=day(0))
    edge = parse(texts(settings), stack="staging").edge
    assert edge is not None
    (entry,) = edge.count_mode
    assert entry.until == datetime.now(UTC).date()


def test_a_private_key_is_not_echoed() -> None:
    message = refusal(edit("bastion.public_keys", [PRIVATE_KEY]))
    assert "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU=" not in message


def test_several_mistakes_are_told_at_once() -> None:
    def change(settings: dict[str, Any]) -> None:
        settings["owner"] = "team"
        settings["bastion"]["allowed_cidrs"] = ["0.0.0.0/0"]

    assert len(refusal(change).splitlines()) == 2


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_profile_can_be_met(profile: str) -> None:
    settings = values("prod")
    settings["profile"] = profile
    assert parse(texts(settings), stack="prod").profile == profile


def test_settings_are_frozen() -> None:
    settings = parse(texts(values()), stack="prod")
    with pytest.raises(ValueError, match="frozen"):
        settings.owner = "x@example.org"  # type: ignore[misc]


def test_the_pack_has_the_same_floors_and_regions() -> None:
    # Two tables on purpose (the pack shares no code with the stacks): they must not drift apart.
    from machinery import profiles, regions

    assert {name: set(found) for name, found in JURISDICTIONS.items()} == dict(regions.JURISDICTIONS)
    for name, profile in PROFILES.items():
        floors = profiles.floors_of(name, "staging")
        assert (floors.log_retention_days, floors.audit_lock_days) == (profile.log_days, profile.audit_days)
        assert floors.backup_retention_days == profile.backup_days
        assert floors.lock_mode == profile.lock_mode
        assert floors.classified == profile.classified
        beyond = {STANDARDS[each] for each in profile.standards if each not in ("fsbp", "cis")}
        assert {standard.split("/")[0] for standard in beyond} == set(floors.standards)
        assert (
            floors.standby_database == floors.nat_per_zone == floors.replicated_buckets == profile.redundant
        )


def test_no_setting_is_a_boolean() -> None:
    # A protection is never switched off: what may be relaxed is a number above a floor, or a waiver.
    text = json.dumps(Settings.model_json_schema())
    assert '"boolean"' not in text


TITLES = {"nist": "NIST 800-53", "pci": "PCI DSS"}
"""Standards beyond those that every profile has."""


def keys_of(annotation: Any) -> Iterator[str]:
    """Yield the keys of a section, and of the sections and lists of sections inside it."""
    for key, field in getattr(annotation, "model_fields", {}).items():
        yield key
        for inner in (field.annotation, *get_args(field.annotation)):
            yield from keys_of(inner)


def test_the_page_about_settings_names_every_key_and_every_profile() -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    for name, field in Settings.model_fields.items():
        assert f"`{name}`" in page
        section = field.annotation
        for key in keys_of(section):
            assert f"`{key}`" in page, f"{name}.{key}"
    for name, profile in PROFILES.items():
        row = next(line for line in page.splitlines() if line.startswith(f"| `{name}`"))
        assert f"| {profile.log_days} | {profile.audit_days} | {profile.lock_mode.lower()} |" in row
        beyond = ", ".join(TITLES[each] for each in profile.standards if each in TITLES) or "-"
        assert f"| {beyond} | {'yes' if profile.classified else 'no'} |" in row
