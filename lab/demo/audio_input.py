"""The demo's sound component: it takes only what was uploaded here, and plays at true level."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache
from gradio_client.utils import is_http_url_like

ONLY_UPLOADS = "Only sounds that are uploaded or recorded here are taken, no addresses or paths."

TAKEN = "A sound file: WAV, FLAC, Ogg, MP3 or AIFF, of at most 20 MB."


class Wav(NamedTuple):
    """A WAV file to be played, and what it is called when saved."""

    name: str
    data: bytes


class Sound(gr.Audio):
    """gr.Audio without what a stranger must not have: addresses to fetch, files of the server.

    What it plays are WAV files as they are: arrays would be brought to full level.
    """

    is_template = True  # drawn as gr.Audio

    def api_info(self) -> dict[str, Any]:
        """What the endpoints' documentation says of it."""
        return {**super().api_info(), "description": TAKEN}

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None):
        """The file at its place in the cache. Raises gr.Error for an address."""
        if is_http_url_like(str(url_or_file_path or "")):
            raise gr.Error(ONLY_UPLOADS, print_exception=False)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def preprocess(self, payload: FileData | None) -> Path | None:
        """The file that was uploaded. Raises gr.Error for one that was not."""
        if payload is None:
            return None
        path, cache = Path(payload.path).resolve(), Path(self.GRADIO_CACHE).resolve()
        if cache not in path.parents or not path.is_file():
            raise gr.Error(ONLY_UPLOADS, print_exception=False)
        return path

    def postprocess(self, value: Wav | Path | None) -> FileData | None:
        """A WAV file, or one that ships, as the page gets it."""
        if value is None or isinstance(value, Path):
            return value and FileData(path=str(value), orig_name=value.name)
        path = save_bytes_to_cache(value.data, f"{value.name}.wav", self.GRADIO_CACHE)
        return FileData(path=path, orig_name=f"{value.name}.wav")
