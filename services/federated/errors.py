"""What a federation refuses, in one plain sentence."""

from __future__ import annotations


class FederatedError(Exception):
    """Something is missing, wrong or refused; the message says where and what to write instead."""
