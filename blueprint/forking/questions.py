"""What a fork is asked: each question with its flag, the settings that it answers, and how an answer reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Answers = Mapping[str, tuple[str, ...]]
"""What one environment was answered: texts by the name of the question."""


@dataclass(frozen=True, kw_only=True)
class Question:
    """One question."""

    name: str
    """Of its flag, without dashes in front."""
    asks: str
    """What a person is asked."""
    help: str
    """What the flag takes."""
    settings: tuple[str, ...]
    """Where its mistakes show: beginnings of the paths that the settings' messages name."""
    example: str
    each: bool = False
    """A person is asked for each environment; a flag may always name one."""
    many: bool = False
    needed: bool = True
    """A fresh fork cannot do without an answer."""

    @property
    def flag(self) -> str:
        """The flag."""
        return f"--{self.name}"


QUESTIONS = (
    Question(
        name="organisation",
        asks="GitHub organisation or user that owns the repository",
        help="GitHub organisation or user that owns the repository: its workflows deploy",
        settings=("identity.github_repository",),
        example="acme",
    ),
    Question(
        name="repository",
        asks="Name of the repository there",
        help="the repository's name there; the project's name where it is left out",
        settings=("identity.github_repository",),
        example="secure-ml-platform",
        needed=False,
    ),
    Question(
        name="owner",
        asks="E-mail address of the team that answers for the platform",
        help="e-mail address of the team that answers for the platform; stands in every tag",
        settings=("owner",),
        example="ml-platform@acme.com",
    ),
    Question(
        name="jurisdiction",
        asks="Jurisdiction that the data may not leave",
        help="jurisdiction that the data may not leave: eu, us, uk, …; fixes which regions may be used",
        settings=("residency.jurisdiction",),
        example="eu",
    ),
    Question(
        name="home-region",
        asks="Region where the platform runs",
        help="region where the platform runs",
        settings=("residency.home_region",),
        example="eu-central-1",
    ),
    Question(
        name="backup-region",
        asks="Region for backups and replicas",
        help="another region of the jurisdiction, for backups; its first other one where it is left out",
        settings=("residency.backup_region",),
        example="eu-west-1",
        needed=False,
    ),
    Question(
        name="account",
        asks="AWS account, twelve digits",
        help="AWS account of an environment: dev=111122223333",
        settings=("account_id",),
        example="dev=111122223333",
        each=True,
    ),
    Question(
        name="profile",
        asks="Legal regime",
        help="legal regime: baseline, hipaa, pci, gdpr, …; floors of retention and redundancy follow",
        settings=("profile",),
        example="gdpr",
        each=True,
        needed=False,
    ),
    Question(
        name="person",
        asks="Who may take on a role: user/NAME or role/NAME of the account, or an ARN",
        help="who may take on the platform's roles: user/NAME or role/NAME of the account, or an ARN",
        settings=("identity.people_principal_arns",),
        example="role/engineers",
        many=True,
    ),
    Question(
        name="ssh-from",
        asks="Addresses that may come in over SSH",
        help="address or range that may come in over SSH",
        settings=("bastion.allowed_cidrs",),
        example="198.51.100.7/32",
        many=True,
    ),
    Question(
        name="ssh-key",
        asks="SSH public keys, or files of them; the comment behind a key is the person's name",
        help="an SSH public key, or a file of them: ~/.ssh/id_ed25519.pub; its comment is the person's name",
        settings=("bastion.public_keys",),
        example="~/.ssh/id_ed25519.pub",
        many=True,
    ),
    Question(
        name="alert",
        asks="E-mail address for alarms",
        help="e-mail address for alarms and budgets",
        settings=("alerts.email",),
        example="ml-platform-alerts@acme.com",
    ),
    Question(
        name="findings",
        asks="E-mail addresses for findings of security",
        help="e-mail address for findings of security; that of --alert where it is left out",
        settings=("audit.findings_emails",),
        example="security@acme.com",
        many=True,
        needed=False,
    ),
    Question(
        name="domain",
        asks="Domain below which clients call: api.DOMAIN in prod, api.ENV.DOMAIN elsewhere",
        help="domain below which clients call: api.DOMAIN in prod, api.ENV.DOMAIN elsewhere",
        settings=("edge.domain_name",),
        example="acme.com",
    ),
    Question(
        name="certificate",
        asks="Certificate's ARN, or the id of the domain's Route 53 zone (Enter: later)",
        help="ARN of the domain's certificate, or the id of its Route 53 zone, to have one made: prod=Z0…",
        settings=("edge.certificate_arn", "edge.hosted_zone_id"),
        example="prod=Z0123456789ABCDEFGHIJ",
        each=True,
        needed=False,
    ),
)
BY_NAME: Mapping[str, Question] = {question.name: question for question in QUESTIONS}
