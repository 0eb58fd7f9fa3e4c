"""The IP blocker in the platform: the program and its infrastructure agree, and nobody of ours can be blocked."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from blueprint import program
from blueprint.environments import ROOT
from blueprint.graph import Graph
from blueprint.rehearsal.archive import zipped
from services.ip_blocker.settings import NAMES, read
from tests.components.support import named, one
from tests.stacks.test_settings import values

FUNCTION = "aws:lambda/function:Function"


@cache
def prod() -> Graph:
    return program.run("prod")


def told() -> dict[str, str]:
    found: dict[str, str] = one(prod(), FUNCTION).inputs["environment"]["variables"]
    return found


def test_the_function_is_told_exactly_what_the_program_reads() -> None:
    assert set(told()) == set(NAMES)
    settings = read(told())
    sets = {each.name for each in settings.block_sets.values()}
    assert sets == {
        each.inputs.get("name", each.outputs.get("name"))
        for each in prod().of("aws:wafv2/ipSet:IpSet")
        if "blocked" in each.name
    }


def test_nobody_of_ours_and_nobody_who_may_use_the_bastion_can_be_blocked() -> None:
    said: dict[str, Any] = values("prod")
    ours = said["edge"]["own_cidrs"] + said["edge"]["monitor_cidrs"] + said["bastion"]["allowed_cidrs"]
    assert {str(each) for each in read(told()).never_blocked} == set(ours)


def test_the_archive_holds_the_program_and_nothing_else() -> None:
    import io
    import zipfile

    function = one(prod(), FUNCTION).inputs
    names = set(zipfile.ZipFile(io.BytesIO(zipped(function["code"], ROOT))).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "services" / "ip_blocker").glob("*.py")}
    assert names == {"services/__init__.py", *modules}
    module, _, name = function["handler"].rpartition(".")
    assert f"{module.replace('.', '/')}.py" in names
    assert callable(getattr(import_module(module), name))


def test_a_block_is_an_hour_at_first_and_a_week_at_most() -> None:
    sentence = read(told()).sentence
    assert (sentence.block_minutes, sentence.longest_block_minutes) == (60, 7 * 24 * 60)


def test_the_table_is_encrypted_and_forgets() -> None:
    table = named(prod(), "aws:dynamodb/table:Table", "ip-blocker-table").inputs
    assert table["serverSideEncryption"]["enabled"] is True
    assert table["ttl"] == {"attributeName": "forget_at", "enabled": True}
