"""What a user is told when a command cannot go on: one message with place and remedy, and an exit code."""

from __future__ import annotations


class BlueprintError(Exception):
    """A message for the user; ``exit_code`` is the status of the process that prints it."""

    exit_code = 1


class BadInput(BlueprintError):
    """A file, a setting or an argument is wrong; the message says where and what to write instead."""

    exit_code = 2


class PackFailure(BlueprintError):
    """The policy pack did not give a verdict that can be trusted, so nothing has passed."""

    exit_code = 3
