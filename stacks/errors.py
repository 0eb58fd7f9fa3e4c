"""A setting that cannot be used: where it stands, what is wrong, what to write instead."""

from __future__ import annotations

import pulumi


class SettingsError(pulumi.RunError):
    """Messages, one a line. The engine prints a ``RunError`` without a traceback."""
