"""A fork made one's own: every answer is checked at once, nothing is lost, nothing is written by halves."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from blueprint.cli import main
from blueprint.environments import ROOT
from blueprint.errors import BadInput
from blueprint.forking import writing
from blueprint.forking.answering import File, answered, examples
from blueprint.forking.asking import Asking
from blueprint.forking.documents import Document, read
from blueprint.forking.examples import is_example
from blueprint.forking.questions import QUESTIONS
from blueprint.forking.rules import Rules

ENVIRONMENTS = ("dev", "staging", "prod")
PROJECT = "secure-ml-platform"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJMJieE63VHlx75kSwGKBu/IqICR+Sw6c7welzrc+Qpd maria@laptop"
GOOD: dict[str, list[str]] = {
    "organisation": ["acme"],
    "owner": ["ml@acme.eu"],
    "jurisdiction": ["eu"],
    "home-region": ["eu-central-1"],
    "account": ["dev=123456789012", "staging=223456789012", "prod=323456789012"],
    "person": ["role/engineers"],
    "ssh-from": ["81.2.69.142/32", "81.2.70.0/24"],
    "ssh-key": [KEY],
    "alert": ["alarm@acme.eu"],
    "domain": ["acme.eu"],
    "profile": ["gdpr", "dev=baseline"],
}


def flags(changed: dict[str, list[str] | None] | None = None) -> list[str]:
    answers = {**GOOD, **(changed or {})}
    return [f"--{name}={value}" for name, values in answers.items() for value in values or ()]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The files that a fork is made of, as far as they are read and written here."""
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    shutil.copytree(ROOT / "stacks", tmp_path / "stacks", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules(ROOT)


@pytest.fixture(autouse=True)
def modules(monkeypatch: pytest.MonkeyPatch, rules: Rules) -> None:
    """The program's modules are the repository's own: copies of it come and go, and modules stay."""
    monkeypatch.setattr(sys, "path", list(sys.path))


def init(folder: Path, *arguments: str) -> int:
    return main(["init", "--directory", str(folder), "--yes", "--no-preview", *arguments])


def init_one(folder: Path, changed: dict[str, list[str] | None]) -> int:
    """Answer for one environment only, which is quicker."""
    return init(folder, "--environments", "dev", *flags(changed))


def settings(folder: Path, environment: str) -> dict[str, Any]:
    config = yaml.safe_load((folder / "stacks" / f"Pulumi.{environment}.yaml").read_text())["config"]
    return {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items()}


def content(folder: Path) -> dict[Path, bytes]:
    return {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".pyc"
    }


def comments(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip().startswith("#")]


def test_answers_stand_where_they_belong(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {name: (folder / f"stacks/Pulumi.{name}.yaml").read_text() for name in ENVIRONMENTS}
    assert init(folder, *flags({"certificate": ["prod=Z0ABCDEFGHIJKLMN"]}), "--format", "json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["written"] == [f"stacks/Pulumi.{name}.yaml" for name in ENVIRONMENTS]
    prod, dev = settings(folder, "prod"), settings(folder, "dev")
    assert prod["residency"] == {
        "jurisdiction": "eu",
        "home_region": "eu-central-1",
        "backup_region": "eu-west-1",
    }
    assert (dev["account_id"], prod["account_id"]) == ("123456789012", "323456789012")
    assert prod["bastion"] == {"allowed_cidrs": ["81.2.69.142/32", "81.2.70.0/24"], "public_keys": [KEY]}
    assert prod["identity"]["people_principal_arns"] == ["arn:aws:iam::323456789012:role/engineers"]
    assert prod["identity"]["github_repository"] == f"acme/{PROJECT}"
    assert (prod["edge"]["domain_name"], dev["edge"]["domain_name"]) == ("api.acme.eu", "api.dev.acme.eu")
    assert prod["edge"]["hosted_zone_id"] == "Z0ABCDEFGHIJKLMN"
    assert "certificate_arn" not in prod["edge"]
    assert prod["audit"]["findings_emails"] == ["alarm@acme.eu"]
    assert (dev["profile"], prod["profile"]) == ("baseline", "gdpr")
    # What was HIPAA's floor is GDPR's now; what nobody was asked about stays.
    assert prod["retention"] == {"log_days": 365, "audit_days": 365}
    assert prod["network"] == yaml.safe_load(before["prod"])["config"][f"{PROJECT}:network"]
    key_arn = dev["services"]["trainer"]["manifest_key_arn"]
    assert key_arn.startswith("arn:aws:kms:eu-central-1:123456789012:")
    assert "services.trainer.manifest_key_arn" in said["examples"]["dev"]
    assert "edge.hosted_zone_id" not in said["examples"]["prod"]
    for name, text in before.items():
        after = (folder / f"stacks/Pulumi.{name}.yaml").read_text()
        assert comments(after) == comments(text)
        assert len(after.splitlines()) >= len(text.splitlines()) - 1


def test_the_same_answers_again_change_nothing(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    init(folder, *flags())
    before = content(folder)
    assert init(folder, *flags()) == 0
    # What the files say already needs no answer.
    assert init(folder) == 0
    assert content(folder) == before
    assert "nothing to change" in capsys.readouterr().out
    assert init(folder, "--alert=pager@acme.eu") == 0
    assert settings(folder, "prod")["alerts"] == {"email": "pager@acme.eu"}
    assert settings(folder, "prod")["owner"] == "ml@acme.eu"


def file_of(environment: str, rules: Rules) -> File:
    place = f"stacks/Pulumi.{environment}.yaml"
    text, _ = read(ROOT / place, place, PROJECT)
    return File(environment=environment, place=place, text=text, project=PROJECT, rules=rules)


def check_loads(file: File, jurisdiction: str, profile: str) -> None:
    home, backup = file.rules.jurisdictions[jurisdiction][:2]
    residency = {"jurisdiction": (jurisdiction,), "home-region": (home,), "backup-region": (backup,)}
    others = {name: tuple(values) for name, values in GOOD.items() if name not in residency}
    answers = {**others, **residency, "account": ("123456789012",), "profile": (profile,)}
    document = answered(file, answers)
    assert file.rules.problems(file.environment, str(document)) == []
    assert comments(str(document)) == comments(file.text)
    arns = [text for _, text in document.texts() if text.startswith("arn:")]
    assert {arn.split(":")[1] for arn in arns} == {"aws-us-gov" if jurisdiction == "us-gov" else "aws"}
    assert {arn.split(":")[3] for arn in arns} <= {"", home}
    assert {arn.split(":")[4] for arn in arns} == {"123456789012"}


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_jurisdiction_loads(environment: str, rules: Rules) -> None:
    file = file_of(environment, rules)
    usable = [name for name, regions in rules.jurisdictions.items() if len(regions) > 1]
    assert {"eu", "us", "uk", "us-gov"} <= set(usable)
    for jurisdiction in usable:
        check_loads(file, jurisdiction, "gdpr")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_every_profile_loads(environment: str, rules: Rules) -> None:
    file = file_of(environment, rules)
    assert {"baseline", "hipaa", "gdpr"} <= set(rules.profiles)
    for profile in rules.profiles:
        check_loads(file, "eu", profile)


def test_a_fork_for_europe_previews_clean(fork: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "blueprint.cli",
        "init",
        "--directory",
        str(fork),
        "--environments",
        "dev",
    ]
    ran = subprocess.run(
        [*command, *flags({"profile": ["gdpr"]}), "--yes", "--format", "json"],
        cwd=fork,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    verdict = json.loads(ran.stdout)["previews"]["dev"]
    assert verdict["passed"]
    assert verdict["violations"] == []
    assert verdict["resources"] > 300


WRONG = {
    "organisation": (
        "a/b",
        "--organisation: identity.github_repository: is not a repository; write owner/name",
    ),
    "repository": ("no spaces", "--repository: identity.github_repository: is not a repository"),
    "owner": ("the team", "--owner: owner: is not an e-mail address; write one like"),
    "jurisdiction": (
        "europe",
        "--jurisdiction: residency.jurisdiction: 'europe' is not known; choose among eu, us",
    ),
    "home-region": (
        "us-east-1",
        "--home-region: residency.home_region: us-east-1 is not in the jurisdiction 'eu'",
    ),
    "backup-region": (
        "eu-central-1",
        "--backup-region: residency.backup_region: is the home region; choose another",
    ),
    "account": ("12345", "--account: account_id: is not an AWS account id; write its twelve digits"),
    "profile": ("soc2", "--profile: profile: is none of the choices; write 'baseline', 'hipaa'"),
    "person": ("alice", "--person: identity.people_principal_arns[0]: is not an ARN of the form"),
    "ssh-from": ("0.0.0.0/0", "--ssh-from: bastion.allowed_cidrs[0]: 0.0.0.0/0 opens SSH to the world"),
    "ssh-key": ("ssh-ed25519 nonsense", "--ssh-key: bastion.public_keys[0]: is not an OpenSSH public key"),
    "alert": ("nobody", "--alert: alerts.email: is not an e-mail address"),
    "findings": ("nobody", "--findings: audit.findings_emails[0]: is not an e-mail address"),
    "domain": ("Acme.EU", "--domain: edge.domain_name: is not a domain; write one in lower case"),
    "certificate": ("dev=none", "--certificate: edge.certificate_arn: is not an ARN of the form arn:aws:acm"),
}


def test_each_question_has_its_mistake() -> None:
    assert set(WRONG) == {question.name for question in QUESTIONS}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_flag_gets_the_settings_own_message(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    value, says = WRONG[name]
    before = content(folder)
    assert init_one(folder, {name: [value]}) == 2
    caught = capsys.readouterr()
    assert caught.err.startswith(says)
    assert len(caught.err.splitlines()) == 1, caught.err
    assert caught.out == ""
    assert content(folder) == before


@pytest.mark.parametrize("question", [each.name for each in QUESTIONS if each.needed])
def test_a_missing_answer_names_its_flag(
    question: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(folder)
    assert init_one(folder, {question: None}) == 2
    assert capsys.readouterr().err.startswith(f"--{question}: is missing")
    assert content(folder) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--environments", "dev,qa"], "--environments: 'qa' has no file; choose among dev"),
        (["--environments", ""], "--environments: '' has no file"),
        (["--directory", "/nowhere"], "--directory: /nowhere is no fork of the blueprint"),
        (["--owner", "a@acme.eu", "--owner", "b@acme.eu"], "--owner: stands there twice"),
        (["--owner", ""], "--owner: is empty"),
        (["--account", "prod="], "--account: is empty; write one like dev=111122223333"),
        (["--ssh-from", " "], "--ssh-from: is empty"),
        (["--ssh-key", "/dev/null"], "--ssh-key: "),
    ],
)
def test_a_wrong_call_gets_one_message(
    arguments: list[str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(folder)
    assert init(folder, *flags(), *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith(says), said
    assert "Traceback" not in said
    assert content(folder) == before


def test_environments_that_were_not_named_are_left_alone(folder: Path) -> None:
    before = content(folder)
    assert init(folder, "--environments", "prod,dev", *flags()) == 0
    assert settings(folder, "prod")["account_id"] == "323456789012"
    changed = {path.name for path, was in before.items() if path.read_bytes() != was}
    assert changed == {"Pulumi.dev.yaml", "Pulumi.prod.yaml"}


def test_accounts_are_asked_of_every_environment(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert init(folder, *flags({"account": ["dev=123456789012"]})) == 2
    assert capsys.readouterr().err.startswith("--account: is missing for staging, prod")


def test_a_private_key_is_never_repeated(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = folder / "id_ed25519"
    secret.write_text(
        "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXkt\n-----END OPENSSH PRIVATE KEY-----\n"
    )
    assert init(folder, *flags({"ssh-key": [str(secret)]})) == 2
    said = capsys.readouterr()
    assert "is a private key; write the public key" in said.err
    assert "b3BlbnNzaC1rZXkt" not in said.err + said.out
    assert len(said.err.splitlines()) == 1


def test_keys_are_read_from_their_file(folder: Path) -> None:
    public = folder / "keys.pub"
    public.write_text(f"# the team's\n{KEY}\n\n")
    assert init(folder, *flags({"ssh-key": [f"prod={public}", KEY.replace("maria", "jo")]})) == 0
    assert settings(folder, "prod")["bastion"]["public_keys"] == [KEY]
    assert settings(folder, "dev")["bastion"]["public_keys"] == [KEY.replace("maria", "jo")]


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text.replace("config:", "config: ["), "stacks/Pulumi.dev.yaml: line "),
        (lambda text: "", "stacks/Pulumi.dev.yaml: config: is missing"),
        (lambda text: "- a\n", "stacks/Pulumi.dev.yaml: config: is missing"),
        (
            lambda text: text.replace("owner:", "owner: 1\n  secure-ml-platform:owner:"),
            "stacks/Pulumi.dev.yaml: line ",
        ),
        (lambda text: text + "#" * (1 << 20), "stacks/Pulumi.dev.yaml: is larger than 1 MiB"),
        (lambda text: text.replace("bastion:", "bastion: none\n  x:"), "bastion: is not a section"),
        (lambda text: text.replace("min_nodes: 3", "min_nodes: many"), ""),
        (
            lambda text: text.replace("log_days: 90", "log_days: soon"),
            "stacks/Pulumi.dev.yaml: retention.log_days: ",
        ),
    ],
)
def test_a_file_that_cannot_be_used_is_left_alone(
    spoil: Callable[[str], str], says: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "stacks" / "Pulumi.dev.yaml"
    file.write_text(spoil(file.read_text()))
    before = content(folder)
    code = init(folder, *flags())
    said = capsys.readouterr().err
    if says:
        assert code == 2
        assert said.startswith(says), said
        assert content(folder) == before
    assert "Traceback" not in said


def test_all_files_are_replaced_or_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = os.replace, []

    def full(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OSError(28, "No space left on device", str(target))
        real(source, target)

    before = content(folder)
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(BadInput, match="No space left on device; nothing was changed"):
        writing.replace({folder / f"stacks/Pulumi.{name}.yaml": "new" for name in ENVIRONMENTS})
    assert len(calls) == 2
    assert content(folder) == before


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Take interrupts, here and in what is started here: a shell's background jobs ignore them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_until_all_files_are_replaced(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def interrupted(source: Path, target: Path) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        real(source, target)

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        writing.replace({folder / f"stacks/Pulumi.{name}.yaml": "new" for name in ENVIRONMENTS})
    assert {(folder / f"stacks/Pulumi.{name}.yaml").read_text() for name in ENVIRONMENTS} == {"new"}
    assert [path for path in (folder / "stacks").iterdir() if path.name.startswith(".")] == []


def test_a_folder_that_cannot_be_written_is_said(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The tests may run as root, whom no permission stops; the disk's own refusal is the same error.
    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder / "stacks"))

    before = content(folder)
    monkeypatch.setattr(writing, "_beside", refused)
    assert init(folder, *flags()) == 2
    assert (
        capsys.readouterr()
        .err.strip()
        .endswith("stacks: cannot be written: Permission denied; nothing was changed")
    )
    assert content(folder) == before


def test_permissions_stay(folder: Path) -> None:
    file = folder / "stacks" / "Pulumi.dev.yaml"
    file.chmod(0o640)
    assert init(folder, *flags()) == 0
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_project_of_another_name_gets_its_keys(folder: Path) -> None:
    project = folder / "Pulumi.yaml"
    project.write_text(project.read_text().replace(f"name: {PROJECT}", "name: acme-ml"))
    assert init(folder, *flags()) == 0
    text = (folder / "stacks" / "Pulumi.dev.yaml").read_text()
    assert "acme-ml:owner: ml@acme.eu" in text
    assert f"{PROJECT}:" not in text
    assert comments(text) == comments((ROOT / "stacks" / "Pulumi.dev.yaml").read_text())
    assert yaml.safe_load(text)["config"]["acme-ml:identity"]["github_repository"] == "acme/acme-ml"


def test_what_pulumi_new_asked_for_goes_to_its_place() -> None:
    text = (ROOT / "stacks" / "Pulumi.dev.yaml").read_text()
    asked = f"{text}  acme-ml:owner: ml@acme.eu\n  acme-ml:profile: gdpr\n  aws:region: eu-west-1\n"
    document = Document(asked, "file", "acme-ml")
    written = yaml.safe_load(str(document))["config"]
    assert list(written) == [
        *(key.replace(f"{PROJECT}:", "acme-ml:") for key in yaml.safe_load(text)["config"]),
        "aws:region",
    ]
    assert (written["acme-ml:owner"], written["acme-ml:profile"]) == ("ml@acme.eu", "gdpr")
    # Keys of a provider are nobody's settings.
    assert str(Document(f"{text}  aws:region: x\n", "file", PROJECT)) == f"{text}  aws:region: x\n"


LIST = """\
config:
  p:bastion:
    # who
    allowed_cidrs:
      - 10.0.0.1/32 # alice
      - 10.0.0.2/32
    # after the list
  # before the next
  p:owner: a@b.cd # the team
  p:residency: {}
"""


@pytest.mark.parametrize("values", [["10.0.0.9/32"], ["10.0.0.1/32", "10.0.0.2/32", "10.0.0.3/32"]])
def test_a_list_grows_and_shrinks_among_its_comments(values: list[str]) -> None:
    document = Document(LIST, "file", "p")
    document.put(("bastion", "allowed_cidrs"), values)
    written = str(document)
    assert yaml.safe_load(written)["config"]["p:bastion"]["allowed_cidrs"] == values
    for comment in ("# who", "# after the list", "# before the next", "# the team"):
        assert comment in written


def test_a_key_keeps_its_comments_under_another_name() -> None:
    written = str(Document(LIST, "file", "q"))
    assert yaml.safe_load(written) == yaml.safe_load(LIST.replace("p:", "q:"))
    assert [line.partition("#")[2] for line in written.splitlines()] == [
        line.partition("#")[2] for line in LIST.splitlines()
    ]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_what_is_not_changed_is_written_as_it_stood(environment: str) -> None:
    place = f"stacks/Pulumi.{environment}.yaml"
    text, document = read(ROOT / place, place, PROJECT)
    assert str(document) == text


@pytest.mark.parametrize(
    "text", ["123456789012", "yes", "1e3", "0x1f", "2031-01-01", "12:30", "null", "a: b", "# x", ""]
)
def test_a_text_stays_a_text(text: str) -> None:
    document = Document("config:\n  p:owner: a\n", "file", "p")
    document.put(("owner",), text)
    assert yaml.safe_load(str(document))["config"]["p:owner"] == text


def test_what_ships_is_known_to_be_an_example(rules: Rules) -> None:
    for environment in ENVIRONMENTS:
        file = file_of(environment, rules)
        document = file.document()
        assert all(file.present(question) == () for question in QUESTIONS if question.needed)
        assert {"owner", "account_id", "bastion.public_keys", "alerts.email"} <= set(examples(document))
    assert not any(is_example(value) for values in GOOD.values() for value in values)


class Person:
    """Types answers, one after the other."""

    def __init__(self, *lines: str) -> None:
        self.lines, self.prompts, self.told = list(lines), list[str](), list[str]()

    def ask(self, prompt: str) -> str:
        self.prompts.append(prompt)
        if not self.lines:
            raise EOFError
        return self.lines.pop(0)


@pytest.fixture
def file(rules: Rules) -> File:
    return file_of("dev", rules)


def test_a_person_is_asked_again_until_it_is_right(file: File) -> None:
    person = Person(
        *("acme", "", "not an address", "ml@acme.eu", "", "sg", "eu", "us-east-1", "", "eu-north-1"),
        *("123", "123456789012", "", "role/engineers", "0.0.0.0/0", "81.2.69.142, 81.2.70.0/24"),
        *(KEY, "alarm@acme.eu", "", "acme.eu", ""),
    )
    asking = Asking({"dev": file}, ask=person.ask, tell=person.told.append)
    asking.everything({})
    answers = asking.answers["dev"]
    assert person.lines == []
    assert answers["home-region"] == ("eu-central-1",)
    assert answers["backup-region"] == ("eu-north-1",)
    assert answers["repository"] == (PROJECT,)
    assert answers["findings"] == ("alarm@acme.eu",)
    assert answers["ssh-from"] == ("81.2.69.142", "81.2.70.0/24")
    assert [line.split(";")[0] for line in person.told] == [
        "owner: is not an e-mail address",
        "is needed",
        "residency.jurisdiction: 'sg' has one AWS region, and backups need a second",
        "residency.home_region: us-east-1 is not in the jurisdiction 'eu'",
        "account_id: is not an AWS account id",
        "bastion.allowed_cidrs[0]: 0.0.0.0/0 opens SSH to the world",
    ]
    assert any(
        prompt.startswith("Region for backups") and "[eu-west-1]" in prompt for prompt in person.prompts
    )
    # Examples are never offered.
    assert not any(is_example(prompt) for prompt in person.prompts)


def test_a_person_who_leaves_is_told_that_nothing_changed(file: File) -> None:
    person = Person("acme")
    with pytest.raises(
        BadInput, match="the input ended before --repository was answered; nothing was changed"
    ):
        Asking({"dev": file}, ask=person.ask, tell=person.told.append).everything({})


class Terminal:
    """The command at a real terminal."""

    def __init__(self, folder: Path) -> None:
        self._screen, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "blueprint.cli",
                "init",
                "--directory",
                str(folder),
                "--no-preview",
                *flags(),
            ],
            cwd=ROOT,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        self._unread = ""

    def until(self, text: str) -> str:
        """Return what is shown up to ``text``."""
        deadline = time.monotonic() + 120
        while text not in self._unread:
            assert time.monotonic() < deadline, f"{text!r} is not in {self._unread!r}"
            if select.select([self._screen], [], [], 1)[0]:
                self._unread += os.read(self._screen, 65536).decode()
        shown, _, self._unread = self._unread.partition(text)
        return shown

    def type(self, line: str) -> None:
        os.write(self._screen, f"{line}\n".encode())

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)


@pytest.fixture
def terminal(folder: Path, interruptible: None) -> Iterator[Terminal]:
    opened = Terminal(folder)
    yield opened
    opened.end()


def test_a_terminal_asks_before_it_writes(folder: Path, terminal: Terminal) -> None:
    before = content(folder)
    # Every question without a flag is asked, and its default will do.
    for prompt in ("Name of the repository", "Region for backups", "findings of security"):
        terminal.until(prompt)
        terminal.type("")
    for _ in ENVIRONMENTS:
        terminal.until("Enter: later")
        terminal.type("")
    assert f"{PROJECT}:owner: ml@acme.eu" in terminal.until("[y/N]")
    assert content(folder) == before
    terminal.type("y")
    terminal.until("services: the first update")
    assert terminal.process.wait(timeout=60) == 0
    assert settings(folder, "dev")["owner"] == "ml@acme.eu"


def test_an_interrupted_fork_is_as_it_was(folder: Path, terminal: Terminal) -> None:
    before = content(folder)
    terminal.until("Name of the repository")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until("stopped")
    assert terminal.process.wait(timeout=60) == 130
    assert content(folder) == before


def test_nobody_is_asked_where_there_is_no_terminal(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = content(folder)
    assert main(["init", "--directory", str(folder), *flags()]) == 2
    assert capsys.readouterr().err.startswith("--yes: is missing, and nobody can be asked")
    assert content(folder) == before


TEMPLATE_KEYS = {"description", "quickstart", "important", "config"}
CONFIG_KEYS = {"description", "default", "secret"}
"""Pulumi's documentation, "Pulumi project file reference", template options; other keys are refused."""


def test_the_repository_is_a_template_of_pulumi() -> None:
    template = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["template"]
    assert set(template) <= TEMPLATE_KEYS
    assert template["description"].strip()
    assert "blueprint init" in template["quickstart"]
    known = settings(ROOT, "dev")
    for key, prompt in template["config"].items():
        # A prompt answers one text, so it cannot fill a section.
        assert isinstance(known[key], str), key
        assert set(prompt) <= CONFIG_KEYS
        assert prompt["description"].strip()
        assert prompt["default"] == known[key]
        # The platform's settings hold no secrets.
        assert prompt["secret"] is False


def test_a_template_has_no_text_that_pulumi_would_replace() -> None:
    placeholders = [f"${{{name}}}".encode() for name in ("PROJECT", "DESCRIPTION")]
    command = ["git", "ls-files", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    files = [ROOT / name for name in names.decode().split("\0") if name]
    assert len(files) > 100
    found = [
        path for path in files if path.is_file() and any(each in path.read_bytes() for each in placeholders)
    ]
    assert found == []
