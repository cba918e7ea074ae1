"""The page of the local workspace in a real browser, against the real server and a small app of slack-bolt.

Every test also insists that the browser's console stays clean: no error, no violation of the page's content policy.
Long, because the page is one: its tests share the browser, the app and the scene.
"""

import asyncio
import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Locator, Page, ViewportSize, async_playwright, expect
from slack_bolt.app.async_app import AsyncApp

from bot import uploads
from bot.local import UNLIMITED, Running, Suggestion, Workspace, serve
from bot.local.errors import Json
from tests.bot.local_team import MANIFEST, bolt_app, connected
from tests.bot.test_outbox_pictures import png

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESK: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
SUGGESTIONS = (
    Suggestion(text="/tls check expired.lab:8443", description="the certificate has expired"),
    Suggestion(text="/tls check healthy.lab:8443", description="nothing is wrong"),
)

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.asyncio(loop_scope="module"),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        await chromium.close()


@dataclass
class Scene:
    """A workspace being served, the app in it, and Ada's page of it."""

    served: Running
    app: AsyncApp
    page: Page
    seen: "asyncio.Queue[Json]" = field(default_factory=asyncio.Queue)
    submitted: list[Json] = field(default_factory=list)

    @property
    def workspace(self) -> Workspace:
        return self.served.workspace

    @property
    def composer(self) -> Locator:
        return self.page.get_by_role("textbox", name="Message", exact=True)

    @property
    def log(self) -> Locator:
        return self.page.get_by_role("log", name="Messages", exact=True)

    async def post(self, text: str = "", **settings: Any) -> str:
        """The app posts to #incidents; the ts."""
        answer = await self.app.client.chat_postMessage(channel=self.workspace.incidents, text=text, **settings)
        return str(answer["ts"])

    async def clicked(self) -> Json:
        """The next click that reached the app."""
        return await asyncio.wait_for(self.seen.get(), 10)

    async def say(self, text: str) -> None:
        await self.composer.fill(text)
        await self.composer.press("Enter")


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(text: str, action_id: str, **more: Any) -> Json:
    return {"type": "button", "text": plain(text), "action_id": action_id, "value": action_id, **more}


def modal() -> Json:
    entry = {"type": "plain_text_input", "action_id": "name"}
    return {
        "type": "modal",
        "callback_id": "ask",
        "title": plain("Which host?"),
        "submit": plain("Go"),
        "blocks": [{"type": "input", "block_id": "host", "label": plain("Host"), "element": entry}],
    }


def listen(scene: Scene) -> None:
    """What the app does: enough of everything that a page can ask for."""
    app = scene.app

    @app.command("/tls")
    async def tls(ack: Any, command: Json, client: Any) -> None:
        if command["text"] == "help":
            await ack("Only *you* see this.")
            return
        await ack()
        channel, target = command["channel_id"], command["text"].removeprefix("check ")
        root = await client.chat_postMessage(channel=channel, text=f"checking {target}…")
        await client.chat_postMessage(channel=channel, text="the evidence", thread_ts=root["ts"])
        blocks = [mrkdwn(f":red_circle: *{target}* is broken"), {"type": "actions", "elements": BUTTONS}]
        await client.chat_update(channel=channel, ts=root["ts"], text="broken", blocks=blocks)

    @app.action("again")
    @app.action("wipe")
    async def again(ack: Any, body: Json) -> None:
        await ack()
        scene.seen.put_nowait(body)

    @app.action("ask")
    async def ask(ack: Any, body: Json, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=modal())

    @app.view("ask")
    async def submitted(ack: Any, view: Json) -> None:
        name = view["state"]["values"]["host"]["name"]["value"]
        if "." not in name:
            await ack(response_action="errors", errors={"host": "A host name has a dot in it."})
            return
        await ack()
        scene.submitted.append(view)

    @app.event("message")
    async def message() -> None: ...

    @app.event("app_mention")
    async def mention(event: Json, client: Any) -> None:
        ts = event.get("thread_ts") or event["ts"]
        await client.chat_postMessage(channel=event["channel"], text="at your service", thread_ts=ts)

    for quiet in ("reaction_added", "reaction_removed", "app_home_opened", "file_shared"):
        app.event(quiet)(message)


BUTTONS = [
    button("Run again", "again", style="primary"),
    button("Ask me", "ask"),
    button(
        "Delete all",
        "wipe",
        style="danger",
        confirm={"title": plain("Sure?"), "text": plain("All of it."), "confirm": plain("Yes"), "deny": plain("No")},
    ),
]


def is_complaint(entry: ConsoleMessage) -> bool:
    return entry.type == "error"


@asynccontextmanager
async def scene_of(browser: Browser, **context: Any) -> AsyncIterator[Scene]:
    workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED, suggestions=SUGGESTIONS)
    served = await serve(workspace, port=0)
    complaints: list[str] = []
    view = await browser.new_context(**({"viewport": DESK, "color_scheme": "light"} | context))
    view.set_default_timeout(10_000)
    expect.set_options(timeout=15_000)  # two cores may be busy with something else
    try:
        page = await view.new_page()
        page.on("console", lambda entry: complaints.append(entry.text) if is_complaint(entry) else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        scene = Scene(served=served, app=bolt_app(served), page=page)
        listen(scene)
        async with connected(served, scene.app):
            await page.goto(served.url)
            await expect(page.get_by_role("heading", level=1)).to_be_visible()
            yield scene
    finally:
        await view.close()
        await served.close()
    assert complaints == []


@pytest_asyncio.fixture(loop_scope="module")
async def scene(browser: Browser) -> AsyncIterator[Scene]:
    async with scene_of(browser) as made:
        yield made


async def is_as_wide_as_the_window(page: Page) -> bool:
    return bool(await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


async def test_a_click_in_the_welcome_list_leads_to_a_verdict(scene: Scene) -> None:
    await scene.page.get_by_role("button", name="/tls check expired.lab:8443").click()
    root = scene.log.get_by_role("article").filter(has_text="expired.lab:8443 is broken")
    await expect(root).to_have_count(1)
    await expect(scene.page.get_by_role("heading", name="Find out why")).to_have_count(0)
    await expect(root.get_by_role("button", name="1 reply", exact=True)).to_be_visible()
    await expect(root).to_contain_text("(edited)")
    await expect(root).to_contain_text("APP")
    # The list stays at hand.
    await scene.page.get_by_role("button", name="Try these").click()
    await scene.page.get_by_role("menuitem", name="/tls check healthy.lab:8443").click()
    await expect(scene.log.get_by_role("article").filter(has_text="healthy.lab:8443 is broken")).to_have_count(1)


async def test_a_slash_command_is_completed_and_sent(scene: Scene) -> None:
    await scene.composer.press_sequentially("/")
    options = scene.page.get_by_role("option")
    await expect(options).to_have_count(3)
    await expect(options.first).to_contain_text("check HOST")
    await scene.composer.press("ArrowDown")
    await expect(options.nth(1)).to_have_attribute("aria-selected", "true")
    await scene.composer.press("Enter")
    await expect(scene.composer).to_have_value("/tls check expired.lab:8443")
    await scene.composer.press("Enter")
    await expect(scene.composer).to_have_value("")
    await expect(scene.log).to_contain_text("expired.lab:8443 is broken")
    await scene.composer.press("ArrowUp")
    await expect(scene.composer).to_have_value("/tls check expired.lab:8443")


async def test_what_the_server_refuses_stays_in_the_composer(scene: Scene) -> None:
    await scene.say("/unheard of")
    await expect(scene.composer).to_have_value("/unheard of")
    await expect(scene.page.get_by_role("alert").filter(has_text="/unheard")).to_be_visible()
    long = "a" * 40_001
    await scene.say(long)
    await expect(scene.composer).to_have_value(long)
    await expect(scene.page.get_by_role("alert").filter(has_text="too long")).to_be_visible()


async def test_a_thread_opens_by_its_replies_and_answers_there(scene: Scene) -> None:
    ts = await scene.post("checking")
    for text in ("first", "second"):
        await scene.post(text, thread_ts=ts)
    await scene.page.get_by_role("button", name="2 replies", exact=True).click()
    thread = scene.page.get_by_role("complementary", name="Thread")
    await expect(thread.get_by_role("article")).to_have_count(3)
    reply = scene.page.get_by_role("textbox", name="Reply in thread")
    await expect(reply).to_be_focused()
    await expect(scene.composer).to_have_count(1)
    await reply.fill("thank you")
    await reply.press("Enter")
    await expect(scene.page.get_by_role("button", name="3 replies", exact=True)).to_be_visible()
    await expect(scene.log.get_by_text("thank you")).to_have_count(0)
    # A slash command cannot be used here; a mention can, and the page offers it.
    await reply.fill("/tls check a.lab")
    await reply.press("Enter")
    await expect(reply).to_have_value("/tls check a.lab")
    await scene.page.get_by_role("button", name="@probe check a.lab").click()
    await expect(thread.get_by_text("at your service")).to_be_visible()
    await reply.press("Escape")
    await expect(thread).to_be_hidden()
    await expect(scene.page.get_by_role("button", name="5 replies")).to_be_focused()


async def test_an_ephemeral_answer_says_that_only_you_see_it(scene: Scene) -> None:
    await scene.say("/tls help")
    answer = scene.log.get_by_role("article").filter(has_text="Only visible to you")
    await expect(answer).to_contain_text("Only you see this.")
    await answer.hover()
    await answer.get_by_role("button", name="Dismiss").click()
    await expect(answer).to_have_count(0)


async def test_an_edit_in_place_moves_nothing_that_is_being_read(scene: Scene) -> None:
    first = await scene.post("the first")
    for number in range(60):
        await scene.post(f"line {number}")
    await expect(scene.log.get_by_role("article")).to_have_count(61)
    read = scene.log.get_by_text("line 20", exact=True)
    await read.scroll_into_view_if_needed()
    before = await read.bounding_box()
    await scene.app.client.chat_update(
        channel=scene.workspace.incidents, ts=first, text="x", blocks=[mrkdwn("taller\n" * 12)]
    )
    await expect(scene.log).to_contain_text("taller")
    await scene.post("the newest")
    await expect(scene.log).to_contain_text("the newest")
    after = await read.bounding_box()
    assert before is not None
    assert after is not None
    assert abs(after["y"] - before["y"]) < 1  # scroll positions are whole pixels
    await scene.page.get_by_role("button", name=re.compile("Jump to newest")).click()
    await expect(scene.log.get_by_text("the newest")).to_be_in_viewport()


async def test_a_modal_shows_its_error_at_the_input_and_then_closes(scene: Scene) -> None:
    await scene.post("ready", blocks=[{"type": "actions", "elements": BUTTONS}])
    await scene.page.get_by_role("button", name="Ask me").click()
    dialog = scene.page.get_by_role("dialog", name="Which host?")
    host = dialog.get_by_role("textbox", name="Host")
    await expect(host).to_be_focused()
    await dialog.get_by_role("button", name="Go").click()
    await expect(dialog).to_contain_text("Please complete this required field.")
    await host.fill("nodot")
    await host.press("Enter")
    await expect(dialog).to_contain_text("A host name has a dot in it.")
    await expect(host).to_have_value("nodot")
    await expect(host).to_have_attribute("aria-invalid", "true")
    for _ in range(8):
        await scene.page.keyboard.press("Tab")
        assert await dialog.evaluate(
            "node => node.contains(document.activeElement) || document.activeElement === document.body"
        )
    await host.fill("a.lab")
    await host.press("Enter")
    await expect(dialog).to_have_count(0)
    await expect(scene.page.get_by_role("button", name="Ask me")).to_be_focused()
    assert scene.submitted[0]["state"]["values"]["host"]["name"]["value"] == "a.lab"


async def test_a_file_chosen_in_a_modal_reaches_the_app(scene: Scene) -> None:
    chosen: asyncio.Queue[Json] = asyncio.Queue()
    fields = [
        {"type": "file_input", "action_id": "pem", "filetypes": ["pem"], "max_files": 1},
        {"type": "static_select", "action_id": "kind", "options": [{"text": plain("ECDSA"), "value": "ec"}]},
    ]
    form = modal() | {
        "callback_id": "add",
        "blocks": [
            {"type": "input", "block_id": f"b{at}", "label": plain(label), "element": element}
            for at, (label, element) in enumerate(zip(("Certificate", "Key type"), fields, strict=True))
        ],
    }

    @scene.app.shortcut("look")
    async def look(ack: Any, body: Json, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form)

    @scene.app.view("add")
    async def added(ack: Any, view: Json) -> None:
        await ack()
        chosen.put_nowait(view["state"]["values"])

    await scene.page.get_by_role("button", name="Shortcuts").click()
    await scene.page.get_by_role("menuitem", name="Look probe").click()
    dialog = scene.page.get_by_role("dialog")
    await dialog.get_by_label("Certificate").set_input_files(
        {"name": "client.pem", "mimeType": "application/x-pem-file", "buffer": b"-----BEGIN CERTIFICATE-----"}
    )
    await dialog.get_by_label("Key type").select_option("ECDSA")
    await dialog.get_by_role("button", name="Go").click()
    await expect(dialog).to_have_count(0)
    values = await asyncio.wait_for(chosen.get(), 10)
    assert values["b0"]["pem"]["files"][0]["name"] == "client.pem"
    assert values["b1"]["kind"]["selected_option"]["value"] == "ec"
    assert scene.workspace.messages(scene.workspace.incidents) == []


async def test_a_modal_closes_by_escape(scene: Scene) -> None:
    await scene.post("ready", blocks=[{"type": "actions", "elements": BUTTONS}])
    await scene.page.get_by_role("button", name="Ask me").click()
    await expect(scene.page.get_by_role("dialog")).to_be_visible()
    await scene.page.keyboard.press("Escape")
    await expect(scene.page.get_by_role("dialog")).to_have_count(0)
    await scene.workspace.wait_for(lambda: scene.workspace.view() is None)


async def test_a_double_click_is_one_click_and_a_dangerous_one_is_asked_about(scene: Scene) -> None:
    await scene.post("ready", blocks=[{"type": "actions", "elements": BUTTONS}])
    await scene.page.get_by_role("button", name="Run again").dblclick()
    await scene.page.get_by_role("button", name="Delete all").click()
    await scene.page.get_by_role("dialog", name="Sure?").get_by_role("button", name="No").click()
    await scene.page.get_by_role("button", name="Delete all").click()
    await scene.page.get_by_role("dialog", name="Sure?").get_by_role("button", name="Yes").click()
    heard = [(await scene.clicked())["actions"][0]["text"]["text"] for _ in range(2)]
    assert heard == ["Run again", "Delete all"]
    assert scene.seen.empty()


async def test_a_file_is_uploaded_and_previewed(scene: Scene) -> None:
    await scene.page.get_by_label("Files", exact=True).set_input_files(
        {"name": "report.json", "mimeType": "application/json", "buffer": json.dumps({"cause": "<b>expired"}).encode()}
    )
    await expect(scene.page.get_by_role("button", name="Remove report.json")).to_be_visible()
    await scene.say("what I saw")
    card = scene.log.get_by_role("article").filter(has_text="what I saw")
    await expect(card.get_by_role("link", name="Download report.json")).to_be_visible()
    await card.get_by_text("Preview", exact=True).click()
    await expect(card.locator("pre")).to_have_text(re.compile(r'\{\s+"cause": "<b>expired"\s+\}'))
    async with scene.page.expect_download() as download:
        await card.get_by_role("link", name="Download report.json").click()
    assert json.loads((await (await download.value).path()).read_text()) == {"cause": "<b>expired"}


async def test_dark_is_the_systems_wish_or_a_remembered_choice(browser: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    async with scene_of(browser, color_scheme="dark") as scene:
        dark = await scene.page.evaluate(ground)
        await scene.page.get_by_role("button", name=re.compile("^Theme")).click()
        await scene.page.get_by_role("menuitem", name="Light").click()
        light = await scene.page.evaluate(ground)
        await scene.page.reload()
        await expect(scene.page.get_by_role("heading", level=1)).to_be_visible()
        assert await scene.page.evaluate(ground) == light == "rgb(255, 255, 255)"
        assert dark != light


async def test_a_phone_has_a_drawer_a_full_thread_and_no_sideways_scrolling(browser: Browser) -> None:
    async with scene_of(browser, viewport=PHONE) as scene:
        cells = [{"type": "raw_text", "text": "a-rather-long-cell-that-does-not-break"} for _ in range(8)]
        ts = await scene.post("wide", blocks=[{"type": "table", "rows": [cells, cells]}])
        await scene.post("W" * 500, thread_ts=ts)
        await scene.post(f"```{'x' * 400}```")
        await expect(scene.log.get_by_role("article")).to_have_count(2)
        assert await is_as_wide_as_the_window(scene.page)
        await scene.page.get_by_role("button", name="1 reply").click()
        thread = scene.page.get_by_role("complementary", name="Thread")
        await expect(thread.get_by_role("article")).to_have_count(2)
        box = await thread.bounding_box()
        assert box is not None
        assert box["width"] == PHONE["width"]
        assert await is_as_wide_as_the_window(scene.page)
        await thread.get_by_role("button", name="Back to the channel").click()
        await scene.page.get_by_role("button", name="Channels", exact=True).click()
        await scene.page.get_by_role("link", name="general").click()
        await expect(scene.page.get_by_role("heading", level=1)).to_have_text("general")
        await expect(scene.page.get_by_role("link", name="incidents")).to_be_hidden()


async def test_hostile_text_stays_text(scene: Scene) -> None:
    hostile = "<img src=x onerror=alert(1)><script>alert(2)</script> <!channel> \u202egnp.exe javascript:alert(3)"
    await scene.say(hostile)
    article = scene.log.get_by_role("article").last
    await expect(article).to_contain_text("<img src=x onerror=alert(1)>")
    await expect(article).to_contain_text("<!channel>")
    await expect(article).to_contain_text("U+202E")
    await expect(article.locator(".content :is(img, script, .broadcast)")).to_have_count(0)
    await scene.post("bad link", blocks=[mrkdwn("<javascript:alert(1)|click> &lt;b&gt; &amp;lt; *`a&lt;b`*")])
    article = scene.log.get_by_role("article").last
    await expect(article).to_contain_text("<b> &lt; a<b")
    await expect(article.locator(".content a")).to_have_count(0)


async def test_mrkdwn_is_rendered(scene: Scene) -> None:
    text = (
        "*bold* _italic_ ~gone~ `code` :white_check_mark: <https://example.com/a?b=1&amp;c=2|a link> "
        f"<@{scene.workspace.other}> <#{scene.workspace.general}|general> <!here> <!date^1700000000^{{date_num}}|then> "
        "2 * 3 * 4 snake_case_name\n> quoted\n```block *not bold*```"
    )
    await scene.post("x", blocks=[mrkdwn(text)])
    content = scene.log.get_by_role("article").last.locator(".content")
    for selector, words in {
        "strong": "bold",
        "em": "italic",
        "s": "gone",
        ".text code": "code",
        "blockquote": "quoted",
        "pre": "block *not bold*",
        ".emoji": "✅",
        "time": "2023-11-14",
        ".broadcast": "@here",
    }.items():
        await expect(content.locator(selector)).to_have_text(words)
    await expect(content.get_by_role("link", name="a link")).to_have_attribute("href", "https://example.com/a?b=1&c=2")
    await expect(content.get_by_role("link", name="#general")).to_be_visible()
    await expect(content).to_contain_text("@Grace Hopper")
    await expect(content).to_contain_text("2 * 3 * 4 snake_case_name")


async def test_a_data_table_sorts_and_turns_pages_and_a_container_unfolds(scene: Scene) -> None:
    rows = [[{"type": "raw_text", "text": "client"}, {"type": "raw_text", "text": "ms"}]]
    rows += [[{"type": "raw_text", "text": f"c{n}"}, {"type": "raw_text", "text": str(n * 7 % 11)}] for n in range(11)]
    container = {
        "type": "container",
        "title": plain("Raw output"),
        "is_collapsible": True,
        "default_collapsed": True,
        "child_blocks": [mrkdwn("folded away")],
    }
    await scene.post("t", blocks=[{"type": "data_table", "caption": "Clients", "rows": rows}, container])
    body = scene.log.locator("tbody tr")
    await expect(body).to_have_count(5)
    await scene.page.get_by_role("button", name="Next page").click()
    await expect(body.first).to_contain_text("c5")
    await scene.page.get_by_role("button", name="ms", exact=True).click()
    await expect(body.locator("td")).to_have_text(["0", "1", "2", "3", "4"])
    folded = scene.log.get_by_text("folded away")
    await expect(folded).to_be_hidden()
    await scene.log.get_by_text("Raw output").click()
    await expect(folded).to_be_visible()


async def test_a_block_of_tomorrow_is_a_quiet_note(scene: Scene) -> None:
    workspace = scene.workspace
    workspace.post(
        workspace.team.channel(workspace.incidents),
        workspace.bot_message("new", [{"type": "hologram"}, mrkdwn("and text")]),
    )
    article = scene.log.get_by_role("article")
    await expect(article).to_contain_text("hologram")
    await expect(article).to_contain_text("and text")


async def test_everything_can_be_done_by_keyboard(scene: Scene) -> None:
    await expect(scene.composer).to_be_focused()
    keyboard = scene.page.keyboard
    await keyboard.type("/tls check expired.lab:8443")
    await keyboard.press("Enter")
    replies = scene.page.get_by_role("button", name="1 reply", exact=True)
    await expect(replies).to_be_visible()
    for _ in range(12):
        await keyboard.press("Shift+Tab")
        if await replies.evaluate("node => node === document.activeElement"):
            break
    await expect(replies).to_be_focused()
    await keyboard.press("Enter")
    await expect(scene.page.get_by_role("textbox", name="Reply in thread")).to_be_focused()
    await keyboard.type("seen")
    await keyboard.press("Shift+Enter")
    await keyboard.type("twice")
    await keyboard.press("Enter")
    await expect(scene.page.get_by_role("button", name="2 replies", exact=True)).to_be_visible()
    await keyboard.press("Escape")
    await expect(scene.page.get_by_role("button", name="2 replies", exact=True)).to_be_focused()


async def test_every_control_has_an_accessible_name(scene: Scene) -> None:
    ts = await scene.post("ready", blocks=[{"type": "actions", "elements": BUTTONS}])
    await scene.post("one", thread_ts=ts)
    await scene.page.get_by_role("button", name="1 reply").click()
    await expect(scene.page.get_by_role("textbox", name="Reply in thread")).to_be_focused()
    tree = await scene.page.locator("body").aria_snapshot()
    nameless = [
        line
        for line in tree.splitlines()
        if re.fullmatch(r"\s*- (button|link|textbox|combobox|checkbox|article|log)(:| \[.*)?", line)
    ]
    assert nameless == []


async def test_own_messages_are_edited_deleted_and_reacted_to(scene: Scene) -> None:
    await scene.say("helo <b>")
    article = scene.log.get_by_role("article").first
    await expect(article).to_contain_text("helo <b>")
    await article.hover()
    await article.get_by_role("button", name="More actions").click()
    await scene.page.get_by_role("menuitem", name="Edit message").click()
    field = scene.page.get_by_role("textbox", name="Edited text")
    await expect(field).to_have_value("helo <b>")
    await field.fill("hello <b>")
    await field.press("Enter")
    await expect(article).to_contain_text("hello <b>")
    await expect(article).to_contain_text("(edited)")
    await article.hover()
    await article.get_by_role("button", name="Add a reaction").click()
    await scene.page.get_by_role("menuitem", name="pushpin").click()
    reaction = article.get_by_role("button", name="pushpin, 1")
    await expect(reaction).to_have_attribute("aria-pressed", "true")
    await reaction.click()
    await expect(reaction).to_have_count(0)
    await article.hover()
    await article.get_by_role("button", name="More actions").click()
    await scene.page.get_by_role("menuitem", name="Delete message").click()
    await scene.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    await expect(scene.log.get_by_role("article")).to_have_count(0)


async def test_unread_messages_are_counted_until_they_are_looked_at(scene: Scene) -> None:
    workspace = scene.workspace
    for text in ("one", "two"):
        await workspace.say(workspace.other, workspace.general, text)
    general = scene.page.get_by_role("link", name="general 2 unread")
    await expect(general).to_be_visible()
    await general.click()
    await expect(scene.log.get_by_role("article")).to_have_count(2)
    await expect(scene.page.get_by_role("link", name="general", exact=True)).to_be_visible()


async def test_drafts_stay_with_their_channel(scene: Scene) -> None:
    await scene.composer.fill("half a thought")
    await scene.page.get_by_role("link", name="general").click()
    await expect(scene.composer).to_have_value("")
    await scene.page.get_by_role("link", name="incidents").click()
    await expect(scene.composer).to_have_value("half a thought")


async def test_the_same_page_as_somebody_else(scene: Scene) -> None:
    await scene.page.get_by_role("button", name="You are Ada Lovelace. Switch user").click()
    await scene.page.get_by_role("menuitem", name="Continue as Grace Hopper").click()
    await scene.say("Grace was here")
    await expect(scene.log.get_by_role("article", name=re.compile("^Grace Hopper"))).to_contain_text("Grace was here")


async def test_the_app_has_a_home_and_messages(scene: Scene) -> None:
    await scene.page.get_by_role("link", name="probe").click()
    await scene.say("hello app")
    await expect(scene.log).to_contain_text("hello app")
    view = {
        "type": "home",
        "blocks": [mrkdwn("*Open incidents*"), {"type": "actions", "elements": [button("Look", "again")]}],
    }
    await scene.app.client.views_publish(user_id=scene.workspace.me, view=view)
    await scene.page.get_by_role("tab", name="Home").click()
    await scene.page.get_by_role("button", name="Look").click()
    assert (await scene.clicked())["container"]["type"] == "view"


async def test_a_lost_server_is_told_and_found_again(browser: Browser) -> None:
    view = await browser.new_context(viewport=DESK)
    first = await serve(Workspace(manifest=MANIFEST, limits=UNLIMITED), port=0)
    second = None
    try:
        page = await view.new_page()
        await page.goto(first.url)
        await expect(page.get_by_text("The bot is not connected.")).to_be_visible()
        await first.workspace.say(first.workspace.other, first.workspace.incidents, "before")
        await expect(page.get_by_role("article")).to_contain_text("before")
        await first.close()
        await expect(page.get_by_text("The connection to the workspace is lost")).to_be_visible()
        workspace = Workspace(manifest=MANIFEST, limits=UNLIMITED)
        await workspace.say(workspace.other, workspace.incidents, "after")
        second = await serve(workspace, port=int(first.url.rsplit(":", 1)[1]))
        await expect(page.get_by_role("article")).to_contain_text("after", timeout=15_000)
        await expect(page.get_by_text("before")).to_have_count(0)
    finally:
        await view.close()
        for served in (first, second):
            with contextlib.suppress(Exception):
                if served is not None:
                    await served.close()


@pytest.mark.parametrize("viewport", [DESK, PHONE], ids=["desktop", "phone"])
async def test_an_uploaded_picture_is_drawn_in_its_message(browser: Browser, viewport: ViewportSize) -> None:
    async with scene_of(browser, viewport=viewport) as scene:
        client = scene.app.client
        file = await uploads.taken(client, "figures.png", png(width=900), alt="Three causes")
        await client.files_completeUploadExternal(files=[{"id": file, "title": "figures"}])
        picture = {"type": "image", "slack_file": {"id": file}, "alt_text": "Three causes", "title": plain("Causes")}
        await scene.post("figures", blocks=[mrkdwn("*Figures*"), picture])
        drawn = scene.page.get_by_role("img", name="Three causes")
        await expect(drawn).to_be_visible()
        await scene.page.wait_for_function("document.querySelector('.image img').naturalWidth === 900")
        box = await drawn.bounding_box()
        assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= viewport["width"]
        assert await is_as_wide_as_the_window(scene.page)
