"""The gateway on one's own machine: two models, trained and signed here, a token, and lines to try (``make gateway``)."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from services.gateway.samples import build
from services.gateway.settings import AUDIENCE
from services.shared.local import ISSUER, Issuer, certificates

CALLER = "apps:triage"
"""A service account that ``clients.yaml`` names."""


def environment(folder: Path, issuer: Issuer) -> dict[str, str]:
    """Return the settings of a local gateway over the keys and releases that lie in a folder."""
    certificate, key = certificates(folder / "service-ca.pem")
    (folder / "service.pem").write_bytes(certificate + key)
    (folder / "secret").write_bytes(os.urandom(32).hex().encode())
    return {
        "CALLER_ISSUER": ISSUER,
        "CALLER_KEYS_FILE": str(issuer.keys_file),
        "TLS_FILE": str(folder / "service.pem"),
        "MODEL_FOLDER": str(folder / "releases"),
        "TRAINER_KEY_FILE": str(folder / "trainer.pub"),
        "VERDICT_KEY_FILE": str(folder / "redteam.pub"),
        "BUDGET_FILE": str(folder / "budget.sqlite"),
        "QUERY_SECRET_FILE": str(folder / "secret"),
        "STATE_FOLDER": str(folder / "state"),
    }


def digit(schema: Path) -> list[object]:
    """Return a handwritten digit as the model whose schema this is takes it."""
    from sklearn.datasets import load_digits

    takes = json.loads(schema.read_text())["input"]
    image = load_digits().images[0] / 16 * (takes["high"] - takes["low"]) + takes["low"]
    made: list[object] = image.reshape(takes["shape"]).tolist()
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Run until interrupted."""
    parser = argparse.ArgumentParser(prog="python -m services.gateway.local", description=__doc__)
    parser.add_argument(
        "--folder",
        type=Path,
        help="serve what lies in releases/ there, by trainer.pub and redteam.pub; none is made. A token for the "
        "other programs is left there",
    )
    given = parser.parse_args(arguments)
    if given.folder is not None:
        return _serve(given.folder)
    say = sys.stderr.write
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        say("Training, judging and signing two models\n")
        build(folder)
        issuer = Issuer(folder, AUDIENCE)
        settings = environment(folder, issuer)
        call = f"curl --cacert {folder}/service-ca.pem -H 'Authorization: Bearer {issuer.token(CALLER)}'"
        at = f"https://localhost:{os.environ.get('PORT', '8443')}/v1/models"
        (schema,) = (folder / "releases/digits").glob("*/model/schema.json")
        asked = {
            "digits": [digit(schema)],
            "spam": [{"text": "WIN a fr\u200bee pr\u200bize n0w, cl1ck here"}, {"text": "Lunch at noon?"}],
        }
        say(f"\n{call} {at}\n\n")
        for model, inputs in asked.items():
            say(f"{call} {at}/{model}/predict --json '{json.dumps({'inputs': inputs})}'\n\n")
        say("Lines of the query log follow; Ctrl-C ends it.\n")
        with suppress(KeyboardInterrupt):
            subprocess.run(
                [sys.executable, "-m", "services.gateway"], env={**os.environ, **settings}, check=False
            )
    return 0


def _serve(folder: Path) -> int:
    issuer = Issuer(folder, AUDIENCE)
    (folder / "token").write_text(issuer.token(CALLER))
    settings = environment(folder, issuer)
    with suppress(KeyboardInterrupt):
        subprocess.run(
            [sys.executable, "-m", "services.gateway"], env={**os.environ, **settings}, check=False
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
