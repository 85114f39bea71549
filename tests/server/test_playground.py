"""The playground in a real browser: by keyboard and pointer, on a screen and a phone, in the light and in the dark.

Pictures of what it looked like are left in `build/screenshots`.
"""

import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.server.conftest import held_after

sync_api = pytest.importorskip("playwright.sync_api")

sync_api.expect.set_options(timeout=30_000)  # the machine may be busy

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
REPOSITORY = Path(__file__).parents[2]
PICTURES = REPOSITORY / "build" / "screenshots"
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium: make toolchains installs it")


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, server):
    """Opens pages; at the end none of them has asked another host, or complained."""
    contexts, hosts, complaints = [], set(), []

    def begin(url=f"{server.url}/", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: hosts.add(re.sub(r"^(\w+://[^/]*|data:).*", r"\1", request.url)))
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield begin
    for context in contexts:
        context.close()
    assert {host for host in hosts if not host.startswith("data:")} <= {server.url}
    assert not [text for text in complaints if "400 (Bad Request)" not in text]


def picture(page, name):
    PICTURES.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(PICTURES / f"{name}.png"))


def finished(page):
    sync_api.expect(page.locator("#status")).to_contain_text("tokens/s", timeout=20_000)


def code_of(page, pane):
    return "\n".join(page.locator(f"#{pane} .cm-line").all_inner_texts()).replace("\n\n", "\n").rstrip()


def test_generate_says_what_the_model_says(visit, server):
    page = visit()
    page.locator("#input .cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.type("reverse a string")
    page.get_by_label("Language").select_option("javascript")
    page.get_by_label("Seed").fill("7")
    page.get_by_label("Tokens").fill("40")
    page.locator("#input .cm-content").click()
    page.keyboard.press("Control+Enter")
    finished(page)
    expected = server.model.generate(
        "reverse a string", language="javascript", seed=7, max_tokens=40, temperature=0.7, top_p=0.9
    )
    assert code_of(page, "output").split() == expected.text.split()
    assert page.locator("#output .tok-keyword").count() > 0
    picture(page, "generate")


def test_complete_fills_the_gap_at_the_cursor(visit, server):
    page = visit()
    page.get_by_role("tab", name="Complete").click()
    page.locator("#input .cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("def mean(numbers):\n    return ")
    page.keyboard.insert_text(" / len(numbers)")
    for _ in range(len(" / len(numbers)")):
        page.keyboard.press("ArrowLeft")
    page.get_by_label("Seed").fill("2")
    page.get_by_label("Tokens").fill("12")
    page.get_by_role("spinbutton", name="Alternatives").fill("3")
    page.locator("#input .cm-content").focus()
    page.keyboard.press("Control+Enter")
    finished(page)
    expected = server.model.complete(
        "def mean(numbers):\n    return ",
        " / len(numbers)",
        language="python",
        n=3,
        seed=2,
        max_tokens=12,
        temperature=0.7,
        top_p=0.9,
    )
    picture(page, "complete")
    texts = []
    for number in (1, 2, 3):
        page.get_by_role("button", name=str(number), exact=True).click()
        proposal = page.locator(".proposal")
        texts.append(proposal.text_content() if proposal.count() else "")
    assert texts == [one.text for one in expected]
    index = next(index for index, text in enumerate(texts) if text)
    page.get_by_role("button", name=str(index + 1), exact=True).click()
    page.locator("#input .cm-content").focus()
    page.keyboard.press("Tab")
    assert page.locator(".proposal").count() == 0
    assert page.locator("#input .cm-content").inner_text().split() == (
        f"def mean(numbers):\n    return {texts[index]} / len(numbers)".split()
    )


def test_translate_has_two_panes(visit):
    page = visit()
    page.keyboard.press("Alt+3")
    assert page.locator("#source").is_visible()
    assert page.locator("#output-pane").is_visible()
    page.locator("#target").select_option("cpp")
    page.get_by_label("Tokens").fill("60")
    page.get_by_role("button", name="Translate").click()
    finished(page)
    picture(page, "translate")


def test_stop_ends_a_long_answer(visit, server):
    page = visit()
    page.get_by_label("Tokens").fill("4096")
    page.get_by_role("spinbutton", name="Alternatives").fill("8")
    page.get_by_label("Temperature").fill("2")
    page.get_by_label("Top-p").fill("1")
    with held_after(server, 20) as (waits, on):
        page.get_by_role("button", name="Generate").click()
        assert waits.wait(30)
        sync_api.expect(page.locator("#output .cm-content")).not_to_be_empty()
        page.keyboard.press("Escape")
        sync_api.expect(page.locator("#status")).to_have_text("stopped")
        on.set()
        deadline = time.monotonic() + 60
        while server.figure("num_requests_running"):
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_link_shows_the_same_elsewhere(visit):
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("tab", name="Explain").click()
    page.locator("#input .cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text("let größe = '\u2713 \U0001f600';")
    page.get_by_label("Language").select_option("javascript")
    page.get_by_label("Temperature").fill("0.3")
    page.get_by_role("button", name="Share").click()
    sync_api.expect(page.locator("#status")).to_contain_text("clipboard")
    link = page.evaluate("navigator.clipboard.readText()")
    other = visit(link)
    sync_api.expect(other.get_by_role("tab", name="Explain")).to_have_attribute("aria-selected", "true")
    assert other.locator("#input .cm-line").inner_text() == "let größe = '\u2713 \U0001f600';"
    sync_api.expect(other.get_by_label("Language")).to_have_value("javascript")
    assert other.get_by_label("Temperature").input_value() == "0.3"
    broken = visit(link[: len(link) - 40])
    sync_api.expect(broken.locator("#model")).to_contain_text("nano")


def test_a_phone_in_the_dark(visit):
    page = visit(viewport={"width": 360, "height": 740}, color_scheme="dark", is_mobile=True, has_touch=True)
    sync_api.expect(page.locator("#model")).to_contain_text("nano")
    assert page.get_by_label("API key").is_hidden()
    for tab in ("Generate", "Complete", "Translate", "Explain"):
        page.get_by_role("tab", name=tab).tap()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.get_by_role("tab", name="Generate").tap()
    page.get_by_label("Tokens").fill("40")
    page.get_by_role("button", name="Generate").tap()
    finished(page)
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)"
    picture(page, "phone-dark")


def test_errors_are_shown(visit):
    page = visit()
    page.locator("#input .cm-content").click()
    page.keyboard.press("Control+A")
    page.keyboard.press("Delete")
    with page.expect_response(lambda response: response.status == 400):
        page.keyboard.press("Control+Enter")
    sync_api.expect(page.locator("#status")).to_contain_text("the intent is empty")


def test_a_key_is_asked_for(browser, start):
    server = start(keys=(("secret-one", "alice"),))
    page = browser.new_page()
    page.goto(f"{server.url}/")
    page.get_by_label("API key").fill("secret-one")
    page.get_by_label("API key").press("Tab")
    sync_api.expect(page.locator("#model")).to_contain_text("nano")
    page.get_by_label("Tokens").fill("10")
    page.get_by_role("button", name="Generate").click()
    finished(page)
    page.close()


def test_the_page_of_the_document(visit, server):
    page = visit(f"{server.url}/docs")
    sync_api.expect(page.get_by_text("Continue a text, or fill a gap in it")).to_be_visible(timeout=15_000)
    picture(page, "docs")


def test_pages_can_be_left_out(start):
    server = start(playground=False)
    assert server.get("/").status_code == 404
    assert server.get("/docs").status_code == 200


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_the_pages_in_the_package_are_built_from_their_source(tmp_path):
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, which installs the tools that build the pages")
    source = tmp_path / "playground"
    shutil.copytree(REPOSITORY / "playground", source, ignore=shutil.ignore_patterns("node_modules"))
    for command in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        subprocess.run([npm, *command], cwd=source, check=True, timeout=280, stdout=subprocess.DEVNULL)
    built, shipped = tmp_path / "src/codegeex/server/playground", REPOSITORY / "src/codegeex/server/playground"
    files = sorted(path.relative_to(built) for path in built.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(shipped) for path in shipped.rglob("*") if path.is_file())
    for file in files:
        assert (built / file).read_bytes() == (shipped / file).read_bytes(), file
