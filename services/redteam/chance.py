"""Chance that can be repeated: each attack begins from the run's seed and its own name, whatever ran before it."""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def begin(seed: int, name: str) -> np.random.Generator:
    """Set every generator that the libraries draw from, and return one of our own."""
    derived = int.from_bytes(hashlib.sha256(f"{seed} {name}".encode()).digest()[:4], "big")
    random.seed(derived)
    np.random.seed(derived)
    torch.manual_seed(derived)
    return np.random.default_rng(derived)
