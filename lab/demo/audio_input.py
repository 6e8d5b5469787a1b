"""The demo's sound component: it accepts only uploads made here, and plays at true level."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import gradio as gr
from gradio import component_meta
from gradio.data_classes import FileData
from gradio.processing_utils import save_bytes_to_cache
from gradio_client.utils import is_http_url_like

ONLY_UPLOADS = "Only sounds uploaded or recorded here are accepted, not addresses or paths."
ACCEPTED = "A sound file (WAV, FLAC, Ogg, MP3 or AIFF) of at most 20 MB."

# Gradio writes a stub (.pyi) beside the file of every component class. Type checkers would then
# read that stub instead of this file, and a read-only installation would log a failed write.
component_meta.create_or_modify_pyi = lambda *_: None


class Wav(NamedTuple):
    """A WAV file to play, and its name when it is saved."""

    name: str
    data: bytes


class Sound(gr.Audio):
    """gr.Audio without two things a visitor must not have: downloads of addresses by the server,
    and files of the server.

    It plays WAV files as they are, because Gradio would scale arrays to full level.
    """

    is_template = True  # the browser draws it as gr.Audio

    if TYPE_CHECKING:  # gr.Audio's own constructor, which does not know what postprocess accepts

        def __init__(self, value: Wav | Path | None = None, **options: Any) -> None: ...

    def api_info(self) -> dict[str, Any]:
        """The component's description in the documentation of the endpoints."""
        return {**super().api_info(), "description": ACCEPTED}

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None):
        """The file's place in the cache. Raises gr.Error for an address."""
        if is_http_url_like(str(url_or_file_path or "")):
            raise gr.Error(ONLY_UPLOADS, print_exception=False)
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    # A component chooses the types that its functions exchange; gr.Audio declares only its own.
    def preprocess(self, payload: FileData | None) -> Path | None:  # type: ignore[override]
        """The uploaded file. Raises gr.Error for a path that was not uploaded."""
        if payload is None:
            return None
        path, cache = Path(payload.path).resolve(), Path(self.GRADIO_CACHE).resolve()
        if cache not in path.parents or not path.is_file():
            raise gr.Error(ONLY_UPLOADS, print_exception=False)
        return path

    def postprocess(self, value: Wav | Path | None) -> FileData | None:  # type: ignore[override]
        """A WAV file, or a file that ships, as the page receives it."""
        if value is None:
            return None
        if isinstance(value, Path):
            return FileData(path=str(value), orig_name=value.name)
        path = save_bytes_to_cache(value.data, f"{value.name}.wav", self.GRADIO_CACHE)
        return FileData(path=path, orig_name=f"{value.name}.wav")
