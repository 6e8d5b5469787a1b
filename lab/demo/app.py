"""The demo for visitors: three tabs, three endpoints. `python lab/demo/app.py`, a Space's app_file.

python -m lab.demo.app --precompute   makes the examples' answers, which ship
"""

import argparse
import atexit
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
if not __package__:  # run as a file: its own folder's modules must not hide anybody else's
    sys.path[0] = str(ROOT)
# Before their libraries are imported: nothing is fetched and nothing told; threads do not spin.
for name, value in {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}.items():
    os.environ.setdefault(name, value)

from lab.demo import models as space_engine  # noqa: E402, I001  (asks for a ZeroGPU before torch is imported)
import gradio as gr  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402


from lab.bundled import credits  # noqa: E402
from lab.demo import find as space_find  # noqa: E402
from lab.demo import separate as space_separate  # noqa: E402
from lab.demo import swap as space_swap  # noqa: E402
from lab.demo.gate import UPLOAD, Gate, bound_queue, speak_plainly  # noqa: E402
from lab.demo.style import CSS, THEME  # noqa: E402

SWEEP, AGE = 120, 1800  # every two minutes, files older than half an hour are deleted
SESSIONS = 200  # visitors whose channels are remembered
TITLE = "Ravel: take sounds apart"
ABOUT = """
**Swap.** Each recording becomes one *global latent*, a list of numbers that holds what stays the
same, such as the instrument, and a *local latent* every 16 ms, for what changes, the melody. Put
together crosswise they are new sound. What you hear is a picture of sound, a log-mel spectrogram,
turned back into a waveform; that is why even a recording that is only rebuilt sounds a little
hollow. [Luo, Ewert and Dixon, IJCAI 2022](https://arxiv.org/abs/2205.05871).

**Take apart.** A separator gives two channels that add up to the mixture. It was trained on
mixtures of mixtures: it is right when its channels can be put together into the two that were
mixed. [Wisdom et al., NeurIPS 2020](https://arxiv.org/abs/2006.12701). *SI-SNRi* is by how many
decibels a channel is nearer to what is in it than the mixture was.

**Find.** An encoder learned that a mixture and its channels belong together, without labels. It
turns any sound into 128 numbers; sounds whose numbers point the same way are alike to it.
[Fonseca et al., WASPAA 2021](https://arxiv.org/abs/2105.02132).

The models are small and were trained on a CPU; their cards, in the repository, say on what and how
well they do. What you upload is deleted within half an hour and is nobody else's.
"""


def build() -> gr.Blocks:
    """The whole page, with its first examples answered."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(SWEEP, AGE)) as demo:
        gr.Markdown("# Ravel\nTake sounds apart, and put them together another way.")
        with gr.Tabs() as tabs:
            with gr.Tab("Swap instruments", id="swap"):
                space_swap.tab()
            with gr.Tab("Take apart a mixture", id="separate"):
                own, finders, _ = space_separate.tab()
            with gr.Tab("Find similar sounds", id="find"):
                query, filled = space_find.tab(own)
        for number, button in enumerate(finders):
            button.click(lambda: gr.Tabs(selected="find"), None, tabs, **space_find.AT_ONCE).then(
                _like(number), own, [query, *filled], api_visibility="private", **space_find.WORK
            )
        with gr.Accordion("What am I hearing?", open=False):
            gr.Markdown(ABOUT)
        with gr.Accordion("Whose recordings are these?", open=False):
            gr.Markdown(credits())
        with gr.Column(visible=False):
            for part in (space_swap, space_separate, space_find):
                part.endpoint()
    return demo


def _like(number: int) -> Any:
    def look(own: list) -> list[Any]:
        return space_find.find_like(number, own)

    return look


def launch(**options: Any) -> gr.Blocks:
    """Start the server. `options` are Gradio's, such as `server_port`."""
    uploads = Path(tempfile.mkdtemp(prefix="ravel-space-"))
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)  # all that visitors leave, and nothing else
    atexit.register(shutil.rmtree, uploads, ignore_errors=True)
    if space_engine.DEVICE == "cuda":
        space_engine.warm()  # before the process that gets the GPU is made
    demo = build()
    bound_queue(demo)
    speak_plainly(demo)
    demo.launch(
        theme=THEME,
        css=CSS,
        max_file_size=UPLOAD,
        state_session_capacity=SESSIONS,
        app_kwargs={"middleware": [Middleware(Gate, uploads=uploads)]},
        prevent_thread_lock=True,
        _frontend=False,  # no check of the address within 3 s: a busy machine would end here
        share=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        run_history=False,
        footer_links=["api"],
        show_error=False,
        **options,
    )
    return demo


def main(argv: list[str] | None = None) -> None:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo.app", description="Ravel's demo.")
    parser.add_argument("--port", type=int, help="where to listen; 7860 unless told")
    parser.add_argument("--precompute", action="store_true", help="make the examples' answers")
    arguments = parser.parse_args(argv)
    if arguments.precompute:
        from lab.demo.precompute import make

        print(f"{make():,} bytes in {space_find.answers.folder}")
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # so that nothing is left behind
    demo = launch(server_port=arguments.port)
    space_engine.warm()  # the page is there already, with its examples
    demo.block_thread()


if __name__ == "__main__":
    main()
