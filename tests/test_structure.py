"""Who may know whom: components, stacks, policies, the workbench and the services stay apart."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

PULUMI = {"pulumi", "pulumi_aws", "pulumi_kubernetes"}

MAY_IMPORT = {
    # The pack runs as a process of its own and shares no code with what it inspects.
    "policies": {
        "pulumi_policy",
        "policy_sentry",
        "pydantic",
        "pydantic_core",
        "yaml",
        "machinery",
        "controls",
    },
    "components": PULUMI | {"components"},
    "stacks": {
        "pulumi",
        "pulumi_aws",
        "pulumi_kubernetes",
        "components",
        "stacks",
        "pydantic",
        "pydantic_core",
        "cryptography",
    },
}
"""What a folder may import besides the standard library."""


def python_files(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if ".venv" not in path.parts)


def imported(path: Path) -> Iterator[str]:
    """Yield the top-level package of every import in a file, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative imports hide who knows whom"
            yield (node.module or "").partition(".")[0]


def services_imported(path: Path) -> Iterator[str]:
    """Yield the service that each ``services.…`` import of a file names."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("services."))


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_a_folder_knows_only_what_it_may(folder: str) -> None:
    files = python_files(folder)
    assert files
    strangers = {
        f"{path.relative_to(ROOT)} imports {package}"
        for path in files
        for package in imported(path)
        if package not in sys.stdlib_module_names and package not in MAY_IMPORT[folder]
    }
    assert strangers == set()


def test_the_workbench_is_not_imported_by_what_it_inspects() -> None:
    for folder in ("components", "stacks", "policies"):
        for path in python_files(folder):
            assert "blueprint" not in set(imported(path)), path


def test_the_workbench_meets_the_pack_only_over_the_protocol() -> None:
    for path in python_files("blueprint"):
        assert not {"policies", "machinery", "controls", "components", "stacks"} & set(imported(path)), path


def test_the_program_is_settings_in_platform_out() -> None:
    program = ROOT / "__main__.py"
    assert set(imported(program)) == {"stacks"}
    assert len(program.read_text().splitlines()) <= 10


def test_every_module_says_its_idea_in_its_first_line() -> None:
    silent = []
    for folder in ("components", "stacks", "policies", "blueprint", "services"):
        for path in python_files(folder):
            docstring = ast.get_docstring(ast.parse(path.read_text()))
            if not docstring or not docstring.splitlines()[0].rstrip().endswith((".", ":", "`` and alike.")):
                silent.append(str(path.relative_to(ROOT)))
    assert silent == []


SHARED = {"shared", "modelchain", "screens"}
"""What services have in common; these know each other and no service."""


def test_a_service_knows_nothing_of_the_platform_and_of_no_other_service() -> None:
    platform = PULUMI | {"components", "stacks", "policies", "blueprint", "machinery", "controls", "tests"}
    for path in python_files("services"):
        assert not platform & set(imported(path)), path
        own = path.relative_to(ROOT / "services").parts[0]
        strangers = set(services_imported(path)) - {own, *SHARED}
        assert not strangers, f"{path} imports {strangers}"


def test_no_file_names_a_package_registry() -> None:
    # Locks are compiled without index lines, so the repository works behind any mirror.
    for lock in [*ROOT.glob("requirements*.lock"), *ROOT.glob("services/*/requirements*.lock")]:
        assert "://" not in lock.read_text(), lock


def test_the_page_about_policies_shows_a_control_as_it_is() -> None:
    page = (ROOT / "docs" / "policies.md").read_text()
    example = page.split("```python\n")[1].split("\n```")[0]
    assert example in (ROOT / "policies" / "controls" / "net.py").read_text()


def test_the_page_about_the_rehearsal_shows_an_assertion_as_it_is() -> None:
    page = (ROOT / "docs" / "rehearsal.md").read_text()
    example = page.split("```python\n")[1].split("\n```")[0]
    assert example in (ROOT / "blueprint/rehearsal/assertions/database.py").read_text()
