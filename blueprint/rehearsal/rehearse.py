"""Rehearses an environment: plan, apply, look, plan again and destroy, by the real provider, in an emulated AWS."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from blueprint import program
from blueprint.environments import ROOT, project_name
from blueprint.environments import configuration as configuration_of
from blueprint.errors import BadInput
from blueprint.graph import Graph
from blueprint.rehearsal import inventory
from blueprint.rehearsal.account import Account, Applied
from blueprint.rehearsal.archive import zipped
from blueprint.rehearsal.assertions.every import ask_all
from blueprint.rehearsal.emulator import Emulator
from blueprint.rehearsal.forgotten import differences
from blueprint.rehearsal.planned_only import PLANNED_ONLY
from blueprint.rehearsal.release import release
from blueprint.rehearsal.result import Rehearsal
from blueprint.rehearsal.terraform import PhaseFailed, Terraform
from blueprint.rehearsal.translate import Answers, Configuration, translate, with_dependants

_BARE = {"terraform": {"required_providers": {"aws": {"source": "hashicorp/aws"}}}}

# Most of the time is the provider's own waiting.
_AT_ONCE = ("-auto-approve", "-input=false", "-parallelism=40")

Tell = Callable[[str, int, int], None]
"""Told the phase, and how many resources of how many are done."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What the rehearsal is asked to do."""

    environment: str
    timeout_seconds: float
    port: int | None = None
    keep: bool = False
    """Leave the platform applied and the emulator running."""
    plan_only: bool = False
    root: Path = ROOT


@dataclass(kw_only=True)
class Rehearsing:
    """One rehearsal under way."""

    wish: Wish
    tell: Tell
    result: Rehearsal
    graph: Graph
    terraform: Terraform
    emulator: Emulator
    configuration: Configuration
    phase: str = "emulator"
    account: Account | None = None

    def run(self) -> None:
        """Go through the phases; the first that fails is the last.

        Raises:
            PhaseFailed: the emulator does not answer, or refuses what is asked beside Terraform.
        """
        try:
            self._go()
        except (BotoCoreError, ClientError) as error:
            raise PhaseFailed(f"{self.phase}: {error} (the emulator: {self.emulator.last_words()})") from None

    def _go(self) -> None:
        planned = self._leave_out()
        self._validate()
        if not self.result.failed:
            self._plan(len(planned))
        if self.result.failed or self.wish.plan_only:
            return
        before = inventory.take(self._empty_account())
        self._apply(planned)
        if self.result.failed:
            return
        self.account = self._live_account()
        with self._phase("assert"):
            self.result.outcomes, self.result.not_asked = ask_all(self.account)
            self._all_counted(before, self.account)
        self._second_plan()
        if not self.wish.keep:
            self._destroy(before, self.account)

    @contextmanager
    def _phase(self, name: str, total: int = 0) -> Iterator[None]:
        if not self.emulator.alive():
            raise PhaseFailed(f"{name}: the emulator died before it: {self.emulator.last_words()}")
        began = time.monotonic()
        self.phase = name
        self.tell(name, 0, total)
        try:
            yield
        finally:
            self.result.seconds[name] = time.monotonic() - began

    def _leave_out(self) -> set[str]:
        """Leave out what this version of the provider does not know, and return the addresses of the rest."""
        leaning = with_dependants(self.configuration, self.configuration.left_out)
        for each, on in sorted(leaning.items()):
            self.result.not_planned[self._name(each)] = self.configuration.left_out[on]
        planned = set(self.configuration.resources) - set(leaning)
        self.terraform.write(self.configuration.document(planned, _providers(self.graph)))
        return planned

    def _validate(self) -> None:
        """Let the provider check every argument by itself, before anything is asked of AWS."""
        with self._phase("validate"):
            for diagnostic in self.terraform.validate():
                self._fail("validate", self._refusal(diagnostic))

    def _plan(self, total: int) -> None:
        with self._phase("plan", total):
            for event in self._events("plan", "plan", "-input=false"):
                if event["type"] == "planned_change":
                    self.result.planned.append(self._name(event["change"]["resource"]["addr"]))

    def _apply(self, planned: set[str]) -> None:
        first = {
            each: PLANNED_ONLY[type_] for each in planned if (type_ := each.partition(".")[0]) in PLANNED_ONLY
        }
        leaning = {
            each: on for each, on in with_dependants(self.configuration, first).items() if each in planned
        }
        for each, on in sorted(leaning.items()):
            follows = "" if each == on else f"leans on {self.configuration.sources[on].name}: "
            self.result.planned_only[self._name(each)] = follows + first[on]
        kept = planned - set(leaning)
        self.terraform.write(self.configuration.document(kept, _providers(self.graph)))
        with self._phase("apply", len(kept)):
            for event in self._events("apply", "apply", *_AT_ONCE):
                if event["type"] == "apply_complete":
                    self.result.applied.append(self._name(event["hook"]["resource"]["addr"]))
                    self.tell("apply", len(self.result.applied), len(kept))

    def _second_plan(self) -> None:
        """Plan what was just applied: whatever would change would change on every update for ever."""
        with self._phase("second plan"):
            for _ in self._events("second plan", "plan", "-input=false", "-out=again"):
                pass
            if "second plan" not in self.result.failed:
                plan = self.terraform.show("second plan", "again")
                self.result.drift = [f"{self._name(place)}: {what}" for place, what in differences(plan)]

    def _destroy(self, before: inventory.Inventory, account: Account) -> None:
        self.result.protected = sorted(
            self._name(place)
            for place, source in self.configuration.sources.items()
            if source.protect and self._name(place) in self.result.applied
        )
        total = len(self.result.applied)
        with self._phase("destroy", total):
            self.result.kept = {name: what for name, what in release(account) if what}
            for event in self._events("destroy", "destroy", *_AT_ONCE):
                if event["type"] == "apply_complete":
                    self.result.destroyed += 1
                    self.tell("destroy", self.result.destroyed, total)
            if "destroy" not in self.result.failed:
                left = inventory.more(inventory.take(account), before)
                kept = {what.rpartition(" ")[2] for what in self.result.kept.values()}
                self.result.left = [each for each in left if each.rpartition(" ")[2] not in kept]

    def _all_counted(self, before: inventory.Inventory, account: Account) -> None:
        """Fail where the inventory does not see a kind of resource: then nobody would miss it, or find it."""
        for type_ in inventory.uncounted(inventory.take(account), before, account):
            self._fail("assert", f"{type_}: the inventory does not count it; give it a row in inventory.py")

    def _events(self, phase: str, *arguments: str) -> Iterator[dict[str, Any]]:
        """Run terraform, keep what it refuses under the phase, and yield the rest."""
        for event in self.terraform.events(*arguments, "-json"):
            if not self.emulator.alive():
                raise PhaseFailed(f"{phase}: the emulator died: {self.emulator.last_words()}")
            if event["type"] == "diagnostic" and event["diagnostic"]["severity"] == "error":
                self._fail(phase, self._refusal(event["diagnostic"]))
            elif event["type"] == "exit" and event["timed_out"]:
                raise PhaseFailed(f"{phase}: took longer than the time limit; give it more with --timeout")
            elif event["type"] == "exit" and event["code"] != 0 and phase not in self.result.failed:
                self._fail(phase, f"terraform ended with status {event['code']} and said nothing")
            else:
                yield event

    def _fail(self, phase: str, what: str) -> None:
        found = self.result.failed.setdefault(phase, [])
        if what not in found:
            found.append(what)

    def _refusal(self, diagnostic: dict[str, Any]) -> str:
        """Return one line: the Pulumi resource's name, and the provider's own words."""
        place = diagnostic.get("address", "")
        words = " ".join(f"{diagnostic.get('summary', '')}: {diagnostic.get('detail', '')}".split())
        return f"{self._name(place) if place else 'the configuration'}: {words[:400]}"

    def _name(self, place: str) -> str:
        resource = self.configuration.sources.get(place)
        return f"{resource.name} ({resource.type})" if resource else place

    def _empty_account(self) -> Account:
        home, backup = _regions(self.graph)
        return Account(endpoint=self.emulator.endpoint, home_region=home, backup_region=backup, applied=())

    def _live_account(self) -> Account:
        state = self.terraform.show("apply")
        applied = tuple(
            Applied(type=source.type, name=source.name, attributes=each["values"])
            for each in state.get("values", {}).get("root_module", {}).get("resources", ())
            if (source := self.configuration.sources.get(each["address"]))
        )
        home, backup = _regions(self.graph)
        return Account(
            endpoint=self.emulator.endpoint, home_region=home, backup_region=backup, applied=applied
        )


def rehearse(wish: Wish, tell: Tell) -> tuple[Rehearsal, Emulator]:
    """Rehearse an environment; the emulator still runs where it was to be kept and nothing failed before.

    Raises:
        BadInput: a setting is wrong, or Terraform, the provider or the emulator is not to be had.
        Untranslatable: something in the graph has no counterpart in the provider.
        PhaseFailed: the time limit is reached, or something that was started died.
    """
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as folder:
        account_id = _account_of(wish)
        with Emulator(account_id=account_id, port=wish.port) as emulator:
            terraform = Terraform(
                Path(folder),
                endpoint=emulator.endpoint,
                deadline=lambda: wish.timeout_seconds - (time.monotonic() - started),
            )
            tell("init", 0, 0)
            terraform.write(_BARE)
            terraform.initialise()
            schema = terraform.schema()
            tell("record", 0, 0)
            graph = program.run(wish.environment, answer=Answers(schema), root=wish.root)
            _regions(graph)
            configuration = translate(graph, schema)
            for name, archive in configuration.archives.items():
                terraform.put(name, zipped(archive, wish.root))
            emulator.wait()
            result = Rehearsal(stack=graph.stack, provider=schema.version)
            result.seconds["init and record"] = time.monotonic() - started
            rehearsing = Rehearsing(
                wish=wish,
                tell=tell,
                result=result,
                graph=graph,
                terraform=terraform,
                emulator=emulator,
                configuration=configuration,
            )
            rehearsing.run()
            result.seconds["all"] = time.monotonic() - started
            emulator.keep = wish.keep and rehearsing.account is not None
            return result, emulator


def _account_of(wish: Wish) -> str:
    """Return the account that the environment is pinned to: the emulator takes its id."""
    config = configuration_of(wish.environment, wish.root)
    return config.get(f"{project_name(wish.root)}:account_id", "123456789012")


def _regions(graph: Graph) -> tuple[str, str]:
    """Return the home region and the backup region: those of the first and the last provider.

    Raises:
        BadInput: there is no provider with a region.
    """
    regions = [provider.inputs["region"] for provider in _aws(graph)]
    if not regions:
        raise BadInput("the program declares no aws.Provider with a region: nothing of it could be applied")
    return regions[0], regions[-1]


def _aws(graph: Graph) -> list[Any]:
    return sorted(graph.of("pulumi:providers:aws"), key=lambda provider: provider.name != "home")


def _providers(graph: Graph) -> list[dict[str, Any]]:
    """Return each explicit AWS provider as an alias, pinned to its account as in the program."""
    return [
        {
            "alias": provider.name,
            "region": provider.inputs["region"],
            "allowed_account_ids": json.loads(provider.inputs.get("allowedAccountIds", "[]")),
            "default_tags": json.loads(provider.inputs.get("defaultTags", '{"tags": {}}')),
            "skip_credentials_validation": True,
            "skip_metadata_api_check": True,
            "s3_use_path_style": True,
            # The default is 25, with minutes between; an emulator that cannot is not helped by waiting.
            "max_retries": 3,
        }
        for provider in _aws(graph)
    ]
