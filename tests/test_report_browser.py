"""The page in a real browser, Debian's Chromium: it opens, sorts and shows, and nothing is cut."""

import json
import shutil

import pytest
from test_report import few, made

from resparse.report.html import as_html

__all__ = ["few", "made"]  # fixtures for this file as well
PROGRAMS = ("chromium", "chromedriver")
OFFLINE = "--host-resolver-rules=MAP * ~NOTFOUND"
LUMINANCE = """
const style = getComputedStyle(document.body);
return [style.backgroundColor, style.color].map((c) =>
  c.match(/\\d+/g).slice(0, 3).reduce((sum, x) => sum + Number(x), 0) / 765);
"""


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium without network; skips aloud where it or selenium is not installed."""
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    if lacking:
        pytest.skip(f"no {' and no '.join(lacking)}: apt-get install chromium chromium-driver")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for option in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", OFFLINE):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(executable_path=shutil.which("chromedriver"))
    browser = webdriver.Chrome(options=options, service=service)
    yield browser
    browser.quit()


@pytest.fixture(scope="module")
def address(made, tmp_path_factory):
    file = tmp_path_factory.mktemp("page") / "index.html"
    file.write_text(as_html(made[1]))
    return file.as_uri()


@pytest.fixture
def page(chromium, address):
    """The page, newly opened at the width of a laptop; whatever a test does, no error is left."""
    appearance(chromium, "light")
    chromium.get("about:blank")
    chromium.get(address)
    yield chromium
    assert chromium.get_log("browser") == []
    assert chromium.execute_script("return window.bad") is None


pytestmark = pytest.mark.browser


def appearance(browser, scheme, width=1280, height=900):
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def find(browser, css):
    return browser.find_element("css selector", css)


def click(browser, css):
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", find(browser, css))
    find(browser, css).click()


def shown(browser):
    """The text of what is open, empty where nothing is."""
    return find(browser, "dialog").text


def settle(browser):
    """Wait until the address, which opens things, has been acted upon."""
    browser.execute_async_script("setTimeout(arguments[0], 50)")


def test_it_opens_without_an_error_and_asks_nothing_of_any_network(page):
    assert "reproduced" in page.title
    asked = page.execute_script(
        "return performance.getEntriesByType('resource').map((r) => r.name)"
    )
    assert [name[:10] for name in asked if not name.startswith("data:")] == []
    assert find(page, "#table1 tbody tr").is_displayed()
    assert find(page, "img").get_property("naturalWidth") > 0


@pytest.mark.parametrize("width", [1280, 390])
def test_light_and_dark_follow_the_reader(page, width):
    appearance(page, "light", width)
    paper, ink = page.execute_script(LUMINANCE)
    assert paper > 0.9
    assert ink < 0.2
    appearance(page, "dark", width)
    paper, ink = page.execute_script(LUMINANCE)
    assert paper < 0.2
    assert ink > 0.8


def column(browser, number):
    rows = browser.execute_script(
        "return [...document.querySelectorAll('#table1 .wide:first-of-type tbody')][0].rows.length"
        " && [...document.querySelector('#table1 tbody').rows].map((r) => r.cells[arguments[0]])"
        ".map((c) => c.dataset.v ?? c.textContent)",
        number,
    )
    return [float(text) if text.replace(".", "", 1).isdigit() else text for text in rows]


def test_a_header_sorts_up_and_down_and_what_is_missing_stays_last(page):
    heads = page.find_elements("css selector", "#table1 thead th")
    number = next(n for n, h in enumerate(heads) if "last epoch" in h.text)
    css = f"#table1 thead th:nth-child({number + 1})"
    before = column(page, number)
    values = sorted(x for x in before if x != "")
    assert len(set(values)) > 1
    empty = [""] * before.count("")
    assert before != values + empty
    click(page, f"{css} button")
    assert column(page, number) == values + empty
    assert find(page, css).get_attribute("aria-sort") == "ascending"
    click(page, f"{css} button")
    assert column(page, number) == values[::-1] + empty
    assert find(page, css).get_attribute("aria-sort") == "descending"
    click(page, "#table1 thead th:first-child button")
    names = column(page, 0)
    assert names.index("P 0.5 interval 3000") < names.index("P 0.5 interval 15000")  # as numbers
    assert find(page, css).get_attribute("aria-sort") == "none"


def test_a_header_sorts_by_the_keyboard(page):
    from selenium.webdriver.common.keys import Keys

    find(page, "#claims thead th:nth-child(2) button").send_keys(Keys.ENTER)
    head = find(page, "#claims thead th:nth-child(2)")
    assert head.get_attribute("aria-sort") == "ascending"


def number(made, row, metric="top1_last"):
    views = {v.name: v for piece in made[1].pieces for v in piece.views}
    return next(e for e in views["table1"].entries if (e.row, e.metric) == (row, metric))


def test_a_number_opens_to_its_seeds_curves_config_and_command(page, made):
    entry = number(made, "P 0.9 interval 15000")
    click(page, f"[data-open='cell={entry.id}']")
    settle(page)
    text = shown(page)
    for words in (entry.command, "nox -s table1", "paper 93.53", "NOT COMPARABLE", "61"):
        assert words in text
    for seed, key in entry.cell.keys.items():
        assert key in text
        assert f"\n{seed} {entry.cell.seeds[seed]:g} " in text
    assert "<script>window.bad = 1</script>" in text  # why seed 1 diverged
    assert len(page.find_elements("css selector", ".curves svg")) == 3
    assert len(page.find_elements("css selector", ".curves polyline")) == 9
    assert "batch_size" not in text
    click(page, "dialog details summary")
    click(page, "dialog details details summary")
    assert "recipe.batch_size" in shown(page)
    page.execute_script("document.querySelectorAll('dialog details').forEach((d) => d.open = true)")
    assert "lock_sha256" in shown(page)


def test_escape_and_the_cross_close_and_the_address_forgets(page, made):
    from selenium.webdriver.common.keys import Keys

    entry = number(made, "P 0.9 interval 3000")
    for close in (
        lambda: find(page, "body").send_keys(Keys.ESCAPE),
        lambda: click(page, "#close"),
    ):
        click(page, f"[data-open='cell={entry.id}']")
        settle(page)
        assert "cell=" in page.current_url
        assert entry.command in shown(page)
        close()
        settle(page)
        assert shown(page) == ""
        assert "#" not in page.current_url


def test_a_run_has_an_address_of_its_own(page, made, address):
    entry = number(made, "P 0.9 interval 3000")
    click(page, f"[data-open='cell={entry.id}']")
    settle(page)
    key = entry.cell.keys[2]
    click(page, f"dialog a[href='#run={key}']")
    settle(page)
    assert f"Run {key}" in shown(page)
    page.get("about:blank")
    page.get(f"{address}#run={key}")
    settle(page)
    assert f"Run {key}" in shown(page)
    page.get("about:blank")
    page.get(f"{address}#run=0000000000000000")
    settle(page)
    assert shown(page) == ""


def test_a_claim_opens_to_its_verdicts(page):
    click(page, "[data-open='claim=itop-table1-rs-exact']")
    settle(page)
    text = shown(page)
    for words in ("CONTRADICTED BY THE PAPER'S OWN TABLE", "E-ITOP-09"):
        assert words in text
    assert "seed 1 is nan; valid: a run that did not diverge" in text
    assert "resparse claims --paper itop" in text


def test_every_number_claim_and_run_can_be_opened_and_says_its_command(page):
    failures = page.execute_script("""
const wrong = [];
const kinds = { cell: data().cells, claim: data().claims, run: data().records };
for (const [kind, all] of Object.entries(kinds))
  for (const id of Object.keys(all)) {
    try {
      const text = show[kind](id).map((x) => x.textContent ?? x).join("\\n");
      const command = kind === "cell" ? all[id].command : kind === "claim" ? data().claims_command
        : all[id].made.command;
      if (!text.includes(command) || text.includes("undefined") || text.includes("[object"))
        wrong.push(`${kind} ${id}: ${text}`);
    } catch (error) { wrong.push(`${kind} ${id}: ${error}`); }
  }
return [wrong.slice(0, 5), Object.keys(data().cells).length];
""")
    assert failures[0] == []
    assert failures[1] > 200


def test_on_a_phone_nothing_is_wider_than_the_screen(page, made):
    entry = number(made, "P 0.9 interval 15000")
    appearance(page, "light", 390, 844)
    page.execute_script("document.querySelectorAll('details').forEach((d) => d.open = true)")
    assert page.execute_script("return document.documentElement.scrollWidth") <= 390
    click(page, f"[data-open='cell={entry.id}']")
    settle(page)
    page.execute_script("document.querySelectorAll('dialog details').forEach((d) => d.open = true)")
    box = json.loads(
        page.execute_script(
            "return JSON.stringify(document.querySelector('dialog').getBoundingClientRect())"
        )
    )
    assert 0 <= box["left"] < box["right"] <= 390
    assert 0 <= box["top"] < box["bottom"] <= 844
    inner = "const d = document.querySelector('dialog'); return d.scrollWidth - d.clientWidth"
    assert page.execute_script(inner) <= 0
    sizes = page.execute_script("""
const said = (e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
return [...document.querySelectorAll("main *, dialog *")]
  .filter((e) => e.checkVisibility() && said(e) && !e.closest("svg"))
  .map((e) => parseFloat(getComputedStyle(e).fontSize));
""")
    assert min(sizes) >= 11
