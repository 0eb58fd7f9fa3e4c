"""The logs as tables: columns, file format, and where the files of a day lie, so that a question reads no other.

Partition projection computes the folders instead of listing them (Athena User Guide, "Use partition projection
with Amazon Athena"): nobody has to add partitions, and a new day is there at midnight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypedDict

Log = Literal["trail", "waf", "load_balancer", "service"]

SINCE = "2025/01/01"
"""The first day that is looked at; older than any log of the platform."""

_REGIONS: Mapping[str, tuple[str, ...]] = {
    "aws": (
        "af-south-1",
        "ap-east-1",
        "ap-east-2",
        "ap-northeast-1",
        "ap-northeast-2",
        "ap-northeast-3",
        "ap-south-1",
        "ap-south-2",
        "ap-southeast-1",
        "ap-southeast-2",
        "ap-southeast-3",
        "ap-southeast-4",
        "ap-southeast-5",
        "ap-southeast-6",
        "ap-southeast-7",
        "ca-central-1",
        "ca-west-1",
        "eu-central-1",
        "eu-central-2",
        "eu-north-1",
        "eu-south-1",
        "eu-south-2",
        "eu-west-1",
        "eu-west-2",
        "eu-west-3",
        "il-central-1",
        "me-central-1",
        "me-south-1",
        "mx-central-1",
        "sa-east-1",
        "us-east-1",
        "us-east-2",
        "us-west-1",
        "us-west-2",
    ),
    "aws-us-gov": ("us-gov-east-1", "us-gov-west-1"),
    "aws-cn": ("cn-north-1", "cn-northwest-1"),
}
"""Every region of a partition (AWS General Reference, "AWS service endpoints"): whoever hides does not do so in ours."""


@dataclass(frozen=True, kw_only=True)
class Partition:
    """A column that is a folder: its name in the table, and how its values are computed."""

    name: str
    projection: Mapping[str, str]
    """What Athena calls ``projection.<name>.<key>``."""


@dataclass(frozen=True, kw_only=True)
class LogTable:
    """One log as a table."""

    name: str
    about: str
    columns: Mapping[str, str]
    """Name to type, in the spelling of Hive."""
    partitions: tuple[Partition, ...]
    folder: str
    """Folder of a partition below the log's own, in terms of the partitions: ``${region}/${day}``."""
    serde: str
    serde_parameters: Mapping[str, str] = field(default_factory=dict)
    input_format: str = "org.apache.hadoop.mapred.TextInputFormat"
    output_format: str = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

    def parameters(self, location: str) -> dict[str, str]:
        """Return the properties of the table whose files lie below ``location``, an ``s3://`` URL."""
        computed = {
            f"projection.{partition.name}.{key}": value
            for partition in self.partitions
            for key, value in partition.projection.items()
        }
        return {
            "EXTERNAL": "TRUE",
            "projection.enabled": "true",
            **computed,
            "storage.location.template": f"{location}/{self.folder}",
        }

    def ddl(self, location: str) -> str:
        """Return the statement that makes the table in another account: that of an auditor, say."""
        columns = ",\n  ".join(f"`{name}` {type_}" for name, type_ in self.columns.items())
        partitions = ", ".join(f"`{partition.name}` string" for partition in self.partitions)
        return (
            f"CREATE EXTERNAL TABLE IF NOT EXISTS `{self.name}` (\n  {columns}\n)\n"
            f"COMMENT {_quoted(self.about)}\n"
            f"PARTITIONED BY ({partitions})\n"
            f"ROW FORMAT SERDE {_quoted(self.serde)}\n"
            f"{self._serde_properties()}"
            f"STORED AS INPUTFORMAT {_quoted(self.input_format)} OUTPUTFORMAT {_quoted(self.output_format)}\n"
            f"LOCATION {_quoted(location + '/')}\n"
            f"TBLPROPERTIES ({_pairs({k: v for k, v in self.parameters(location).items() if k != 'EXTERNAL'})})"
        )

    def _serde_properties(self) -> str:
        return f"WITH SERDEPROPERTIES ({_pairs(self.serde_parameters)})\n" if self.serde_parameters else ""


def _pairs(values: Mapping[str, str]) -> str:
    return ", ".join(f"{_quoted(key)} = {_quoted(value)}" for key, value in values.items())


def _quoted(text: str) -> str:
    """Return a literal of Hive's, where a backslash begins an escape."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _by(unit: Literal["DAYS", "HOURS", "MINUTES"], date_format: str, since: str) -> Partition:
    return Partition(
        name="day",
        projection={
            "type": "date",
            "format": date_format,
            "range": f"{since},NOW",
            "interval": "1",
            "interval.unit": unit,
        },
    )


_BY_DAY = _by("DAYS", "yyyy/MM/dd", SINCE)

_IDENTITY = (
    "struct<type:string,principalid:string,arn:string,accountid:string,invokedby:string,accesskeyid:string,"
    "username:string,onbehalfof:struct<userid:string,identitystorearn:string>,"
    "sessioncontext:struct<attributes:struct<mfaauthenticated:string,creationdate:string>,"
    "sessionissuer:struct<type:string,principalid:string,arn:string,accountid:string,username:string>,"
    "ec2roledelivery:string,"
    "webidfederationdata:struct<federatedprovider:string,attributes:map<string,string>>>>"
)


def trail_table(partition: str) -> LogTable:
    """Return the trail as a table (Athena User Guide, "Create the table for CloudTrail logs ... partition projection").

    ``partition`` is the ARN partition (``aws``), whose every region the trail covers.
    """
    return LogTable(
        name="trail",
        about="Every call to AWS, and every read and write of data and models",
        columns={
            "eventversion": "string",
            "useridentity": _IDENTITY,
            "eventtime": "string",
            "eventsource": "string",
            "eventname": "string",
            "awsregion": "string",
            "sourceipaddress": "string",
            "useragent": "string",
            "errorcode": "string",
            "errormessage": "string",
            "requestparameters": "string",
            "responseelements": "string",
            "additionaleventdata": "string",
            "requestid": "string",
            "eventid": "string",
            "readonly": "string",
            "resources": "array<struct<arn:string,accountid:string,type:string>>",
            "eventtype": "string",
            "apiversion": "string",
            "recipientaccountid": "string",
            "serviceeventdetails": "string",
            "sharedeventid": "string",
            "vpcendpointid": "string",
            "eventcategory": "string",
            "sessioncredentialfromconsole": "string",
            "tlsdetails": "struct<tlsversion:string,ciphersuite:string,clientprovidedhostheader:string>",
        },
        partitions=(
            Partition(name="region", projection={"type": "enum", "values": ",".join(_REGIONS[partition])}),
            _BY_DAY,
        ),
        folder="${region}/${day}",
        serde="org.apache.hive.hcatalog.data.JsonSerDe",
        input_format="com.amazon.emr.cloudtrail.CloudTrailInputFormat",
    )


class _Format(TypedDict):
    serde: str
    serde_parameters: Mapping[str, str]


_LINES: _Format = {
    "serde": "org.openx.data.jsonserde.JsonSerDe",
    # A line that is none (a stack trace, an empty one) must not end the question.
    "serde_parameters": {"ignore.malformed.json": "true"},
}
"""A JSON object a line, as the archive lays them down."""

WAF = LogTable(
    name="waf",
    about="Every request that the web ACL judged",
    columns={
        "timestamp": "bigint",
        "formatversion": "int",
        "webaclid": "string",
        "terminatingruleid": "string",
        "terminatingruletype": "string",
        "action": "string",
        "terminatingrulematchdetails": "array<struct<conditiontype:string,sensitivitylevel:string,"
        "location:string,matcheddata:array<string>>>",
        "httpsourcename": "string",
        "httpsourceid": "string",
        "rulegrouplist": "array<struct<rulegroupid:string,terminatingrule:struct<ruleid:string,action:string>,"
        "nonterminatingmatchingrules:array<struct<ruleid:string,action:string>>,excludedrules:string>>",
        "ratebasedrulelist": "array<struct<ratebasedruleid:string,limitkey:string,maxrateallowed:int>>",
        "nonterminatingmatchingrules": "array<struct<ruleid:string,action:string>>",
        "responsecodesent": "string",
        "httprequest": "struct<clientip:string,country:string,headers:array<struct<name:string,value:string>>,"
        "uri:string,args:string,httpversion:string,httpmethod:string,requestid:string>",
        "labels": "array<struct<name:string>>",
        "ja3fingerprint": "string",
        "ja4fingerprint": "string",
        "requestbodysize": "int",
        "requestbodysizeinspectedbywaf": "int",
    },
    partitions=(_BY_DAY,),
    folder="${day}",
    **_LINES,
)
"""Athena User Guide, "Create a table for AWS WAF S3 logs in Athena using partition projection"."""

LOAD_BALANCER = LogTable(
    name="load_balancer",
    about="Every request that reached the load balancer",
    columns={
        "type": "string",
        "time": "string",
        "elb": "string",
        "client_ip": "string",
        "client_port": "int",
        "target_ip": "string",
        "target_port": "int",
        "request_processing_time": "double",
        "target_processing_time": "double",
        "response_processing_time": "double",
        "elb_status_code": "int",
        "target_status_code": "string",
        "received_bytes": "bigint",
        "sent_bytes": "bigint",
        "request_verb": "string",
        "request_url": "string",
        "request_proto": "string",
        "user_agent": "string",
        "ssl_cipher": "string",
        "ssl_protocol": "string",
        "target_group_arn": "string",
        "trace_id": "string",
        "domain_name": "string",
        "chosen_cert_arn": "string",
        "matched_rule_priority": "string",
        "request_creation_time": "string",
        "actions_executed": "string",
        "redirect_url": "string",
        "lambda_error_reason": "string",
        "target_port_list": "string",
        "target_status_code_list": "string",
        "classification": "string",
        "classification_reason": "string",
        "conn_trace_id": "string",
    },
    partitions=(_BY_DAY,),
    folder="${day}",
    serde="org.apache.hadoop.hive.serde2.RegexSerDe",
    serde_parameters={
        "serialization.format": "1",
        "input.regex": r"([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*):([0-9]*) ([^ ]*)[:-]([0-9]*) ([-.0-9]*) ([-.0-9]*) "
        r'([-.0-9]*) (|[-0-9]*) (-|[-0-9]*) ([-0-9]*) ([-0-9]*) "([^ ]*) (.*) (- |[^ ]*)" "([^"]*)" '
        r'([A-Z0-9-_]+) ([A-Za-z0-9.-]*) ([^ ]*) "([^"]*)" "([^"]*)" "([^"]*)" ([-.0-9]*) ([^ ]*) "([^"]*)" '
        r'"([^"]*)" "([^ ]*)" "([^\s]+?)" "([^\s]+)" "([^ ]*)" "([^ ]*)" ?([^ ]*)?(?: .*)?',
    },
)
"""Athena User Guide, "Create the table for ALB access logs in Athena using partition projection"."""

SERVICE = LogTable(
    name="service",
    about="What the platform's services were asked, by whom, and what they answered",
    columns={
        "time": "string",
        "service": "string",
        "event": "string",
        "principal": "string",
        "source_address": "string",
        "dataset": "string",
        "model": "string",
        "purpose": "string",
        "decision": "string",
        "reason": "string",
        "rows": "bigint",
        "request_id": "string",
    },
    partitions=(_BY_DAY,),
    folder="${day}",
    **_LINES,
)
"""One JSON object a line; ``decision`` is ``allow`` or ``deny``. Inputs of models are not in it."""


def table_of(log: Log, partition: str) -> LogTable:
    """Return the table of a log."""
    match log:
        case "trail":
            return trail_table(partition)
        case "waf":
            return WAF
        case "load_balancer":
            return LOAD_BALANCER
        case "service":
            return SERVICE
