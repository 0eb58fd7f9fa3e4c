"""The image of a federation's server, silo and operator."""

from __future__ import annotations

from pathlib import Path

from tests.services.image import Image, OfEveryImage


class TestImage(OfEveryImage):
    image = Image(
        service="federated",
        programs={
            "services.federated server": "federated: TLS_FILE: give this or TLS_SECRET_ID, and not both",
            "services.federated silo": "federated: SILO_NAME: is not set",
            "services.federated operator": "federated: SERVER_ADDRESS: is not set",
        },
        imported_late=["boto3", "flwr.supernode.cli", "flwr.supercore.cli.flower_superexec"],
        needed=("trustme", "trustme"),
        files={"digits.npz", "pyproject.toml", "operators.py"},
    )

    def test_what_is_for_trying_is_not_in_the_image(self, tmp_path: Path) -> None:
        found = {path.name for path in self.image.app(tmp_path).rglob("*")}
        assert not found & {"local.py", "postgres.py"}
        assert self.image.files <= found
