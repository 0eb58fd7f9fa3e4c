"""Reads the file of waivers; of every mistake it says where it is and what to write instead."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from machinery.control import Control
from machinery.subject import Violation
from machinery.waivers import Waiver, Waivers, utc_today

NAME = "waivers.yaml"

MAX_BYTES = 256 * 1024
MAX_ENTRIES = 200


class _Entry(BaseModel):
    """One waiver as it stands in the file."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    control: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d{2}$")]
    stacks: Annotated[list[Annotated[str, Field(pattern=r"^[\w.-]+$")]], Field(min_length=1)]
    resource: Annotated[str, Field(pattern=r"^[^*\s:]+:[^*\s:]+:[^*\s:]+::\S+$", max_length=500)]
    count: Annotated[int, Field(ge=1, le=1000)] = 1
    reason: Annotated[str, Field(pattern=r"^\S[^\n\r]{18,498}\S$")]
    owner: Annotated[str, Field(pattern=r"^[\w.+-]+@[\w-]+(\.[\w-]+)+$", max_length=100)]
    expiry: date


class _File(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    waivers: Annotated[list[_Entry], Field(max_length=MAX_ENTRIES)]


_WRITE = {
    "control": "write the id of a control, like NET-05",
    "stacks": "write a list with the name of each stack that it is meant for, like [dev]",
    "resource": "write type::name as the resource's URN ends, like aws:ec2/subnet:Subnet::public-a; a * may stand "
    "for any part of the name",
    "count": "write how many resources the pattern matches, from 1 to 1000; leave it out for one",
    "reason": "write on one line, in 20 to 500 characters, why the finding is accepted and what holds instead",
    "owner": "write the mail address of who answers for it",
    "expiry": "write its last day without quotes, like 2027-01-31",
    "waivers": f"write a list of waivers below it, {MAX_ENTRIES} at most; an empty one is []",
}


def read(folder: Path, controls: Sequence[Control], *, today: Callable[[], date] = utc_today) -> Waivers:
    """Read ``waivers.yaml`` of the folder that holds the stack files; without that file nothing is waived.

    Where anything in it is wrong nothing of it is applied, and the problems are violations.
    """
    place = f"{folder.name}/{NAME}"
    by_id = {control.id: control for control in controls}
    try:
        entries = _entries(folder / NAME)
        problems = [
            *_unheard_of(entries, by_id, place),
            *_of_no_stack(entries, folder, place),
            *_twice(entries, place),
        ]
    except _Wrong as wrong:
        return Waivers(problems=[Violation(place, str(wrong))], today=today)
    except ValidationError as error:
        return Waivers(problems=[_explained(detail, place) for detail in error.errors()], today=today)
    if problems:
        return Waivers(problems=problems, today=today)
    return Waivers(
        [_waiver(e, f"{place}: waivers[{i}]") for i, e in enumerate(entries)], (), by_id, today=today
    )


class _Wrong(Exception):
    """The file as a whole cannot be used."""


def _entries(path: Path) -> list[_Entry]:
    if not path.exists():
        return []
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise _Wrong(f"is larger than {MAX_BYTES // 1024} KiB; waive less, and mend more")
        document = yaml.load(raw.decode(), _Loader)  # noqa: S506 - a SafeLoader below
    except OSError as error:
        raise _Wrong(f"cannot be read: {error.strerror}; make it readable") from None
    except UnicodeDecodeError:
        raise _Wrong("is not UTF-8 text; save it as UTF-8") from None
    except yaml.YAMLError as error:
        raise _Wrong(_yaml_problem(error)) from None
    except (RecursionError, ValueError):
        raise _Wrong(
            "cannot be read as YAML; write one waiver below another, as docs/waivers.md shows"
        ) from None
    if document is None:
        document = {"waivers": []}
    if not isinstance(document, dict):
        raise _Wrong("is not a mapping; its first line is waivers:")
    return _File.model_validate(document).waivers


class _Loader(yaml.SafeLoader):
    """YAML without aliases, in which a key that stands twice is an error instead of the last one winning."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(None, None, "an alias; write it out", mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            if key_node.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, "a key that stands here a second time", key_node.start_mark
                )
            seen.add(key_node.value if isinstance(key_node.value, str) else id(key_node))
        return super().construct_mapping(node, deep=deep)


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    return f"{where}{getattr(error, 'problem', None) or 'is not YAML'}; mend the YAML there"


def _explained(detail: ErrorDetails, place: str) -> Violation:
    """Return where one of pydantic's findings is and what to write; the value itself is never told."""
    location = list(detail["loc"])
    names = [str(step) for step in location if isinstance(step, str)]
    path = f"{place}: {_path(location)}"
    if detail["type"] == "extra_forbidden":
        known = list(_Entry.model_fields) if len(names) > 1 else ["waivers"]
        close = get_close_matches(names[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean {close[0]}?" if close else f"the keys here are {', '.join(known)}"
        return Violation(path, f"unknown key; {hint}")
    problem = "is missing" if detail["type"] == "missing" else "cannot be used"
    if len(location) > 1 and names[-1] == "waivers":
        return Violation(path, f"is no waiver; write its keys below it: {', '.join(_Entry.model_fields)}")
    return Violation(path, f"{problem}; {_WRITE[names[-1]]}")


def _path(location: Sequence[str | int]) -> str:
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return re.sub(r"[^\w.\[\]-]", "?", text)[:120]


def _unheard_of(entries: Sequence[_Entry], controls: Mapping[str, Control], place: str) -> list[Violation]:
    return [
        Violation(f"{place}: waivers[{index}].control", "is no control of this pack; see docs/controls.md")
        for index, entry in enumerate(entries)
        if entry.control not in controls
    ]


def _of_no_stack(entries: Sequence[_Entry], folder: Path, place: str) -> list[Violation]:
    known = sorted(path.name.split(".")[1] for path in folder.glob("Pulumi.*.yaml"))
    return [
        Violation(
            f"{place}: waivers[{index}].stacks[{number}]",
            f"has no stack file beside it; there are {', '.join(known) or 'none'}",
        )
        for index, entry in enumerate(entries)
        for number, stack in enumerate(entry.stacks)
        if stack not in known
    ]


def _twice(entries: Sequence[_Entry], place: str) -> list[Violation]:
    seen: dict[tuple[str, str, str], int] = {}
    problems = []
    for index, entry in enumerate(entries):
        for stack in entry.stacks:
            first = seen.setdefault((entry.control, entry.resource, stack), index)
            if first != index:
                problems.append(
                    Violation(f"{place}: waivers[{index}]", f"says what waivers[{first}] says; take one out")
                )
    return problems


def _waiver(entry: _Entry, place: str) -> Waiver:
    return Waiver(**{**dict(entry), "stacks": tuple(entry.stacks)}, place=place)
