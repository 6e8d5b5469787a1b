"""What stands before the demo's server: no door it has no use for, and bodies of bounded size."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UPLOAD = 20 * 2**20  # bytes of a file
BODY = UPLOAD + 2**16  # of a request: one file and what wraps it
SPARE = 2 * 2**30  # bytes of disk that uploads must leave free
WAITING = 64  # visitors in the queue: the last is served within half a minute on two cores
SHUT = (  # of Gradio's doors, those that the demo has no use for
    "/gradio_api/proxy=",
    "/gradio_api/process_recording",
    "/gradio_api/stream/",
    "/gradio_api/deep_link",
    "/gradio_api/runs",
    "/gradio_api/file=http",
    "/gradio_api/file/",
    "/gradio_api/vibe-",
    "/gradio_api/undo-vibe",
    "/gradio_api/component_server",
    "/gradio_api/custom_component",
    "/monitoring",
)
FULL = "Many visitors are here just now and the queue is full: try again in a minute."
TOO_LARGE = f"This is too large: at most {UPLOAD >> 20} MB are taken."
NO_ROOM = "There is no room for uploads just now: try again in some minutes."
NOT_UNDERSTOOD = "This was not understood: see 'Use via API' at the foot of the page."
UNANSWERED = "This could not be answered: check what was sent, or try again."

logger = logging.getLogger(__name__)


class TooLargeError(Exception):
    """More arrived than was announced or is taken."""


class Gate:
    """ASGI middleware: refuses what the demo has no use for before anything is read or decoded."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self.app, self.uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith(SHUT):
            await refuse(send, 404, "There is nothing here.")
        elif _announced(scope) > BODY:
            await refuse(send, 413, TOO_LARGE)
        elif scope["path"].rstrip("/").endswith("/upload") and self._is_full():
            await refuse(send, 503, NO_ROOM)
        else:
            await self._counted(scope, receive, send)

    async def _counted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on at most BODY bytes, whatever was announced."""
        taken, answered = 0, False

        async def bounded() -> Message:
            nonlocal taken
            message = await receive()
            taken += len(message.get("body", b""))
            if taken > BODY:
                raise TooLargeError
            return message

        async def answer(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, bounded, answer)
        except TooLargeError:
            if not answered:
                await refuse(send, 413, TOO_LARGE)
        except Exception:
            if answered:
                raise
            logger.warning("refused %s", scope["path"], exc_info=True)
            await refuse(send, 400, NOT_UNDERSTOOD)

    def _is_full(self) -> bool:
        return shutil.disk_usage(self.uploads).free < SPARE


async def refuse(send: Send, status: int, says: str) -> None:
    """Answer with one sentence."""
    body = json.dumps({"detail": says}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _announced(scope: Scope) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


def speak_plainly(demo: gr.Blocks) -> None:
    """Say in words, to the visitor, that something failed of which Gradio says nothing."""
    process = demo.process_api

    async def told(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return await process(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:  # the server's log has it
            raise gr.Error(UNANSWERED) from error

    demo.process_api = told


def bound_queue(demo: gr.Blocks, size: int = WAITING) -> None:
    """Let at most `size` visitors wait, and tell the next one so in words."""
    demo.queue(max_size=size, default_concurrency_limit=2)
    queue = demo._queue
    push = queue.push

    async def told(*args: Any, **kwargs: Any) -> tuple[bool, Any, str]:
        success, says, state = await push(*args, **kwargs)
        return success, FULL if state == "queue_full" else says, state

    queue.push = told
