"""A stack file that cannot be read gets one message with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from blueprint.environments import configuration, environments
from blueprint.errors import BadInput


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "stacks").mkdir()
    (tmp_path / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    return tmp_path


def refused(root: Path, text: str | bytes) -> str:
    file = root / "stacks" / "Pulumi.dev.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(BadInput) as caught:
        configuration("dev", root)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_the_shipped_environments_are_found() -> None:
    assert environments() == ["dev", "federation", "prod", "silo", "staging"]


def test_structured_values_are_json_text_as_the_engine_hands_them_over(root: Path) -> None:
    (root / "stacks" / "Pulumi.dev.yaml").write_text(
        'config:\n  shop:a: {b: [1, "2"]}\n  c: text\n  aws:d: true\n'
    )
    assert configuration("dev", root) == {"shop:a": '{"b": [1, "2"]}', "shop:c": "text", "aws:d": "true"}


def test_an_unknown_environment_names_the_nearest() -> None:
    with pytest.raises(BadInput, match=r"no environment 'prd': did you mean prod\?"):
        configuration("prd")


def test_an_environment_cannot_lead_out_of_the_folder(root: Path) -> None:
    (root / "Pulumi.secret.yaml").write_text("config: {}")
    with pytest.raises(BadInput, match="no environment"):
        configuration("../../x", root)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("config:\n  a: [1\n", "line 3"),
        ("config:\n\ta: 1\n", "line 2"),
        ("- a\n", "is not a mapping"),
        ("", "is not a mapping"),
        ("config:\n", "config: is missing"),
        ("other: {a: 1}\n", "config: is missing"),
        ("config:\n  a: 1\n  a: 2\n", "a second time"),
        ("config:\n  a: {secure: abc}\n", "is an encrypted secret"),
        (b"config: \xff\xfe", "is not UTF-8"),
        ("config: !!python/object/apply:os.system [id]\n", "could not determine a constructor"),
        ("config:\n  1: 2\n", "is not text"),
        ("config: " + "[" * 5000, "nested too deeply"),
    ],
)
def test_a_broken_file_is_located(text: str | bytes, says: str, root: Path) -> None:
    message = refused(root, text)
    assert message.startswith("stacks/Pulumi.dev.yaml: ")
    assert says in message


def test_a_huge_file_is_refused_unread(root: Path) -> None:
    assert "larger than 1 MiB" in refused(root, b"#" * (1 << 21))
