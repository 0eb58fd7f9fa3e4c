"""The command ``blueprint init``: asks, shows what changes, writes it, and previews what would be built."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from blueprint.environments import ROOT, environments, project_name
from blueprint.errors import BadInput
from blueprint.forking import writing
from blueprint.forking.questions import QUESTIONS

_USUAL = ("dev", "staging", "prod")
"""Those that nearly every fork has; the others are for federations."""

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}


def add_to(commands: Any, parents: list[argparse.ArgumentParser]) -> None:
    """Add the command to the command line."""
    parser = commands.add_parser(
        "init",
        parents=parents,
        help="make a fork your own: ask for its accounts, regions and people, and write the environment files",
        description="Ask for what the settings cannot know, check each answer by the settings' own rules, show what "
        "would change in stacks/Pulumi.ENV.yaml, write it, and preview every environment. A flag answers its question; "
        "ENV=VALUE answers it for one environment. What is given several times makes a list.",
    )
    for question in QUESTIONS:
        parser.add_argument(
            question.flag,
            dest=question.name,
            metavar="VALUE",
            action="append",
            default=[],
            help=question.help,
        )
    parser.add_argument(
        "--environments",
        metavar="LIST",
        help="which, separated by commas (dev,staging,prod)",
    )
    parser.add_argument(
        "--directory", metavar="DIR", type=Path, default=ROOT, help="the fork; this one where it is left out"
    )
    parser.add_argument("--yes", action="store_true", help="write without asking")
    parser.add_argument(
        "--no-preview", action="store_true", help="do not preview the environments afterwards"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, errors: Console) -> int:
    """Run the command and return its exit code: 1 where an environment does not pass its preview."""
    from blueprint.forking.answering import answered, examples
    from blueprint.forking.asking import Asking

    root = options.directory.expanduser().resolve()
    files = _files(root, options.environments)
    terminal = sys.stdin.isatty()
    if not terminal and not options.yes:
        raise BadInput("--yes: is missing, and nobody can be asked whether to write; add it")
    asking = Asking(
        files,
        ask=(lambda prompt: _typed(prompt, errors)) if terminal else None,
        tell=lambda line: errors.print(f"  {line}", style="red", markup=False, soft_wrap=True),
        others=environments(root),
    )
    asking.everything({question.name: getattr(options, question.name) for question in QUESTIONS})
    documents = {name: answered(file, asking.answers[name]) for name, file in files.items()}
    texts = {name: str(document) for name, document in documents.items()}
    if wrong := [
        f"{file.place}: {line}"
        for name, file in files.items()
        for line in file.rules.problems(name, texts[name])
    ]:
        raise BadInput("\n".join([*wrong, "nothing was changed"]))
    changes = {
        name: writing.difference(file.place, file.text, texts[name])
        for name, file in files.items()
        if file.text != texts[name]
    }
    text = options.format == "text"
    if text or not options.yes:
        _show(changes, Console(highlight=False) if text else errors)
    if changes and not options.yes and not _agreed(errors):
        errors.print("nothing was changed", markup=False)
        return 0
    writing.replace({root / files[name].place: texts[name] for name in changes})
    left = {name: examples(document) for name, document in documents.items()}
    left = {name: keys for name, keys in left.items() if keys}
    if text:
        _say_what_is_left(
            left, Console(highlight=False), services=any(map(_has_services, documents.values()))
        )
    verdicts = {} if options.no_preview else _previews(root, list(files), options, errors)
    if not text:
        _print_json(files, changes, left, verdicts)
    return 0 if all(each["passed"] for each in verdicts.values()) else 1


def _files(root: Path, wished: str | None) -> dict[str, Any]:
    from blueprint.forking.answering import File
    from blueprint.forking.documents import read
    from blueprint.forking.rules import Rules

    if not (root / "Pulumi.yaml").is_file():
        raise BadInput(
            f"--directory: {root} is no fork of the blueprint: it has no Pulumi.yaml; name one that is"
        )
    known = environments(root)
    usual = [name for name in _USUAL if name in known] or known
    names = [name.strip() for name in wished.split(",")] if wished is not None else usual
    for name in names:
        if name not in known:
            raise BadInput(
                f"--environments: {name!r:.40} has no file; choose among {', '.join(known) or 'none yet'}"
            )
    if not known:
        raise BadInput(f"--directory: {root} has no stacks/Pulumi.ENV.yaml; restore them from the repository")
    project, rules = project_name(root), Rules(root)
    places = {name: f"stacks/Pulumi.{name}.yaml" for name in dict.fromkeys(names)}
    return {
        name: File(
            environment=name,
            place=place,
            text=read(root / place, place, project)[0],
            project=project,
            rules=rules,
        )
        for name, place in places.items()
    }


def _show(changes: Mapping[str, str], console: Console) -> None:
    if not changes:
        console.print("nothing to change", markup=False)
    for change in changes.values():
        for line in change.splitlines():
            console.print(line, style=_COLOURS.get(line[:1]), markup=False, soft_wrap=True)


def _agreed(errors: Console) -> bool:
    try:
        return _typed("Write this? [y/N] ", errors).strip().lower() in ("y", "yes")
    except (EOFError, UnicodeDecodeError):
        return False


def _typed(prompt: str, errors: Console) -> str:
    errors.print(prompt, end="", markup=False, soft_wrap=True)
    return input()


def _has_services(document: Any) -> bool:
    return document.get(("services",)) is not None


def _say_what_is_left(left: Mapping[str, list[str]], console: Console, *, services: bool) -> None:
    for name, keys in left.items():
        console.print(
            f"{name}: still an example, to be replaced before the first deployment: {', '.join(keys)}",
            markup=False,
            soft_wrap=True,
        )
    if services:
        console.print(
            "services: the first update goes without this section; then push and sign the images, and write their digests",
            markup=False,
            soft_wrap=True,
        )


def _previews(root: Path, names: list[str], options: argparse.Namespace, errors: Console) -> dict[str, Any]:
    """Preview each environment, say its totals, and return the verdicts as JSON values."""
    from blueprint import program, report
    from blueprint.pack import RunningPack

    console, verdicts = Console(highlight=False), {}
    with RunningPack(root / "policies") as pack:
        for name in names:
            with errors.status(f"Previewing {name}"):
                verdict = pack.judge(program.run(name, root=root))
            verdicts[name] = verdict.as_json_value()
            if options.format == "text":
                if not verdict.passed:
                    console.print(report.violation_table(verdict))
                console.print(f"{name}: ", report.totals(verdict), sep="", soft_wrap=True)
    return verdicts


def _print_json(
    files: Mapping[str, Any],
    changes: Mapping[str, str],
    left: Mapping[str, list[str]],
    verdicts: Mapping[str, Any],
) -> None:
    from blueprint.graph import canonical_json

    print(
        canonical_json(
            {
                "schema": 1,
                "written": [files[name].place for name in changes],
                "changes": changes,
                "examples": left,
                "previews": verdicts,
            }
        )
    )
