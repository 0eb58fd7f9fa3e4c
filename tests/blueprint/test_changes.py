"""What a reviewer is told of a change: everything that differs, no secret, and nothing that a name can break."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from blueprint import deployment
from blueprint.changes import MARK, comment, reading
from blueprint.changes.compare import compare
from blueprint.changes.properties import changes
from blueprint.changes.review import Review, reviews
from blueprint.errors import BadInput
from blueprint.graph import SECRET, SIGNATURE, STACK_TYPE, UNKNOWN, Graph, Resource
from blueprint.verdict import Verdict, Violation, Waived
from tests.blueprint.commands import blueprint

BUCKET = "aws:s3/bucket:Bucket"
KEY = "aws:kms/key:Key"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"


def urn(type_: str, name: str) -> str:
    return f"urn:pulumi:test::secure-ml-platform::{type_}::{name}"


def resource(type_: str, name: str, **inputs: Any) -> Resource:
    return Resource(urn=urn(type_, name), type=type_, custom=True, inputs=inputs)


def graph(*resources: Resource) -> Graph:
    return Graph(stack="test", resources=resources)


def stack(*resources: Resource) -> Graph:
    """Return a graph that the policies can judge: with the stack at its root."""
    root = replace(resource(STACK_TYPE, "secure-ml-platform-test"), custom=False)
    return graph(root, *(replace(each, parent=root.urn) for each in resources))


def told(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    return [str(change) for change in changes(before, after)]


def steps(before: Graph, after: Graph) -> dict[str, str]:
    return {each.urn.rpartition("::")[2]: each.step for each in compare(before, after)}


def test_what_comes_goes_changes_and_stays_is_told_apart() -> None:
    before = graph(
        resource(BUCKET, "stays", bucket="a"),
        resource(BUCKET, "goes", bucket="b"),
        resource(KEY, "changes", enableKeyRotation=False),
        resource(KEY, "renewed", keyUsage="ENCRYPT_DECRYPT"),
    )
    after = graph(
        resource(BUCKET, "stays", bucket="a"),
        resource(BUCKET, "comes", bucket="c"),
        resource(KEY, "changes", enableKeyRotation=True),
        resource(KEY, "renewed", keyUsage="SIGN_VERIFY"),
    )
    assert steps(before, after) == {
        "renewed": "replaced",
        "goes": "removed",
        "changes": "changed",
        "comes": "added",
    }
    assert compare(before, before) == ()


def test_components_are_folders_and_no_resources() -> None:
    component = replace(resource("secureml:storage:SecureBucket", "data"), custom=False)
    assert compare(graph(), graph(component)) == ()


def test_a_change_is_named_to_the_place_even_in_a_document_that_is_text() -> None:
    def policy(action: str) -> dict[str, Any]:
        return {"policy": json.dumps({"Statement": [{"Action": ["kms:Sign", action], "Effect": "Allow"}]})}

    assert told(policy("kms:Verify"), policy("kms:Decrypt")) == [
        "policy.Statement[0].Action[1]: kms:Verify → kms:Decrypt"
    ]


def test_lists_that_grow_or_are_sorted_anew_are_told_in_one_line() -> None:
    assert told({"zones": ["a"]}, {"zones": ["a", "b"]}) == ["zones: 1 → 2 entries"]
    assert told({"zones": ["a", "b"]}, {"zones": ["b", "a"]}) == ["zones: is in another order"]


def test_yes_is_not_one() -> None:
    assert told({"open": True}, {"open": 1}) == ["open: true → 1"]


SHORT = "h2nter-two"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"note": {SIGNATURE: SECRET, "value": SHORT}}, {"note": {SIGNATURE: SECRET, "value": "other"}}),
        ({"note": "plain"}, {"note": {SIGNATURE: SECRET, "value": SHORT}}),
        ({"note": UNKNOWN}, {"note": SHORT}),
        ({"masterPassword": SHORT}, {"masterPassword": "other"}),
        ({"userData": SHORT}, {"userData": "other"}),
        ({"environment": {"variables": {"X": SHORT}}}, {"environment": {"variables": {"X": "other"}}}),
        ({"spec": {"env": [{"value": SHORT}]}}, {"spec": {"env": [{"value": "other"}]}}),
        ({"data": {"a": SHORT}}, {"data": {"a": "other"}}),
        ({"note": "wJalrXUtnFEMI7K7MDENGbPxRfiCY"}, {"note": "other"}),
        ({"note": "it is h2nter-two; keep it"}, {"note": "other"}),
    ],
)
def test_no_secret_is_shown_and_the_place_is(before: dict[str, Any], after: dict[str, Any]) -> None:
    for one, other in ((before, after), (after, before)):
        (said,) = told(one, other)
        assert said.endswith(": differs")
        assert SHORT not in said
        assert "wJalr" not in said


def test_what_the_provider_cannot_change_in_place_is_a_replacement_and_says_why() -> None:
    before = graph(resource(BUCKET, "data", bucket="a", forceDestroy=False))
    after = graph(resource(BUCKET, "data", bucket="b", forceDestroy=True))
    (difference,) = compare(before, after)
    assert (difference.step, difference.forced_by) == ("replaced", ("bucket",))


def test_a_nested_property_forces_only_what_its_own_name_says() -> None:
    def cluster(**network: str) -> Graph:
        return graph(resource("aws:eks/cluster:Cluster", "c", kubernetesNetworkConfig=network, version="1"))

    assert steps(cluster(ipFamily="ipv4"), cluster(ipFamily="ipv6")) == {"c": "replaced"}
    assert steps(cluster(other="a"), cluster(other="b")) == {"c": "changed"}


def test_a_provider_in_another_region_replaces_everything_that_it_makes() -> None:
    def placed(region: str) -> Graph:
        home = resource("pulumi:providers:aws", "home", region=region)
        return graph(home, replace(resource(BUCKET, "data", bucket="a"), provider=f"{home.urn}::id"))

    assert steps(placed("eu-central-1"), placed("us-east-1")) == {"home": "replaced", "data": "replaced"}


def test_a_protected_resource_that_would_go_is_marked_and_a_lost_protection_is_a_change() -> None:
    kept = replace(resource(BUCKET, "data", bucket="a"), protect=True)
    (removed,) = compare(graph(kept), graph())
    assert removed.refused
    (changed,) = compare(graph(kept), graph(replace(kept, protect=False)))
    assert [str(change) for change in changed.changes] == ["(protect): is taken off"]


def test_a_rename_with_its_alias_is_no_removal(tmp_path: Path) -> None:
    old = resource(BUCKET, "old", bucket="a")
    new = replace(resource(BUCKET, "new", bucket="a"), aliases=(old.urn,))
    (tmp_path / "new.json").write_text(deployment.write(graph(new)))
    assert compare(graph(old), deployment.read(tmp_path / "new.json")) == ()


def test_the_verdict_access_and_cost_are_of_the_change() -> None:
    def role(actions: list[str]) -> list[Resource]:
        trust = {
            "Statement": [
                {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
            ]
        }
        rights = {"Statement": [{"Effect": "Allow", "Action": actions, "Resource": "arn:aws:s3:::a/b"}]}
        made = resource("aws:iam/role:Role", "reader", assumeRolePolicy=json.dumps(trust))
        may = resource(ROLE_POLICY, "reader", role="reader", policy=json.dumps(rights))
        return [
            replace(made, outputs={"name": "reader", "arn": "arn:aws:iam::111122223333:role/reader"}),
            may,
        ]

    before = stack(resource(KEY, "key", enableKeyRotation=True), *role(["s3:GetObject"]))
    after = stack(
        resource(KEY, "key", enableKeyRotation=False),
        resource(KEY, "more", enableKeyRotation=True),
        *role(["s3:GetObject", "s3:PutObject"]),
    )
    (review,) = reviews({"test": before}, {"test": after})
    assert "KEY-01" in {each.control for each in review.new if each.urn == urn(KEY, "key")}
    assert "KEY-01" not in {each.control for each in review.mended}
    assert [each.what for each in review.access] == ["may s3:PutObject on arn:aws:s3:::a/b"]
    assert [f"{each:.2f}" for each in review.usd_a_month] == ["1.00", "2.00"]
    (back,) = reviews({"test": after}, {"test": before})
    assert "KEY-01" in {each.control for each in back.mended}
    assert not back.access


VERDICT = Verdict(stack="test", pack="p@1", controls=("NET-05",), resource_count=1)
VIOLATION = Violation(
    control="NET-05",
    severity="high",
    mandatory=True,
    urn=urn(BUCKET, "data"),
    problem="is open",
    fix="Close it.",
)
WAIVED = Waived(
    control="NET-09",
    severity="high",
    urn=urn(BUCKET, "data"),
    problem="is open to the world",
    fix="Name the ranges.",
    why="A trial",
    owner="platform@example.org",
    expiry="2031-05-01",
)


def review(old: Graph, new: Graph, **more: Any) -> Review:
    values: dict[str, Any] = {
        "before": VERDICT,
        "after": VERDICT,
        "access": (),
        "cost_before": None,
        "cost_after": None,
    }
    return Review(environment="dev", differences=compare(old, new), **{**values, **more})


HOSTILE = (
    "</details><img src=x onerror=1> **b** [l](https://evil.example) ![i](//e) @everyone #1 GH-1 www.evil.example "
    "| `c` $x$ <!-- \x00\x1b[31m\u202e\n# heading"
)


def test_what_others_named_stays_text_in_the_comment() -> None:
    found = replace(VIOLATION, urn=urn(BUCKET, HOSTILE), problem=HOSTILE, fix=HOSTILE)
    waived = replace(WAIVED, urn=urn(BUCKET, HOSTILE), why=HOSTILE, owner=HOSTILE)
    after = graph(resource(BUCKET, HOSTILE, bucket="a"), resource(KEY, "k", **{HOSTILE: 1}))
    text = comment.render(
        [
            review(
                graph(resource(BUCKET, f"gone{HOSTILE}"), resource(KEY, "k")),
                after,
                after=replace(VERDICT, violations=(found,), waived=(waived,)),
            )
        ]
    )
    assert text.count("<details>") == text.count("</details>") == text.count("<summary>")
    assert set(re.findall(r"<(?!/)[^ >]*", text)) == {"<!--", "<details", "<summary", "<br", "<sub"}
    assert text.count("<!--") == 1
    for live in ("@everyone", "#1", "GH-1", "www.evil", "://", "\x00", "\x1b", "\u202e"):
        assert live not in text.replace("\\", ""), live
    assert not re.search(r"(?<!\\)\]\(", text)
    assert not re.search(r"^# heading", text, re.MULTILINE)
    # A row of the table has as many cells as its head, whatever the names hold.
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_the_comment_says_all_in_a_table_and_folds_the_rest() -> None:
    text = comment.render(
        [
            review(
                graph(replace(resource(BUCKET, "data", bucket="a"), protect=True)),
                graph(),
                after=replace(VERDICT, violations=(VIOLATION,), waived=(WAIVED,)),
            )
        ]
    )
    lines = text.splitlines()
    assert lines[:2] == [MARK, "### What this changes: refused"]
    assert "| **dev** | 0 | 1 | 0 | 0 | **refused**, 1 new, 1 waived | no more | 0 |" in lines
    assert "**1 new findings stop an update.**" in lines
    assert [line for line in lines if line.startswith("<details>")] == [
        "<details><summary>1 new findings</summary>",
        "<details><summary>1 removed</summary>",
        "<details><summary>1 newly waived</summary>",
        "<details><summary>1 waived in all</summary>",
    ]


def test_the_comment_fits_whatever_the_size_and_counts_what_it_leaves_out() -> None:
    wide = "ü" * 150
    many = tuple(replace(VIOLATION, problem=f"{n}: {wide}", fix=wide) for n in range(2000))
    crowd = [resource(BUCKET, f"{wide}{n}", bucket="a") for n in range(2000)]
    one = review(graph(*crowd), graph(resource(KEY, "late")), after=replace(VERDICT, violations=many))
    text = comment.render([replace(one, environment=f"e{n}") for n in range(30)])
    assert len(text.encode()) <= 64_000
    assert "10 more environments are left out" in text
    assert text.count("<details>") == text.count("</details>") == 3
    # A flood of findings does not push out what is removed or added.
    folds = text.split("<details>")[1:]
    for fold, total in zip(folds, (60_000, 60_000, 30), strict=True):
        listed = len(re.findall(r"^- \*\*e", fold, re.MULTILINE))
        left_out = re.search(r"^- (\d+) more are left out here", fold, re.MULTILINE)
        assert listed > 0
        assert listed + (int(left_out[1]) if left_out else 0) == total


def test_an_environment_that_comes_or_goes_says_so() -> None:
    text = comment.render([review(graph(), graph(), before=None)])
    assert "| **dev** (new) |" in text
    text = comment.render([review(graph(), graph(), after=None)])
    assert "| **dev** (no longer here) |" in text


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    for side, rotates in (("base", True), ("head", False)):
        (tmp_path / side).mkdir()
        (tmp_path / side / "test.json").write_text(
            deployment.write(stack(resource(KEY, "key", enableKeyRotation=rotates)))
        )
    return tmp_path


def test_the_command_tells_the_same_in_every_form_and_fails_on_what_is_mandatory(exported: Path) -> None:
    base, head = str(exported / "base"), str(exported / "head")
    for form, said in (
        ("text", "key (aws:kms Key)"),
        ("json", '"step": "changed"'),
        ("markdown", MARK),
    ):
        ran = blueprint("diff", base, head, "--format", form)
        assert ran.returncode == 1, ran.stderr
        assert said in ran.stdout
        assert "KEY-01" in ran.stdout
        assert (
            blueprint("diff", f"{base}/test.json", f"{head}/test.json", "--format", form).stdout == ran.stdout
        )


def test_what_cannot_be_compared_is_refused_in_one_sentence(exported: Path) -> None:
    base, head = exported / "base", exported / "head"
    other = deployment.write(replace(graph(resource(KEY, "k")), stack="x")).replace(
        "pulumi:test::", "pulumi:prod::"
    )
    (exported / "prod.json").write_text(other)
    (exported / "empty").mkdir()
    (exported / "odd").mkdir()
    (exported / "odd" / "a b.json").write_text(other)
    (exported / "mixed").mkdir()
    (exported / "mixed" / "test.json").write_text(other)
    for one, two, said in (
        (base, head / "test.json", "compare two files, or two folders"),
        (exported / "none.json", head / "test.json", "cannot be read"),
        (exported / "empty", head, "holds no export"),
        (exported / "odd", head, "a name has letters"),
        (base / "test.json", exported / "prod.json", "compare an environment with itself"),
        (base, exported / "mixed", "compare an environment with itself"),
    ):
        with pytest.raises(BadInput, match=said):
            reading.pair(one, two)
    ran = blueprint("diff", str(base), str(exported / "empty"))
    assert ran.returncode == 2
    assert "Traceback" not in ran.stderr
