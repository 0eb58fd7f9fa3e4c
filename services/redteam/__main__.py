"""Attacks a candidate and signs the verdict, and releases what withstood: ``python -m services.redteam --help``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from services.redteam.errors import PASSED, RedTeamError

TEACHES = """\
  redteam run candidate --thresholds services/redteam/thresholds.yaml --data judging.npz \\
      --trainer-key ~/keys/trainer.pub --key ~/keys/redteam.key --out judged
  redteam promote candidate --verdict judged --thresholds services/redteam/thresholds.yaml \\
      --trainer-key ~/keys/trainer.pub --key ~/keys/redteam.key --into release

With --job the examples come from the data-access API instead (DATA_API_URL, DATA_API_TOKEN_FILE, DATA_API_CA_FILE or
DATA_API_CA_SECRET_ID), so that the trainer does not choose what its model is judged with.
In AWS, name a key of KMS instead of a file: --kms ARN, --trainer-kms ARN (ECC_NIST_P256, SIGN_VERIFY).

On the cluster all at once: fetch a candidate from the bucket of models, run, and release what withstands.

  redteam gate digits 1 --thresholds thresholds.yaml --job job.yaml
  # MODEL_BUCKET, CANDIDATE_PREFIX, RELEASE_PREFIX, SIGNING_KEY_ARN, TRAINER_KEY_ARN, AWS_REGION

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


def _gate(asked: argparse.Namespace) -> int:
    from services.redteam import commands

    return commands.gate(asked)


def _promote(asked: argparse.Namespace) -> int:
    from services.redteam import promoting

    return promoting.promote(asked)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="redteam",
        description="The gate between a trained model and one that serves (python -m services.redteam).",
        epilog=TEACHES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "attack a signed candidate, and sign what was found")
    _folder(run)
    data = run.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data", type=Path, metavar="FILE", help="examples to judge with: an .npz or an Arrow file"
    )
    data.add_argument(
        "--job", type=Path, metavar="FILE", help="or the training job, to read them from the API"
    )
    run.add_argument("--out", type=Path, required=True, metavar="FOLDER", help="must not be there yet")
    _output(run)

    gate = _command(
        commands, "gate", _gate, "fetch a candidate from S3, run, and release it if it withstands"
    )
    gate.add_argument("name", type=_name, help="of the model")
    gate.add_argument("version", type=_seed, help="of the model")
    gate.add_argument("--job", type=Path, required=True, metavar="FILE", help="the training job")
    _output(gate)

    promoted = _command(commands, "promote", _promote, "release a candidate that withstood")
    _folder(promoted)
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
    command.add_argument(
        "--thresholds", type=Path, required=True, metavar="FILE", help="what it has to withstand, as YAML"
    )
    command.set_defaults(do=do)
    return command


def _folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("candidate", type=Path, help="the folder that holds model/ and model.sig")
    for prefix, whose in (("trainer-", "the trainer's public key"), ("", "the red team's private key")):
        either = command.add_mutually_exclusive_group(required=True)
        either.add_argument(f"--{prefix}key", type=Path, metavar="FILE", help=f"{whose}, in PEM")
        either.add_argument(f"--{prefix}kms", metavar="ARN", help="or the ARN of a key of KMS (needs AWS)")


def _output(command: argparse.ArgumentParser) -> None:
    command.add_argument("--seed", type=_seed, default=0, help="of all chance; 0 if not given")
    command.add_argument("--format", choices=["text", "json"], default="text", help="text if not given")
    command.add_argument("--junit", type=Path, metavar="FILE", help="write the checks as JUnit XML too")


def _name(text: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,62}", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} names no model; write lower-case letters, digits and hyphens"
        )
    return text


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**63:
        raise argparse.ArgumentTypeError(f"{text!r} is none; write a whole number from 0 to 2^63-1")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
