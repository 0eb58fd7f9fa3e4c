"""The image of the data-access API, and what is taken out of every image."""

from __future__ import annotations

from pathlib import Path

import pytest

from services import bare
from tests.services.image import Image, OfEveryImage


class TestImage(OfEveryImage):
    image = Image(
        service="data_api",
        programs={
            "services.data_api": "data-api: CALLER_ISSUER: ",
            "services.data_api.audit verify": "audit: CALLER_ISSUER: ",
            "services.data_api.migrate --secret x": "migrate: CALLER_ISSUER: ",
        },
        imported_late=["boto3"],
        needed=("pyyaml", "yaml"),
        files={"breast_cancer.yaml", "access.cedar", "002_audit.sql"},
    )


@pytest.fixture
def debian(tmp_path: Path) -> Path:
    """Return a root like that of the official image, with a merged /usr."""
    files = [
        "usr/bin/bash",
        "usr/bin/apt",
        "usr/bin/perl",
        "usr/sbin/useradd",
        "usr/lib/apt/methods/http",
        "usr/lib/x86_64-linux-gnu/libssl.so.3",
        "usr/local/bin/python3.11",
        "usr/local/bin/pip",
        "usr/local/lib/python3.11/json/__init__.py",
        "usr/local/lib/python3.11/ensurepip/__init__.py",
        "usr/local/lib/python3.11/site-packages/pip/__init__.py",
        "etc/ssl/certs/ca-certificates.crt",
        "var/lib/dpkg/status",
        "libraries/fastapi/__init__.py",
    ]
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "bin").symlink_to("usr/bin")
    (tmp_path / "usr/local/bin/python3").symlink_to("python3.11")
    return tmp_path


def test_what_is_left_is_python_and_what_it_needs(debian: Path) -> None:
    bare.strip(debian)
    assert sorted(str(path.relative_to(debian)) for path in debian.rglob("*") if path.is_file()) == [
        "etc/ssl/certs/ca-certificates.crt",
        "libraries/fastapi/__init__.py",
        "usr/lib/x86_64-linux-gnu/libssl.so.3",
        "usr/local/bin/python3",
        "usr/local/bin/python3.11",
        "usr/local/lib/python3.11/json/__init__.py",
        "var/lib/dpkg/status",
    ]
