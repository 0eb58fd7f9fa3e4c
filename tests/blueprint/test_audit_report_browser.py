"""The report in a real browser: nothing is loaded, nothing complains, everybody can read it, and find things in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from blueprint.audit_report.page import page
from tests.blueprint.test_audit_report import careless

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no Chromium is on the PATH; apt-get install chromium brings one"
)

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

DESKTOP, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write the report of an environment with violations: it has everything that another has, and more."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(page(careless()[1]))
    return path


@pytest.fixture(scope="module")
def browser(report: Path) -> Iterator[Browser]:
    """Start a browser, after the report is there: its loop of events and the engine's do not go together."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def complaints() -> list[str]:
    return []


@pytest.fixture
def opened(
    request: pytest.FixtureRequest, browser: Browser, report: Path, complaints: list[str]
) -> Iterator[Page]:
    """Open the report where there is no network, and note what it asks for and what the browser says of it."""
    asked: dict[str, Any] = {"viewport": DESKTOP, "offline": True} | getattr(request, "param", {})
    context = browser.new_context(**asked)
    shown = context.new_page()
    shown.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
    shown.on("pageerror", lambda error: complaints.append(str(error)))
    shown.on("request", lambda asked: complaints.append(f"asked for {asked.url}"))
    shown.goto(report.as_uri())
    yield shown
    context.close()


FEW_OF_EACH = """
  for (const parent of document.querySelectorAll("main :is(section, details, ul, tbody)")) {
    const alike = [...parent.children].filter((each) => each.matches("[data-item], [data-group], tr, li"));
    for (const each of alike.slice(3)) if (!each.querySelector("[data-state=violated]")) each.remove();
  }
"""
"""Of a hundred that look alike three are looked at: contrast takes seconds for all."""

LOOKS = [
    pytest.param({"viewport": viewport, "color_scheme": scheme}, id=f"{viewport['width']}-{scheme}")
    for viewport in (DESKTOP, PHONE)
    for scheme in ("light", "dark")
]


@pytest.mark.parametrize("opened", LOOKS, indirect=True)
def test_everybody_can_read_it_and_nothing_is_loaded(
    opened: Page, report: Path, complaints: list[str]
) -> None:
    opened.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    width = opened.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert width[0] <= width[1]
    opened.evaluate(FEW_OF_EACH)
    found = Axe().run(opened, options={"resultTypes": ["violations"]})
    grave = [
        f"{each['impact']} {each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found.response["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    assert grave == []
    assert complaints == [f"asked for {report.as_uri()}"]


def test_the_first_screen_has_the_verdict(opened: Page) -> None:
    sentence = opened.locator(".sentence")
    box = sentence.bounding_box()
    assert box is not None
    assert box["y"] + box["height"] < DESKTOP["height"]
    assert "must not be deployed" in sentence.inner_text()
    assert opened.locator(".violations li").first.is_visible()


def test_the_keyboard_finds_a_control(opened: Page) -> None:
    opened.keyboard.press("Tab")
    skip = opened.locator(".skip")
    assert skip.evaluate("each => each === document.activeElement")
    box = skip.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    while opened.evaluate("document.activeElement.id") != "words":
        opened.keyboard.press("Tab")
        assert opened.evaluate("document.activeElement !== document.body"), "search cannot be reached"
    outline = opened.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"
    opened.keyboard.type("no such thing")
    assert opened.locator("#found").inner_text() == "nothing found"
    assert not opened.locator("#ACC-01").is_visible()
    opened.keyboard.press("Escape")
    opened.keyboard.type("SSH reaches only a bastion")
    shown = [each for each in opened.locator("[data-item=control]").all() if each.is_visible()]
    assert [each.get_attribute("id") for each in shown] == ["ACC-01"]
    assert opened.locator("#found").inner_text() == "1 control"
    assert not opened.locator("#NET-01").is_visible()
    opened.keyboard.press("Escape")
    assert opened.locator("#found").inner_text() == ""
    assert opened.locator("#NET-01").is_visible()


def test_controls_are_shown_by_their_state(opened: Page) -> None:
    opened.locator("#state").select_option("violated")
    shown = [each for each in opened.locator("[data-item=control]").all() if each.is_visible()]
    assert {each.get_attribute("data-state") for each in shown} == {"violated"}
    assert len(shown) == opened.locator(".violations li").count()


def test_a_link_opens_what_it_leads_to(opened: Page) -> None:
    assert not opened.locator("#EKS-09 .inside").is_visible()
    opened.locator("#waivers a[href='#EKS-09']").first.click()
    opened.locator("#EKS-09 .inside").wait_for(state="visible")


@pytest.mark.parametrize("opened", [{"java_script_enabled": False}], ids=["no script"], indirect=True)
def test_it_works_without_a_script(opened: Page) -> None:
    assert not opened.locator("#search").is_visible()
    control = opened.locator("#RED-01")
    assert not control.is_visible()
    opened.locator("#families > details", has=control).locator("summary").first.click()
    assert control.is_visible()


@pytest.mark.parametrize(
    "opened", [{"java_script_enabled": False}, {}], ids=["no script", "script"], indirect=True
)
def test_what_is_folded_is_printed(opened: Page, request: pytest.FixtureRequest) -> None:
    opened.emulate_media(media="print")
    if "no script" not in request.node.name:
        opened.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert opened.locator("#NET-03 .inside").is_visible()
    assert not opened.locator(".bar").is_visible()
    assert len(opened.pdf()) > 100_000
