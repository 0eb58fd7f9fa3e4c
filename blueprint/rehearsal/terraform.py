"""Runs Terraform (or OpenTofu) with the AWS provider, offline, against an emulated AWS."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from blueprint.errors import BadInput, BlueprintError
from blueprint.rehearsal.schema import Schema

_PROVIDER = "*/hashicorp/aws"
"""Below a folder of plugins: the registry that it came from, whichever that was, then the provider's address."""

_PLUGIN_PLACES = ("~/.terraform.d", "/usr/local/share/terraform", "/usr/share/terraform", "/opt")
"""Where machines and images keep providers (Terraform CLI documentation, "Implied local mirrors"), and /opt."""

HOW_TO_GET_IT = (
    "the rehearsal needs terraform or tofu on the PATH, and the hashicorp/aws provider: install one of them, and "
    "give it the network once, or point TF_PLUGIN_DIR at a directory of plugins"
)

# Keys that no account has: the emulator takes any, and AWS would take none.
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_EC2_METADATA_DISABLED": "true",
    "TF_IN_AUTOMATION": "1",
    "CHECKPOINT_DISABLE": "1",
}
_NOT_OURS = ("TF_CLI_CONFIG_FILE", "AWS_CA_BUNDLE", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CONFIG_FILE")


class PhaseFailed(BlueprintError):
    """A phase of the rehearsal failed; the message names it."""


def executable() -> str:
    """Return the path of terraform or tofu.

    Raises:
        BadInput: there is neither.
    """
    found: str | None = shutil.which("terraform") or shutil.which("tofu")
    if found is None:
        raise BadInput(HOW_TO_GET_IT)
    return found


def plugin_folder() -> Path | None:
    """Return a folder of plugins that has the AWS provider, where this machine has one."""
    named = os.environ.get("TF_PLUGIN_DIR")
    for place in (Path(text).expanduser() for text in ([named] if named else _PLUGIN_PLACES)):
        candidates: list[Path] = [place, *sorted(place.glob("*"))]
        for folder in candidates:
            if any(folder.glob(_PROVIDER)):
                return folder
    return None


class Terraform:
    """Terraform in one working folder; ``run`` bounds every call and never leaves a process behind."""

    def __init__(self, folder: Path, *, endpoint: str, deadline: Callable[[], float]) -> None:
        self._folder = folder
        self._executable = executable()
        self._deadline = deadline
        environment = {k: v for k, v in os.environ.items() if k not in _NOT_OURS}
        self._environment = {**environment, **ENVIRONMENT, "AWS_ENDPOINT_URL": endpoint}

    def write(self, document: Mapping[str, Any]) -> None:
        """Replace the configuration."""
        (self._folder / "main.tf.json").write_text(json.dumps(document), encoding="utf-8")

    def put(self, name: str, content: bytes) -> None:
        """Put a file beside the configuration."""
        (self._folder / name).write_bytes(content)

    def initialise(self) -> None:
        """Find the provider, in a local folder or in the registry.

        Raises:
            BadInput: it is not to be had.
        """
        folder = plugin_folder()
        source = [f"-plugin-dir={folder}"] if folder else []
        code, output = self._collect("init", "init", "-input=false", "-no-color", *source)
        if code != 0:
            raise BadInput(f"{HOW_TO_GET_IT} ({_last_line(output)})")

    def schema(self) -> Schema:
        """Return the provider's schema."""
        code, output = self._collect("schema", "providers", "schema", "-json")
        if code != 0:
            raise PhaseFailed(f"schema: the provider did not tell its schema: {_last_line(output)}")
        found = json.loads(output)["provider_schemas"]
        (provider,) = (value for name, value in found.items() if name.endswith("hashicorp/aws"))
        return Schema(version=self._version(), types=provider["resource_schemas"])

    def events(self, *arguments: str) -> Iterator[dict[str, Any]]:
        """Run a command with ``-json`` and yield what it says, line by line; the last event holds its status."""
        process = self._start(*arguments)
        timer = threading.Timer(max(0.0, self._deadline()), _kill, [process])
        # An interrupt may come at any line: a timer that is left must not keep the program alive.
        timer.daemon = True
        try:
            timer.start()
            assert process.stdout is not None  # noqa: S101 - opened with PIPE
            for line in process.stdout:
                try:
                    yield json.loads(line)
                except ValueError:
                    continue
            yield {"type": "exit", "code": process.wait(), "timed_out": self._deadline() <= 0}
        finally:
            timer.cancel()
            _end(process)

    def validate(self) -> list[dict[str, Any]]:
        """Return what is wrong with the configuration, by the provider's own checks."""
        _, output = self._collect("validate", "validate", "-json")
        try:
            found = json.loads(output)["diagnostics"]
        except (ValueError, KeyError):
            raise PhaseFailed(
                f"validate: terraform cannot tell what it thinks: {_last_line(output)}"
            ) from None
        return [each for each in found if each["severity"] == "error"]

    def show(self, phase: str, *plan: str) -> dict[str, Any]:
        """Return the state, or a plan that was kept in a file, as Terraform tells it to machines."""
        code, output = self._collect(phase, "show", "-json", *plan)
        if code != 0:
            raise PhaseFailed(f"{phase}: terraform cannot show what it did: {_last_line(output)}")
        shown: dict[str, Any] = json.loads(output)
        return shown

    def _version(self) -> str:
        code, output = self._collect("schema", "version", "-json")
        selections = json.loads(output).get("provider_selections", {}) if code == 0 else {}
        return next(iter(selections.values()), "of an unknown version")

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 - terraform in a folder of our own
            [self._executable, *arguments],
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # A signal to us must not reach it at the same time: we end it ourselves.
            start_new_session=True,
        )

    def _collect(self, phase: str, *arguments: str) -> tuple[int, str]:
        process = self._start(*arguments)
        try:
            output, _ = process.communicate(timeout=max(0.0, self._deadline()))
        except subprocess.TimeoutExpired:
            raise PhaseFailed(
                f"{phase}: took longer than the time limit; give it more with --timeout"
            ) from None
        finally:
            _end(process)
        return process.returncode, output


def _kill(process: subprocess.Popen[str]) -> None:
    """Kill a process and all that it started: providers outlive a terraform that is killed alone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end(process: subprocess.Popen[str]) -> None:
    _kill(process)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _last_line(output: str) -> str:
    return next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "no output")[:300]
