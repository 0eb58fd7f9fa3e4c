"""The command line: ``blueprint preview``, ``check``, ``rehearse``, ``report`` and the others that ``--help`` lists."""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from blueprint.audit_report import command
from blueprint.bootstrap import command as bootstrap
from blueprint.changes import command as changes
from blueprint.cost import command as cost
from blueprint.doctor import command as doctor
from blueprint.errors import BadInput, BlueprintError
from blueprint.forking import command as forking
from blueprint.inventory import command as inventory

_EXIT_CODES = """
exit codes:
  0  everything that is mandatory holds
  1  a mandatory control does not hold, the provider refuses something, or a role may do more than before
  2  bad input: a setting, a file or an argument; the message says where and what to write
  3  the policy pack gave no verdict that can be trusted; nothing was passed
"""

_EXAMPLES = """
examples:
  blueprint preview dev                      what dev would build, and whether it keeps its promises
  blueprint preview prod --unknowns          as the engine's preview sees it, ARNs and ids not known yet
  blueprint preview prod --export prod.json  keep the graph, in the format of pulumi stack export
  blueprint check prod.json                  the same verdict, from the file
  blueprint preview dev --format markdown    the verdict as a comment for a pull request
  pulumi stack export | blueprint check /dev/stdin
  blueprint controls --framework hipaa       what must hold, and what asks for it
  blueprint roles prod                       who may do what, on what, under which conditions
  blueprint roles prod --against prod-roles.json  what a change lets them do beyond that
  blueprint diff base head                   what a change does: two folders of exports, one file an environment
  blueprint cost prod                        what prod costs a month when nobody uses it
  blueprint manifests prod --out manifests   every Kubernetes object as YAML, for reviewers and scanners
  blueprint mutate                           make insecure edits of all environments: which go unseen?
  blueprint rehearse dev                     apply it with the real AWS provider to an emulated AWS (needs
                                             terraform, no account), look, and destroy it
  blueprint rehearse dev --plan              only plan it: ten seconds
  blueprint init                             make a fork your own: questions, checks, the environment files
  blueprint doctor rehearse                  is all here that a rehearsal needs?
  blueprint bootstrap dev --plan             what must be in the account before the first pulumi up (needs AWS)
  blueprint inventory dev --stack dev.json   what is in the account and no stack owns (needs AWS)
  blueprint report prod --out report.html    one page for an auditor, which loads nothing
  blueprint train                            a model's whole way on this machine: rows, training, red team, answer
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
    any_command = argparse.ArgumentParser(add_help=False)
    any_command.add_argument(
        "--traceback", action="store_true", help="show where in the code a failure came from"
    )
    common = argparse.ArgumentParser(add_help=False, parents=[any_command])
    common.add_argument(
        "--format", choices=("text", "json"), default="text", help="for people, or for machines"
    )
    verdict = argparse.ArgumentParser(add_help=False, parents=[any_command])
    verdict.add_argument(
        "--format",
        choices=("text", "json", "sarif", "junit", "markdown"),
        default="text",
        help="text for people; json for machines; sarif 2.1.0 for code scanning, each finding at the line that "
        "made its resource; junit for CI; markdown for a comment on a pull request",
    )

    preview = commands.add_parser(
        "preview",
        parents=[verdict],
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
        parents=[verdict],
        help="judge an exported stack, ours or a real one",
        description="Judge an exported stack: from blueprint preview --export, or from pulumi stack export.",
    )
    check.add_argument("file", metavar="FILE", type=Path, help="the exported file")
    check.set_defaults(run=_check)

    controls = commands.add_parser(
        "controls",
        parents=[any_command],
        help="list the controls, with the frameworks that ask for the same",
        description="List the controls of the policy pack. A filter may be given several times: any of its values "
        "will do; a control has to meet every filter.",
    )
    controls.add_argument(
        "--framework",
        metavar="NAME",
        action="append",
        default=[],
        help="only what a framework asks for: cis, fsbp, nist, hipaa, pci, atlas, owasp-ml, kubernetes, aws-ai, ml-lens",
    )
    controls.add_argument(
        "--family", metavar="FAMILY", action="append", default=[], help="only one family: IAM, MLS, …"
    )
    controls.add_argument(
        "--severity", choices=("critical", "high", "medium", "low"), action="append", default=[]
    )
    controls.add_argument(
        "--format",
        choices=("table", "json", "markdown"),
        default="table",
        help="a table for people, json for machines, markdown for docs/controls.md",
    )
    controls.set_defaults(run=_controls)

    roles = commands.add_parser(
        "roles",
        parents=[common],
        help="say who may do what: every role with its actions, resources, conditions and trust",
        description="Say of every role of an environment who may become it, and what it may do then: on which "
        "resources, under which conditions, and within which boundary.",
    )
    roles.add_argument("environment", metavar="ENV", help="dev, staging, prod")
    roles.add_argument(
        "--against",
        metavar="FILE",
        type=Path,
        help="say only what is new since FILE, which --format json wrote; status 1 where anything is",
    )
    roles.set_defaults(run=_roles)

    manifests = commands.add_parser(
        "manifests",
        parents=[common],
        help="write the Kubernetes objects of an environment as YAML",
        description="Write every Kubernetes object that an environment would have as YAML, one file each, by "
        "namespace; and for each Helm release its chart and values.",
    )
    manifests.add_argument("environment", metavar="ENV", help="dev, staging, prod")
    manifests.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        required=True,
        help="the folder; files that this command wrote earlier are replaced, others stop it",
    )
    manifests.set_defaults(run=_manifests)

    mutate = commands.add_parser(
        "mutate",
        parents=[common],
        help="edit the environments insecurely, thousands of times, and see whether the policies notice",
        description="Make insecure edits of what the environments would build, one at a time, and have each "
        "judged by the policies. Ends with status 1 where something survives that nobody explained, or where "
        "less than 97%% are seen.",
    )
    mutate.add_argument(
        "environments", metavar="ENV", nargs="*", help="dev, staging and prod if none is given"
    )
    mutate.add_argument(
        "--sample", metavar="N", type=_count, help="judge only so many of them, chosen at random"
    )
    mutate.add_argument("--seed", metavar="N", type=int, default=0, help="chooses another sample (0)")
    mutate.add_argument("--write", action="store_true", help="put the outcome into docs/mutation.md")
    mutate.set_defaults(run=_mutate)

    rehearse = commands.add_parser(
        "rehearse",
        parents=[common],
        help="apply an environment to an emulated AWS with the real provider, look, and destroy it",
        description="Write the graph as Terraform JSON and let the real AWS provider plan it, apply it to an "
        "emulated AWS on this machine, look at what is there, plan again (nothing may change) and destroy it. "
        "No account is asked or touched.",
    )
    rehearse.add_argument("environment", metavar="ENV", help="dev, staging, prod")
    rehearse.add_argument(
        "--plan", action="store_true", help="stop after the plan: ten seconds, and most mistakes are found"
    )
    rehearse.add_argument(
        "--keep",
        action="store_true",
        help="leave the emulated account as it is after the apply, and say how to look around in it",
    )
    rehearse.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        default=900.0,
        help="bound on the whole rehearsal (900)",
    )
    rehearse.add_argument("--port", type=_port, help="loopback port of the emulator; a free one if not given")
    rehearse.set_defaults(run=_rehearse)

    command.add_to(commands, [any_command])
    cost.add_to(commands, [common])
    changes.add_to(commands, [any_command])
    bootstrap.add_to(commands, [common])
    inventory.add_to(commands, [common])
    forking.add_to(commands, [common])
    doctor.add_to(commands, [common])

    train = commands.add_parser(
        "train",
        parents=[common],
        help="take a model the whole way on this machine: database, training, red team, release, an answer",
        description="Take a model the whole way on this machine, on data that is bundled: PostgreSQL, data-access API, "
        "signed manifest, screens, private training, red team, release, gateway, an answer. Each service runs as "
        "itself, in its own environment, over TLS, with keys and tokens that are made for this.",
    )
    train.add_argument(
        "--keep", metavar="DIR", type=Path, help="leave everything there to look at: it must not be there yet"
    )
    train.add_argument(
        "--timeout", metavar="SECONDS", type=_seconds, default=900.0, help="bound on the whole way (900)"
    )
    train.set_defaults(run=_train)
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


def _controls(options: argparse.Namespace, errors: Console) -> int:
    from blueprint import controls
    from blueprint.graph import canonical_json
    from blueprint.pack import RunningPack

    with _progress(errors, "Asking the policy pack"), RunningPack() as pack:
        catalogue = controls.catalogue_of(pack)
    catalogue = catalogue.only(
        frameworks=options.framework, families=options.family, severities=options.severity
    )
    if options.format == "json":
        print(canonical_json(catalogue.as_json_value()))
    elif options.format == "markdown":
        print(controls.page(catalogue), end="")
    else:
        controls.show(catalogue, Console(highlight=False), frameworks=options.framework)
    return 0


def _roles(options: argparse.Namespace, errors: Console) -> int:
    from blueprint import access, program, roles
    from blueprint.graph import canonical_json

    before = access.read(options.against) if options.against else ()
    with _progress(errors, f"Running the program for {options.environment}"):
        found = roles.roles_of(program.run(options.environment))
    if options.against:
        new = access.new_access(found, before)
        if options.format == "json":
            print(canonical_json({"schema": 1, "new": [each.__dict__ for each in new]}))
        else:
            print("\n".join([*map(str, new), f"{len(new)} new since {options.against}"]))
        return 1 if new else 0
    if options.format == "json":
        print(canonical_json({"schema": 1, "roles": [role.as_json_value() for role in found]}))
    else:
        roles.show(found, Console(highlight=False))
    return 0


def _manifests(options: argparse.Namespace, errors: Console) -> int:
    from blueprint import manifests, program
    from blueprint.graph import canonical_json

    with _progress(errors, f"Running the program for {options.environment}"):
        graph = program.run(options.environment)
    objects, releases = manifests.manifests(graph), manifests.releases(graph)
    manifests.write((*objects, *releases), options.out)
    if options.format == "json":
        print(canonical_json({"files": [str(each.path) for each in (*objects, *releases)]}))
    else:
        print(f"{options.out}: {len(objects)} objects, and the values of {len(releases)} Helm releases")
    return 0


def _mutate(options: argparse.Namespace, errors: Console) -> int:
    from rich.progress import Progress

    from blueprint.graph import canonical_json
    from blueprint.mutation import run

    if options.write and (options.environments or options.sample):
        raise BadInput(
            "--write: the page is about all mutants of all environments; leave ENV and --sample out"
        )
    wish = run.Wish(
        environments=options.environments or run.PLATFORMS, sample=options.sample, seed=options.seed
    )
    with Progress(console=errors, transient=True) as progress:
        task = progress.add_task("Judging mutants", total=None)
        found = run.run(
            wish,
            begun=lambda count: progress.update(task, total=count),
            done=lambda count: progress.advance(task, count),
        )
    if options.write:
        run.write(found, wish.environments)
    if options.format == "json":
        print(canonical_json(run.as_json_value(found)))
    else:
        run.show(found, Console(highlight=False))
    return 0 if found.passed else 1


def _count(text: str) -> int:
    """Return a number of mutants; argparse prints the message and ends with status 2."""
    if not text.isdecimal() or not 0 < int(text) < 1_000_000:
        raise argparse.ArgumentTypeError("write a whole number, 1 or more")
    return int(text)


def _seconds(text: str) -> float:
    """Return a time limit; argparse prints the message and ends with status 2."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError("write seconds, more than 0")
    return seconds


def _port(text: str) -> int:
    """Return a port; argparse prints the message and ends with status 2."""
    if not text.isdecimal() or not 1024 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError("write a port from 1024 to 65535, or leave it out for a free one")
    return int(text)


def _rehearse(options: argparse.Namespace, errors: Console) -> int:
    from blueprint.graph import canonical_json
    from blueprint.rehearsal import show
    from blueprint.rehearsal.rehearse import Wish, rehearse

    wish = Wish(
        environment=options.environment,
        timeout_seconds=options.timeout,
        port=options.port,
        keep=options.keep,
        plan_only=options.plan,
    )
    with _terminated_as_interrupted(), show.Progress(errors) as progress:
        result, emulator = rehearse(wish, progress)
    if options.format == "json":
        print(canonical_json(result.as_json_value()))
    else:
        show.table(result, Console(highlight=False))
    if emulator.keep:
        show.how_to_look_around(emulator, errors)
    if result.problems:
        errors.print("\n".join(result.problems), style="bold red", markup=False, soft_wrap=True)
    return 1 if result.problems else 0


def _train(options: argparse.Namespace, errors: Console) -> int:
    import tempfile

    from blueprint.graph import canonical_json
    from blueprint.training import chain, show
    from blueprint.training.programs import Programs

    if options.keep is not None:
        if options.keep.exists():
            raise BadInput(f"--keep: {options.keep} is already there; name a folder that is not")
        options.keep.mkdir(parents=True)
    with (
        _terminated_as_interrupted(),
        tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name,
        show.Shown(errors) as progress,
    ):
        folder = (options.keep or Path(name)).resolve()
        with Programs(folder, deadline_seconds=options.timeout) as programs:
            way = chain.walk(folder, programs, progress)
    if options.format == "json":
        print(canonical_json(way.as_json_value()))
    else:
        show.table(way, Console(highlight=False))
    if options.keep is not None:
        errors.print(f"{options.keep / 'judged' / 'verdict.html'} is the red team's page", markup=False)
    return 0


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Treat a request to end (SIGTERM, of CI for instance) as Ctrl-C: what was started is ended too.

    Ctrl-C is asked for as well: a shell starts its background jobs with it ignored.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {each: signal.signal(each, interrupt) for each in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _judge(graph: object, options: argparse.Namespace, errors: Console) -> int:
    from blueprint import report
    from blueprint.formats import FORMATS
    from blueprint.graph import Graph
    from blueprint.pack import RunningPack

    assert isinstance(graph, Graph)  # noqa: S101
    with _progress(errors, f"Judging {len(graph.resources)} resources"), RunningPack() as pack:
        verdict = pack.judge(graph)
    if options.format == "text":
        report.show(graph, verdict, Console(highlight=False))
    else:
        print(FORMATS[options.format](graph, verdict))
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
