"""The one comment: written once, rewritten after that, and whatever a stranger leaves harms nobody."""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from blueprint.changes import MARK, comment
from blueprint.changes.sticky import BOT, MAX_COMMENT_BYTES, Refused, harmless, main, opened
from tests.blueprint.test_changes import (
    BUCKET,
    HOSTILE,
    VERDICT,
    VIOLATION,
    WAIVED,
    graph,
    resource,
    review,
    urn,
)

HEAD = "a" * 40
TOKEN = "a-token-of-this-test"


def archive(**files: bytes | str) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in files.items():
            made.writestr(name.replace("_", "."), content)
    return raw.getvalue()


class Hub(ThreadingHTTPServer):
    """The few answers of GitHub's API that are asked for, and a store at another address beside it."""

    def __init__(self, artifact: bytes) -> None:
        self.artifact = artifact
        self.listed_bytes = len(artifact)
        self.pull = {"state": "open", "head": {"sha": HEAD}}
        self.comments: list[dict[str, Any]] = [
            {"id": 1, "user": {"login": "stranger"}, "body": f"{MARK}\nnot ours"}
        ]
        self.tokens: dict[str, str | None] = {}
        super().__init__(("127.0.0.1", 0), Answering)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, method: str, path: str, body: Any) -> Any:
        path = path.split("?")[0].removeprefix("/repos/o/r/")
        if path == "actions/runs/7/artifacts":
            listed = {"id": 5, "size_in_bytes": self.listed_bytes}
            return {"artifacts": [listed] if self.artifact else []}
        if path == "pulls/3":
            return self.pull
        if path == "issues/3/comments" and method == "GET":
            return self.comments
        if path == "issues/3/comments":
            self.comments.append({"id": 2, "user": {"login": BOT}, "body": body["body"]})
            return {}
        assert (method, path) == ("PATCH", "issues/comments/2")
        self.comments[1]["body"] = body["body"]
        return {}


class Answering(BaseHTTPRequestHandler):
    server: Hub

    def do_GET(self) -> None:
        self.server.tokens[self.path] = self.headers["Authorization"]
        if self.path.endswith("/zip"):
            self.send_response(302)
            self.send_header("Location", f"{self.server.url}/store")
            self.end_headers()
        elif self.path == "/store":
            self.respond(self.server.artifact)
        else:
            length = int(self.headers["Content-Length"] or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            self.respond(json.dumps(self.server.answer(self.command, self.path, body)).encode())

    do_POST = do_PATCH = do_GET  # noqa: N815 - the base class calls them so

    def respond(self, raw: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(raw)))
        self.end_headers()
        self.wfile.write(raw)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(archive(number="3", comment_md=f"{MARK}\n### What this changes: passed\n")) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def keep(hub: Hub, **more: str) -> int:
    values = {"GITHUB_API_URL": hub.url, "GITHUB_REPOSITORY": "o/r", "GITHUB_TOKEN": TOKEN}
    return main({**values, "RUN_ID": "7", "HEAD_SHA": HEAD, **more})


def test_the_comment_is_written_once_and_then_rewritten(hub: Hub) -> None:
    assert keep(hub) == 0
    hub.artifact = archive(number="3", comment_md=f"{MARK}\n### What this changes: refused\n")
    assert keep(hub) == 0
    assert [each["body"].splitlines()[1] for each in hub.comments] == [
        "not ours",
        "### What this changes: refused",
    ]


def test_the_store_of_artifacts_does_not_see_the_token(hub: Hub) -> None:
    assert keep(hub) == 0
    assert hub.tokens["/store"] is None
    assert hub.tokens["/repos/o/r/pulls/3"] == f"Bearer {TOKEN}"


def test_a_run_that_left_nothing_writes_nothing(hub: Hub) -> None:
    hub.artifact = b""
    assert keep(hub) == 0
    assert len(hub.comments) == 1


@pytest.mark.parametrize(
    "pull", [{"state": "closed", "head": {"sha": HEAD}}, {"state": "open", "head": {"sha": "b" * 40}}]
)
def test_a_pull_request_at_another_commit_gets_no_comment(hub: Hub, pull: dict[str, Any]) -> None:
    hub.pull = pull
    assert keep(hub) == 1
    assert len(hub.comments) == 1


@pytest.mark.parametrize(
    "left",
    [
        b"no archive",
        archive(number="3"),
        archive(number="3", comment_md=f"{MARK}\n", more="x"),
        archive(number="3/../4", comment_md=f"{MARK}\n"),
        archive(number="03", comment_md=f"{MARK}\n"),
        archive(number="3", comment_md="no mark"),
        archive(number="3", comment_md=b"\xff\xfe"),
        archive(number="3", comment_md=f"{MARK}\n" + "a" * MAX_COMMENT_BYTES),
    ],
)
def test_what_is_not_what_we_leave_is_refused(
    hub: Hub, left: bytes, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.artifact = left
    assert keep(hub) == 1
    assert len(hub.comments) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_archive_that_grows_when_it_is_opened_is_refused() -> None:
    bomb = archive(number="3", comment_md=b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    with pytest.raises(Refused, match="larger"):
        opened(bomb)


def test_an_artifact_larger_than_it_may_be_is_refused_whatever_its_listing_says(
    hub: Hub, capsys: pytest.CaptureFixture[str]
) -> None:
    hub.artifact = archive(number="3", comment_md=f"{MARK}\n") + bytes(300_000)
    assert keep(hub) == 1
    assert "the answer is larger than" in capsys.readouterr().err
    hub.listed_bytes = 300_000
    assert keep(hub) == 1
    assert "one artifact review of at most" in capsys.readouterr().err
    assert len(hub.comments) == 1


def test_a_strangers_comment_can_call_nobody_and_lead_nowhere() -> None:
    text = harmless(
        f"{MARK}\n{HOSTILE} [a](javascript:x) [a]: //x\n<script>x</script><a href=//x>y</a>".encode()
    )
    assert set(re.findall(r"<(?!/)[^ >]*", text.removeprefix(MARK))) == set()
    assert text.count("<!--") == 1
    for live in ("@everyone", "#1", "GH-1", "www.evil", "://", "](", "]:"):
        assert live not in re.sub(r"\\\]", "", text), live


def test_our_own_comment_passes_as_it_is() -> None:
    found = replace(VIOLATION, urn=urn(BUCKET, HOSTILE), problem=HOSTILE, fix=HOSTILE)
    ours = comment.render(
        [
            review(
                graph(resource(BUCKET, "data", bucket="a")),
                graph(resource(BUCKET, HOSTILE, bucket="a")),
                after=replace(VERDICT, violations=(found,), waived=(replace(WAIVED, owner=HOSTILE),)),
            )
        ]
    )
    assert harmless(ours.encode()) == ours
