"""Program code in a rehearsal: the same zip for the same files, wherever and whenever they lie."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path
from typing import Any

import pulumi
import pulumi_aws as aws
import pytest

from blueprint.errors import BadInput
from blueprint.graph import Graph
from blueprint.recorder import record
from blueprint.rehearsal.archive import is_archive, zipped


def recorded(code: pulumi.Archive) -> dict[str, Any]:
    """Return an archive as the graph keeps it."""

    def program() -> None:
        aws.lambda_.Function("f", role="arn:aws:iam::111122223333:role/f", code=code)

    graph: Graph = record(program)
    found: dict[str, Any] = graph.of("aws:lambda/function:Function")[0].inputs["code"]
    assert is_archive(found)
    return found


def contents(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as made:
        return {name: made.read(name).decode() for name in made.namelist()}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "src" / "inner").mkdir(parents=True)
    (tmp_path / "src" / "b.py").write_text("b")
    (tmp_path / "src" / "inner" / "a.py").write_text("a")
    return tmp_path


def test_files_folders_and_texts_go_in(root: Path) -> None:
    code = pulumi.AssetArchive(
        {
            "lib": pulumi.FileArchive("src"),
            "main.py": pulumi.StringAsset("m"),
            "b.py": pulumi.FileAsset("src/b.py"),
        }
    )
    assert contents(zipped(recorded(code), root)) == {
        "b.py": "b",
        "lib/b.py": "b",
        "lib/inner/a.py": "a",
        "main.py": "m",
    }


def test_a_later_checkout_gives_the_same_zip(root: Path) -> None:
    archive = recorded(pulumi.FileArchive("src"))
    first = zipped(archive, root)
    os.utime(root / "src" / "b.py", (0, 1_000_000_000))
    assert zipped(archive, root) == first
    (root / "src" / "b.py").write_text("other")
    assert zipped(archive, root) != first


def test_a_file_that_is_not_there_is_named(root: Path) -> None:
    with pytest.raises(BadInput, match=r"gone\.py: No such file"):
        zipped(recorded(pulumi.AssetArchive({"x": pulumi.FileAsset("gone.py")})), root)


def test_code_from_the_network_is_refused(root: Path) -> None:
    with pytest.raises(BadInput, match="from files of the repository"):
        zipped(recorded(pulumi.RemoteArchive("https://example.org/code.zip")), root)
