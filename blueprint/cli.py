"""The command line: ``blueprint preview``, ``blueprint check``, ``blueprint rehearse``."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from blueprint.errors import BadInput, BlueprintError

_EXIT_CODES = """
exit codes:
  0  everything that is mandatory holds
  1  a mandatory control does not hold, or the provider refuses something
  2  bad input: a setting, a file or an argument; the message says where and what to write
  3  the policy pack gave no verdict that can be trusted; nothing was passed
"""

_EXAMPLES = """
examples:
  blueprint preview dev                      what dev would build, and whether it keeps its promises
  blueprint preview prod --unknowns          as the engine's preview sees it, ARNs and ids not known yet
  blueprint preview prod --export prod.json  keep the graph, in the format of pulumi stack export
  blueprint check prod.json                  the same verdict, from the file
  pulumi stack export | blueprint check /dev/stdin
  blueprint rehearse dev                     let the real AWS provider plan it (needs terraform, no account)
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    # Pictures and progress go to a person; what a machine reads goes to standard output alone.
    errors = Console(stderr=True, highlight=False)
    try:
        return int(options.run(options, errors))
    except BlueprintError as error:
        if options.traceback:
            traceback.print_exc()
        errors.print(str(error), style="bold red", markup=False, soft_wrap=True)
        return error.exit_code
    except KeyboardInterrupt:
        errors.print("stopped", markup=False)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="blueprint",
        description="See what the platform would build and whether it keeps its promises: no account needed.",
        epilog=_EXAMPLES + _EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or for machines"
    )
    common.add_argument("--traceback", action="store_true", help="show where in the code a failure came from")

    preview = commands.add_parser(
        "preview",
        parents=[common],
        help="run the program for one environment and judge what it would build",
        description="Run the program for one environment, in process, and judge what it would build.",
    )
    preview.add_argument(
        "environment", metavar="ENV", help="dev, staging, prod: a file stacks/Pulumi.ENV.yaml"
    )
    preview.add_argument(
        "--unknowns", action="store_true", help="leave unknown what only AWS can tell, as pulumi preview does"
    )
    preview.add_argument(
        "--export", metavar="FILE", type=Path, help="write the graph as pulumi stack export does"
    )
    preview.set_defaults(run=_preview)

    check = commands.add_parser(
        "check",
        parents=[common],
        help="judge an exported stack, ours or a real one",
        description="Judge an exported stack: from blueprint preview --export, or from pulumi stack export.",
    )
    check.add_argument("file", metavar="FILE", type=Path, help="the exported file")
    check.set_defaults(run=_check)

    rehearse = commands.add_parser(
        "rehearse",
        parents=[common],
        help="let the real AWS provider plan what an environment would build",
        description="Write the graph as Terraform JSON and let the real AWS provider validate and plan it, offline.",
    )
    rehearse.add_argument("environment", metavar="ENV", help="dev, staging, prod")
    rehearse.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=300.0,
        help="bound on the whole rehearsal (300)",
    )
    rehearse.set_defaults(run=_rehearse)
    return parser


def _preview(options: argparse.Namespace, errors: Console) -> int:
    from blueprint import deployment, program

    with _progress(errors, f"Running the program for {options.environment}"):
        graph = program.run(options.environment, unknowns=options.unknowns)
    if options.export:
        _write(options.export, deployment.write(graph))
    return _judge(graph, options, errors)


def _check(options: argparse.Namespace, errors: Console) -> int:
    from blueprint import deployment

    return _judge(deployment.read(options.file), options, errors)


def _seconds(text: str) -> float:
    """Return a time limit; argparse prints the message and ends with status 2."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("write seconds, more than 0")
    return seconds


def _rehearse(options: argparse.Namespace, errors: Console) -> int:
    from blueprint.graph import canonical_json
    from blueprint.rehearsal.rehearse import plan

    with errors.status("Rehearsing") as status:
        found = plan(options.environment, timeout_seconds=options.timeout, tell=status.update)
    if options.format == "json":
        print(canonical_json(found.as_json_value()))
        return 0
    console = Console(highlight=False)
    for name, why in found.left_out.items():
        console.print(f"not planned: {name}: {why}", markup=False, soft_wrap=True)
    console.print(
        f"planned: {len(found.planned)} resources with no error by hashicorp/aws {found.provider}, "
        f"{len(found.left_out)} not planned, in {found.seconds:.0f} s",
        markup=False,
        soft_wrap=True,
    )
    return 0


def _judge(graph: object, options: argparse.Namespace, errors: Console) -> int:
    from blueprint import report
    from blueprint.graph import Graph, canonical_json
    from blueprint.pack import RunningPack

    assert isinstance(graph, Graph)  # noqa: S101
    with _progress(errors, f"Judging {len(graph.resources)} resources"), RunningPack() as pack:
        verdict = pack.judge(graph)
    if options.format == "json":
        print(canonical_json(verdict.as_json_value()))
    else:
        report.show(graph, verdict, Console(highlight=False))
    return 0 if verdict.passed else 1


@contextmanager
def _progress(errors: Console, what: str) -> Iterator[None]:
    with errors.status(what):
        yield


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{path}: cannot be written: {error.strerror}; name another file") from None


if __name__ == "__main__":
    sys.exit(main())
