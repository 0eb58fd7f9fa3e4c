"""Reads the settings from the stack's configuration, and says of every mistake where it is and what to write."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

import pulumi
from pulumi.runtime.config import CONFIG
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from stacks.errors import SettingsError
from stacks.settings import Settings


def load() -> Settings:
    """Read the settings of the running stack from its configuration.

    Raises:
        SettingsError: something is wrong; every line names the file, the key and the remedy.
    """
    stack, prefix = pulumi.get_stack(), f"{pulumi.get_project()}:"
    config = {key.removeprefix(prefix): text for key, text in CONFIG.get().items() if key.startswith(prefix)}
    return parse(config, stack=stack)


def parse(config: Mapping[str, str], *, stack: str) -> Settings:
    """Read settings from configuration texts as the engine hands them over: objects are JSON text.

    ``environment`` is the stack's name unless the configuration says otherwise.
    """
    values: dict[str, Any] = {"environment": stack, **{k: _value(text) for k, text in config.items()}}
    try:
        return Settings.model_validate_json(json.dumps(values))
    except ValidationError as error:
        place = f"stacks/Pulumi.{stack}.yaml"
        details = _innermost(error.errors(include_url=False, include_input=False))
        raise SettingsError("\n".join(f"{place}: {_explained(detail)}" for detail in details)) from None


def _innermost(details: list[ErrorDetails]) -> Iterator[ErrorDetails]:
    """Leave out what only follows from a mistake further in: a list of one bad item is not too short."""
    places = [tuple(step for step in detail["loc"] if step != "[key]") for detail in details]
    for index, (detail, place) in enumerate(zip(details, places, strict=True)):
        deeper = any(other[: len(place)] == place and len(other) > len(place) for other in places)
        if not deeper and place not in places[:index]:
            yield ErrorDetails(**{**detail, "loc": place})


def _value(text: str) -> Any:
    """Return the object of a structured value; plain texts stay texts, digits included."""
    if text[:1] in "[{":
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def _explained(detail: ErrorDetails) -> str:
    """Return ``key: what is wrong; what to write`` for one of pydantic's findings, without the value itself."""
    location = list(detail["loc"])
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{_path(location)}: unknown key; {_nearest(str(location[-1]), _known_keys(location[:-1]))}"
    if kind == "setting":
        below = str(context["path"])
        return f"{_path([*location, below])}: {context['problem']}"
    return f"{_path(location)}: {_problem(kind, detail['msg'], context)}"


_WORDS = {
    "missing": "is missing; write it",
    "string_type": "is not text; put it in quotes",
    "int_type": "is not a whole number; write one without quotes",
    "int_from_float": "is not a whole number; write one without a fraction",
    "tuple_type": "is not a list; write one item a line, each after a dash",
    "dict_type": "is not a mapping of keys to values",
    "model_type": "is not a section; write its keys below it, indented",
    "model_attributes_type": "is not a section; write its keys below it, indented",
    "json_invalid": "cannot be read",
    "date_type": "is not a day; write one in quotes, like '2031-12-31'",
    "date_parsing": "is not a day; write one like 2031-12-31",
    "date_from_datetime_parsing": "is not a day; write one like 2031-12-31",
    "date_from_datetime_inexact": "is not a day; write one without a time, like 2031-12-31",
}


def _problem(kind: str, message: str, context: Mapping[str, Any]) -> str:
    match kind:
        case "literal_error":
            return f"is none of the choices; write {context['expected']}"
        case "greater_than_equal":
            return f"is too small; write {context['ge']} or more"
        case "less_than_equal":
            return f"is too large; write {context['le']} or less"
        case "too_short":
            return f"has too few items; write {context['min_length']} or more"
        case "too_long":
            return f"has too many items; write {context['max_length']} or fewer"
        case _:
            return _WORDS.get(kind, message.removeprefix("Value error, "))


def _path(location: Iterable[str | int]) -> str:
    """Return ``bastion.allowed_cidrs[0]`` for ``("bastion", "allowed_cidrs", 0)``."""
    text = ""
    for step in location:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text or "the settings"


def _known_keys(section: Iterable[str | int]) -> list[str]:
    """Return the keys that may stand in the section at this location."""
    model: Any = Settings
    for step in section:
        annotation = model.model_fields[str(step)].annotation
        candidates = [annotation, *getattr(annotation, "__args__", ())]
        model = next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)
        if model is None:
            return []
    return list(model.model_fields)


def _nearest(key: str, known: list[str]) -> str:
    if close := get_close_matches(key, known, n=1, cutoff=0.5):
        return f"did you mean {close[0]}?"
    return f"the keys here are {', '.join(known)}"
