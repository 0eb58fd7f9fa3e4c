"""The image of the red team."""

from __future__ import annotations

from tests.services.image import Image, OfEveryImage


class TestImage(OfEveryImage):
    image = Image(
        service="redteam",
        programs={"services.redteam gate digits 1 --thresholds t --job j": "redteam: SIGNING_KEY_ARN: "},
        imported_late=["boto3", "torch", "rapidocr", "onnxruntime"],
        needed=("jinja2", "jinja2"),
        files={"page.html.j2", "thresholds.yaml", "words.txt"},
    )
