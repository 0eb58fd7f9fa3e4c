"""What an auditor asks: each question as one query over the tables of ``audit_tables.py``.

A question mark stands for what Athena asks for when the query is run, in the order of ``asks``; days are written
as their folders are: ``2026/01/31``.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from components.audit_tables import Log

_DAYS = ("first day", "last day")

_WHO = "coalesce(useridentity.sessioncontext.sessionissuer.arn, useridentity.arn, useridentity.invokedby)"
"""A role's session names its role; what a service does on its own names the service."""


def _sql(text: str) -> str:
    """Return a query with ``{who}`` written out."""
    return text.replace("{who}", _WHO).strip()


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question, the logs that answer it, what it asks for, and the query."""

    name: str
    about: str
    logs: frozenset[Log]
    asks: tuple[str, ...]
    sql: str


def _object_reads(name: str, what: str, key_words: str) -> Question:
    return Question(
        name=name,
        about=f"Who pulled {what}: every object below a prefix that was read, by whom and from where",
        logs=frozenset({"trail"}),
        asks=(*_DAYS, "bucket", key_words),
        sql=_sql("""
SELECT eventtime, {who} AS who, useridentity.principalid, sourceipaddress,
       json_extract_scalar(requestparameters, '$.key') AS object, errorcode, vpcendpointid
FROM trail
WHERE day BETWEEN ? AND ?
  AND eventsource = 's3.amazonaws.com'
  AND eventname IN ('GetObject', 'HeadObject', 'CopyObject', 'SelectObjectContent')
  AND json_extract_scalar(requestparameters, '$.bucketName') = ?
  AND starts_with(json_extract_scalar(requestparameters, '$.key'), ?)
ORDER BY eventtime"""),
    )


QUESTIONS: tuple[Question, ...] = (
    _object_reads("who-pulled-dataset-files", "the files of a dataset", "prefix of the dataset"),
    _object_reads("who-pulled-model-files", "the files of a model", "prefix of the model"),
    Question(
        name="who-used-role",
        about="Who took on a role, from where, and whether with a second factor",
        logs=frozenset({"trail"}),
        asks=(*_DAYS, "ARN of the role"),
        sql=_sql("""
SELECT eventtime, eventname, {who} AS who, sourceipaddress, useragent,
       useridentity.sessioncontext.attributes.mfaauthenticated AS second_factor,
       json_extract_scalar(requestparameters, '$.roleSessionName') AS session, errorcode
FROM trail
WHERE day BETWEEN ? AND ?
  AND eventsource = 'sts.amazonaws.com'
  AND eventname IN ('AssumeRole', 'AssumeRoleWithSAML', 'AssumeRoleWithWebIdentity')
  AND json_extract_scalar(requestparameters, '$.roleArn') = ?
ORDER BY eventtime"""),
    ),
    Question(
        name="what-a-role-did",
        about="What was done in the name of a role, call by call",
        logs=frozenset({"trail"}),
        asks=(*_DAYS, "ARN of the role"),
        sql=_sql("""
SELECT eventsource, eventname, region, errorcode, count(*) AS calls,
       min(eventtime) AS first_time, max(eventtime) AS last_time
FROM trail
WHERE day BETWEEN ? AND ?
  AND useridentity.sessioncontext.sessionissuer.arn = ?
GROUP BY eventsource, eventname, region, errorcode
ORDER BY calls DESC"""),
    ),
    Question(
        name="what-was-denied",
        about="What AWS refused for want of permission, and to whom",
        logs=frozenset({"trail"}),
        asks=_DAYS,
        sql=_sql("""
SELECT {who} AS who, sourceipaddress, eventsource, eventname, errorcode, count(*) AS calls,
       min(eventtime) AS first_time, max(eventtime) AS last_time
FROM trail
WHERE day BETWEEN ? AND ?
  AND (errorcode LIKE 'AccessDenied%' OR errorcode LIKE '%UnauthorizedOperation')
GROUP BY 1, 2, 3, 4, 5
ORDER BY calls DESC"""),
    ),
    Question(
        name="who-used-key",
        about="Who decrypted with a key, and through which service",
        logs=frozenset({"trail"}),
        asks=(*_DAYS, "ARN of the key"),
        sql=_sql("""
SELECT {who} AS who, useridentity.invokedby AS service, eventname, count(*) AS calls,
       min(eventtime) AS first_time, max(eventtime) AS last_time
FROM trail
CROSS JOIN UNNEST(resources) AS named (named_arn, named_account, named_type)
WHERE day BETWEEN ? AND ?
  AND eventsource = 'kms.amazonaws.com'
  AND named_arn = ?
GROUP BY 1, 2, 3
ORDER BY calls DESC"""),
    ),
    Question(
        name="who-changed-permissions",
        about="Who changed what somebody may do: policies of IAM, of buckets and of keys",
        logs=frozenset({"trail"}),
        asks=_DAYS,
        sql=_sql("""
SELECT eventtime, {who} AS who, sourceipaddress, eventsource, eventname, requestparameters, errorcode
FROM trail
WHERE day BETWEEN ? AND ?
  AND readonly = 'false'
  AND (eventsource = 'iam.amazonaws.com'
       OR eventname IN ('PutBucketPolicy', 'DeleteBucketPolicy', 'PutBucketAcl', 'PutKeyPolicy', 'CreateGrant',
                        'AuthorizeSecurityGroupIngress', 'AuthorizeSecurityGroupEgress'))
ORDER BY eventtime"""),
    ),
    Question(
        name="who-read-dataset",
        about="Who read a dataset through the data-access API, for which purpose, and how much of it",
        logs=frozenset({"service"}),
        asks=(*_DAYS, "dataset"),
        sql=_sql("""
SELECT time, principal, source_address, purpose, decision, reason, rows, request_id
FROM service
WHERE day BETWEEN ? AND ?
  AND service = 'data-api'
  AND dataset = ?
ORDER BY time"""),
    ),
    Question(
        name="who-queried-model",
        about="Who queried a model, how often, and from where",
        logs=frozenset({"service"}),
        asks=(*_DAYS, "model"),
        sql=_sql("""
SELECT principal, source_address, decision, count(*) AS queries,
       min(time) AS first_time, max(time) AS last_time
FROM service
WHERE day BETWEEN ? AND ?
  AND service = 'gateway'
  AND model = ?
GROUP BY principal, source_address, decision
ORDER BY queries DESC"""),
    ),
    Question(
        name="what-services-denied",
        about="What the platform's own services refused, and why",
        logs=frozenset({"service"}),
        asks=_DAYS,
        sql=_sql("""
SELECT service, principal, source_address, dataset, model, reason, count(*) AS refusals,
       max(time) AS last_time
FROM service
WHERE day BETWEEN ? AND ?
  AND decision = 'deny'
GROUP BY service, principal, source_address, dataset, model, reason
ORDER BY refusals DESC"""),
    ),
    Question(
        name="what-the-edge-blocked",
        about="What the web ACL blocked: addresses, countries, rules",
        logs=frozenset({"waf"}),
        asks=_DAYS,
        sql=_sql("""
SELECT httprequest.clientip AS address, httprequest.country AS country, terminatingruleid, count(*) AS requests,
       from_unixtime(max("timestamp") / 1000) AS last_time
FROM waf
WHERE day BETWEEN ? AND ?
  AND action = 'BLOCK'
GROUP BY httprequest.clientip, httprequest.country, terminatingruleid
ORDER BY requests DESC"""),
    ),
)

_FROM_ADDRESS: dict[Log, str] = {
    "trail": """SELECT eventtime AS at, 'trail' AS log, {who} AS who,
       concat(eventsource, ' ', eventname) AS what, coalesce(errorcode, 'done') AS outcome
FROM trail
WHERE day BETWEEN ? AND ? AND sourceipaddress = ?""",
    "waf": """SELECT to_iso8601(from_unixtime("timestamp" / 1000)) AS at, 'waf' AS log, httprequest.country AS who,
       concat(httprequest.httpmethod, ' ', httprequest.uri) AS what, action AS outcome
FROM waf
WHERE day BETWEEN ? AND ? AND httprequest.clientip = ?""",
    "load_balancer": """SELECT time AS at, 'load balancer' AS log, user_agent AS who,
       concat(request_verb, ' ', request_url) AS what, cast(elb_status_code AS varchar) AS outcome
FROM load_balancer
WHERE day BETWEEN ? AND ? AND client_ip = ?""",
    "service": """SELECT time AS at, service AS log, principal AS who,
       concat(event, ' ', coalesce(dataset, model, '')) AS what, decision AS outcome
FROM service
WHERE day BETWEEN ? AND ? AND source_address = ?""",
}


def questions_for(logs: Collection[Log]) -> list[Question]:
    """Return the questions that these logs answer, and the one that looks for an address in all of them."""
    answered = [question for question in QUESTIONS if question.logs <= set(logs)]
    return [*answered, _everything_from(sorted(logs))]


def _everything_from(logs: list[Log]) -> Question:
    return Question(
        name="everything-from-address",
        about=f"Everything that came from an address, in {', '.join(logs).replace('_', ' ')}",
        logs=frozenset(logs),
        asks=(*_DAYS, "address") * len(logs),
        sql=_sql("\nUNION ALL\n".join(_FROM_ADDRESS[log] for log in logs) + "\nORDER BY at"),
    )
