"""Makes keys, inspects, signs, verifies and releases models: ``python -m services.modelchain --help``."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from services.modelchain import folder, keys, reading, release, report, signing, strict_json
from services.modelchain.errors import ModelError, Unreadable
from services.modelchain.folder import Candidate
from services.modelchain.keys import Signer, Verifier
from services.modelchain.schema import Verdict

TEACHES = """\
A model is a folder: model/ (graph, schema, statistics, card, privacy) and model.sig, the trainer's signature over all
of it. To be released it also needs verdict/ and verdict.sig: what the red team found, over the same digest, signed with
another key.

  modelchain keys trainer --into ~/keys          # trainer.key (keep it) and trainer.pub (give it away)
  modelchain keys redteam --into ~/keys
  modelchain inspect candidate                   # would it be taken, and what is it?
  modelchain sign candidate --key ~/keys/trainer.key
  modelchain promote candidate --verdict verdict.json --into release \\
      --key ~/keys/trainer.pub --redteam-key ~/keys/redteam.key
  modelchain verify release --key ~/keys/trainer.pub --redteam-key ~/keys/redteam.pub

In AWS, name a key of KMS instead of a file: --kms ARN, --redteam-kms ARN (ECC_NIST_P256, SIGN_VERIFY).
Exit codes: 0 done; 1 the model is not genuine or not one that is taken; 2 used wrongly, or something cannot be read.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line asks; whatever is wrong is one line."""
    asked = _parser().parse_args(arguments)
    try:
        text, said = asked.do(asked)
    except ModelError as error:
        if asked.format == "json":
            _print(json.dumps({"refused": str(error)}) + "\n")
        sys.stderr.write(f"modelchain: {error}\n")
        return 2 if isinstance(error, Unreadable) else 1
    except KeyboardInterrupt:
        sys.stderr.write("modelchain: interrupted\n")
        return 130
    _print(text if asked.format == "text" else json.dumps(said, indent=2) + "\n")
    return 0


def _print(text: str) -> None:
    try:
        # A terminal that cannot show a character gets its escape.
        encoding = sys.stdout.encoding or "utf-8"
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read has seen enough; Python would complain again while it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


Answer = tuple[str, Any]
"""The same for people and for programs."""


def _keys(asked: argparse.Namespace) -> Answer:
    private, public = keys.make_keys(asked.into, asked.name)
    fingerprint = keys.file_verifier(public).fingerprint
    rows = [("private", str(private)), ("public", str(public)), ("fingerprint", fingerprint)]
    return report.table(rows) + "\n", dict(rows)


def _inspect(asked: argparse.Namespace) -> Answer:
    return _about(folder.inspect(asked.folder), {})


def _sign(asked: argparse.Namespace) -> Answer:
    signer = _signer(asked.key, asked.kms)
    digest = signing.sign_candidate(asked.folder, signer)
    rows = [("signed", digest), ("key", signer.verifier.fingerprint)]
    return report.table(rows) + "\n", dict(rows)


def _verify(asked: argparse.Namespace) -> Answer:
    trainer = _verifier(asked.key, asked.kms)
    vouched = {"trainer": trainer.fingerprint}
    if asked.redteam_key or asked.redteam_kms:
        redteam = _verifier(asked.redteam_key, asked.redteam_kms)
        opened = release.open_release(asked.folder, trainer=trainer, redteam=redteam, now=datetime.now(UTC))
        return _about(opened, {**vouched, "redteam": redteam.fingerprint})
    if reading.read(asked.folder).verdict is not None:
        raise Unreadable(
            f"{asked.folder}: is a release; name the red team's key too (--redteam-key, --redteam-kms)"
        )
    return _about(signing.verify_candidate(asked.folder, trainer), vouched)


def _promote(asked: argparse.Namespace) -> Answer:
    trainer, redteam = _verifier(asked.key, asked.kms), _signer(asked.redteam_key, asked.redteam_kms)
    verdict = strict_json.parsed(Verdict, reading.document(asked.verdict), str(asked.verdict))
    release.promote(asked.folder, verdict, into=asked.into, trainer=trainer, redteam=redteam)
    rows = [("released", str(asked.into)), ("digest", verdict.model_digest)]
    rows.append(("until", verdict.holds_until.isoformat()))
    return report.table(rows) + "\n", dict(rows)


def _about(candidate: Candidate, vouched: dict[str, str]) -> Answer:
    return report.as_text(candidate, vouched), report.as_json(candidate, vouched)


def _signer(file: Path | None, arn: str | None) -> Signer:
    return keys.kms_signer(arn, _region(arn)) if arn else keys.file_signer(file or Path())


def _verifier(file: Path | None, arn: str | None) -> Verifier:
    return keys.kms_verifier(arn, _region(arn)) if arn else keys.file_verifier(file or Path())


def _region(arn: str) -> str:
    return (arn.split(":") + [""] * 4)[3]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelchain",
        description="The chain from a trained model to one that serves (python -m services.modelchain).",
        epilog=TEACHES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    made = _command(commands, "keys", _keys, "make a pair of keys (EC P-256) in files")
    made.add_argument("name", help="of the pair, such as trainer: makes trainer.key and trainer.pub")
    made.add_argument(
        "--into", type=Path, default=Path(), metavar="FOLDER", help="where to put them; here if not given"
    )

    _folder(
        _command(
            commands,
            "inspect",
            _inspect,
            "say what a model is, and whether it would be taken; not who made it",
        )
    )

    signed = _command(
        commands, "sign", _sign, "inspect a candidate and write the trainer's signature, model.sig"
    )
    _folder(signed)
    _key(signed, "", "the trainer's private key", required=True)

    verified = _command(commands, "verify", _verify, "say whether a candidate or a release is genuine")
    _folder(verified)
    _key(verified, "", "the trainer's public key", required=True)
    _key(verified, "redteam-", "the red team's public key; a release needs it", required=False)

    promoted = _command(
        commands, "promote", _promote, "make a release of a signed candidate and a verdict about it"
    )
    _folder(promoted)
    promoted.add_argument(
        "--verdict", type=Path, required=True, metavar="FILE", help="what the red team found, as JSON"
    )
    promoted.add_argument("--into", type=Path, required=True, metavar="RELEASE", help="must not be there yet")
    _key(promoted, "", "the trainer's public key", required=True)
    _key(promoted, "redteam-", "the red team's private key", required=True)
    return parser


def _command(
    commands: Any, name: str, do: Callable[[argparse.Namespace], Answer], about: str
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(
        name, help=about, description=f"{about[:1].upper()}{about[1:]}."
    )
    command.add_argument("--format", choices=["text", "json"], default="text", help="text if not given")
    command.set_defaults(do=do)
    return command


def _folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", type=Path, help="the folder that holds model/")


def _key(command: argparse.ArgumentParser, prefix: str, whose: str, *, required: bool) -> None:
    either = command.add_mutually_exclusive_group(required=required)
    either.add_argument(f"--{prefix}key", type=Path, metavar="FILE", help=f"{whose}, in PEM")
    either.add_argument(f"--{prefix}kms", metavar="ARN", help="or the ARN of a key of KMS (needs AWS)")


if __name__ == "__main__":
    raise SystemExit(main())
