"""Networks: gradients are right, rows are cut one by one, and the graph answers as the arrays do."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from services.federated import models, samples
from services.federated.models import Arrays, Network
from services.federated.samples import FEWEST

NETWORKS = [Network(inputs=64, classes=10), Network(inputs=64, classes=10, hidden=(5,))]


def arrays_of(net: Network) -> Arrays:
    drawn = np.random.default_rng(1)
    return [drawn.normal(size=shape).astype(np.float32) / 4 for shape in net.shapes]


@pytest.mark.parametrize("net", NETWORKS)
def test_the_gradient_is_how_the_loss_changes(net: Network) -> None:
    x, y = (part[:20] for part in samples.training())
    arrays, step = [array.astype(np.float64) for array in arrays_of(net)], 1e-5
    gradient = models.gradient_sum(arrays, x, y)
    for at in (0, 7, net.size // 2, net.size - 1):
        vector = models.flat(arrays)
        losses = []
        for sign in (1, -1):
            moved = vector.copy()
            moved[at] += sign * step
            parts = np.split(moved, np.cumsum([array.size for array in arrays])[:-1])
            there = [part.reshape(array.shape) for part, array in zip(parts, arrays, strict=True)]
            losses.append(models.loss_and_accuracy(there, x, y)[0] * len(y))
        assert gradient[at] == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=1e-4)


@pytest.mark.parametrize("net", NETWORKS)
def test_each_row_is_cut_to_the_norm_by_itself(net: Network) -> None:
    x, y = (part[:30] for part in samples.training())
    arrays = arrays_of(net)
    rows = [models.gradient_sum(arrays, x[i : i + 1], y[i : i + 1]) for i in range(30)]
    cut = sum(row * min(1, 0.5 / np.linalg.norm(row)) for row in rows)
    assert np.allclose(models.gradient_sum(arrays, x, y, record_norm=0.5), cut)
    assert not np.allclose(cut, sum(rows))


def test_no_rows_have_no_gradient() -> None:
    net = NETWORKS[0]
    x, y = (part[:0] for part in samples.training())
    assert not models.gradient_sum(arrays_of(net), x, y, record_norm=1.0).any()


@pytest.mark.parametrize("net", NETWORKS)
def test_the_graph_answers_as_the_arrays_do(net: Network) -> None:
    arrays, (x, _) = arrays_of(net), samples.held_out()
    session = onnxruntime.InferenceSession(models.onnx_graph(arrays), providers=["CPUExecutionProvider"])
    said = session.run([models.OUTPUT], {models.INPUT: x})[0]
    assert np.abs(said - models.probabilities(arrays, x)).max() < 1e-5


def test_arrays_go_into_a_vector_and_back() -> None:
    arrays = arrays_of(NETWORKS[1])
    back = models.shaped(models.flat(arrays), NETWORKS[1].shapes)
    assert all(np.array_equal(one, other) for one, other in zip(arrays, back, strict=True))


def test_silos_share_the_digits_out_unevenly_and_nobody_is_left_without() -> None:
    from sklearn.datasets import load_digits

    x, y = samples.training()
    assert len(y) + len(samples.held_out()[1]) == len(load_digits().target)
    assert np.array_equal(
        np.sort((x * 16).sum(1)), np.sort(load_digits().data[np.arange(1797) % 5 != 0].sum(1))
    )
    for silos in (3, 30):
        parts = [samples.partition(number, silos, seed=1) for number in range(silos)]
        assert sum(len(part) for _, part in parts) == len(y)
        assert min(len(part) for _, part in parts) >= FEWEST
        shares = np.array([np.bincount(part, minlength=10) / len(part) for _, part in parts])
        assert shares.max(1).min() > 0.13
        again = samples.partition(1, silos, seed=1)
        assert np.array_equal(again[0], parts[1][0])
