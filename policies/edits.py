"""Judges edits of a stack, each by asking again only what it can change: one JSON text a line in, one out.

``python -m edits``, in the folder of the pack. The first line is a stack, and so is any that holds ``resources``;
every other line is an edit of the last stack (``changed``: resources, ``dropped``: URNs). The answer to a stack is
all that the pack finds in it, to an edit what it finds more and what no more. Waivers play no part: the question is
what the controls see.

A resource is ``urn``, ``type``, ``name``, ``inputs`` (the engine shows them before it makes the resource),
``outputs`` (the engine shows them with the whole stack), ``protect``, ``parent``, ``provider`` (a URN),
``dependencies`` and ``propertyDependencies``. They take the way through the SDK that the engine's take.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from pulumi_policy import (
    PolicyCustomTimeouts,
    PolicyProviderResource,
    PolicyResource,
    PolicyResourceOptions,
)
from pulumi_policy.deserialize import deserialize_properties
from pulumi_policy.proxy import unknown_checking_proxy

from controls import CATALOGUE
from machinery.pack import subject_of, wording
from machinery.subject import Outcome, Resource
from machinery.tracing import Judged, Key

Json = dict[str, Any]
Finding = tuple[str, str]
"""A URN (empty for the stack as a whole) and the pack's wording."""

_CONTROLS = {control.id: control for control in CATALOGUE}
_ON_RESOURCE = [control for control in CATALOGUE if not control.needs_stack]


class EditedStack:
    """One stack, judged, and what an edit would change of that."""

    def __init__(self, resources: Sequence[Json]) -> None:
        self._given = {given["urn"]: given for given in resources}
        self._below: dict[str, list[str]] = {}
        for given in resources:
            self._below.setdefault(given["provider"], []).append(given["urn"])
        self._alone = {urn: _alone(given, self._given) for urn, given in self._given.items()}
        self._together = Judged(
            [_resource(given, given["outputs"], self._given) for given in resources], CATALOGUE
        )
        self._found = Counter(
            [*chain.from_iterable(self._alone.values()), *_findings(self._together.outcomes)]
        )

    def findings(self) -> set[Finding]:
        """Return all that the pack finds."""
        return set(self._found)

    def edited(self, changed: Sequence[Json], dropped: Sequence[str]) -> tuple[set[Finding], set[Finding]]:
        """Return what the pack would find more, and what no more."""
        given = {**self._given, **{resource["urn"]: resource for resource in changed}}
        for urn in dropped:
            del given[urn]
        # A resource is shown with its provider, so an edit of the provider is one of all that is below it.
        touched = {resource["urn"] for resource in changed}
        touched |= {urn for provider in (*touched, *dropped) for urn in self._below.get(provider, ())}
        anew = [given[urn] for urn in sorted(touched - set(dropped))]
        together = self._together.edited(
            [_resource(resource, resource["outputs"], given) for resource in anew], dropped
        )
        before = _findings({node: self._together.outcomes.get(node, ()) for node in together})
        after = [*_findings(together), *chain.from_iterable(_alone(resource, given) for resource in anew)]
        for urn in touched | set(dropped):
            before += self._alone.get(urn, [])
        change = Counter(after)
        change.subtract(before)
        found = {finding: self._found[finding] + times for finding, times in change.items()}
        return (
            {finding for finding, times in found.items() if times and finding not in self._found},
            {finding for finding, times in found.items() if not times and finding in self._found},
        )


def _alone(given: Json, stack: Mapping[str, Json]) -> list[Finding]:
    # Before a resource is made nothing is said of what it depends on.
    resource = replace(_resource(given, given["inputs"], stack), dependencies=(), property_dependencies={})
    return [
        (outcome.urn, wording(control, outcome))
        for control in _ON_RESOURCE
        if not control.on or resource.type in control.on
        for outcome in control.judge_resource(resource)
    ]


def _findings(outcomes: Mapping[Key, Iterable[Outcome]]) -> list[Finding]:
    return [
        (outcome.urn, wording(_CONTROLS[str(control)], outcome))
        for (_, control, _), found in outcomes.items()
        for outcome in found
    ]


def _resource(given: Json, properties: Json, stack: Mapping[str, Json]) -> Resource:
    """Return a resource as the pack sees it, by way of the SDK's own reading of what the engine sends."""
    provider = stack.get(given["provider"])
    shown = PolicyResource(
        given["type"],
        _proxy(properties),
        given["urn"],
        given["name"],
        _options(given),
        PolicyProviderResource(
            provider["type"], _proxy(provider["inputs"]), provider["urn"], provider["name"]
        )
        if provider
        else None,
        None,
        [_named(urn) for urn in given["dependencies"] if urn in stack],
        {
            key: [_named(urn) for urn in urns if urn in stack]
            for key, urns in given["propertyDependencies"].items()
        },
    )
    return subject_of(shown, {})


def _proxy(properties: Json) -> Mapping[str, Any]:
    return unknown_checking_proxy(deserialize_properties(properties))


def _options(given: Json) -> PolicyResourceOptions:
    timeouts = PolicyCustomTimeouts(0, 0, 0)
    return PolicyResourceOptions(given["protect"], [], None, [], timeouts, [], given["parent"])


def _named(urn: str) -> PolicyResource:
    """Return a stand-in for a resource that another one depends on: only its URN is ever read."""
    nothing = PolicyResourceOptions(False, [], None, [], PolicyCustomTimeouts(0, 0, 0), [], "")
    return PolicyResource("", {}, urn, "", nothing, None, None, [], {})


def main() -> None:
    """Answer each line of standard input."""
    stack = EditedStack([])
    for line in sys.stdin:
        asked = json.loads(line)
        if "resources" in asked:
            stack = EditedStack(asked["resources"])
            answer = {"found": sorted(stack.findings())}
        else:
            more, gone = stack.edited(asked["changed"], asked["dropped"])
            answer = {"more": sorted(more), "gone": sorted(gone)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
