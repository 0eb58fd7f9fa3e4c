"""Aggregations that some lying silos cannot move far; they compare single updates, so the server has to see those.

Flower's own: the coordinate-wise median and trimmed mean (Yin et al., "Byzantine-Robust Distributed Learning", ICML 2018),
Krum and multi-Krum (Blanchard et al., "Machine Learning with Adversaries", NeurIPS 2017).
"""

from __future__ import annotations

from flwr.server.strategy import FedAvg, FedMedian, FedTrimmedAvg, Krum

from services.federated.settings import Settings

ROUNDING = 1e-9
"""So that a share of the answers is never rounded below the whole number that was meant."""


def strategy(settings: Settings) -> FedAvg:
    """Return Flower's strategy that stands for the agreed aggregation."""
    if settings.aggregation == "median":
        return FedMedian()
    if settings.aggregation == "trimmed-mean":
        # Of ``threshold`` answers or more, at least ``poisoned`` are left out at either end.
        return FedTrimmedAvg(beta=settings.poisoned / settings.threshold + ROUNDING)
    if settings.aggregation == "krum":
        return Krum(num_malicious_clients=settings.poisoned)
    if settings.aggregation == "multi-krum":
        kept = settings.threshold - settings.poisoned - 2
        return Krum(num_malicious_clients=settings.poisoned, num_clients_to_keep=kept)
    return FedAvg()
