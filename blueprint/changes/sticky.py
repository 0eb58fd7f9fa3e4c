"""Keeps the one comment on a pull request: run by a workflow that may write, with what one that may not has left.

What was left is taken for what a stranger wrote, for a pull request can change the code that writes it: its size is
bounded, it is never unpacked to disk, the number in it counts only if that pull request is open and stands at the very
commit of the run, and in its text nothing works but what our own comments are made of. Only the standard library is
used, so that nothing has to be installed where a token can write.

Environment: ``GITHUB_TOKEN``, ``GITHUB_REPOSITORY``, ``GITHUB_API_URL``, ``RUN_ID``, ``HEAD_SHA``.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from blueprint.changes import MARK

ARTIFACT = "review"
MAX_ARCHIVE_BYTES = 256 * 1024
MAX_COMMENT_BYTES = 65_000
"""GitHub takes 65,536 characters."""
MAX_ANSWER_BYTES = 8 * 1024 * 1024
TIMEOUT_SECONDS = 30
BOT = "github-actions[bot]"

_NUMBER = re.compile(r"[1-9][0-9]{0,8}")
_TAG = re.compile(r"</?details>|</?summary>|<br>|</?sub>")
_NO_SPACE = "&#8203;"


class Refused(Exception):
    """The artifact, or an answer, is not what it must be; nothing was written."""


@dataclass(frozen=True, kw_only=True)
class Api:
    """The part of GitHub's REST API that is needed, for one repository."""

    url: str
    repository: str
    token: str

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Return the parsed answer to one request below the repository."""
        return json.loads(self.raw(method, path, MAX_ANSWER_BYTES, body))

    def raw(self, method: str, path: str, most: int, body: Mapping[str, Any] | None = None) -> bytes:
        """Return the answer's bytes.

        Raises:
            Refused: there is none, or it is larger than ``most``.
        """
        request = urllib.request.Request(  # noqa: S310 - the URL of GitHub's own API, from its runner
            f"{self.url}/repos/{self.repository}/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"},
        )
        # An artifact is fetched by a redirect to a store, which must not see the token.
        request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
                read: bytes = answer.read(most + 1)
        except (urllib.error.URLError, OSError) as error:
            raise Refused(f"{method} {path}: {error}") from None
        if len(read) > most:
            raise Refused(f"{method} {path}: the answer is larger than {most} bytes")
        return read


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Write or rewrite the comment; status 1 and one sentence where that is refused."""
    api = Api(
        url=environment["GITHUB_API_URL"],
        repository=environment["GITHUB_REPOSITORY"],
        token=environment["GITHUB_TOKEN"],
    )
    try:
        files = _artifact(api, environment["RUN_ID"])
        if files is None:
            print("the run left nothing to write")
            return 0
        number = _pull_request(api, files["number"], environment["HEAD_SHA"])
        print(_keep(api, number, harmless(files["comment.md"]) + _origin(environment)))
    except Refused as refused:
        print(str(refused), file=sys.stderr)
        return 1
    return 0


def harmless(raw: bytes) -> str:
    """Return a comment in which nothing works but folds and line breaks; one of ours is returned as it is.

    Raises:
        Refused: it is no comment of ours at all.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("comment.md is not UTF-8 text") from None
    if not text.startswith(f"{MARK}\n"):
        raise Refused("comment.md does not begin with the mark of our comments")
    rest = text[len(MARK) :]
    parts: list[str] = []
    end = 0
    for tag in _TAG.finditer(rest):
        parts += [rest[end : tag.start()].replace("<", "&lt;"), tag.group()]
        end = tag.end()
    rest = "".join([*parts, rest[end:].replace("<", "&lt;")])
    # Mentions, references, links and pictures; ours have a space of no width there, or a backslash.
    rest = re.sub(
        rf"(@|\bGH-|(?<!&)#(?=\w)|\bwww(?=\.))(?!{_NO_SPACE})", rf"\1{_NO_SPACE}", rest, flags=re.IGNORECASE
    )
    rest = rest.replace("://", f":{_NO_SPACE}//")
    rest = re.sub(r"(?<!\\)\](?=[(\[:])", r"\\]", rest)
    return MARK + rest


def _artifact(api: Api, run: str) -> dict[str, bytes] | None:
    """Return the files of the run's artifact; ``None`` where it left none."""
    if not run.isdecimal():
        raise Refused("RUN_ID is no number")
    found = api.ask("GET", f"actions/runs/{run}/artifacts?name={ARTIFACT}&per_page=2")["artifacts"]
    if not found:
        return None
    if len(found) != 1 or found[0]["size_in_bytes"] > MAX_ARCHIVE_BYTES:
        raise Refused(f"the run must leave one artifact {ARTIFACT} of at most {MAX_ARCHIVE_BYTES} bytes")
    return opened(api.raw("GET", f"actions/artifacts/{int(found[0]['id'])}/zip", MAX_ARCHIVE_BYTES))


def opened(archive: bytes) -> dict[str, bytes]:
    """Return the two files of the archive.

    Raises:
        Refused: it is no archive, holds other files, or larger ones.
    """
    most = {"number": 9, "comment.md": MAX_COMMENT_BYTES}
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as files:
            if sorted(files.namelist()) != sorted(most):
                raise Refused(f"the artifact must hold {' and '.join(most)}, and nothing else")
            read = {name: files.open(name).read(size + 1) for name, size in most.items()}
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError):
        raise Refused("the artifact is no archive that can be read") from None
    for name, size in most.items():
        if len(read[name]) > size:
            raise Refused(f"{name} in the artifact is larger than {size} bytes")
    return read


def _pull_request(api: Api, said: bytes, head: str) -> int:
    """Return the number, if that pull request is open and stands at the commit of the run."""
    number = said.decode("ascii", errors="replace")
    if not _NUMBER.fullmatch(number):
        raise Refused("number in the artifact is no number of a pull request")
    found = api.ask("GET", f"pulls/{number}")
    if found["state"] != "open" or found["head"]["sha"] != head:
        raise Refused(
            f"pull request {number} is closed, or no longer at {head}: another run writes its comment"
        )
    return int(number)


def _keep(api: Api, number: int, text: str) -> str:
    """Rewrite the comment that is there, or write it."""
    for comment in _comments(api, number):
        if comment["user"]["login"] == BOT and comment["body"].startswith(MARK):
            api.ask("PATCH", f"issues/comments/{int(comment['id'])}", {"body": text})
            return "rewrote the comment"
    api.ask("POST", f"issues/{number}/comments", {"body": text})
    return "wrote the comment"


def _comments(api: Api, number: int) -> Iterator[Any]:
    for page in range(1, 31):
        found = api.ask("GET", f"issues/{number}/comments?per_page=100&page={page}")
        yield from found
        if len(found) < 100:
            return


def _origin(environment: Mapping[str, str]) -> str:
    return f"\n\n<sub>Of {environment['HEAD_SHA'][:12]}, by the pull request's own code; run {environment['RUN_ID']}.</sub>\n"


if __name__ == "__main__":
    sys.exit(main())
