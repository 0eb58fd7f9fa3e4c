"""Screens over the API: what they object to is refused, flagged, or told, as the operator says, and always written down."""

from __future__ import annotations

import asyncio
import base64
import io
import zlib
from typing import Any

import httpx
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from tests.services.gateway.world import World, digits, digits_model, image
from tests.services.support import run


def noise() -> list[Any]:
    """Return what no digit looks like, though every value is within the range."""
    return np.random.default_rng(0).integers(0, 17, (8, 8)).astype(float).tolist()  # type: ignore[no-any-return]


def picture(text: str) -> str:
    """Return a PNG with a text in it, in base64."""
    made = Image.new("RGB", (360, 80), "white")
    ImageDraw.Draw(made).text((15, 15), text, fill="black", font=ImageFont.load_default(40))
    data = io.BytesIO()
    made.save(data, "PNG")
    return base64.b64encode(data.getvalue()).decode()


def test_what_is_unlike_the_training_data_is_refused_with_the_reason(world: World) -> None:
    answer = world.predict([image(), noise()])
    assert answer.status_code == 422
    said = answer.json()
    assert (said["type"], said["screen"], said["fields"]) == ("urn:problem:screened", "novelty", ["inputs.1"])
    assert "inputs.1: novelty: " in said["detail"]
    line = world.line_of_last("screened")
    assert (line["decision"], line["flags"], line["rows"]) == ("deny", ["novelty"], 2)
    assert len(line["input_digest"]) == 64


def test_what_is_refused_is_paid_for(world: World) -> None:
    before = world.predict([image()]).json()["remaining_queries"]
    world.predict([noise()])
    assert world.predict([image()]).json()["remaining_queries"] == before - 2


def test_what_is_answered_with_a_flag_says_so(world: World) -> None:
    images, _ = digits()
    flagged = [
        output["flags"]
        for start in range(0, 640, 64)
        for output in world.predict(images[start : start + 64].tolist()).json().get("outputs", ())
        if output["flags"]
    ]
    # At the false-positive rate of the calibration some clean digits are.
    assert flagged
    assert {flag["screen"] for flags in flagged for flag in flags} == {"squeezing"}


def test_what_is_only_flagged_is_written_down_and_not_told(own: World) -> None:
    (own.folder / "serving.yaml").write_text("models: {digits: {screens: {novelty: flag}}}\n")
    own.release(digits_model())
    own.start()
    answer = own.predict([noise()])
    (output,) = answer.json()["outputs"]
    assert output["flags"] == []
    assert own.line_of(answer)["flags"] == ["novelty"]
    assert own.line_of(answer)["decision"] == "allow"
    assert 'gateway_objections_total{mode="flag",screen="novelty"} 1.0' in own.call("GET", "/metrics").text


def test_a_disguised_text_is_put_right_and_told(world: World) -> None:
    (output,) = world.predict([{"text": "win a fr\u200bee pr\u200bize"}], "spam").json()["outputs"]
    assert output["label"] == "spam"
    assert [flag["screen"] for flag in output["flags"]] == ["zero-width"]


def test_a_screen_of_texts_may_have_a_mode_of_its_own(world: World) -> None:
    answer = world.predict([{"text": "\u0440rize m\u0435eting"}], "spam")  # Cyrillic er and ie
    assert (answer.status_code, answer.json()["screen"]) == (422, "homoglyph")


def test_what_is_written_in_an_image_is_classified_with_the_rest(world: World) -> None:
    text = {"text": "See you"}
    (without,) = world.predict([text], "spam").json()["outputs"]
    answer = world.predict([{**text, "images": [picture("win free cash")]}], "spam")
    (output,) = answer.json()["outputs"]
    assert (without["label"], output["label"]) == ("ham", "spam")


def test_nobody_fills_the_queue_of_images_for_all_the_others(world: World) -> None:
    asked = {"inputs": [{"text": "", "images": [picture("free")]}]}

    async def story() -> list[int]:
        headers = {"Authorization": f"Bearer {world.issuer.token()}"}
        async with httpx.AsyncClient(
            base_url=world.address, verify=world.context(), headers=headers, timeout=60
        ) as client:
            calls = (client.post("/v1/models/spam/predict", json=asked) for _ in range(12))
            return [answer.status_code for answer in await asyncio.gather(*calls)]

    statuses = run(story())
    assert set(statuses) == {200, 429}
    assert statuses.count(429) >= 4


def bomb() -> bytes:
    """Return a PNG of 60,000 by 60,000 pixels in a few kilobytes."""
    head = (60_000).to_bytes(4, "big") * 2 + b"\x08\x00\x00\x00\x00"
    rows = zlib.compress(b"\x00" * 1_000_000)

    def chunk(kind: bytes, data: bytes) -> bytes:
        return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")

    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


HOSTILE = {
    "empty": b"",
    "text": b"hello",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "truncated": base64.b64decode(picture("WIN"))[:200],
    "a bomb": bomb(),
    "a script": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
}


@pytest.mark.parametrize("data", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_images_are_refused(world: World, data: bytes) -> None:
    answer = world.predict([{"text": "x", "images": [base64.b64encode(data).decode()]}], "spam")
    assert answer.status_code == 422
    assert answer.json()["fields"] == ["inputs.0.images.0"]
    assert answer.json()["type"] == "urn:problem:image-refused"
