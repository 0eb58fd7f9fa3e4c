"""What is written in a picture, read by two engines that miss different things."""

from __future__ import annotations

import threading

import numpy as np
from PIL import Image
from rapidocr import RapidOCR


class Reader:
    """Reads pictures; one for a process, since the engine takes a second to start and 100 MB."""

    def __init__(self) -> None:
        """Start the engine."""
        self._turn = threading.Lock()
        self._engine = RapidOCR(
            params={
                "Global.log_level": "critical",
                "Global.use_cls": False,
                "EngineConfig.onnxruntime.intra_op_num_threads": 1,
                "Det.limit_type": "max",
                "Det.limit_side_len": 736,
            }
        )

    def text(self, image: Image.Image) -> str:
        """Return what is written in a picture."""
        with self._turn:
            answer = self._engine(np.asarray(image.convert("RGB"))[:, :, ::-1])
        return "\n".join(getattr(answer, "txts", None) or ())
