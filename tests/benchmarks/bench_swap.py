"""Swap: from choosing another recording in a real browser to sound, and where the time goes.

    python -m tests.benchmarks swap

The lab is started as `make lab` starts it, with the models that ship; the page is warm, and every
choice is of a pair that it has not made yet, a second after the last one's sound. Timed in the
browser, from the press on an example until both results are decoded, ready to be played. The shares
are of the same pairs in this process, on one thread, as wall milliseconds: the page makes both
sounds at once, and what is left is Streamlit and the browser.
"""

import itertools
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from core.audio.clip import read
from core.checkpoints.checkpoint import DEFAULT_CHECKPOINT
from core.dsae import latents
from core.vocoder.play import default_route, play
from lab.bundled import EXAMPLES, instruments
from tests.lab.browser import CHROMIUM, FLAGS, Server, at_rest

CHOICES = 40
WARM_UP = 3
SHARES = ("log-mel and encode, the new clip", "decode, two log-mels", "to sound, two of them")
PAUSE_MS = 1_000  # between two choices: pictures are drawn meanwhile
WAIT_MS = 60_000
# The clock starts with the press, whenever it comes. Nothing is polled: that would take time, too.
WATCH = """
([before, most]) => {
    const once = { capture: true, once: true };
    let pressed = null;
    document.addEventListener("pointerdown", () => (pressed = performance.now()), once);
    window.sounding = new Promise((sounding, never) => {
        setTimeout(() => never(new Error("no sound came")), most);
        const look = () => {
            const now = [...document.querySelectorAll(".sound")];
            if (now.length != 4 || [2, 3].some((i) => now[i].currentSrc == before[i]
                || !(now[i].duration > 0))) return;
            document.removeEventListener("loadedmetadata", look, true);
            sounding(performance.now() - pressed);
        };
        document.addEventListener("loadedmetadata", look, true);
    });
}
"""


def main() -> None:
    chosen = list(itertools.islice(_choices(), WARM_UP + CHOICES))
    print(f"from choosing a recording to sound, {CHOICES} times, played by {default_route()}")
    _tell("in the browser", _in_browser(chosen)[WARM_UP:])
    print("of that, in this process on one thread")
    for name, times in _shares(chosen[WARM_UP:]).items():
        _tell(name, times)


def _choices() -> Iterator[tuple[str, tuple[str, str]]]:
    """Which side changes, and to which titles of source and target: no pair comes twice.

    The source goes through all recordings but the target's own; then the target changes.
    """
    titles = list(instruments())
    of = {Path(row["file"]).stem: title for title, row in instruments().items()}
    source, target = of["violin-1"], of["trumpet-1"]  # what the page opens with
    seen = {(source, target)}
    for other in [target, *(title for title in titles if title != target)]:
        if other != target:
            target = other
            if source != target and (source, target) not in seen:
                seen.add((source, target))
                yield "target", (source, target)
        for title in titles:
            if title != target and (title, target) not in seen:
                source = title
                seen.add((source, target))
                yield "source", (source, target)


def _in_browser(chosen: list[tuple[str, tuple[str, str]]]) -> list[float]:
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server = Server(Path(folder) / "log.txt")
        try:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            tab = browser.new_page(viewport={"width": 1440, "height": 1100})
            tab.set_default_timeout(WAIT_MS)
            tab.goto(server.address)
            at_rest(tab, 4)
            return [_choose(tab, side, pair[side == "target"]) for side, pair in chosen]
        finally:
            server.kill()


def _choose(tab, side: str, title: str) -> float:
    """Milliseconds from the click on an example until there is sound."""
    before = tab.evaluate("[...document.querySelectorAll('.sound')].map(p => p.currentSrc)")
    tab.locator(f".st-key-{side} input").click()
    option = tab.get_by_role("option", name=title, exact=True)
    option.wait_for()
    tab.wait_for_timeout(PAUSE_MS)
    tab.evaluate(WATCH, [before, WAIT_MS])
    option.click()
    taken = tab.evaluate("window.sounding")
    at_rest(tab, 4)
    return taken


def _shares(chosen: list[tuple[str, tuple[str, str]]]) -> dict[str, list[float]]:
    """What the page asks of core for each pair: the clip that stays has been encoded already."""
    import torch

    torch.set_num_threads(1)
    model = latents.load(DEFAULT_CHECKPOINT)
    clips = {t: read(EXAMPLES / row["file"]) for t, row in instruments().items()}
    encoded = {title: model.encode(clip) for title, clip in clips.items()}
    play(model.decode(*[getattr(encoded[next(iter(clips))], part) for part in "vz"]))
    times: dict[str, list[float]] = {name: [] for name in SHARES}
    for side, pair in chosen:
        begin = time.perf_counter()
        encoded[pair[side == "target"]] = model.encode(clips[pair[side == "target"]])
        stamps = [begin, time.perf_counter()]
        x, y = (encoded[title] for title in pair)
        made = model.decode(y.v, x.z), model.decode(x.v, y.z)
        stamps.append(time.perf_counter())
        for log_mel in made:
            play(log_mel)
        stamps.append(time.perf_counter())
        for name, (first, end) in zip(SHARES, itertools.pairwise(stamps), strict=True):
            times[name].append(1000 * (end - first))
    return times


def _tell(name: str, times: list[float]) -> None:
    median, late = np.percentile(times, [50, 95])
    print(f"  {name:32s} median {median:7.1f} ms   p95 {late:7.1f} ms", flush=True)


if __name__ == "__main__":
    main()
