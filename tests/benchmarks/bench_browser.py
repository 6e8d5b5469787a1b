"""The lab in a real browser: the first view of each page, a new UMAP, and Swap's choice to sound.

    python -m tests.benchmarks browser

The lab is started as `make lab` starts it, with the models and the corpus that ship. The first view
is timed from the navigation: to the first paint of anything, to the page's title, and until the
page is at rest and its sounds can be played. A page's first visit loads what the server needs for
it; later visits are those of further people. UMAP is of 3,000 clips that were encoded but never
laid out, from the press on UMAP until the map shows it. Choices on Swap are those of
`python -m tests.benchmarks swap`, timed as there.
"""

import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from core.audio.mel import log_mel
from core.data.store import Chunk, StoreWriter, to_pcm
from tests.benchmarks import bench_swap
from tests.lab.browser import CHROMIUM, DESK, FLAGS, Server, at_rest
from tests.lab.tones import tone

PAGES = ("", "map", "explore", "separate", "remix", "find", "train", "runs", "results")
VISITS = 3  # after the first
POINTS = 3_000
WAIT_MS = 180_000
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
# From the press until the map's note says that it is read as a UMAP. Nothing is polled.
UMAP = """most => new Promise((there, never) => {
    setTimeout(() => never(new Error("no UMAP came")), most);
    const press = [...document.querySelectorAll(".st-key-map_projection button")]
        .find((button) => button.textContent == "UMAP");
    const began = performance.now();
    new MutationObserver((_, observer) => {
        if (!document.body.innerText.includes("Near points are alike to the model")) return;
        observer.disconnect();
        there(performance.now() - began);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
    press.click();
})"""


def main() -> None:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        data = Path(folder) / "data"
        build(data / "tones")
        server = Server(Path(folder) / "log.txt", RAVEL_DATA=str(data))
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            print(f"first view of each page, in ms: first visit, median of {VISITS} more")
            for page in PAGES:
                visits = [visit(browser, f"{server.address}/{page}") for _ in range(1 + VISITS)]
                show(page or "swap", visits)
            milliseconds = umap(browser, server.address)
            print(f"UMAP of {POINTS:,} new points: {milliseconds / 1000:.1f} s")
        finally:
            server.kill()
    bench_swap.main()


def visit(browser, address: str) -> tuple[float, float, float]:
    """Milliseconds to the first paint, to the title, and until the page is at rest."""
    tab = browser.new_page(**DESK)  # with an empty cache
    tab.set_default_timeout(WAIT_MS)
    began = time.perf_counter()
    tab.goto(address, wait_until="commit")
    tab.wait_for_selector("h1")
    title = 1000 * (time.perf_counter() - began)
    at_rest(tab)
    rest = 1000 * (time.perf_counter() - began)
    paint = tab.evaluate(PAINT)
    tab.context.close()
    return paint, title, rest


def show(name: str, visits: list[tuple[float, float, float]]) -> None:
    """A line: each figure of the first visit, and the median of the others."""
    first, *later = visits
    columns = zip(("paint", "title", "at rest"), first, zip(*later, strict=True), strict=True)
    figures = [f"{what} {one:6.0f} {statistics.median(rest):6.0f}" for what, one, rest in columns]
    print(f"  {name:10s}" + "   ".join(figures), flush=True)


def umap(browser, address: str) -> float:
    """Milliseconds from the press on UMAP until a map of POINTS new points is shown."""
    tab = browser.new_page(**DESK)
    tab.set_default_timeout(WAIT_MS)
    tab.goto(f"{address}/map?map_corpus=tones&map_projection=PCA")
    tab.wait_for_selector(".map .nsewdrag", state="attached")
    at_rest(tab)
    milliseconds = tab.evaluate(UMAP, WAIT_MS)
    tab.context.close()
    return milliseconds


def build(path: Path) -> None:
    """A corpus of POINTS tones of 0.5 s, each of its own pitch and loudness, with some noise."""
    random = np.random.default_rng(0)
    writer = StoreWriter(path, kind="tones", settings={}, chunks=1)
    rows, waves = [], []
    for number in range(POINTS):
        bright = bool(number % 2)
        wave = tone(random.uniform(200, 800), bright, 0.5) * random.uniform(0.3, 1)
        wave = (wave + random.normal(0, 0.002, len(wave))).astype(np.float32)
        timbre = "bright" if bright else "dark"
        rows.append({"name": f"{timbre}-{number}", "split": "train", "instrument": timbre})
        waves.append(wave)
    mels = [log_mel(wave).numpy() for wave in waves]
    writer.write(0, Chunk(rows, mels, [to_pcm(wave) for wave in waves]))
    writer.finish()


if __name__ == "__main__":
    main()
