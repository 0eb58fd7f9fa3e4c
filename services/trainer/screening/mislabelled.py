"""Labels that look wrong, by confident learning (cleanlab): for people to look at.

Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels" (JAIR 2021), over
probabilities by networks that did not see the row. A network as small as the screen's errs too, so some rows that it
names are hard rather than wrong.
"""

from __future__ import annotations

import numpy as np

from services.trainer.screening.findings import Finding


def found(probabilities: np.ndarray, labels: np.ndarray, classes: tuple[str, ...]) -> list[Finding]:
    """Return rows whose label looks wrong, the likeliest first.

    Args:
        probabilities: float32[n, classes], each row by a network that did not see it (``plain.out_of_fold``).
        labels: int64[n].
        classes: Their names, which the declaration knows already.
    """
    # A second to import, which a job that goes on has no need of.
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    # cleanlab knows only classes that somebody has.
    present, renamed = np.unique(labels, return_inverse=True)
    told = probabilities[:, present].astype(np.float64) + 1e-12
    told /= told.sum(1, keepdims=True)
    issues = find_label_issues(
        renamed, told, filter_by="both", return_indices_ranked_by="self_confidence", n_jobs=1
    )
    quality = get_label_quality_scores(renamed, told)
    return [
        Finding(
            row=int(row),
            screen="mislabelled",
            score=round(1 - float(quality[row]), 4),
            reason=f"looks like {classes[present[told[row].argmax()]]} rather than {classes[labels[row]]}",
        )
        for row in issues
    ]
