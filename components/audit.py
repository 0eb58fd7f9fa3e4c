"""Where the audit's questions are asked: an Athena workgroup, the logs as tables, the questions ready to run."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_aws as aws

from components.audit_queries import Question, questions_for
from components.audit_tables import Log, LogTable, table_of
from components.documents import partition_of

MINIMUM_LIMIT_GB = 1

_GB = 1000**3
"""Athena counts and charges in powers of ten."""


class AuditRoom(pulumi.ComponentResource):
    """A workgroup whose answers are encrypted whatever the client asks for, and what can be asked in it.

    Attributes:
        workgroup: Name of the workgroup.
        database: Name of the database that holds the tables.
    """

    workgroup: pulumi.Output[str]
    database: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        logs: Mapping[Log, str],
        results_bucket_name: str,
        results_key_arn: pulumi.Input[str],
        query_limit_gb: int,
        account_id: str,
        region: str,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Make the workgroup, a table for each log and the questions that they answer.

        Args:
            name: Logical name, and that of workgroup and (with underscores) database.
            logs: Where the files of each log lie, as ``s3://`` URLs without a slash at the end.
            results_bucket_name: The bucket that answers are put into.
            results_key_arn: Key of the answers.
            query_limit_gb: A question that reads more is ended: a forgotten day costs no fortune.
            account_id: The account; an answer goes into no bucket of anybody else's.
            region: The region.
            opts: Options of the component.

        Raises:
            ValueError: there is no log, a location is none, or the limit is under a gigabyte.
        """
        super().__init__("secureml:audit:AuditRoom", name, None, opts)
        _check(logs, query_limit_gb)
        self._name = name
        self._under = pulumi.ResourceOptions(parent=self)

        workgroup = self._workgroup(results_bucket_name, results_key_arn, query_limit_gb, account_id)
        database = aws.glue.CatalogDatabase(
            f"{name}-logs", name=name.replace("-", "_"), description="Logs as tables", opts=self._under
        )
        for log, location in logs.items():
            table = table_of(log, partition_of(region))
            self._table(table, location, database)
            self._named_query(
                f"table-{log}", f"Makes the table {log}", table.ddl(location), workgroup, database
            )
        for question in questions_for(list(logs)):
            self._named_query(question.name, _explained(question), question.sql, workgroup, database)
        self.workgroup, self.database = workgroup.name, database.name
        self.register_outputs({"workgroup": self.workgroup, "database": self.database})

    def _workgroup(
        self, bucket_name: str, key_arn: pulumi.Input[str], query_limit_gb: int, account_id: str
    ) -> aws.athena.Workgroup:
        return aws.athena.Workgroup(
            f"{self._name}-workgroup",
            name=self._name,
            description="Questions of the audit",
            state="ENABLED",
            # It holds questions and their history, no logs and no answers.
            force_destroy=True,
            configuration={
                "enforce_workgroup_configuration": True,
                "publish_cloudwatch_metrics_enabled": True,
                "bytes_scanned_cutoff_per_query": query_limit_gb * _GB,
                "engine_version": {"selected_engine_version": "Athena engine version 3"},
                "requester_pays_enabled": False,
                "result_configuration": {
                    "output_location": f"s3://{bucket_name}/answers/",
                    "expected_bucket_owner": account_id,
                    "encryption_configuration": {"encryption_option": "SSE_KMS", "kms_key_arn": key_arn},
                },
            },
            opts=self._under,
        )

    def _table(self, table: LogTable, location: str, database: aws.glue.CatalogDatabase) -> None:
        aws.glue.CatalogTable(
            f"{self._name}-{table.name}",
            name=table.name,
            description=table.about,
            database_name=database.name,
            table_type="EXTERNAL_TABLE",
            parameters=table.parameters(location),
            partition_keys=[{"name": partition.name, "type": "string"} for partition in table.partitions],
            storage_descriptor={
                "location": f"{location}/",
                "input_format": table.input_format,
                "output_format": table.output_format,
                "ser_de_info": {
                    "serialization_library": table.serde,
                    "parameters": dict(table.serde_parameters),
                },
                "columns": [{"name": name, "type": type_} for name, type_ in table.columns.items()],
            },
            opts=self._under,
        )

    def _named_query(
        self,
        name: str,
        about: str,
        sql: str,
        workgroup: aws.athena.Workgroup,
        database: aws.glue.CatalogDatabase,
    ) -> None:
        aws.athena.NamedQuery(
            f"{self._name}-{name}",
            name=name,
            description=about,
            workgroup=workgroup.name,
            database=database.name,
            query=sql,
            opts=self._under,
        )


def _explained(question: Question) -> str:
    return f"{question.about}. Asks for: {', '.join(question.asks)}"[:1024]


def _check(logs: Mapping[Log, str], query_limit_gb: int) -> None:
    if not logs:
        raise ValueError("logs is empty; name where at least the trail lies")
    for log, location in logs.items():
        if not location.startswith("s3://") or location.endswith("/"):
            raise ValueError(
                f"logs[{log!r}] is no location; write s3://bucket/folder without a slash at the end"
            )
    if query_limit_gb < MINIMUM_LIMIT_GB:
        raise ValueError(f"query_limit_gb is {query_limit_gb}; write {MINIMUM_LIMIT_GB} or more")
