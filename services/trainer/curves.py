"""A picture of the training, as SVG: how it does on rows that were held out, and what it has revealed."""

from __future__ import annotations

import io
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.figure import Figure

from services.trainer.checkpoints import Point

BLUE, ORANGE, GREY = "#1f5fa8", "#c8541a", "#5a5a5a"


def svg(curve: Sequence[Point], title: str) -> bytes:
    """Return the picture; the same curve gives the same bytes."""
    private = curve[-1].epsilon is not None
    # The salt makes the names inside the file the same each time.
    with mpl.rc_context({"svg.hashsalt": "curves", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(8 if private else 5.5, 3.4), layout="constrained")
        panels = figure.subplots(1, 2 if private else 1, squeeze=False)[0]
        epochs = [point.epoch for point in curve]
        _learning(panels[0], epochs, curve)
        if private:
            revealed = [point.epsilon or 0.0 for point in curve]
            panels[1].plot(epochs, revealed, color=ORANGE, marker=_marker(curve))
            panels[1].set(xlabel="epoch", ylabel="epsilon so far", ylim=(0, None))
            panels[1].spines[["top", "right"]].set_visible(False)
        figure.suptitle(title, x=0.01, ha="left")
        text = io.BytesIO()
        figure.savefig(text, format="svg", metadata={"Date": None, "Creator": "trainer"})
    return text.getvalue()


def _learning(panel: mpl.axes.Axes, epochs: Sequence[int], curve: Sequence[Point]) -> None:
    panel.plot(epochs, [point.accuracy for point in curve], color=BLUE, marker=_marker(curve))
    panel.set(xlabel="epoch", ylim=(0, 1.02))
    panel.set_ylabel("accuracy, held out", color=BLUE)
    panel.spines[["top"]].set_visible(False)
    loss = panel.twinx()
    loss.plot(epochs, [point.loss for point in curve], color=GREY, linestyle="--", marker=_marker(curve))
    loss.set(ylim=(0, None))
    loss.set_ylabel("loss, held out", color=GREY)
    loss.spines[["top"]].set_visible(False)


def _marker(curve: Sequence[Point]) -> str:
    return "o" if len(curve) < 3 else ""
