"""Guards in front of the demo's server: unused paths are closed, and request bodies are bounded."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import gradio as gr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_UPLOAD = 20 * 2**20  # bytes of a file
MAX_BODY = MAX_UPLOAD + 2**16  # bytes of a request: one file and its multipart wrapping
MIN_FREE_DISK = 2 * 2**30  # bytes that uploads must leave free
QUEUE_SIZE = 64  # waiting visitors; the last one is served within half a minute on two cores
CLOSED_PATHS = (  # paths of Gradio that the demo does not use
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
NOT_FOUND = "This address is not in use."
QUEUE_FULL = "Many visitors are here and the queue is full: try again in a minute."
TOO_LARGE = f"This upload is too large: the limit is {MAX_UPLOAD >> 20} MB."
DISK_FULL = "The server has no room for uploads at the moment: try again in a few minutes."
BAD_REQUEST = "The request could not be read: see 'Use via API' at the foot of the page."
FAILED = "The request failed: check what was sent, or try again."

logger = logging.getLogger(__name__)


class BodyTooLargeError(Exception):
    """More bytes arrived than a request may have."""


class Gate:
    """ASGI middleware: rejects unwanted requests before anything is read or decoded."""

    def __init__(self, app: ASGIApp, uploads: Path) -> None:
        self.app, self.uploads = app, uploads

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
        elif scope["path"].startswith(CLOSED_PATHS):
            await reject(send, 404, NOT_FOUND)
        elif _content_length(scope) > MAX_BODY:
            await reject(send, 413, TOO_LARGE)
        elif scope["path"].rstrip("/").endswith("/upload") and self._disk_is_full():
            await reject(send, 503, DISK_FULL)
        else:
            await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on at most MAX_BODY bytes: the header may understate or omit the length."""
        received, answered = 0, False

        async def bounded_receive() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MAX_BODY:
                raise BodyTooLargeError
            return message

        async def noting_send(message: Message) -> None:
            nonlocal answered
            answered = True
            await send(message)

        # Once a response has begun, no second one may be sent: the connection can only be dropped.
        try:
            await self.app(scope, bounded_receive, noting_send)
        except BodyTooLargeError:
            if not answered:
                await reject(send, 413, TOO_LARGE)
        except Exception:  # malformed requests make Gradio raise; its page would show a traceback
            if answered:
                raise
            logger.warning("rejected %s", scope["path"], exc_info=True)
            await reject(send, 400, BAD_REQUEST)

    def _disk_is_full(self) -> bool:
        return shutil.disk_usage(self.uploads).free < MIN_FREE_DISK


async def reject(send: Send, status: int, detail: str) -> None:
    """Answer with a status and one sentence, in the form of Gradio's own errors."""
    body = json.dumps({"detail": detail}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _content_length(scope: Scope) -> int:
    length = dict(scope["headers"]).get(b"content-length", b"0")
    return int(length) if length.isdigit() else 0


def explain_failures(demo: gr.Blocks) -> None:
    """Give the visitor a sentence when a call fails.

    With `show_error=False` Gradio sends no reason at all, and with `show_error=True` it sends the
    exception's own text, which may name paths of the server. It has no hook in between, hence the
    replaced method. gr.Error, the errors meant for visitors, pass unchanged.
    """
    process = demo.process_api

    async def explained(*args: Any, **kwargs: Any) -> dict[str, Any]:
        try:
            return await process(*args, **kwargs)
        except gr.Error:
            raise
        except Exception as error:  # its traceback goes to the server's log
            raise gr.Error(FAILED) from error

    demo.process_api = explained  # type: ignore[method-assign]  # Gradio has no hook for this


def bound_queue(demo: gr.Blocks, size: int = QUEUE_SIZE) -> None:
    """Let at most `size` visitors wait, and give the next one a plain sentence.

    Gradio's own text for a full queue is fixed in `Queue.push` and speaks of internals, so its
    result is replaced. Patch after `demo.queue`, which makes the queue, and before `demo.launch`.
    """
    demo.queue(max_size=size, default_concurrency_limit=2)
    queue = demo._queue  # Gradio offers no public access to it
    push = queue.push

    async def push_explained(*args: Any, **kwargs: Any) -> Any:
        success, answer, state = await push(*args, **kwargs)
        return success, QUEUE_FULL if state == "queue_full" else answer, state

    queue.push = push_explained  # type: ignore[method-assign]  # Gradio has no hook for this
