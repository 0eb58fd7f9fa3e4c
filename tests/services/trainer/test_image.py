"""The image of the trainer."""

from __future__ import annotations

from tests.services.image import Image, OfEveryImage


class TestImage(OfEveryImage):
    image = Image(
        service="trainer",
        programs={
            "services.trainer run x --manifest m --out o": "trainer: x: cannot be read: ",
        },
        imported_late=["boto3", "cleanlab.filter", "onnxscript"],
        needed=("pyarrow", "pyarrow"),
        files={"architectures.py", "operators.py", "novelty.py"},
    )
