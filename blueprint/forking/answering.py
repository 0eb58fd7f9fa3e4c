"""An environment's file after its answers: which settings follow from which answer, and what is wrong with them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from blueprint.errors import BadInput
from blueprint.forking.documents import Document, Keys
from blueprint.forking.examples import is_example
from blueprint.forking.questions import Answers, Question
from blueprint.forking.rules import Rules

_ARN = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(?P<service>[a-z0-9-]+):(?P<region>[a-z0-9-]*):(?P<account>\d{12}):"
)

_FLOORS = (
    (("retention", "log_days"), "log_days"),
    (("retention", "audit_days"), "audit_days"),
    (("database", "backup_retention_days"), "backup_days"),
    (("backup", "vault_lock_days"), "backup_days"),
)
"""Settings that a profile has a floor for, and the floor's name."""

_UNTOLD = ("repository", "jurisdiction", "home-region", "backup-region")
"""Answers that do not look like an example where they are one: they are while the account is."""

_KEPT = ("retention_days", "weekly_retention_days", "monthly_retention_days")
"""Backups of these stay at least as long as the vault holds them."""


@dataclass(frozen=True, kw_only=True)
class File:
    """An environment's file as it was found."""

    environment: str
    place: str
    text: str
    project: str
    rules: Rules

    @cached_property
    def _read(self) -> Document:
        return Document(self.text, self.place, self.project)

    def document(self) -> Document:
        """Return what stands in the file, to be changed."""
        return copy.deepcopy(self._read)

    def present(self, question: Question) -> tuple[str, ...]:
        """Return the answer that the file gives already; none where that is the template's example."""
        found = self._present(question)
        fresh = question.name in _UNTOLD and is_example(str(self._read.get(("account_id",))))
        return () if fresh or any(map(is_example, found)) else found

    def _present(self, question: Question) -> tuple[str, ...]:
        document = self._read
        owner, _, name = str(document.get(("identity", "github_repository")) or "").partition("/")
        match question.name:
            case "organisation":
                return (owner,) if owner else ()
            case "repository":
                return (name,) if name else ()
            case "domain":
                return (_domain(str(document.get(("edge", "domain_name")) or ""), self.environment),)
            case "certificate":
                return ()
            case _:
                value = document.get(tuple(question.settings[0].split(".")))
                values = value if isinstance(value, list) else () if value is None else (value,)
                return tuple(str(each) for each in values)


def answered(file: File, answers: Answers) -> Document:
    """Return the file's document with what follows from the answers; what nobody answered stays as it is."""
    document, one = file.document(), {name: values[0] for name, values in answers.items() if values}
    before = {key: str(document.get(("residency", f"{key}_region"))) for key in ("home", "backup")}
    account = str(document.get(("account_id",)))
    for name, path in (
        ("owner", ("owner",)),
        ("account", ("account_id",)),
        ("jurisdiction", ("residency", "jurisdiction")),
        ("home-region", ("residency", "home_region")),
        ("backup-region", ("residency", "backup_region")),
        ("alert", ("alerts", "email")),
    ):
        if name in one:
            document.put(path, one[name])
    _move_arns(document, account=account, before=before)
    for name, path in (
        ("ssh-from", ("bastion", "allowed_cidrs")),
        ("ssh-key", ("bastion", "public_keys")),
        ("findings", ("audit", "findings_emails")),
    ):
        if answers.get(name):
            document.put(path, list(answers[name]))
    if answers.get("person"):
        document.put(
            ("identity", "people_principal_arns"), [_principal(document, each) for each in answers["person"]]
        )
    if "organisation" in one or "repository" in one:
        owner, _, repository = str(document.get(("identity", "github_repository")) or "").partition("/")
        owner, repository = one.get("organisation", owner), one.get("repository", repository)
        document.put(("identity", "github_repository"), f"{owner}/{repository}")
    # What only joins a federation has no public entrance.
    if "domain" in one and document.get(("edge",)) is not None:
        below = "" if file.environment == "prod" else f"{file.environment}."
        document.put(("edge", "domain_name"), f"api.{below}{one['domain']}")
    if "certificate" in one and document.get(("edge",)) is not None:
        _certify(document, one["certificate"])
    if "profile" in one:
        _raise_to_floors(document, one["profile"], file.rules)
    return document


def problems(file: File, answers: Answers, question: Question) -> list[str]:
    """Return what the settings say of an answer, and of nothing else."""
    found = file.rules.problems_of(file.environment, answered(file, answers).values())
    return [
        line
        for line in found
        if re.match(rf"(?:{'|'.join(map(re.escape, question.settings))})(?![\w-])", line)
    ]


def examples(document: Document) -> list[str]:
    """Return the settings that are still the template's examples, each once."""
    found = [".".join(path) for path, text in document.texts() if is_example(text)]
    return list(dict.fromkeys(found))


def environment_answers(
    question: Question, given: Iterable[str], environments: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Return a flag's values by environment: ``dev=…`` is for dev alone, and goes before what names none.

    Raises:
        BadInput: several values, where the question takes one.
    """
    named: dict[str, list[str]] = {environment: [] for environment in environments}
    for_all: list[str] = []
    for value in given:
        environment, _, rest = value.partition("=")
        named.get(environment, for_all).append(rest if environment in named else value)
    found = {environment: tuple(values or for_all) for environment, values in named.items()}
    if not question.many and (len(for_all) > 1 or any(len(values) > 1 for values in named.values())):
        raise BadInput(f"{question.flag}: stands there twice for one environment; write it once")
    return found


def _domain(name: str, environment: str) -> str:
    below = f"api.{environment}." if environment != "prod" else "api."
    return name.removeprefix(below)


def _partition(document: Document) -> str:
    return "aws-us-gov" if str(document.get(("residency", "home_region"))).startswith("us-gov-") else "aws"


def _principal(document: Document, text: str) -> str:
    if text.startswith("arn:"):
        return text
    return f"arn:{_partition(document)}:iam::{_account(document)}:{text}"


def _account(document: Document) -> str:
    """Return the account; where it is none, that is said once, and not of each ARN besides."""
    text = str(document.get(("account_id",)))
    return text if re.fullmatch(r"\d{12}", text) else "0" * 12


def _move_arns(document: Document, *, account: str, before: dict[str, str]) -> None:
    """Let ARNs of the account and the regions that were be of those that are."""

    def moved(found: re.Match[str]) -> str:
        if found["account"] != account:
            return found[0]
        region = found["region"]
        for key in ("home", "backup"):
            if region and region == before[key]:
                region = str(document.get(("residency", f"{key}_region")))
                break
        return f"arn:{_partition(document)}:{found['service']}:{region}:{_account(document)}:"

    for path, text in list(document.texts()):
        if (new := _ARN.sub(moved, text)) != text:
            document.replace_text(path, text, new)


def _certify(document: Document, text: str) -> None:
    """Name a certificate, or a zone to have one made in: one of the two stands there."""
    name = "hosted_zone_id" if text.startswith("Z") else "certificate_arn"
    other = "certificate_arn" if name == "hosted_zone_id" else "hosted_zone_id"
    if document.get(("edge", name)) is None and document.get(("edge", other)) is not None:
        document.rename(("edge", other), name)
    document.put(("edge", name), text)


def _raise_to_floors(document: Document, profile: str, rules: Rules) -> None:
    """Choose a profile: what was the old one's floor becomes the new one's, and nothing stays below."""
    old, new = (rules.profiles.get(each) for each in (str(document.get(("profile",))), profile))
    document.put(("profile",), profile)
    if new is None:
        return
    for path, floor in _FLOORS:
        present, least = document.get(path), getattr(new, floor)
        if isinstance(present, int) and (present < least or (old and present == getattr(old, floor))):
            document.put(path, least)
    lock = document.get(("backup", "vault_lock_days"))
    for name in _KEPT:
        _at_least(document, ("backup", name), lock)
    if new.redundant and document.get(("database", "standby")) == "none":
        document.put(("database", "standby"), "other-zone")
    if new.redundant and document.get(("network", "nat_gateways")) == "one":
        document.put(("network", "nat_gateways"), "per-zone")


def _at_least(document: Document, path: Keys, least: object) -> None:
    present = document.get(path)
    if isinstance(present, int) and isinstance(least, int) and present < least:
        document.put(path, least)
