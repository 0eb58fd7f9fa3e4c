"""An environment's file as it is written: values are read and replaced, comments and order stay."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from blueprint.environments import MAX_STACK_FILE_BYTES
from blueprint.errors import BadInput

Keys = tuple[str, ...]
"""Keys from the top of the settings down: ``("residency", "home_region")``."""


_IN_EVERY_FILE = "residency"


class Document:
    """The settings of one environment, in the text that they stand in."""

    def __init__(self, text: str, place: str, project: str) -> None:
        """Read a file's text.

        Raises:
            BadInput: it is no stack file; the message names ``place``.
        """
        self._project = project
        try:
            whole = _round_trip().load(text)
        except (YAMLError, RecursionError) as error:
            mark = getattr(error, "problem_mark", None)
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
            problem = getattr(error, "problem", None) or "is not YAML"
            raise BadInput(f"{place}: {where}{problem}; mend the YAML there") from None
        if not isinstance(whole, CommentedMap) or not isinstance(whole.get("config"), CommentedMap):
            raise BadInput(f"{place}: config: is missing; write the settings below it")
        self._whole: CommentedMap = whole
        self._rename_to_project()

    @property
    def _config(self) -> CommentedMap:
        found: CommentedMap = self._whole["config"]
        return found

    def __str__(self) -> str:
        written = io.StringIO()
        _round_trip().dump(self._whole, written)
        return written.getvalue()

    def get(self, path: Keys) -> Any:
        """Return what stands at a path, or ``None``."""
        value: Any = self._config.get(self._key(path[0]))
        for step in path[1:]:
            value = value.get(step) if isinstance(value, CommentedMap) else None
        return value

    def values(self) -> dict[str, Any]:
        """Return the settings by name."""
        own = f"{self._project}:"
        found = {str(key).removeprefix(own): value for key, value in self._config.items()}
        return {name: value for name, value in found.items() if ":" not in name}

    def put(self, path: Keys, value: str | int | Sequence[str]) -> None:
        """Replace what stands at a path; nothing is touched where it stands there already."""
        present = self.get(path)
        if present == value or (isinstance(present, CommentedSeq) and list(present) == value):
            return
        section, key = self._section(path)
        if isinstance(value, str | int):
            section[key] = _scalar(value)
        elif isinstance(present, CommentedSeq):
            _refill(present, value)
        else:
            section[key] = CommentedSeq(map(_scalar, value))

    def rename(self, path: Keys, name: str) -> None:
        """Give a key another name, at its place and with its comments."""
        section, key = self._section(path)
        _rename(section, key, name)

    def texts(self) -> Iterator[tuple[Keys, str]]:
        """Yield every text, with the path of the key or the list that it stands in."""
        for key, value in self._config.items():
            if str(key).startswith(f"{self._project}:"):
                yield from _texts(value, (str(key).partition(":")[2],))

    def replace_text(self, path: Keys, old: str, new: str) -> None:
        """Replace one text, in a list or behind a key."""
        present = self.get(path)
        if isinstance(present, CommentedSeq):
            for index, item in enumerate(present):
                if item == old:
                    present[index] = _scalar(new)
        else:
            self.put(path, new)

    def _key(self, name: str) -> str:
        full = f"{self._project}:{name}"
        return name if full not in self._config and name in self._config else full

    def _section(self, path: Keys) -> tuple[CommentedMap, str]:
        if len(path) == 1:
            return self._config, self._key(path[0])
        section = self._config.setdefault(self._key(path[0]), CommentedMap())
        for step in path[1:-1]:
            section = section.setdefault(step, CommentedMap())
        if not isinstance(section, CommentedMap):
            raise BadInput(f"{'.'.join(path[:-1])}: is not a section; write its keys below it, indented")
        return section, path[-1]

    def _rename_to_project(self) -> None:
        """Let keys of the template's project be keys of this one: ``pulumi new`` names a project anew.

        It has written what it asked for under the new name already; that goes to where the template's value stood.
        """
        own, names = f"{self._project}:", [str(key) for key in self._config]
        template = next(
            (name.partition(":")[0] for name in names if name.endswith(f":{_IN_EVERY_FILE}")), None
        )
        if template is None or f"{own}{_IN_EVERY_FILE}" in names:
            return
        for name in names:
            if name.startswith(f"{template}:"):
                new = own + name.partition(":")[2]
                if new in self._config:
                    self._config[name] = self._config.pop(new)
                _rename(self._config, name, new)


def read(path: Path, place: str, project: str) -> tuple[str, Document]:
    """Return the text of a file, and what stands in it.

    Raises:
        BadInput: it cannot be read, or is no stack file.
    """
    try:
        if path.stat().st_size > MAX_STACK_FILE_BYTES:
            raise BadInput(f"{place}: is larger than 1 MiB; a stack file holds settings only")
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"{place}: is not UTF-8 text; save it as UTF-8") from None
    except OSError as error:
        raise BadInput(f"{place}: cannot be read: {error.strerror}; restore it from the repository") from None
    return text, Document(text, place, project)


def _round_trip() -> YAML:
    found = YAML()
    found.preserve_quotes = True
    found.width = 1 << 20
    found.indent(mapping=2, sequence=4, offset=2)
    return found


def _scalar(value: str | int) -> str | int:
    """Return a text in quotes where YAML would take it for something else, as an account's twelve digits."""
    if isinstance(value, int):
        return value
    try:
        same = yaml.safe_load(value) == value
    except yaml.YAMLError:
        same = False
    return value if same else DoubleQuotedScalarString(value)


def _refill(present: CommentedSeq, values: Sequence[str]) -> None:
    """Replace the items of a list; what is written below its last item stays below the last one."""
    below = present.ca.items.pop(len(present) - 1, None) if present else None
    for index in range(min(len(present), len(values))):
        if present[index] != values[index]:
            present[index] = _scalar(values[index])
    del present[len(values) :]
    present.extend(_scalar(value) for value in values[len(present) :])
    if below is not None:
        present.ca.items[len(present) - 1] = below


def _rename(section: CommentedMap, key: str, name: str) -> None:
    position, comment = list(section).index(key), section.ca.items.pop(key, None)
    section.insert(position, name, section.pop(key))
    if comment is not None:
        section.ca.items[name] = comment


def _texts(value: Any, path: Keys) -> Iterator[tuple[Keys, str]]:
    if isinstance(value, CommentedMap):
        for key, below in value.items():
            yield from _texts(below, (*path, str(key)))
    elif isinstance(value, CommentedSeq):
        for below in value:
            # A list of sections (pools) holds no ARN and no address.
            if isinstance(below, str):
                yield path, str(below)
    elif isinstance(value, str):
        yield path, str(value)
