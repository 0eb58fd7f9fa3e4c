"""MLS: what learns reveals little of anybody, learns from data that somebody vouches for, and shares sums alone."""

from __future__ import annotations

import re
from collections.abc import Iterator

from machinery.authority import KEY, SIGNING, authority
from machinery.buckets import BUCKET, is_replica
from machinery.control import HIGH, MEDIUM, Catalogue, References
from machinery.learning import DATA_STORE, DELTA, EPSILON, aggregates, is_silo, meant, serves, trains
from machinery.manifests import Manifest, objects
from machinery.models import READS, WRITES, arn_of
from machinery.stack import Stack
from machinery.subject import Outcome, Outcomes, Resource, Violation
from machinery.values import UNKNOWN
from machinery.workloads import (
    CLOUD_TYPES,
    MOST_CHARACTERS,
    Variable,
    Workload,
    each_workload,
    found,
    on_workloads,
    roles,
    wearers,
)

catalogue = Catalogue()

VERSIONING = "aws:s3/bucketVersioning:BucketVersioning"

# --- MLS-04: differential privacy ------------------------------------------------------------------------

MOST_EPSILON, MOST_DELTA = 10.0, 1e-3
"""What is still called a reasonable promise (Ponomareva et al., "How to DP-fy ML", 2023, section 5.2.1: tier 2 ends
at epsilon 10), and one in a thousand people, over which delta promises nothing to any of them."""

_IMPERSONAL = ("public", "synthetic", "open")
_CLASSIFICATION = "data-classification"

_EPSILON_FLAG = re.compile(r"--?(?:(?:dp|privacy|target|max)[-_])?epsilon", re.IGNORECASE)
_DELTA_FLAG = re.compile(r"--?(?:(?:dp|privacy|target|max)[-_])?delta", re.IGNORECASE)
_IN_A_FILE = re.compile(
    r"(?i)(?<![a-z0-9_])((?:[a-z0-9]+_)*(?:epsilon|delta))[\"']?[ \t]{0,8}[:=][ \t]{0,8}[\"']?([0-9.e+-]{1,40})"
)


@catalogue.stack(
    "MLS-04",
    "Training on personal data states how much it may reveal of one person, and that is little",
    severity=HIGH,
    remedy=f"Tell the job epsilon (at most {MOST_EPSILON:g}) and delta (at most {MOST_DELTA:g}, below one over the number of people), as DP_EPSILON and DP_DELTA, say; label it data-classification: public or synthetic where nobody is in its data.",
    references=References(
        nist=["SI-19", "PM-25"],
        atlas=["AML.T0024.000", "AML.T0024.001"],
        owasp_ml=["ML03", "ML04"],
    ),
)
def training_states_its_privacy(stack: Stack) -> Outcomes:
    return each_workload(stack, trains, lambda workload: _has_a_privacy_budget(workload, stack))


def _has_a_privacy_budget(workload: Workload, stack: Stack) -> Outcomes:
    said = workload.labels.get(_CLASSIFICATION) or stack.declared.tags.get(_CLASSIFICATION)
    if said in _IMPERSONAL:
        return
    texts, elsewhere = _files(workload, stack)
    in_files = [found_ for text in texts for found_ in _IN_A_FILE.findall(text)]
    for name, variable, flag, most in (
        ("epsilon", EPSILON, _EPSILON_FLAG, MOST_EPSILON),
        ("delta", DELTA, _DELTA_FLAG, MOST_DELTA),
    ):
        values = [each.value for each in workload.told(variable)]
        if workload.says(flag):
            values.append(workload.after(flag))
        values += [value for called, value in in_files if variable.fullmatch(called)]
        if not values and elsewhere:
            yield workload.undecided("what a ConfigMap of another stack tells of privacy")
        elif not values:
            yield workload.lacks(
                "", f"states no {name}, so nothing bounds what the model tells of one person"
            )
        elif not all(_within(value, most) for value in values):
            yield workload.violation("", f"states no {name} over 0 and at most {most:g}")


def _within(value: object, most: float) -> bool:
    try:
        return 0 < float(str(value)) <= most
    except ValueError:
        return False


def _files(workload: Workload, stack: Stack) -> tuple[list[str], bool]:
    """Return the texts of the ConfigMaps that a pod mounts, and whether one of them is not in the graph."""
    if workload.pod is None or not isinstance(workload.resource, Manifest):
        return [], False
    made = objects(stack)
    place = made.place(workload.resource)
    texts: list[str] = []
    elsewhere = False
    for volume in workload.pod.spec.items("volumes"):
        if not volume.has("configMap"):
            continue
        maps = made.named("ConfigMap", place, str(volume.reference("configMap.name"))) if place else []
        elsewhere = elsewhere or not maps
        for each in maps:
            data = each.reference("data", absent={})
            texts += (
                [text for text in data.values() if isinstance(text, str)] if isinstance(data, dict) else []
            )
    return texts, elsewhere


# --- MLS-07: federations ---------------------------------------------------------------------------------

_INSECURE = re.compile(r"--?(?:insecure|no-tls|disable-tls|skip-tls-verify)", re.IGNORECASE)
_OFF = re.compile(r"(?:\w+_)??(?:INSECURE|DISABLE_TLS|SKIP_TLS_VERIFY)")
_TLS = re.compile(r"(?:\w+_)??(?:TLS|SSL)_(?:CERT|KEY|SECRET|SERVER)[A-Z0-9_]*")
_TLS_FLAG = re.compile(r"--(?:ssl|tls)-(?:cert|key)\S*", re.IGNORECASE)
_ROOTS = re.compile(r"(?:\w+_)??(?:(?:TLS|SSL)_CA|ROOT_CERT|CA_CERT|CA_FILE|CA_SECRET)[A-Z0-9_]*")
_ROOTS_FLAG = re.compile(r"--(?:root-cert\S*|ssl-ca\S*|tls-ca\S*|ca-cert\S*)", re.IGNORECASE)
_NODES = re.compile(
    r"(?:\w+_)??(?:NODE_AUTH|SUPERNODE_AUTH|NODE_PUBLIC_KEYS|NODE_KEYS|CLIENT_CA|MTLS|MUTUAL_TLS|TRUSTED_NODES)[A-Z0-9_]*"
)
_NODES_FLAG = re.compile(
    r"--(?:enable-supernode-auth|auth-list-public-keys|require-client-cert\S*|client-ca\S*|mtls)",
    re.IGNORECASE,
)
_NODE_KEY = re.compile(
    r"(?:\w+_)??(?:NODE_KEY|NODE_PRIVATE_KEY|SUPERNODE_KEY|CLIENT_CERT|CLIENT_KEY)[A-Z0-9_]*"
)
_NODE_KEY_FLAG = re.compile(r"--(?:auth-supernode-private-key|client-cert\S*|client-key\S*)", re.IGNORECASE)
_SUMS = re.compile(r"(?:\w+_)??(?:SECURE_AGGREGATION|SECAGG(?:_?PLUS)?)(?:_[A-Z0-9_]+)?")
_SUMS_FLAG = re.compile(
    r"--?(?:[a-z0-9]+-)*(?:secure-aggregation|secagg(?:-?plus|\+)?)(?:-[a-z]+)*", re.IGNORECASE
)


def _federates(workload: Workload) -> bool:
    return aggregates(workload) or is_silo(workload)


@catalogue.stack(
    "MLS-07",
    "A federation speaks TLS with nodes that it knows, sees sums alone, and cannot read what its silos hold",
    severity=HIGH,
    remedy="Give the aggregator a certificate, the nodes' public keys and secure aggregation (SECURE_AGGREGATION, say); give each node the authority's certificate and a key of its own; leave buckets and databases of data out of the aggregator's role.",
    references=References(
        nist=["SC-8", "IA-3", "AC-4"],
        hipaa=["164.312(e)(1)"],
        pci=["4.2.1"],
        atlas=["AML.M0005", "AML.T0020", "AML.M0012"],
        owasp_ml=["ML02", "ML03", "ML10"],
        aws_ai=["AISF-ML-03"],
        ml_lens=["MLSEC-09"],
    ),
)
def federations_keep_data_in_its_silo(stack: Stack) -> Outcomes:
    return each_workload(stack, _federates, lambda workload: _is_a_safe_member(workload, stack))


def _is_a_safe_member(workload: Workload, stack: Stack) -> Outcomes:
    if workload.says(_INSECURE) or any(not variable.off for variable in workload.told(_OFF)):
        yield workload.violation("", "speaks without TLS")
    if not aggregates(workload):
        yield from _is_told(
            workload, _ROOTS, _ROOTS_FLAG, "knows no authority, so anybody may be its aggregator"
        )
        yield from _is_told(workload, _NODE_KEY, _NODE_KEY_FLAG, "has no key to show who it is")
        return
    yield from _is_told(workload, _TLS, _TLS_FLAG, "has no certificate, so nobody knows whom they send to")
    yield from _is_told(workload, _NODES, _NODES_FLAG, "lets in whoever calls itself a node")
    yield from _is_told(workload, _SUMS, _SUMS_FLAG, "sees what each silo learned instead of the sum")
    yield from _reads_no_data(workload, stack)


def _is_told(
    workload: Workload, variable: re.Pattern[str], flag: re.Pattern[str], problem: str
) -> Iterator[Outcome]:
    told = workload.told(variable)
    if any(each.off for each in told) or (workload.says(flag) and _is_off(workload.after(flag))):
        yield workload.violation("", problem)
    elif not told and not workload.says(flag):
        yield workload.lacks("", problem)


def _is_off(word: str) -> bool:
    return bool(word) and Variable(word).off


def _reads_no_data(workload: Workload, stack: Stack) -> Iterator[Outcome]:
    buckets = data_buckets(stack)
    for role in roles(workload, stack):
        for right in authority(stack).rights(role):
            if right.allows("rds-db:connect", "rds-data:ExecuteStatement"):
                yield Violation(
                    right.statement.path, "lets an aggregator sign in to a database", urn=right.urn
                )
            elif right.allows(*READS) and any(right.reaches(f"{arn_of(bucket)}/*") for bucket in buckets):
                yield Violation(
                    right.statement.path, "lets an aggregator read a bucket of data", urn=right.urn
                )


def data_buckets(stack: Stack) -> list[Resource]:
    """Return the buckets that data to learn from is in: a tag says so, or something that learns is told so."""
    return stack.once(_data_buckets)


def _data_buckets(stack: Stack) -> list[Resource]:
    told = {
        bucket.urn
        for workload in found(stack, trains)
        for variable in workload.told(DATA_STORE)
        for bucket in meant(variable, workload, stack, BUCKET)
    }
    return [
        bucket
        for bucket in stack.of(BUCKET)
        if (bucket.switch("tags.data-domain") in ("data", "datasets") or bucket.urn in told)
        and not is_replica(bucket, stack)
    ]


# --- MLS-09: where data comes from -----------------------------------------------------------------------

_MANIFEST_KEY = re.compile(
    r"(?:\w+_)??(?:MANIFEST|DATASET|PROVENANCE)_(?:\w+_)??KEYS?(?:_(?:ARN|ID|FILE|PATH|PEM|URI|REF))?"
)
_MANIFEST_FLAG = re.compile(r"--(?:manifest|dataset|provenance)-(?:public-)?key\S*", re.IGNORECASE)
_QUARANTINE = "quarantine"


@catalogue.stack(
    "MLS-09",
    "Training checks who vouches for its data, and data waits in quarantine until somebody looked at it",
    severity=MEDIUM,
    remedy="Tell the job the key that manifests of datasets are signed with (MANIFEST_KEY_ARN, say); version buckets of data, and let new data arrive in a bucket or under a prefix called quarantine that training cannot read.",
    references=References(
        nist=["SI-7", "SI-10", "SR-4"],
        atlas=["AML.M0007", "AML.M0025", "AML.M0014"],
        owasp_ml=["ML02"],
        ml_lens=["MLSEC04-BP03"],
    ),
)
def training_knows_where_its_data_is_from(stack: Stack) -> Outcomes:
    return each_workload(stack, trains, lambda workload: _learns_from_known_data(workload, stack))


def _learns_from_known_data(workload: Workload, stack: Stack) -> Outcomes:
    told = workload.told(_MANIFEST_KEY)
    keys = [key for variable in told for key in meant(variable, workload, stack, KEY)]
    if keys and not any(key.switch("keyUsage") == SIGNING for key in keys):
        yield workload.violation("", "checks manifests with a key that signs nothing")
    yield from _is_told(
        workload,
        _MANIFEST_KEY,
        _MANIFEST_FLAG,
        "checks no signed manifest, so nobody vouches for what it learns",
    )
    buckets = data_buckets(stack)
    quarantines = [bucket for bucket in stack.of(BUCKET) if _is_quarantine(bucket)]
    for role in roles(workload, stack):
        for right in authority(stack).rights(role):
            if not right.allows(*READS):
                continue
            for bucket in [each for each in buckets if right.reaches(f"{arn_of(each)}/*")]:
                yield from _versioned(bucket, stack)
                if right.reaches(f"{arn_of(bucket)}/{_QUARANTINE}/*") and not quarantines:
                    yield Violation(
                        right.statement.path, "reads data that may have arrived just now", urn=right.urn
                    )
            if any(right.reaches(f"{arn_of(each)}/*") for each in quarantines):
                yield Violation(right.statement.path, "reads what is in quarantine", urn=right.urn)


def _is_quarantine(bucket: Resource) -> bool:
    said = (bucket.switch("tags.data-domain"), bucket.switch("tags.purpose"))
    return _QUARANTINE in said or _QUARANTINE in str(bucket.value.get("bucket", "")).split("-")


def _versioned(bucket: Resource, stack: Stack) -> Iterator[Outcome]:
    made = stack.referrers(bucket, "bucket", VERSIONING)
    on = any(each.switch("versioningConfiguration.status") == "Enabled" for each in made)
    if not on and bucket.switch("versioning.enabled", absent=False) is not True:
        yield Violation("", "holds data to learn from and keeps no versions", urn=bucket.urn)


# --- MLS-10: nothing runs by being loaded ----------------------------------------------------------------

_RUNS = re.compile(
    r"(?:\w+_)??(?:TRUST_REMOTE_CODE|ALLOW_PICKLE|ALLOW_REMOTE_CODE|FORCE_NO_WEIGHTS_ONLY_LOAD|ALLOW_INSECURE_SERIALIZATION"
    r"|UNSAFE_LOAD|DISABLE_SAFETENSORS)"
)
_SAFE = re.compile(
    r"(?:\w+_)??(?:WEIGHTS_ONLY|FORCE_WEIGHTS_ONLY_LOAD|KERAS_SAFE_MODE|SAFE_MODE|USE_SAFETENSORS)"
)
_RUNS_FLAG = re.compile(
    r"--?(?:trust[-_]remote[-_]code|allow[-_]pickle|allow[-_]remote[-_]code|no[-_]weights[-_]only|unsafe[-_]load"
    r"|no[-_]safe[-_]mode|enable[-_]model[-_]code)",
    re.IGNORECASE,
)
_SAFE_FLAG = re.compile(r"--?(?:weights[-_]only|safe[-_]mode|use[-_]safetensors)", re.IGNORECASE)
_FORMAT_FLAG = re.compile(r"--?(?:load|model)[-_]format", re.IGNORECASE)
_PICKLES = ("pickle", "pkl", "joblib", "dill", "cloudpickle", "sklearn", "lightgbm", "pt", "torch")
_PICKLED = re.compile(r"\S*\.(?:pkl|pickle|joblib|dill|pt|pth|ckpt|npy\.pickle)(?:[?#]\S*)?", re.IGNORECASE)
_CODE = re.compile(
    r"(?:pickle|joblib|dill|cloudpickle)\.loads?\(|weights_only\s{0,4}=\s{0,4}False|trust_remote_code\s{0,4}=\s{0,4}True"
    r"|allow_pickle\s{0,4}=\s{0,4}True|(?:curl|wget)\s[^|;\n]{0,400}\|\s{0,8}(?:ba|z|da)?sh\b"
    r"|\bpip3?\s{1,4}install\s"
)

S3_OBJECTS = ("aws:s3/bucketObject:BucketObject", "aws:s3/bucketObjectv2:BucketObjectv2")


@catalogue.resource(
    "MLS-10",
    "Nothing runs by being loaded: no pickles, no code that comes with a model or from elsewhere at the start",
    severity=MEDIUM,
    remedy="Keep models as ONNX or safetensors; take out trust_remote_code, allow_pickle and weights_only False; put packages into the image instead of installing them at the start.",
    references=References(
        nist=["SI-3", "SI-7", "CM-7(5)"],
        atlas=["AML.M0011", "AML.M0016", "AML.T0011.000", "AML.T0018.002"],
        owasp_ml=["ML06", "ML10"],
    ),
)
def nothing_runs_by_being_loaded(resource: Resource) -> Outcomes:
    if resource.type in S3_OBJECTS:
        if _PICKLED.fullmatch(str(resource.reference("key", absent=""))):
            yield resource.violation("key", "is a pickle, which runs whatever is in it")
        return
    if resource.type.startswith("kubernetes:") or resource.type in CLOUD_TYPES:
        yield from on_workloads(resource, lambda _: True, _loads_safely)


def _loads_safely(workload: Workload) -> Outcomes:
    runs = any(not variable.off for variable in workload.told(_RUNS))
    unsafe = any(variable.off for variable in workload.told(_SAFE))
    if runs or unsafe or _is_set(workload, _RUNS_FLAG) or _is_off(workload.after(_SAFE_FLAG)):
        yield workload.violation("", "lets a model run code when it is loaded")
    if workload.after(_FORMAT_FLAG).lower() in _PICKLES:
        yield workload.violation("", "loads models in a format that runs code")
    files = [variable for variable in workload.variables if _FILE.fullmatch(variable.name)]
    texts = [variable.text for variable in files]
    for variable in files:
        if variable.value is UNKNOWN and variable.name.upper().endswith(_WHERE):
            yield workload.undecided(variable.path)
    if any(_PICKLED.fullmatch(text) for text in (*texts, *workload.words)):
        yield workload.violation("", "loads a pickle, which runs whatever is in it")
    if any(_CODE.search(line[:MOST_CHARACTERS]) for line in workload.lines):
        yield workload.violation("", "fetches or loads code when it starts")


_WHERE = ("FILE", "PATH", "URI", "URL")
_FILE = re.compile(r"\w{0,120}MODEL\w{0,120}", re.IGNORECASE)


def _is_set(workload: Workload, flag: re.Pattern[str]) -> bool:
    return workload.says(flag) and not _is_off(workload.after(flag))


# --- MLS-15: who may change data -------------------------------------------------------------------------


@catalogue.stack(
    "MLS-15",
    "Data to learn from has one writer, and that is not who learns",
    severity=MEDIUM,
    on=BUCKET,
    remedy="Let one role put objects into a bucket of data; take s3:PutObject and s3:DeleteObject on it off training and serving.",
    references=References(
        nist=["AC-5", "AC-6", "SI-7"], atlas=["AML.M0005", "AML.M0025", "AML.T0059"], owasp_ml=["ML02"]
    ),
)
def data_has_one_writer(bucket: Resource, stack: Stack) -> Outcomes:
    if bucket not in data_buckets(stack):
        return
    changes = (*WRITES, "s3:DeleteObject", "s3:DeleteObjectVersion")
    writers = authority(stack).who_may(changes, f"{arn_of(bucket)}/*")
    if len(writers) > 1:
        yield bucket.violation("", f"holds data to learn from, which {len(writers)} roles may change")
    for role in writers:
        if wearers(role, stack, trains) or wearers(role, stack, serves):
            yield Violation("", "learns from or serves what it may change itself", urn=role.urn)
