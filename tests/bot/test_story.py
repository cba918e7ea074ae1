"""The whole story as two people see it: another app's alert, the diagnosis, the incident, the mend, the post-mortem.

The real bot with its real prober, in a real browser; what is diagnosed is an endpoint of the lab's make whose expired
certificate is replaced midway. Nothing is asserted but what stands on the page.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from playwright.async_api import Browser, Locator, Page, ViewportSize, async_playwright, expect

from bot.config import SocketMode
from bot.egress import Egress
from bot.local import UNLIMITED, Running, Workspace, serve
from bot.manifest import MANIFEST
from bot.prober import Prober
from bot.service import serving
from probes.check import Options, default_trust
from probes.lab.gate import Peer
from probes.lab.listen import Sockets, bind
from probes.lab.tls import serving as speaking
from probes.lab.tls import terms
from probes.lab.trust import LIFETIME, Trust, establish

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
DESK: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
PATIENCE_MS = 30_000  # two cores may be busy with something else
HOST = "shop.lab"
ERROR = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"

pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]


class Shop:
    """An endpoint whose certificate has expired, until somebody mends it."""

    def __init__(self, trust: Trust) -> None:
        self._trust = trust
        self._serves = self._with(age=LIFETIME + timedelta(days=2))

    def mend(self) -> None:
        self._serves = self._with(age=timedelta(days=2))

    def _with(self, *, age: timedelta) -> Peer:
        return speaking(terms(self._trust.leaf(HOST, age=age), self._trust.issuing_r))

    def __call__(self) -> Any:
        return self._serves()


@dataclass
class Person:
    """Somebody in front of the page."""

    page: Page

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log", name="Messages", exact=True)

    @property
    def thread(self) -> Locator:
        return self.page.get_by_role("complementary", name="Thread")

    @property
    def root(self) -> Locator:
        """The incident's root message, which stands in the alert's thread."""
        return self.thread.get_by_role("article").filter(has=self.page.get_by_role("button", name="Post-mortem"))

    @property
    def triage(self) -> Locator:
        return self.thread.get_by_role("article").filter(has_text="Triage of")

    async def says(self, text: str, *, in_thread: bool = False) -> None:
        field = self.page.get_by_role("textbox", name="Reply in thread" if in_thread else "Message", exact=True)
        await field.fill(text)
        await field.press("Enter")
        await expect(field).to_have_value("")

    async def chooses(self, message: Locator, menu: str, item: str) -> None:
        """Opens a menu of the toolbar of *message*, and picks from it."""
        await message.hover()
        await message.get_by_role("button", name=menu).click()
        await self.page.get_by_role("menuitem", name=re.compile(item)).click()

    async def answers_as_proposed(self, question: str, choice: str) -> None:
        await expect(self.triage).to_contain_text(question)
        proposed = self.triage.get_by_role("button", name=choice, exact=True)
        await expect(proposed).to_have_class(re.compile("primary"))
        await proposed.click()


@dataclass
class Scene:
    workspace: Workspace
    shop: Shop
    target: str
    ada: Person
    grace: Person


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    complaints: list[str] = []
    async with AsyncExitStack() as stack:
        trust = establish(datetime.now(UTC))
        shop, sockets = Shop(trust), Sockets()
        stack.push_async_callback(sockets.close)
        [bound] = bind(["127.0.0.1"], 0)
        address, port = bound.getsockname()
        await sockets.open(bound, shop)
        root = trust.root.certificate.public_bytes(Encoding.DER)
        options = Options(
            trust=default_trust((root,)),
            permit=Egress(allow_exact=frozenset({(address, port)})),
            overrides={(HOST, port): (address,)},
        )
        workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED)
        running = await serve(workspace, port=0)
        stack.push_async_callback(running.close)
        await stack.enter_async_context(_bot(running, options, tmp_path / "bot.db"))
        await workspace.connected(2)
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        stack.push_async_callback(browser.close)
        ada, grace = [await _person(browser, running, user, complaints) for user in (workspace.me, workspace.other)]
        yield Scene(workspace=workspace, shop=shop, target=f"{HOST}:{port}", ada=ada, grace=grace)
    assert complaints == []


@asynccontextmanager
async def _bot(running: Running, options: Options, database: Path) -> AsyncIterator[None]:
    connection = SocketMode(bot_token=running.bot_token, app_token=running.app_token, api_url=running.api_url)
    async with Prober(options) as prober, serving(connection, database=database, checker=prober):
        yield


async def _person(browser: Browser, running: Running, user: str, complaints: list[str]) -> Person:
    context = await browser.new_context(viewport=DESK)
    context.set_default_timeout(PATIENCE_MS)
    expect.set_options(timeout=PATIENCE_MS)
    page = await context.new_page()
    page.on("console", lambda entry: complaints.append(entry.text) if entry.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    await page.goto(f"{running.url}?user={user}")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    return Person(page)


def alert(scene: Scene) -> None:
    """Monitoring posts, as monitoring does: in an attachment."""
    workspace = scene.workspace
    said = {
        "color": "a30200",
        "title": "[FIRING:1] ProbeFailed",
        "title_link": "https://alerts.example/7",
        "text": f'Get "https://{scene.target}/health": {ERROR}',
        "fields": [{"title": "severity", "value": "critical", "short": True}],
    }
    message = {"bot_id": "B0ALERTS", "subtype": "bot_message", "username": "Alertmanager", "text": ""}
    workspace.post(workspace.team.channel(workspace.incidents), message | {"attachments": [said]})


async def test_from_an_alert_to_the_post_mortem(scene: Scene) -> None:
    ada, grace = scene.ada, scene.grace
    alert(scene)
    fired = ada.log.get_by_role("article").filter(has_text="Alertmanager")
    await expect(fired).to_contain_text("certificate has expired")

    # What is broken, for whom, and what mends it, below the alert.
    await ada.chooses(fired, "More actions", "Diagnose TLS here")
    for person in (ada, grace):
        await person.log.get_by_role("button", name=re.compile(r"\d repl")).click()
    await expect(ada.root).to_contain_text(f"{scene.target} is broken: the certificate of 127.0.0.1 expired 2 days ago")
    await expect(ada.root).to_contain_text("fails for every client")
    await expect(ada.thread).to_contain_text("Confirm by hand")

    # The four questions, each with the answer that the probes suggest; two people answer them in turn.
    await expect(ada.triage).to_contain_text("The error text points to validity.expired")
    await expect(grace.triage).to_contain_text("question 1 of 4")
    await ada.answers_as_proposed("One host or many?", "One host")
    await expect(grace.triage).to_contain_text("One host (as suggested) · @Ada Lovelace")
    await grace.answers_as_proposed("New deploy or steady state?", "Nothing was changed")
    for person in (ada, grace):  # both pages are at the third question before anybody takes the second answer back
        await expect(person.triage).to_contain_text("question 3 of 4")
    await grace.triage.get_by_role("button", name="Back", exact=True).click()
    await ada.answers_as_proposed("question 2 of 4", "Nothing was changed")
    await grace.answers_as_proposed("All clients or one client family?", "All clients")
    await ada.answers_as_proposed("Before or after the first byte", "After the ServerHello")
    for person in (ada, grace):
        await expect(person.triage).to_contain_text("likely cause: The certificate has expired")
    await expect(grace.triage).to_contain_text("Proves it:")
    await expect(grace.triage).to_contain_text("All clients (as suggested) · @Grace Hopper")

    # The incident: who leads, how bad, what was tried.
    await ada.root.get_by_role("button", name="Take command").click()
    await expect(grace.root).to_contain_text("Commander @Ada Lovelace")
    await grace.root.get_by_role("combobox", name="Severity").select_option(label="SEV2 major")
    await expect(ada.root).to_contain_text("Severity SEV2 major")
    await ada.says("@clienthello note called the certificate team", in_thread=True)
    await expect(ada.thread).to_contain_text("Noted in the timeline of INC-1")
    await grace.says("restarted the ingress, no change", in_thread=True)
    tried = grace.thread.get_by_role("article").filter(has_text="restarted the ingress")
    await grace.chooses(tried, "Add a reaction", "pushpin")
    await expect(tried).to_have_class(re.compile("pinned"))

    # Watched until it is fixed: told once, to those who care.
    await grace.root.get_by_role("button", name="Watch until fixed").click()
    await grace.page.get_by_role("dialog").get_by_role("button", name="Watch", exact=True).click()
    await expect(ada.root).to_contain_text("watched until it is fixed, as @Grace Hopper asked")
    scene.shop.mend()
    mended = ada.thread.get_by_role("article").filter(has_text="is healthy again")
    await expect(mended).to_contain_text("@Ada Lovelace @Grace Hopper: resolve INC-1?")
    await expect(ada.root).to_contain_text(f"{scene.target} is healthy")
    await expect(ada.root.get_by_role("button", name="Watch until fixed")).to_have_count(0)

    # It ends, and what was learnt is kept.
    await mended.get_by_role("button", name="Resolve").click()
    await expect(grace.root).to_contain_text("INC-1 resolved by @Ada Lovelace")
    await expect(grace.root.get_by_role("button", name="Reopen")).to_be_visible()
    await grace.root.get_by_role("button", name="Post-mortem").click()
    story = ada.thread.get_by_role("article").filter(has_text="Post-mortem of INC-1 (Markdown)")
    await story.get_by_text("Preview").click()
    for part in (
        "# INC-1",
        "validity.expired",
        "called the certificate team",
        "restarted the ingress, no change",
        "took command",
        "resolved",
    ):
        await expect(story.get_by_label("Code", exact=True)).to_contain_text(part)
    await expect(ada.thread).to_contain_text("Post-mortem of INC-1 (JSON)")
    await mended.get_by_role("button", name="Resolve").click()  # the button of a while ago
    await expect(ada.thread).to_contain_text("INC-1 was resolved by @Ada Lovelace")

    # Found again by a word of a note, and from there one is back at the incident.
    await ada.page.keyboard.press("Escape")
    await ada.says("/tls history ingress")
    found = ada.log.get_by_role("article").filter(has_text="Incidents of ingress")
    await expect(found).to_contain_text("resolved by @Ada Lovelace")
    await found.get_by_role("link", name="INC-1").click()
    await expect(ada.root).to_contain_text("INC-1 resolved")

    # Nothing is wider than a phone.
    await ada.page.set_viewport_size(PHONE)
    await expect(ada.thread).to_be_visible()
    assert await ada.page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
