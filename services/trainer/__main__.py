"""Trains: ``python -m services.trainer run job.yaml --manifest FOLDER --out FOLDER``."""

from __future__ import annotations

import argparse
import json
import os
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

# Before torch is imported: sums on a GPU in one order (NVIDIA, "cuBLAS", section "Results reproducibility").
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

import torch

from services.modelchain.errors import ModelError
from services.modelchain.keys import file_signer, kms_signer
from services.shared.data_client import DataApiClient
from services.trainer import checkpoints, job, manifest, private, settings
from services.trainer.errors import TrainerError
from services.trainer.progress import Shown
from services.trainer.run import Places, answering, run, vouch

ABOUT = """\
Trains a model on data of the data-access API: screened, private, signed.

  1. Somebody who knows the data vouches for it:    python -m services.trainer manifest job.yaml --key steward.key --out data
  2. The job is trained:                            python -m services.trainer run job.yaml --manifest data --out out
  3. The red team judges out/candidate.

A job that is stopped, however it is stopped, goes on when the same command is given again: to the same weights, at the
same epsilon, charged once. docs/training.md shows a job and tells what each key means.
"""

AFTER = """\
exit codes:
  0  done
  2  something given is wrong: the job, the environment, the manifest, the data; the message says what to write
  3  the screens stopped it: more of the data is suspect than the job bears; see OUT/quarantine
  4  the privacy budget of the dataset does not cover it
  5  something outside did not answer; give the same command again

environment:
  DATA_API_URL, DATA_API_TOKEN_FILE             where the data are, and the token of the service account
  DATA_API_CA_FILE or DATA_API_CA_SECRET_ID     whom that address's certificate must descend from
  DP_EPSILON, DP_DELTA                          most that a job may ask for
  MANIFEST_KEY_FILE or MANIFEST_KEY_ARN         the public key of whoever vouches for data
  SIGNING_KEY_FILE or SIGNING_KEY_ARN           the trainer's private key
  MODEL_BUCKET, MODEL_PREFIX, AWS_REGION        where candidates go; they stay in OUT without a bucket
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what is asked; whatever is wrong is one line on standard error."""
    asked = _parser().parse_args(arguments)
    try:
        done: int = asked.do(asked)
    except TrainerError as error:
        sys.stderr.write(f"trainer: {error}\n")
        return error.code
    except KeyboardInterrupt:
        sys.stderr.write("trainer: stopped; give the same command again to go on\n")
        return 130
    return done


def _run(asked: argparse.Namespace) -> int:
    torch.use_deterministic_algorithms(True)
    read = job.read(asked.job)
    places = Places(job=asked.job, manifest=asked.manifest, into=asked.out)
    with Shown(f"{read.name} {read.version}") as shown:
        result = run(places, read, settings.read(os.environ), shown)
    revealed = "not private" if result.epsilon is None else f"epsilon {result.epsilon:.3f}"
    sys.stdout.write(f"{result.digest}\n")
    sys.stderr.write(
        f"trainer: {read.name} {read.version}: accuracy {result.accuracy:.1%}, {revealed}, "
        f"{result.uploaded or asked.out / 'candidate'}\n"
    )
    return 0


def _manifest(asked: argparse.Namespace) -> int:
    read, told = job.read(asked.job), settings.read(os.environ)
    try:
        signer = kms_signer(asked.key_arn, told.aws_region or "") if asked.key_arn else file_signer(asked.key)
    except ModelError as error:
        raise TrainerError(str(error)) from None
    client = DataApiClient(told.data_api_url, token=lambda: settings.token(told), tls=settings.trusted(told))
    try:
        with answering():
            made = vouch(client, read, asked.job.name)
    finally:
        client.close()
    manifest.write(asked.out, made, signer)
    sys.stdout.write(f"{made.digest}\n")
    sys.stderr.write(
        f"trainer: {made.rows} rows in {len(made.batches)} batches are vouched for in {asked.out}\n"
    )
    return 0


def _inspect(asked: argparse.Namespace) -> int:
    folder = asked.work if (asked.work / checkpoints.NAME).exists() else asked.work / "work"
    found = checkpoints.read(folder)
    if found is None:
        raise TrainerError(
            f"{asked.work}: holds no {checkpoints.NAME}; name the folder that a job was given as --out"
        )
    state, tensors = found
    said = state.model_dump(mode="json", exclude={"secret"})
    said["weights"] = {
        name.removeprefix("weights."): list(tensor.shape)
        for name, tensor in tensors.items()
        if name.startswith("weights.")
    }
    if state.history and asked.delta:
        said["epsilon"] = private.epsilon(list(state.history), asked.delta)
    sys.stdout.write(json.dumps(said, indent=2) + "\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="python -m services.trainer", description=ABOUT, epilog=AFTER, formatter_class=shape
    )
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")
    run = verbs.add_parser(
        "run",
        help="train a job, or go on with it",
        description=textwrap.dedent(
            """\
            Reads the data, holds every batch against the manifest, screens them, charges the dataset's privacy budget,
            trains, and writes OUT/candidate (signed), OUT/curves.svg, OUT/quarantine and OUT/examples.npz (what the red
            team judges with; raw rows, so keep it from others). OUT/work holds the checkpoint while it trains.
            """
        ),
        epilog=AFTER,
        formatter_class=shape,
    )
    run.add_argument("job", type=Path, metavar="JOB.yaml")
    run.add_argument(
        "--manifest", type=Path, required=True, help="the folder that the command manifest wrote"
    )
    run.add_argument("--out", type=Path, required=True, help="where everything goes; the same one to go on")
    run.set_defaults(do=_run)
    vouching = verbs.add_parser(
        "manifest",
        help="vouch for the data that a job reads",
        description="Reads what the job reads, and signs a digest of each batch. Look at the data before you sign.",
        formatter_class=shape,
    )
    vouching.add_argument("job", type=Path, metavar="JOB.yaml")
    key = vouching.add_mutually_exclusive_group(required=True)
    key.add_argument("--key", type=Path, help="the private key of whoever vouches, in PEM; not the trainer's")
    key.add_argument("--key-arn", help="the same in AWS KMS (needs AWS)")
    vouching.add_argument(
        "--out", type=Path, required=True, help="a new folder: manifest.json and manifest.sig"
    )
    vouching.set_defaults(do=_manifest)
    inspecting = verbs.add_parser(
        "inspect-checkpoint",
        help="tell what a checkpoint holds, without its secret",
        description="Prints job, step, accountant and shapes of weights as JSON; never the key of the noise.",
        formatter_class=shape,
    )
    inspecting.add_argument("work", type=Path, metavar="OUT", help="what the job was given as --out")
    inspecting.add_argument(
        "--delta", type=float, help="tell the epsilon that was spent so far at this delta"
    )
    inspecting.set_defaults(do=_inspect)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
