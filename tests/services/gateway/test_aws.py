"""In AWS: keys in KMS, releases in S3, budgets in DynamoDB, secrets and the log where AWS keeps them; one query through all."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest

from services.gateway.app import create
from services.gateway.settings import read
from services.modelchain import keys
from services.modelchain.keys import Signer
from tests.services.gateway.world import People, World, digits_model, image
from tests.services.modelchain import emulated
from tests.services.modelchain.emulated import REGION
from tests.services.support import run


@pytest.fixture
def aws() -> Iterator[Callable[[str], Any]]:
    """Yield what makes clients of an emulated AWS."""
    with emulated.kms():
        yield lambda service: boto3.client(service, region_name=REGION)


def settings_in(aws: Any, world: World, trainer: Signer, redteam: Signer) -> dict[str, str]:
    """Put everything into AWS, and return the environment that names it, with nothing on this machine but the token's keys."""
    people = People(world.people.folder, trainer, redteam, world.people.stranger)
    path = people.released(digits_model(), world.releases)
    aws("s3").create_bucket(Bucket="models", CreateBucketConfiguration={"LocationConstraint": REGION})
    for file in path.rglob("*"):
        if file.is_file():
            aws("s3").upload_file(str(file), "models", f"released/{file.relative_to(world.releases)}")
    aws("dynamodb").create_table(
        TableName="budgets",
        KeySchema=[{"AttributeName": "account", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "account", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    aws("logs").create_log_group(logGroupName="/gateway/queries")
    # A secret is bytes: one that ends in white space is no shorter.
    aws("secretsmanager").create_secret(Name="gateway/queries", SecretBinary=os.urandom(30) + b" \n")
    return {
        "CALLER_ISSUER": world.environment["CALLER_ISSUER"],
        "CALLER_KEYS_FILE": world.environment["CALLER_KEYS_FILE"],
        "CLIENTS_FILE": world.environment["CLIENTS_FILE"],
        "SERVING_FILE": world.environment["SERVING_FILE"],
        "STATE_FOLDER": world.environment["STATE_FOLDER"],
        "AWS_REGION": REGION,
        "MODEL_BUCKET": "models",
        "MODEL_PREFIX": "released/",
        "TRAINER_KEY_ARN": trainer.name,
        "VERDICT_KEY_ARN": redteam.name,
        "BUDGET_TABLE": "budgets",
        "QUERY_LOG_GROUP": "/gateway/queries",
        "QUERY_SECRET_ID": "gateway/queries",
    }


def test_a_query_goes_through_what_aws_keeps(aws: Any, own: World, tmp_path: Path) -> None:
    trainer, redteam = (keys.kms_signer(emulated.key(aws("kms")), REGION) for _ in range(2))
    environment = settings_in(aws, own, trainer, redteam)

    async def story(log: int) -> httpx.Response:
        app = create(read(environment), log=log)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://gateway") as client,
        ):
            while (await client.get("/ready")).status_code != 200:
                await asyncio.sleep(0.05)
            return await client.post(
                "/v1/models/digits/predict",
                json={"inputs": [image()]},
                headers={"Authorization": f"Bearer {own.issuer.token()}"},
            )

    with own.log.open("wb") as log:
        answer = run(story(log.fileno()))
    assert (answer.status_code, answer.json()["outputs"][0]["label"]) == (200, "0")
    shipped = aws("logs").filter_log_events(logGroupName="/gateway/queries")["events"]
    assert [each["message"] for each in shipped] == own.log.read_text().splitlines()
    assert [json.loads(each["message"])["event"] for each in shipped] == ["model-loaded", "predict"]
    (row,) = aws("dynamodb").scan(TableName="budgets")["Items"]
    assert row["principal"] == {"S": "training/trainer"}
