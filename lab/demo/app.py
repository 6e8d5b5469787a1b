"""The demo for visitors: four tabs and three endpoints.

python lab/demo/app.py                starts it; README.md names this file for a Hugging Face Space
python -m lab.demo.app --precompute   makes the examples' answers, which ship
"""

import argparse
import atexit
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
if not __package__:
    # Run as a file: Python has put this folder first on the path, where swap.py, find.py, style.py
    # and the others would hide modules of the same names. The root takes its place.
    sys.path[:] = [str(ROOT), *(entry for entry in sys.path if Path(entry).resolve() != FOLDER)]
# These take effect only if they are set before the libraries that read them are imported: no usage
# statistics are sent, and threads do not spin.
for name, value in {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}.items():
    os.environ.setdefault(name, value)

# On a ZeroGPU Space `models` imports `spaces`, which must come before anything that imports torch.
from lab.demo import models  # noqa: E402, I001
import gradio as gr  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402

from lab.bundled import credits  # noqa: E402
from lab.demo import find, remix, separate, swap  # noqa: E402
from lab.demo.gate import MAX_UPLOAD, Gate, bound_queue, explain_failures  # noqa: E402
from lab.demo.library import OwnChannel  # noqa: E402
from lab.demo.parts import IMMEDIATE, MODEL_CALL  # noqa: E402
from lab.demo.style import CSS, THEME  # noqa: E402

SWEEP, MAX_AGE = 120, 1800  # seconds: every two minutes, files older than half an hour are deleted
SESSIONS = 200  # visitors whose channels are remembered
TITLE = "Ravel: take sounds apart"
HEADING = "# Ravel\nTake sounds apart, and put them together another way."
ABOUT = """
**Swap instruments.** A model describes each recording by a *global latent*, a list of numbers for
what stays the same, such as the instrument, and by a *local latent* every 16 ms for what changes,
such as the melody. The global latent of one recording and the local latents of the other make a new
sound. The model's output is a log-mel spectrogram, which is then converted to a waveform; this is
why even a recording that is only reconstructed sounds a little hollow.
[Luo, Ewert and Dixon, IJCAI 2022](https://arxiv.org/abs/2205.05871).

**Separate a mixture.** A separator returns two channels that add up to the mixture. It was trained
on mixtures of mixtures: its output is right if its channels can be put together into the two
mixtures that were mixed. [Wisdom et al., NeurIPS 2020](https://arxiv.org/abs/2006.12701).
*SI-SNRi* says by how many decibels a channel is closer to its source than the mixture was.

**Remix a duet.** Both together: a duet is separated, a channel's global latent is replaced by an
instrument's, and all is mixed again.

**Find similar sounds.** An encoder learned, without labels, that a mixture and its channels belong
together. It represents any sound by 128 numbers; two sounds are similar if these vectors point in
similar directions. [Fonseca et al., WASPAA 2021](https://arxiv.org/abs/2105.02132).

The models are small and were trained on a CPU. Their cards, in the repository, describe their
training data and their scores. Your uploads are deleted within half an hour, and other visitors
cannot see them.
"""


def build() -> gr.Blocks:
    """The whole page, with its first examples answered."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(SWEEP, MAX_AGE)) as demo:
        gr.Markdown(HEADING)
        with gr.Tabs() as tabs:
            with gr.Tab("Swap instruments", id="swap"):
                swap.tab()
            with gr.Tab("Separate a mixture", id="separate"):
                own, finders = separate.tab()
            with gr.Tab("Remix a duet", id="remix"):
                remix.tab()
            with gr.Tab("Find similar sounds", id="find"):
                query, filled = find.tab(own)
        for number, button in enumerate(finders):
            button.click(lambda: gr.Tabs(selected="find"), None, tabs, **IMMEDIATE).then(
                _find_like_channel(number), own, [query, *filled],
                api_visibility="private", **MODEL_CALL,
            )  # fmt: skip
        with gr.Accordion("What am I hearing?", open=False):
            gr.Markdown(ABOUT)
        with gr.Accordion("Whose recordings are these?", open=False):
            gr.Markdown(credits())
        with gr.Column(visible=False):
            for part in (swap, separate, find):
                part.endpoint()
    return demo


def _find_like_channel(number: int) -> Callable[[list[OwnChannel]], list[Any]]:
    # A function of its own: Gradio cannot inspect a functools.partial.
    def search(own: list[OwnChannel]) -> list[Any]:
        return find.find_like_channel(number, own)

    return search


def launch(**options: Any) -> gr.Blocks:
    """Start the server. `options` are those of Gradio's `launch`, such as `server_port`."""
    # All that visitors upload, and all that is made for them, lies here and nothing else does.
    uploads = Path(tempfile.mkdtemp(prefix="ravel-space-"))
    os.environ["GRADIO_TEMP_DIR"] = str(uploads)
    atexit.register(shutil.rmtree, uploads, ignore_errors=True)
    if models.DEVICE == "cuda":
        models.warm_up()  # ZeroGPU forks its GPU process from this one: the models come first
    demo = build()
    bound_queue(demo)
    explain_failures(demo)
    demo.launch(
        theme=THEME,
        css=CSS,
        max_file_size=MAX_UPLOAD,
        state_session_capacity=SESSIONS,
        app_kwargs={"middleware": [Middleware(Gate, uploads=uploads)]},
        prevent_thread_lock=True,
        # With it Gradio requests its own page and gives up after 3 s, too soon on a busy machine.
        _frontend=False,
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
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m lab.demo.app", description="Ravel's demo.")
    parser.add_argument("--port", type=int, help="port to listen on (default: 7860)")
    parser.add_argument("--precompute", action="store_true", help="make the examples' answers")
    arguments = parser.parse_args(argv)
    if arguments.precompute:
        from lab.demo.examples import FOLDER as folder
        from lab.demo.precompute import make

        print(f"{make():,} bytes in {folder}")
        return
    # SIGTERM would end the process without atexit, and leave the uploads behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    demo = launch(server_port=arguments.port)
    models.warm_up()  # meanwhile the page is already served, with its examples
    demo.block_thread()


if __name__ == "__main__":
    main()
