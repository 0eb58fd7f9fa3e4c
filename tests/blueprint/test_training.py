"""A model's whole way on this machine, and what happens when a part of it does not do its part."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from blueprint.errors import BadInput
from blueprint.training import chain, programs
from blueprint.training.asking import Service, free_port
from blueprint.training.chain import SERVICES
from blueprint.training.programs import ChainError, Programs
from tests.blueprint.commands import blueprint

STAGES = [
    "keys",
    "data-access API",
    "manifest",
    "private training",
    "red team",
    "what must not pass",
    "release",
    "gateway",
    "question",
    "audit",
]

missing = [each for each in SERVICES if not (programs.ROOT / "services" / each / ".venv" / ".ready").exists()]


@pytest.mark.skipif(
    bool(missing), reason=f"needs the environments of {', '.join(missing)}: make train makes them"
)
def test_a_model_goes_the_whole_way(tmp_path: Path) -> None:
    kept = tmp_path / "way"
    ran = blueprint("train", "--format", "json", "--keep", str(kept), "--timeout", "1500")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    stages = {each["name"]: each["found"] for each in json.loads(ran.stdout)["stages"]}
    assert list(stages) == STAGES
    # What each left behind says the same as the table.
    privacy = json.loads((kept / "training/candidate/model/privacy.json").read_text())
    assert f"epsilon {privacy['epsilon']:.2f}" in stages["private training"]
    assert 0 < privacy["epsilon"] <= 8
    verdict = json.loads((kept / "gateway/releases/digits/1/verdict/verdict.json").read_text())
    assert verdict["passed"]
    assert verdict["model_digest"][:19] in stages["release"]
    assert "an edited verdict" in stages["what must not pass"]
    assert stages["audit"] == "the audit is whole"
    assert "<svg" in (kept / "judged/verdict.html").read_text()
    # Every read was written down, by whom: the trainer's, and the red team's.
    events = (kept / "data_api.log").read_text()
    assert '"training/trainer"' in events
    assert '"redteam/redteam"' in events
    # And no token, in any file that is kept but its own.
    token = (kept / "data-api/trainer.token").read_text()
    assert [
        each.name for each in kept.rglob("*") if each.is_file() and token.encode() in each.read_bytes()
    ] == ["trainer.token"]
    assert '"digits"' in (kept / "gateway.log").read_text()
    # Whoever looks afterwards finds nothing that runs.
    assert not [each for each in _commands() if str(kept) in each]
    assert blueprint("train", "--keep", str(kept)).returncode == 2


def _commands() -> list[str]:
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(each.read_bytes().replace(b"\0", b" ").decode(errors="replace"))
        except OSError:
            continue
    return found


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], list[str | Path]]:
    """Programs of our own in place of a service's: return the words that run one."""
    monkeypatch.setattr(programs, "python", lambda service: Path(sys.executable))
    monkeypatch.setattr(programs, "ROOT", tmp_path)

    def words(source: str) -> list[str | Path]:
        (tmp_path / "program.py").write_text(source)
        return ["program", "x"]

    return words


def test_what_a_program_writes_is_returned_and_what_it_says_is_heard(
    ours: Callable[[str], list[str | Path]], tmp_path: Path
) -> None:
    heard: list[str] = []
    words = ours("import sys; print('out' * 100_000); sys.stderr.write('one\\ntwo\\n')")
    with Programs(tmp_path, deadline_seconds=30) as running:
        assert running.run("trainer", words, hears=heard.append) == "out" * 100_000 + "\n"
    assert heard == ["one", "two"]
    assert (tmp_path / "trainer.log").read_text() == "one\ntwo\n"


def test_another_exit_code_than_expected_is_told_with_the_last_line(
    ours: Callable[[str], list[str | Path]], tmp_path: Path
) -> None:
    words = ours("import sys; sys.stderr.write('first\\ntrainer: no budget is left\\n'); sys.exit(4)")
    with Programs(tmp_path, deadline_seconds=30) as running:
        running.run("trainer", words, expected=4)
        with pytest.raises(ChainError, match="trainer x: ended with 4 and said: trainer: no budget is left"):
            running.run("trainer", words)
        with pytest.raises(ChainError, match="ended with 0"):
            running.run("trainer", ours("pass"), expected=1)


def test_a_program_that_does_not_end_is_ended_with_all_that_it_started(
    ours: Callable[[str], list[str | Path]], tmp_path: Path
) -> None:
    child = (
        f"import subprocess, time; subprocess.Popen(['sleep', '61{os.getpid() % 1000:03}']); time.sleep(600)"
    )
    with (
        Programs(tmp_path, deadline_seconds=1.5) as running,
        pytest.raises(ChainError, match="did not end in time"),
    ):
        running.run("trainer", ours(child))
    assert not [each for each in _commands() if each.startswith(f"sleep 61{os.getpid() % 1000:03}")]


def test_a_service_that_ends_or_is_never_ready_is_told(
    ours: Callable[[str], list[str | Path]], tmp_path: Path
) -> None:
    words = ours("import sys; sys.stderr.write('gateway: TLS_FILE: is missing\\n'); sys.exit(2)")
    with (
        Programs(tmp_path, deadline_seconds=30) as running,
        pytest.raises(ChainError, match="gateway: ended at once and said: gateway: TLS_FILE: is missing"),
    ):
        running.serve("gateway", words, environment={}, ready=lambda: False)
    with (
        Programs(tmp_path, deadline_seconds=1) as running,
        pytest.raises(ChainError, match="is not ready in time"),
    ):
        running.serve("gateway", ours("import time; time.sleep(600)"), environment={}, ready=lambda: False)


def test_what_serves_is_ended_whatever_happens(
    ours: Callable[[str], list[str | Path]], tmp_path: Path
) -> None:
    sign = tmp_path / "pid"
    words = ours(
        f"import os, pathlib, time; pathlib.Path({str(sign)!r}).write_text(str(os.getpid())); time.sleep(600)"
    )

    def serve_and_fail() -> None:
        with Programs(tmp_path, deadline_seconds=30) as running:
            running.serve(
                "gateway", words, environment={}, ready=lambda: sign.exists() and bool(sign.read_text())
            )
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        serve_and_fail()
    assert not Path(f"/proc/{sign.read_text()}/cmdline").exists()


def test_programs_see_nothing_of_the_callers_environment(
    ours: Callable[[str], list[str | Path]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "mine")
    monkeypatch.setenv("DP_EPSILON", "1000")
    with Programs(tmp_path, deadline_seconds=30) as running:
        said = json.loads(
            running.run(
                "trainer",
                ours("import json, os; print(json.dumps(dict(os.environ)))"),
                environment={"A": "1"},
            )
        )
    assert "AWS_SECRET_ACCESS_KEY" not in said
    assert "DP_EPSILON" not in said
    assert said["A"] == "1"


def test_an_environment_that_is_missing_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(programs, "ROOT", tmp_path)
    with pytest.raises(BadInput, match=r"services/trainer/\.venv: is not there; make "):
        programs.python("trainer")


class Careless(Programs):
    """A red team that releases what it must not."""

    def run(self, service: str, words: programs.Words, **_: object) -> str:
        into = words[words.index("--into") + 1]
        Path(into).mkdir(parents=True)
        return ""


class Silent:
    def stage(self, name: str) -> None: ...
    def line(self, text: str) -> None: ...
    def done(self, stage: chain.Stage) -> None: ...


def test_a_release_that_must_not_be_is_noticed_even_if_its_program_says_nothing(tmp_path: Path) -> None:
    judged = tmp_path / "judged"
    judged.mkdir()
    (judged / "verdict.json").write_text(json.dumps({"checks": [{"value": 0.5}]}))
    with Careless(tmp_path, deadline_seconds=30) as running:
        way = chain._Chain(tmp_path, running, Silent())
        with pytest.raises(ChainError, match="released a model out of the edited folder"):
            way._forbidden()


def test_a_service_with_another_authoritys_certificate_is_not_asked(tmp_path: Path) -> None:
    for name in ("own", "other"):
        subprocess.run(
            [
                *(
                    "openssl",
                    "req",
                    "-x509",
                    "-newkey",
                    "ec",
                    "-pkeyopt",
                    "ec_paramgen_curve:P-256",
                    "-nodes",
                ),
                *("-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
                *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
            ],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )
    (tmp_path / "token").write_text("t")
    port = free_port()
    serving = (
        "import http.server, ssl\n"
        f"server = http.server.HTTPServer(('127.0.0.1', {port}), http.server.SimpleHTTPRequestHandler)\n"
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)\n"
        "context.load_cert_chain('own.pem', 'own.key')\n"
        "server.socket = context.wrap_socket(server.socket, server_side=True)\n"
        "server.serve_forever()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", serving], cwd=tmp_path, stderr=subprocess.DEVNULL)
    try:
        own = Service(port=port, authority=tmp_path / "own.pem", token=tmp_path / "token")
        end = time.monotonic() + 20
        while True:
            try:
                assert own.ask("/token").body == b"t"
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)
        other = Service(port=port, authority=tmp_path / "other.pem", token=tmp_path / "token")
        with pytest.raises(OSError, match="CERTIFICATE_VERIFY_FAILED"):
            other.ask("/token")
        assert not other.ready()
    finally:
        process.kill()
        process.wait()
