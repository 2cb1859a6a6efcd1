"""The pages in a real browser, offline and from their files: they work, fit a phone, and obey the keyboard."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from harness.report.index import index
from harness.report.read import read_all
from harness.report.write import write_index
from harness.schema.statements import load_statements
from tests.support import ROOT

_QUIET = ("background-networking", "component-update", "sync", "gpu")
_ARGUMENTS = ["--no-sandbox", "--no-first-run", *(f"--disable-{one}" for one in _QUIET)]
_CHROMIUM = shutil.which("chromium")

pytestmark = pytest.mark.skipif(
    _CHROMIUM is None, reason="needs the program chromium (Debian: apt-get install chromium)"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page without a network, which may print no error and ask for no other file."""
    context = browser.new_context(offline=True, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(10_000)
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(request.url))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield page
    context.close()
    assert complaints == []


def _shown(page: Page) -> list[tuple[str, str, str]]:
    """(spec, scale, verdict) of the rows that can be seen."""
    rows = page.locator("tr.row:visible")
    found = rows.evaluate_all("rows => rows.map(one => [one.dataset.spec, one.dataset.scale, one.dataset.verdict])")
    return [(spec, scale, verdict) for spec, scale, verdict in found]


def test_every_link_of_every_page_arrives(page: Page, reports_folder: Path) -> None:
    ids: dict[Path, set[str]] = {}
    links: set[tuple[Path, str]] = set()
    for path in reports_folder.rglob("*.html"):
        page.goto(path.as_uri())
        ids[path] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(one => one.id)"))
        for link in page.evaluate("[...document.querySelectorAll('a')].map(one => one.href)"):
            address, anchor = urldefrag(link)
            links.add((Path(unquote(urlsplit(address).path)), unquote(anchor)))
    assert len(ids) == 4
    for path, anchor in links:
        assert path in ids, path
        assert not anchor or anchor in ids[path], (path, anchor)
    assert len({path for path, _ in links}) == 4


def test_the_filter_by_keyboard_alone(page: Page, reports_folder: Path) -> None:
    page.goto((reports_folder / "index.html").as_uri())
    everything = _shown(page)
    assert len(everything) == 11
    order = ["text", "paper", "spec", "scale", "verdict"]
    page.locator("a[href='#awkward']").focus()
    while page.evaluate("document.activeElement.name") != "text":
        page.keyboard.press("Tab")
    for name in order[1:]:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.name") == name
        assert page.evaluate("document.activeElement.labels.length") == 1
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("I")
    assert _shown(page) == [one for one in everything if one[2] == "INCONCLUSIVE"]
    assert page.get_by_role("status").inner_text() == "2 claims with 2 of 11 verdicts"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.get_by_role("status").get_by_text("11 claims with 11 verdicts").wait_for()
    assert _shown(page) == everything


def test_the_filter_by_words_and_choices_together(page: Page, reports_folder: Path) -> None:
    page.goto((reports_folder / "index.html").as_uri())
    everything = _shown(page)
    for at, (name, value) in enumerate((("Spec", "resnet20_imp"), ("Scale", "paper"), ("Verdict", "CONTRADICTED"))):
        page.get_by_label(name, exact=True).select_option(value)
        assert _shown(page) == [one for one in everything if one[at] == value]
        page.get_by_role("button", name="Show all").click()
        page.get_by_role("status").get_by_text("11 claims with 11 verdicts").wait_for()
    page.get_by_label("Search").fill("iteration full_unstable")
    assert _shown(page) == []
    assert page.get_by_text("No claim fits this choice.").is_visible()
    page.get_by_label("Search").fill("LINE guessing")
    assert _shown(page) == [("resnet20_imp", "toy", "FAILS")]
    page.locator("a[href='#awkward']").click()  # leads to what is filtered away, which is shown again
    page.locator("#awkward").get_by_role("table").wait_for()
    assert _shown(page) == everything


@pytest.mark.parametrize("name", ["index.html", "toy/resnet20_imp-toy.html", "toy/awkward-toy.html"])
@pytest.mark.parametrize("width", [375, 800])
def test_nothing_is_wider_than_the_screen(name: str, width: int, page: Page, reports_folder: Path) -> None:
    page.set_viewport_size({"width": width, "height": 740})
    page.goto((reports_folder / name).as_uri())
    _fits(page, width)


def _fits(page: Page, width: int) -> None:
    wide = """[...document.querySelectorAll('body *')].filter(one =>
        !one.closest('svg, .scroll, .unseen, .skip, option') && one.getBoundingClientRect().right > innerWidth + 1
    ).map(one => one.outerHTML.slice(0, 200))"""
    assert page.evaluate(wide) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("width", [375, 800])
def test_the_map_of_the_sources_fits_and_leads_to_claims(width: int, page: Page, tmp_path: Path) -> None:
    statements = load_statements(ROOT / "statements")
    reports = [
        report for report in read_all(ROOT / "reports", ROOT / "reports" / "local") if report.spec == "lenet_imp"
    ]
    page.set_viewport_size({"width": width, "height": 740})
    page.goto(write_index(index(reports, statements), tmp_path).as_uri())
    said = page.locator("#lmc-t2-6")
    assert not said.is_visible()
    page.get_by_text("Table 2", exact=True).click()
    assert said.get_by_text("IMP subnetworks of LeNet rewound to 0 are matching.").is_visible()
    _fits(page, width)
    page.get_by_label("Search").fill("nothing that is there")
    page.locator(".source-map .marks a[href='#lenet_imp.imp_matching']").first.click()
    page.locator("[id='lenet_imp.imp_matching']").get_by_text("IMP subnetworks rewound to 0 are matching.").wait_for()
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    _fits(page, width)


def test_on_paper_there_are_the_claims_and_no_controls(page: Page, reports_folder: Path) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    page.set_viewport_size({"width": 718, "height": 1000})  # A4 less its margins
    page.goto((reports_folder / "index.html").as_uri())
    assert len(_shown(page)) == 11
    assert page.get_by_text("11 claims with 11 verdicts").is_visible()
    assert not page.locator("select:visible, input:visible, button:visible").count()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert page.evaluate("getComputedStyle(document.querySelector('.verdicts')).display") == "table"
    assert page.evaluate("document.documentElement.scrollWidth") <= 718


def test_without_javascript_everything_is_shown(browser: Browser, reports_folder: Path) -> None:
    context = browser.new_context(java_script_enabled=False, offline=True)
    page = context.new_page()
    page.goto((reports_folder / "index.html").as_uri())
    assert page.locator("tr.row:visible").count() == 11
    assert not page.locator("form").is_visible()
    context.close()


def test_a_screen_reader_finds_tables_and_names(page: Page, reports_folder: Path) -> None:
    page.set_viewport_size({"width": 375, "height": 740})  # where the tables are laid out as blocks
    page.goto((reports_folder / "index.html").as_uri())
    table = page.get_by_role("table", name="Sparse ResNets become stable and matching")
    assert table.get_by_role("columnheader").all_inner_texts() == [
        "Scale",
        "Verdict",
        "Measured",
        "Paper",
        "Picture",
        "Expected",
    ]
    fails = table.get_by_role("row", name="FAILS")
    assert fails.get_by_role("rowheader").inner_text() == "toy"
    link = fails.get_by_role("link", name="FAILS at toy scale: full_unstable in its report")
    link.click()
    page.wait_for_url("**/toy/resnet20_imp-toy.html#claim-full_unstable")
    assert page.locator("#claim-full_unstable").is_visible()
