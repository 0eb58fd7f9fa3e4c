"""The image of the gateway."""

from __future__ import annotations

from tests.services.image import Image, OfEveryImage


class TestImage(OfEveryImage):
    image = Image(
        service="gateway",
        programs={
            "services.gateway": "gateway: CALLER_ISSUER: ",
            "services.gateway.queries verify x": "queries: CALLER_ISSUER: ",
        },
        imported_late=["boto3", "services.screens.reading"],
        needed=("opencv-python-headless", "cv2"),
        files={"serving.yaml", "clients.yaml", "checker.py", "words.txt"},
    )
