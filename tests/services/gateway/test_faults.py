"""Faults of the machine, each on the real process: killed in the middle, the disk full, the store gone, time running out."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import time
from dataclasses import replace
from datetime import timedelta

import httpx
import numpy as np
import pytest
from onnx import helper

from services.modelchain import tensors
from tests.services.gateway.world import Made, World, digits, digits_model, graph, image, spam_model
from tests.services.support import until


def version(world: World) -> int:
    answer = world.predict([image()])
    assert answer.status_code == 200, answer.text
    assert answer.json()["outputs"][0]["label"] == "0"
    return int(answer.json()["version"])


def hang_up(world: World) -> None:
    assert world.process is not None
    world.process.send_signal(signal.SIGHUP)


def test_a_new_release_serves_without_a_gap_and_at_once_when_told(own: World) -> None:
    own.environment["RELOAD_SECONDS"] = "3600"
    own.release(digits_model())
    own.start()
    own.release(digits_model().as_version(2))
    hang_up(own)
    seen = [version(own)]
    until(lambda: seen.append(version(own)) or seen[-1] == 2)  # type: ignore[func-returns-value]
    assert seen == sorted(seen)
    loaded = own.events("model-loaded")
    assert [each["model_version"] for each in loaded] == [1, 2]


def working(world: World) -> bool:
    """Say whether a release is being looked at."""
    folder = world.folder / "state" / "work"
    return folder.is_dir() and any(folder.iterdir())


def test_killed_while_it_loads_a_release_it_starts_again_from_the_last_good_one(own: World) -> None:
    own.release(digits_model())
    own.start()
    own.release(digits_model().as_version(2))
    until(lambda: working(own))
    own.stop(kill=True)
    assert working(own), "it was killed in the middle"
    shutil.rmtree(own.releases)
    own.start()
    assert version(own) == 1
    assert not working(own), "what was left over is gone"
    # And the release itself is none the worse for it.
    own.releases.mkdir()
    own.release(digits_model().as_version(2))
    until(lambda: version(own) == 2)


def test_killed_between_the_copy_and_the_mark_it_goes_on_with_the_newer(own: World) -> None:
    own.release(digits_model())
    own.start()
    marks = own.folder / "state" / "marks.json"
    before = marks.read_bytes()
    own.release(digits_model().as_version(2))
    until(lambda: version(own) == 2)
    own.stop(kill=True)
    marks.write_bytes(before)
    own.start()
    assert version(own) == 2


def test_a_mark_that_is_damaged_stops_the_gateway_with_one_line(own: World) -> None:
    own.release(digits_model())
    own.start()
    own.stop()
    (own.folder / "state" / "marks.json").write_text("{")
    with pytest.raises(AssertionError, match=r"gateway: .*marks\.json: is damaged; .*least_version"):
        own.start()


def heavy(made: Made) -> Made:
    """Return a release of more than a megabyte."""
    weights = tensors.written({"w": np.zeros((600, 600), np.float32)})
    return replace(made.as_version(2), weights=weights)


def test_with_a_full_disk_the_last_good_model_answers_and_a_restart_too(own: World) -> None:
    """No file of the process may be larger than 256 KiB: what would be, fails as on a full disk."""
    own.release(digits_model())
    full = ["bash", "-c", 'ulimit -f 256; exec "$@"', "bash"]
    own.start(before=full)
    path = own.release(heavy(digits_model()))
    until(lambda: bool(own.events("model-refused")))
    assert version(own) == 1
    own.stop()
    own.start(before=full)
    assert version(own) == 1
    assert "File too large" in own.events("model-refused")[0]["reason"]
    assert path.is_dir()


def test_with_the_store_gone_it_answers_and_restarts_from_the_copy_and_says_so_once(own: World) -> None:
    own.release(digits_model())
    own.start()
    own.releases.rename(own.folder / "elsewhere")
    until(lambda: bool(own.events("model-refused")))
    time.sleep(0.5)
    assert version(own) == 1
    assert len(own.events("model-refused")) == 1
    own.stop()
    own.start()
    assert version(own) == 1
    (own.folder / "elsewhere").rename(own.releases)
    own.release(digits_model().as_version(2))
    until(lambda: version(own) == 2)


def test_without_any_good_release_it_is_up_and_not_ready(own: World) -> None:
    own.start(ready=False)
    assert own.call("GET", "/ready").status_code == 503
    answer = own.predict([image()])
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:unavailable")
    assert own.line_of_last("no-model")["decision"] == "deny"
    own.release(digits_model())
    until(lambda: own.answers("/ready"))
    assert version(own) == 1


def test_a_bad_release_of_one_model_does_not_take_the_others_away(own: World) -> None:
    (own.folder / "serving.yaml").write_text("models: {digits: , spam: }\n")
    own.release(digits_model())
    (own.release(spam_model()) / "model.sig").unlink()
    own.start()
    assert version(own) == 1
    answer = own.predict([{"text": "hello"}], "spam")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:problem:unavailable")
    # Without a look at its newest release, nobody would know.
    assert {each["model"] for each in own.events("model-refused")} == {"spam"}


def test_when_the_verdict_has_ended_nothing_is_answered_any_more(own: World) -> None:
    own.release(digits_model(), holds=timedelta(seconds=12))
    own.start()
    assert version(own) == 1
    until(lambda: own.predict([image()]).status_code == 503)
    answer = own.predict([image()])
    assert "judged anew" in answer.json()["detail"]
    assert own.line_of_last("verdict-ended")["decision"] == "deny"
    assert 'gateway_verdict_holds_seconds{model="digits"} 0.0' in own.call("GET", "/metrics").text
    assert own.events("verdict-ends")


def test_a_model_that_is_too_slow_is_a_504_and_the_next_query_is_answered(own: World) -> None:
    """Two thousand inputs take it half a minute, one a few milliseconds."""
    nodes = [
        helper.make_node("Flatten", ["image"], ["x0"]),
        *(helper.make_node("MatMul", [f"x{n}", "w"], [f"x{n + 1}"]) for n in range(30)),
        helper.make_node("MatMul", ["x30", "last"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    weights = {"w": np.full((1600, 1600), 1e-4, np.float32), "last": np.zeros((1600, 10), np.float32)}
    schema = digits_model().schema
    takes = schema.input.model_copy(update={"shape": (40, 40)})
    made = replace(
        digits_model(),
        schema=schema.model_copy(update={"input": takes}),
        graph=graph(nodes, ("image", (40, 40)), ("probabilities", 10), weights),
        statistics=digits_model().statistics.model_copy(update={"novelty": None, "squeezing": None}),
    )
    (own.folder / "serving.yaml").write_text(
        "models: {digits: {deadline_seconds: 1, most_rows: 4000, body_bytes: 33554432}}\n"
    )
    own.release(made)
    own.start()
    one = [[0] * 40] * 40
    answer = own.predict([one] * 3000)
    assert (answer.status_code, answer.json()["type"]) == (504, "urn:problem:deadline")
    assert own.line_of_last("deadline")["decision"] == "deny"
    assert own.predict([one]).status_code == 200


def test_many_at_once_are_answered_each_with_their_own(world: World) -> None:
    images, _ = digits()
    alone = [world.predict([images[n].tolist()]).json()["outputs"][0]["scores"] for n in range(1200, 1230)]

    async def story() -> list[dict[str, float]]:
        headers = {"Authorization": f"Bearer {world.issuer.token()}"}
        async with httpx.AsyncClient(
            base_url=world.address, verify=world.context(), headers=headers
        ) as client:
            answers = await asyncio.gather(
                *(
                    client.post("/v1/models/digits/predict", json={"inputs": [images[n].tolist()]})
                    for n in range(1200, 1230)
                )
            )
        return [answer.json()["outputs"][0]["scores"] for answer in answers]

    assert asyncio.run(story()) == alone


def test_a_gateway_that_is_told_to_stop_finishes_what_it_began(own: World) -> None:
    own.release(digits_model())
    own.start()
    version(own)
    assert own.process is not None
    process = own.process
    own.stop()
    assert process.returncode in (0, -signal.SIGTERM)
    assert all(json.loads(line) for line in own.log.read_text().splitlines())
