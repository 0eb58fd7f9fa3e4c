"""Feature squeezing: an input whose answer changes once needless detail is taken away was made to deceive.

Xu, Evans and Qi, "Feature Squeezing: Detecting Adversarial Examples in Deep Neural Networks" (NDSS 2018). An input is
squeezed in several ways; its score is the largest L1 distance between the model's probabilities for the input and for
a squeezed one (section 5, joint detection), from 0 to 2. The squeezers are the paper's: fewer bits of colour, a median
filter, non-local means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import cv2
import numpy as np
from scipy import ndimage

from services.modelchain.schema import BitDepth, Median, NonLocalMeans, Squeezer, Squeezing
from services.screens import thresholds

Predict = Callable[[np.ndarray], np.ndarray]
"""Probabilities float[batch, classes] of inputs float32[batch, *shape]."""


def squeezed(batch: np.ndarray, squeezers: Sequence[Squeezer], low: float, high: float) -> list[np.ndarray]:
    """Return the batch squeezed by each squeezer, float32[batch, *shape] each, within ``low`` and ``high``.

    Args:
        batch: Numbers between ``low`` and ``high``. Filters work on the last two dimensions: [batch, height, width] or
            [batch, channels, height, width].
        squeezers: How to squeeze.
        low: Smallest value of an input.
        high: Largest.

    Raises:
        ValueError: If a filter is asked for examples that are not images.
    """
    batch = np.ascontiguousarray(batch, dtype=np.float32)
    if batch.ndim not in (3, 4) and any(not isinstance(each, BitDepth) for each in squeezers):
        raise ValueError(
            "squeezers: median and non-local means need images; [batch, (channels,) height, width]"
        )
    return [_squeezed(batch, each, low, high) for each in squeezers]


def distances(answers: np.ndarray, squeezed_answers: Sequence[np.ndarray]) -> np.ndarray:
    """Return the largest L1 distance between the answers to each input and to its squeezed selves, float[batch].

    Args:
        answers: Probabilities for the inputs, float[batch, classes].
        squeezed_answers: Those for the batch squeezed by each squeezer.
    """
    apart = [np.abs(answers - other).sum(axis=1) for other in squeezed_answers]
    return np.asarray(np.maximum.reduce(apart))


def scores(
    predict: Predict, batch: np.ndarray, squeezers: Sequence[Squeezer], low: float, high: float
) -> np.ndarray:
    """Return the distances of a batch, float[batch], in one call of the model."""
    together = np.concatenate([batch, *squeezed(batch, squeezers, low, high)])
    answers = np.split(predict(together.astype(np.float32, copy=False)), len(squeezers) + 1)
    return distances(answers[0], answers[1:])


def calibrated(
    predict: Predict,
    held_out: np.ndarray,
    squeezers: Sequence[Squeezer],
    low: float,
    high: float,
    *,
    false_positive_rate: float,
) -> Squeezing:
    """Return the squeezers with the threshold on their joint distance.

    Args:
        predict: The model.
        held_out: Clean examples that the model was not trained on, float32[n, *shape].
        squeezers: How to squeeze.
        low: Smallest value of an input.
        high: Largest.
        false_positive_rate: Share of clean inputs that may be taken for adversarial.

    Raises:
        ValueError: If ``held_out`` is too small for the rate, or holds no images and a filter is asked for.
    """
    line = thresholds.calibrated(scores(predict, held_out, squeezers, low, high), false_positive_rate)
    return Squeezing(
        threshold=line.threshold, false_positive_rate=line.false_positive_rate, squeezers=tuple(squeezers)
    )


def _squeezed(batch: np.ndarray, squeezer: Squeezer, low: float, high: float) -> np.ndarray:
    if isinstance(squeezer, BitDepth):
        return _fewer_bits(batch, squeezer.bits, low, high)
    if isinstance(squeezer, Median):
        return _median(batch, squeezer.window)
    return _non_local_means(batch, squeezer, low, high)


def _fewer_bits(batch: np.ndarray, bits: int, low: float, high: float) -> np.ndarray:
    step = np.float32((high - low) / (2**bits - 1))
    return np.asarray(np.rint((batch - np.float32(low)) / step) * step + np.float32(low))


def _median(batch: np.ndarray, window: int) -> np.ndarray:
    # The same filter three times: the short ways take a tenth of the long one's time on a small image.
    if window == 2:
        return _median_of_four(batch)
    if window == 3:
        flat = batch.reshape(-1, *batch.shape[-2:])
        return np.stack([cv2.medianBlur(image, 3) for image in flat]).reshape(batch.shape)
    size = (1,) * (batch.ndim - 2) + (window, window)
    return np.asarray(ndimage.median_filter(batch, size=size, mode="reflect"))


def _median_of_four(batch: np.ndarray) -> np.ndarray:
    # A pixel, the one above, the one to the left, and the one between: as the paper's code, the upper of both middles.
    padded = np.empty((*batch.shape[:-2], batch.shape[-2] + 1, batch.shape[-1] + 1), dtype=np.float32)
    padded[..., 1:, 1:] = batch
    padded[..., 0, 1:] = batch[..., 0, :]
    padded[..., :, 0] = padded[..., :, 1]
    here, above = padded[..., 1:, 1:], padded[..., :-1, 1:]
    left, corner = padded[..., 1:, :-1], padded[..., :-1, :-1]
    lower = np.maximum(np.minimum(here, above), np.minimum(left, corner))
    upper = np.minimum(np.maximum(here, above), np.maximum(left, corner))
    return np.maximum(lower, upper)


def _non_local_means(batch: np.ndarray, squeezer: NonLocalMeans, low: float, high: float) -> np.ndarray:
    # OpenCV works on bytes.
    scale = np.float32(255 / (high - low))
    flat = np.rint((batch.reshape(-1, *batch.shape[-2:]) - np.float32(low)) * scale)
    images = np.clip(flat, 0, 255).astype(np.uint8)
    denoised = [
        cv2.fastNlMeansDenoising(image, None, squeezer.strength, squeezer.patch, squeezer.search)
        for image in images
    ]
    return np.stack(denoised).reshape(batch.shape).astype(np.float32) / scale + np.float32(low)
