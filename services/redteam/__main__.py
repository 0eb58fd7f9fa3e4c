"""Attacks a candidate and signs the verdict, and releases what withstood: ``python -m services.redteam --help``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from services.redteam.errors import PASSED, RedTeamError

TEACHES = """\
  redteam run candidate --thresholds services/redteam/thresholds.yaml --data judging.npz \\
      --trainer-key ~/keys/trainer.pub --key ~/keys/redteam.key --out judged
  redteam promote candidate --verdict judged --thresholds services/redteam/thresholds.yaml \\
      --trainer-key ~/keys/trainer.pub --key ~/keys/redteam.key --into release

In AWS, name a key of KMS instead of a file: --kms ARN, --trainer-kms ARN (ECC_NIST_P256, SIGN_VERIFY).
Exit codes: 0 the model withstood, or was released; 1 it did not, or is not genuine; 2 used wrongly, or something cannot
be read. docs/red-team.md tells what is attacked and how.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks; whatever is wrong is one line."""
    asked = _parser().parse_args(arguments)
    try:
        code: int = asked.do(asked)
    except RedTeamError as error:
        sys.stderr.write(f"redteam: {error}\n")
        return error.code
    except BrokenPipeError:
        # Whoever read has seen enough; Python would complain again while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return PASSED
    return code


def _run(asked: argparse.Namespace) -> int:
    # Torch and the toolbox take seconds to load; --help and a mistyped word need neither.
    from services.redteam import commands

    return commands.run(asked)


def _promote(asked: argparse.Namespace) -> int:
    from services.redteam import commands

    return commands.promote(asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="redteam",
        description="The gate between a trained model and one that serves (python -m services.redteam).",
        epilog=TEACHES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "attack a signed candidate, and sign what was found")
    data = run.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data", type=Path, metavar="FILE", help="examples to judge with: an .npz or an Arrow file"
    )
    run.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="must not be there yet")
    run.add_argument("--seed", type=_seed, default=0, help="of all chance; 0 if not given")
    run.add_argument("--format", choices=["text", "json"], default="text", help="text if not given")
    run.add_argument("--junit", type=Path, metavar="FILE", help="write the checks as JUnit XML too")

    promoted = _command(commands, "promote", _promote, "release a candidate that withstood")
    promoted.add_argument("--verdict", type=Path, required=True, metavar="FOLDER", help="what run wrote")
    promoted.add_argument("--into", type=Path, required=True, metavar="RELEASE", help="must not be there yet")
    return parser


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    do: Callable[[argparse.Namespace], int],
    about: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=about, description=f"{about[:1].upper()}{about[1:]}.")
    command.add_argument("candidate", type=Path, help="the folder that holds model/ and model.sig")
    command.add_argument(
        "--thresholds", type=Path, required=True, metavar="FILE", help="what it has to withstand, as YAML"
    )
    for prefix, whose in (("trainer-", "the trainer's public key"), ("", "the red team's private key")):
        either = command.add_mutually_exclusive_group(required=True)
        either.add_argument(f"--{prefix}key", type=Path, metavar="FILE", help=f"{whose}, in PEM")
        either.add_argument(f"--{prefix}kms", metavar="ARN", help="or the ARN of a key of KMS (needs AWS)")
    command.set_defaults(do=do)
    return command


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is no seed; write a whole number from 0 to 2^63-1")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
