"""What a service's code asks of AWS: the calls of boto3 in every module that its program reaches, as actions of IAM.

Read from the source, not run. A client is whatever ``boto3`` makes, or what is called so: ``client``, ``table``, or
by the name of an AWS service. A client that nothing is asked of is told, so that no call goes unnoticed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import botocore.session
from botocore import xform_name

ROOT = Path(__file__).resolve().parent.parent.parent

_CALLED = ("client", "table", "waf")
"""How clients are called where another module made them."""

_ACTIONS: Mapping[tuple[str, str], str] = {
    # A token that the machine signs by itself; RDS asks IAM when it is shown.
    ("rds", "generate_db_auth_token"): "rds-db:connect",
    # Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
    ("s3", "head_bucket"): "s3:ListBucket",
    ("s3", "head_object"): "s3:GetObject",
    ("s3", "list_objects_v2"): "s3:ListBucket",
    # S3 transfers of boto3.
    ("s3", "download_file"): "s3:GetObject",
    ("s3", "download_fileobj"): "s3:GetObject",
    ("s3", "upload_file"): "s3:PutObject",
    ("s3", "upload_fileobj"): "s3:PutObject",
}


@dataclass(frozen=True)
class Call:
    """One operation that is asked of a service of AWS, and where."""

    service: str
    operation: str
    place: str

    @property
    def action(self) -> str:
        """What IAM calls it."""
        if (self.service, self.operation) in _ACTIONS:
            return _ACTIONS[self.service, self.operation]
        model = _model(self.service)
        return f"{model.signing_name}:{_operations(self.service)[self.operation]}"


def calls_of(program: str) -> list[Call]:
    """Return what a program (``services.gateway.__main__``) asks of AWS.

    Raises:
        AssertionError: it makes a client, and nobody can see what is asked of it.
    """
    modules = list(_reached(program))
    made = {service for module in modules for service in _made(_tree(module))}
    calls = [call for module in modules for call in _calls(module, made)]
    unseen = made - {call.service for call in calls}
    assert not unseen, f"{program}: nobody can see what is asked of {sorted(unseen)}"
    return calls


def _reached(program: str) -> Iterator[str]:
    """Yield every module of ours that a program may import, wherever the import stands."""
    waiting, seen = [program], set[str]()
    while waiting:
        module = waiting.pop()
        if module in seen or _file(module) is None:
            continue
        seen.add(module)
        yield module
        waiting += _imported(_tree(module))


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("services."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("services"):
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _file(module: str) -> Path | None:
    path = ROOT.joinpath(*module.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


@cache
def _tree(module: str) -> ast.Module:
    file = _file(module)
    assert file is not None
    return ast.parse(file.read_text())


def _made(tree: ast.Module) -> Iterator[str]:
    """Yield the services that clients are made of."""
    for node in ast.walk(tree):
        if _is_making(node) and isinstance(node, ast.Call):
            name = node.args[0]
            assert isinstance(name, ast.Constant), "a client's service is written as a text"
            yield str(name.value)


def _is_making(node: ast.AST) -> bool:
    function = node.func if isinstance(node, ast.Call) else None
    return (
        isinstance(function, ast.Attribute)
        and function.attr in ("client", "resource")
        and isinstance(function.value, ast.Name)
        and function.value.id == "boto3"
    )


def _calls(module: str, made: set[str]) -> Iterator[Call]:
    tree = _tree(module)
    clients = {*_CALLED, *made, *_named(tree)}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or _last(node.value) not in clients:
            continue
        for service in sorted(made):
            if node.attr in _operations(service):
                yield Call(service, node.attr, f"{module}:{node.lineno}")
    for node in ast.walk(tree):
        # Pages and waiters name the operation as a text.
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "get_paginator"
        ):
            operation = ast.literal_eval(node.args[0])
            yield from (
                Call(s, operation, f"{module}:{node.lineno}") for s in made if operation in _operations(s)
            )


def _named(tree: ast.Module) -> Iterator[str]:
    """Yield what clients that a module makes are called there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and any(_is_making(inner) for inner in ast.walk(node.value)):
            yield from (_last(target) for target in node.targets)


def _last(node: ast.AST) -> str:
    """Return the last name of an expression, without its underscore: ``client`` of ``self._client``."""
    name = node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
    return name.removeprefix("_")


@cache
def _model(service: str) -> botocore.model.ServiceModel:
    return botocore.session.get_session().get_service_model(service)


@cache
def _operations(service: str) -> Mapping[str, str]:
    """Return the operations of a service by the names of boto3's methods."""
    named = {xform_name(operation): operation for operation in _model(service).operation_names}
    return {
        **named,
        **{method: method for made, method in _ACTIONS if made == service and method not in named},
    }
