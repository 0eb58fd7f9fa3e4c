"""Runs the repository's own Pulumi program for one environment."""

from __future__ import annotations

import runpy
import sys
import traceback
from pathlib import Path

import pulumi

from blueprint.environments import ROOT, configuration, project_name
from blueprint.errors import BadInput, BlueprintError
from blueprint.graph import Graph
from blueprint.outputs import resolve
from blueprint.recorder import Answer, record


def run(environment: str, *, root: Path = ROOT, unknowns: bool = False, answer: Answer = resolve) -> Graph:
    """Return the graph of an environment.

    Raises:
        BadInput: a setting is wrong, or the program is; one message says where.
    """
    config = configuration(environment, root)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))

    def program() -> None:
        runpy.run_path(str(root / "__main__.py"), run_name="__main__")

    try:
        return record(
            program,
            project=project_name(root),
            stack=environment,
            config=config,
            unknowns=unknowns,
            root=root,
            answer=answer,
        )
    except BlueprintError:
        raise
    except pulumi.RunError as error:
        raise BadInput(str(error)) from None
    except Exception as error:
        raise BadInput(f"{_place(error, root)}: {error or type(error).__name__}") from error


def _place(error: BaseException, root: Path) -> str:
    """Return ``file:line`` of the innermost frame in the repository's own code."""
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        path = Path(frame.filename)
        if (
            path.is_relative_to(root)
            and "site-packages" not in path.parts
            and path.parts[-2:-1] != ("blueprint",)
        ):
            return f"{path.relative_to(root).as_posix()}:{frame.lineno}"
    return "the program"
