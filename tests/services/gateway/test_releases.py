"""Releases that must not serve: each is refused, written down once, and the last good model goes on."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as changed
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from services.gateway import trial
from services.gateway.marks import Marks, MarksError
from services.gateway.messages import Reading
from services.gateway.models import AGAIN_SECONDS, Models, State, StateError
from services.gateway.queries import Unwritten
from services.gateway.serving import Serving
from services.gateway.store import Folder
from services.modelchain import signing, strict_json
from services.modelchain.schema import VERDICT, VERDICT_FILE, Verdict
from tests.services.gateway.world import Made, People, digits_model, graph, spam_model
from tests.services.support import run

KEY = b"k" * 32


@dataclass
class Gateway:
    """What loads models, without what answers."""

    folder: Path
    people: People
    serving: Serving = field(default_factory=Serving)
    events: list[Mapping[str, Any]] = field(default_factory=list)
    log_works: bool = True

    def __post_init__(self) -> None:
        self.releases.mkdir(exist_ok=True)
        self.open()

    @property
    def releases(self) -> Path:
        return self.folder / "releases"

    def open(self) -> None:
        self.state = State(self.folder / "state")
        self.models = Models(
            {"digits": self.serving},
            store=Folder(self.releases),
            state=self.state,
            marks=Marks(self.state.marks, KEY),
            trainer=self.people.trainer.verifier,
            redteam=self.people.redteam.verifier,
            reading=Reading(),
            write=self.write,
        )

    async def write(self, event: Mapping[str, Any]) -> None:
        if not self.log_works:
            raise Unwritten
        self.events.append(event)

    def look(self) -> None:
        run(self.models.look())

    def restart(self) -> None:
        self.state.close()
        self.open()
        run(self.models.begin())

    @property
    def version(self) -> int | None:
        served = self.models.served("digits")
        return served.schema.version if served else None

    def answers(self) -> bool:
        served = self.models.served("digits")
        if served is None:
            return False
        asked = np.zeros((1, 8, 8), np.float32)
        (row,) = run(served.kind.answered(asked))
        return bool(np.isclose(row.answer.sum(), 1, atol=1e-3))

    def reasons(self) -> list[str]:
        return [str(each["reason"]) for each in self.events if each["event"] == "model-refused"]


@pytest.fixture
def gateway(tmp_path: Path, people: People) -> Iterator[Gateway]:
    made = Gateway(tmp_path, people)
    yield made
    made.state.close()


@pytest.fixture
def serving(gateway: Gateway) -> Gateway:
    """One that serves version 1."""
    gateway.people.released(digits_model(), gateway.releases)
    gateway.look()
    assert gateway.version == 1
    return gateway


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, people: People) -> Iterator[Gateway]:
    """One that serves version 1 to many tests, whatever they put beside it."""
    made = Gateway(tmp_path_factory.mktemp("steady"), people)
    people.released(digits_model(), made.releases)
    made.look()
    assert made.version == 1
    yield made
    made.state.close()


@pytest.fixture
def unmoved(steady: Gateway) -> Iterator[Gateway]:
    """The same, with the place for a second version empty."""
    steady.events.clear()
    yield steady
    shutil.rmtree(steady.releases / "digits/2")
    assert (steady.version, steady.answers()) == (1, True)


def second(gateway: Gateway, made: Made | None = None, **more: Any) -> Path:
    return gateway.people.released((made or digits_model()).as_version(2), gateway.releases, **more)


# --- releases that somebody tampered with, or made without the right ------------------------------------------


def unsigned(gateway: Gateway) -> None:
    (second(gateway) / "model.sig").unlink()


def not_judged(gateway: Gateway) -> None:
    shutil.rmtree(second(gateway) / "verdict")


def a_verdict_that_nobody_signed(gateway: Gateway) -> None:
    (second(gateway) / "verdict.sig").unlink()


def tampered_with(gateway: Gateway) -> None:
    path = second(gateway) / "model/model.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def another_threshold(gateway: Gateway) -> None:
    path = second(gateway) / "model/statistics.json"
    path.write_text(path.read_text().replace('"threshold": ', '"threshold": 9'))


def truncated(gateway: Gateway) -> None:
    path = second(gateway) / "model/model.onnx"
    path.write_bytes(path.read_bytes()[:-100])


def empty(gateway: Gateway) -> None:
    (gateway.releases / "digits/2").mkdir()


def half_copied(gateway: Gateway) -> None:
    (second(gateway) / "model/statistics.safetensors").unlink()


def with_something_more(gateway: Gateway) -> None:
    (second(gateway) / "model/notes.txt").write_text("hello")


def a_link(gateway: Gateway) -> None:
    path = second(gateway) / "model/model.onnx"
    path.rename(gateway.folder / "elsewhere")
    path.symlink_to(gateway.folder / "elsewhere")


def signed_by_a_stranger(gateway: Gateway) -> None:
    second(gateway, trainer=gateway.people.stranger)


def judged_by_a_stranger(gateway: Gateway) -> None:
    second(gateway, redteam=gateway.people.stranger)


def signed_and_judged_with_roles_swapped(gateway: Gateway) -> None:
    second(gateway, trainer=gateway.people.redteam, redteam=gateway.people.trainer)


def another_model_under_its_name(gateway: Gateway) -> None:
    elsewhere = gateway.people.released(spam_model().as_version(2), gateway.releases)
    elsewhere.rename(gateway.releases / "digits/2")


def an_old_model_under_a_new_number(gateway: Gateway) -> None:
    shutil.copytree(gateway.releases / "digits/1", gateway.releases / "digits/2")


def the_verdict_of_another_model(gateway: Gateway) -> None:
    judged = gateway.people.released(spam_model().as_version(2), gateway.releases)
    path = second(gateway)
    for name in ("verdict", "verdict.sig"):
        shutil.rmtree(path / name) if (path / name).is_dir() else (path / name).unlink()
        (judged / name).rename(path / name)


def judged(gateway: Gateway, path: Path, **changes: Any) -> None:
    """Write another verdict about a release, properly signed."""
    file = path / VERDICT / VERDICT_FILE
    told = Verdict.model_validate_json(file.read_bytes())
    data = strict_json.written(Verdict(**{**dict(told), **changes}))
    file.write_bytes(data)
    signature = signing.signature({VERDICT_FILE: data}, gateway.people.redteam, VERDICT)
    (path / "verdict.sig").write_bytes(signature)


def a_verdict_that_has_ended(gateway: Gateway) -> None:
    now = datetime.now(UTC)
    judged(gateway, second(gateway), judged_at=now - timedelta(9), holds_until=now - timedelta(seconds=1))


def an_adverse_verdict(gateway: Gateway) -> None:
    path = second(gateway)
    told = Verdict.model_validate_json((path / VERDICT / VERDICT_FILE).read_bytes())
    checks = (told.checks[0].model_copy(update={"passed": False, "value": 0.1}),)
    judged(gateway, path, passed=False, checks=checks)


FORGED: dict[Callable[[Gateway], None], str] = {
    unsigned: "model.sig",
    not_judged: "verdict",
    a_verdict_that_nobody_signed: "verdict.sig",
    tampered_with: "model.onnx: was changed",
    another_threshold: "statistics.json: was changed",
    truncated: "model.onnx: was changed",
    empty: "holds no folder model/",
    half_copied: "statistics.safetensors",
    with_something_more: "does not belong there",
    a_link: "is not a plain file",
    signed_by_a_stranger: "another key",
    judged_by_a_stranger: "another key",
    signed_and_judged_with_roles_swapped: "another key",
    another_model_under_its_name: "is spam 2 in the place of digits 2",
    an_old_model_under_a_new_number: "is digits 1 in the place of digits 2",
    the_verdict_of_another_model: "is about sha256:",
    a_verdict_that_has_ended: "judged anew",
    an_adverse_verdict: "the red team found against the model",
}


@pytest.mark.parametrize(("forge", "says"), FORGED.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_bad_release_is_refused_once_and_the_last_good_one_goes_on(
    unmoved: Gateway, forge: Callable[[Gateway], None], says: str
) -> None:
    forge(unmoved)
    for _ in range(3):
        unmoved.look()
    assert unmoved.version == 1
    assert unmoved.answers()
    (reason,) = unmoved.reasons()
    assert says in reason
    assert not list((unmoved.folder / "state/work").iterdir()), "what was copied is gone"


# --- releases that are genuine and do not work -------------------------------------------------------------------


def of_digits(nodes: list[Any], **weights: Any) -> Made:
    takes, gives = ("image", (8, 8)), ("probabilities", 10)
    flat = helper.make_node("Flatten", ["image"], ["flat"])
    made = graph([flat, *nodes], takes, gives, {"w": np.zeros((64, 10), np.float32), **weights})
    return changed(digits_model(), graph=made)


def logits() -> Made:
    return of_digits([helper.make_node("MatMul", ["flat", "w"], ["probabilities"])])


def nothing_but_nan() -> Made:
    nodes = [
        helper.make_node("MatMul", ["flat", "w"], ["zeros"]),
        helper.make_node("Div", ["zeros", "zeros"], ["probabilities"]),
    ]
    return of_digits(nodes)


def minding_who_else_asks() -> Made:
    """A model whose answer depends on the rest of the batch: one client would see what others ask."""
    nodes = [
        helper.make_node("ReduceMean", ["flat", "first"], ["mean"], keepdims=1),
        helper.make_node("Sub", ["flat", "mean"], ["centred"]),
        helper.make_node("MatMul", ["centred", "w"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    some = np.random.default_rng(0).normal(size=(64, 10)).astype(np.float32) / 16
    return of_digits(nodes, w=some, first=np.array([0], np.int64))


def eating_memory() -> Made:
    """A model that asks for 4 GiB once it has an input; from the graph alone nobody sees it."""
    nodes = [
        helper.make_node("Shape", ["flat"], ["shape"]),
        helper.make_node("ReduceProd", ["shape"], ["count"], keepdims=1),
        helper.make_node("Div", ["count", "count"], ["one"]),
        helper.make_node("Mul", ["one", "many"], ["size"]),
        helper.make_node("Expand", ["nought", "size"], ["large"]),
        helper.make_node("ReduceMean", ["large"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        helper.make_node("Add", ["logits", "mean"], ["moved"]),
        helper.make_node("Softmax", ["moved"], ["probabilities"], axis=1),
    ]
    weights = {"many": np.array([2**30], np.int64), "nought": np.zeros(1, np.float32)}
    return of_digits(nodes, **weights)


BROKEN: dict[Callable[[], Made], str] = {
    logits: "something else than probabilities",
    nothing_but_nan: "something else than probabilities",
    minding_who_else_asks: "differently when others are in the same batch",
}


@pytest.mark.parametrize(("make", "says"), BROKEN.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_genuine_release_that_does_not_work_is_refused(
    unmoved: Gateway, make: Callable[[], Made], says: str
) -> None:
    second(unmoved, make())
    unmoved.look()
    assert (unmoved.version, unmoved.answers()) == (1, True)
    (reason,) = unmoved.reasons()
    assert says in reason


def test_a_model_that_eats_memory_does_so_in_the_process_that_tries_it(
    unmoved: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "MEMORY_BYTES", 3 * 2**30)
    second(unmoved, eating_memory())
    unmoved.look()
    (reason,) = unmoved.reasons()
    assert "does not run" in reason


def endless() -> Made:
    """A model whose constants are worked out while it is loaded, which takes far longer than it may."""
    nodes = [
        helper.make_node("MatMul", [f"w{n}" if n else "large", "large"], [f"w{n + 1}"]) for n in range(400)
    ]
    nodes += [
        helper.make_node("ReduceMean", ["w400"], ["mean"], keepdims=0),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
        helper.make_node("Add", ["logits", "mean"], ["moved"]),
        helper.make_node("Softmax", ["moved"], ["probabilities"], axis=1),
    ]
    return of_digits(nodes, large=np.full((1000, 1000), 1e-3, np.float32))


def test_a_model_that_never_ends_ends_the_process_that_tries_it_and_not_the_gateway(
    unmoved: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "PROCESSOR_SECONDS", 2)
    second(unmoved, endless())
    unmoved.look()
    assert (unmoved.version, unmoved.answers()) == (1, True)
    (reason,) = unmoved.reasons()
    assert "ended the process that tried it, with signal" in reason


def test_screens_that_do_not_fit_the_operator_s_modes_are_refused(tmp_path: Path, people: People) -> None:
    gateway = Gateway(tmp_path, people, serving=Serving(screens={"homoglyph": "flag"}))
    people.released(digits_model(), gateway.releases)
    gateway.look()
    gateway.state.close()
    assert gateway.version is None
    (reason,) = gateway.reasons()
    assert "serving.yaml gives a mode to homoglyph" in reason


# --- older ones --------------------------------------------------------------------------------------------------


def test_a_newer_release_takes_over_and_the_older_one_never_comes_back(serving: Gateway) -> None:
    second(serving)
    serving.look()
    assert (serving.version, serving.answers()) == (2, True)
    shutil.rmtree(serving.releases / "digits/2")
    serving.look()
    serving.restart()
    serving.look()
    assert serving.version == 2
    assert "older than version 2, which was served before" in serving.reasons()[0]


def test_an_older_release_is_refused_even_where_the_copy_is_gone(serving: Gateway) -> None:
    second(serving)
    serving.look()
    shutil.rmtree(serving.releases / "digits/2")
    shutil.rmtree(serving.folder / "state/releases")
    serving.restart()
    serving.look()
    assert serving.version is None
    assert "older than version 2" in serving.reasons()[-1]


def test_one_version_is_one_model(serving: Gateway) -> None:
    shutil.rmtree(serving.releases / "digits/1")
    other = changed(digits_model(), statistics=digits_model().statistics.model_copy(update={"examples": 7}))
    serving.people.released(other, serving.releases)
    serving.look()
    serving.restart()
    assert (serving.version, serving.answers()) == (1, True)
    assert "has another digest" in serving.reasons()[0]
    served = serving.models.served("digits")
    assert served is not None
    assert served.digest == serving.events[0]["model_digest"]


def test_below_the_least_version_nothing_serves(tmp_path: Path, people: People) -> None:
    gateway = Gateway(tmp_path, people, serving=Serving(least_version=2))
    people.released(digits_model(), gateway.releases)
    gateway.look()
    gateway.state.close()
    assert gateway.version is None
    assert "least_version" in gateway.reasons()[0]


def test_where_the_newest_is_bad_a_gateway_that_has_nothing_serves_nothing(gateway: Gateway) -> None:
    gateway.people.released(digits_model(), gateway.releases)
    tampered_with(gateway)
    gateway.look()
    assert gateway.version is None, "whoever can spoil the newest would choose an older one"


def test_marks_that_somebody_changed_stop_the_gateway(serving: Gateway) -> None:
    path = serving.folder / "state/marks.json"
    good = path.read_bytes()
    for bad in (b"", b"{}", b"[]", good[:-20], good.replace(b'"version":1', b'"version":0'), b"[" * 10_000):
        path.write_bytes(bad)
        with pytest.raises(MarksError, match=r"marks\.json: "):
            Marks(path, KEY)
    path.write_bytes(good.replace(b'"version":1', b'"version":7'))
    with pytest.raises(MarksError, match="not as this gateway wrote it"):
        Marks(path, KEY)
    path.write_bytes(good)
    mark = Marks(path, KEY).of("digits")
    assert mark is not None
    assert mark.version == 1


# --- verdicts end, and are renewed --------------------------------------------------------------------------------


def test_a_renewed_verdict_is_taken_over(serving: Gateway) -> None:
    before = serving.models.served("digits")
    judged(serving, serving.releases / "digits/1", holds_until=datetime.now(UTC) + timedelta(days=365))
    serving.look()
    after = serving.models.served("digits")
    assert before is not None
    assert after is not None
    assert after.verdict.holds_until > before.verdict.holds_until
    assert (after.digest, serving.reasons()) == (before.digest, [])


def test_the_log_says_in_time_that_a_verdict_ends(gateway: Gateway) -> None:
    gateway.people.released(digits_model(), gateway.releases, holds=timedelta(days=3))
    for _ in range(3):
        gateway.look()
    (warned,) = [each for each in gateway.events if each["event"] == "verdict-ends"]
    assert "then nothing is answered" in str(warned["reason"])


# --- what is needed is away ----------------------------------------------------------------------------------------


def test_a_restart_without_the_store_serves_the_last_good_copy(serving: Gateway) -> None:
    serving.releases.rename(serving.folder / "elsewhere")
    serving.look()
    assert serving.version == 1
    serving.restart()
    assert (serving.version, serving.answers()) == (1, True)


def test_a_copy_that_somebody_changed_is_not_served(serving: Gateway) -> None:
    serving.releases.rename(serving.folder / "elsewhere")
    (path,) = (serving.folder / "state/releases/digits").glob("*/model/model.onnx")
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    serving.restart()
    assert serving.version is None
    assert "model.onnx: was changed" in serving.reasons()[-1]


def test_what_cannot_be_written_down_does_not_serve(serving: Gateway) -> None:
    second(serving)
    serving.log_works = False
    serving.look()
    assert serving.version == 1
    serving.log_works = True
    serving.look()
    assert serving.version == 2


def test_what_was_refused_is_looked_at_again_when_it_has_changed(serving: Gateway) -> None:
    half_copied(serving)
    serving.look()
    assert serving.version == 1
    shutil.rmtree(serving.releases / "digits/2")
    second(serving)
    serving.look()
    assert serving.version == 2


def test_what_was_refused_is_looked_at_again_after_a_while(
    serving: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = second(serving)
    late = datetime.now(UTC) + timedelta(seconds=1)
    judged(serving, path, judged_at=late)
    serving.look()
    assert "is yet to come" in serving.reasons()[0]
    monkeypatch.setattr("services.gateway.models.AGAIN_SECONDS", -1.0)
    assert AGAIN_SECONDS >= 600

    async def story() -> None:
        while datetime.now(UTC) < late:
            await asyncio.sleep(0.05)
        await serving.models.look()

    run(story())
    assert serving.version == 2


def test_one_folder_is_one_gateway_s(gateway: Gateway) -> None:
    with pytest.raises(StateError, match="another gateway uses it"):
        State(gateway.folder / "state")


def test_a_folder_that_others_may_write_to_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir(mode=0o777)
    (tmp_path / "state").chmod(0o777)
    with pytest.raises(StateError, match="only this user writes to"):
        State(tmp_path / "state")
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(StateError, match="only this user writes to"):
        State(tmp_path / "link")


def test_old_copies_are_forgotten(serving: Gateway) -> None:
    second(serving)
    serving.look()
    (kept,) = (serving.folder / "state/releases/digits").iterdir()
    assert kept.name.startswith("2-")
