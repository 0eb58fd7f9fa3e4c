"""Migrations: run by the master user, as often as one likes; what is granted is what is declared."""

from __future__ import annotations

import subprocess
import sys

import asyncpg
import pytest

from tests.services.data_api.conftest import World


def migrated(world: World, user: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Migrate over the server's own socket, as ``user``."""
    environment = {**world.environment, "DATABASE_HOST": str(world.server.folder), **settings}
    file = environment["DATABASE_PASSWORD_FILE"]
    return subprocess.run(
        [sys.executable, "-m", "services.data_api.migrate", "--user", user, "--password-file", file],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_migrations_run_again_and_lose_nothing(world: World) -> None:
    world.records({"limit": 1})
    before = world.sql("SELECT count(*) AS n FROM audit.event")[0]["n"]
    for _ in range(2):
        run = migrated(world, "admin")
        assert (run.returncode, run.stdout, run.stderr) == (0, "migrated\n", "")
    assert world.sql("SELECT count(*) AS n FROM audit.event")[0]["n"] >= before
    assert world.records({"limit": 1}).status_code == 200


@pytest.mark.parametrize(
    ("user", "settings", "says"),
    [
        ("nobody-there", {}, "nobody-there"),
        ("admin", {"DATABASE_PORT": "1"}, "No such file or directory"),
        ("admin", {"DATASETS_FOLDER": "/nowhere"}, "/nowhere: declares no dataset"),
    ],
)
def test_what_cannot_be_migrated_is_one_line(
    world: World, user: str, settings: dict[str, str], says: str
) -> None:
    run = migrated(world, user, **settings)
    assert run.returncode == 2
    assert run.stderr.startswith("migrate: ")
    assert says in run.stderr
    assert len(run.stderr.splitlines()) == 1, run.stderr


def test_a_column_that_is_not_declared_cannot_be_read_by_the_service(world: World) -> None:
    world.sql("ALTER TABLE clinical.breast_cancer ADD COLUMN undeclared text DEFAULT 'x'")
    assert migrated(world, "admin").returncode == 0
    granted = "SELECT has_column_privilege('data_api', 'clinical.breast_cancer', $1, 'SELECT') AS may"
    assert world.sql(granted, "mean_area")[0]["may"]
    assert not world.sql(granted, "undeclared")[0]["may"]
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        world.sql(
            "DO $$ BEGIN SET LOCAL ROLE data_api; PERFORM undeclared FROM clinical.breast_cancer; END $$"
        )
