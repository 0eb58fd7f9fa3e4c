"""What ends a run before there is a verdict, and how a program says so."""

from __future__ import annotations

PASSED, FAILED, REFUSED = 0, 1, 2
"""Exit codes: the model withstood; it did not, or is none that may be released; something given is wrong."""


class RedTeamError(Exception):
    """Something given is wrong; the message is one sentence that says where, what, and what to write instead."""

    code = REFUSED


class Unfit(RedTeamError):
    """The model itself is at fault: not genuine, not whole, or not what it shows."""

    code = FAILED
