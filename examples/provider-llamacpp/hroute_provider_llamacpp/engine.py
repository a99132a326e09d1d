"""The engine: a GGUF file opened by `xllamacpp`, asked in JSON, heard piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

Heard = Callable[[str], bool]
"""Takes a chunk of the answer (OpenAI's JSON, as text); what it returns says whether the engine is to stop."""


@dataclass(frozen=True, slots=True)
class Model:
    """What an engine is opened with. `context` in tokens, 0 is what the file says; `gpu_layers` -1 is as many as fit."""

    file: Path
    context: int = 0
    gpu_layers: int = -1
    threads: int = 0


class Engine(Protocol):
    def chat(self, body: str, heard: Heard) -> None:
        """Answer a chat completion's body; returns when the answer is whole, or `heard` wanted no more. Raises
        ConnectionError where it was closed."""

    def close(self) -> None:
        """Give the memory back, once the answers that are being written have ended; waits for none of them."""


class Missing(Exception):
    """There is no such file, or no `xllamacpp`."""


class Unusable(Exception):
    """The file is no model that llama.cpp can open, or there is no room for it."""


class LlamaCpp:
    """The real one. `xllamacpp` opens a listener in any case: it is put on a socket file in a folder of our own."""

    def __init__(self, model: Model) -> None:
        try:
            import xllamacpp  # type: ignore[import-untyped,unused-ignore]
        except ImportError as error:
            raise Missing("the Python package `xllamacpp` is not installed") from error
        if not model.file.is_file():
            raise Missing(f"there is no model file `{model.file.name}`")
        self._folder = TemporaryDirectory(prefix="hroute-llamacpp-", ignore_cleanup_errors=True)
        try:
            self._server: Any = xllamacpp.Server(self._parameters(xllamacpp, model))
            self._server.handle_metrics()  # its loop runs from here on: one told to end before it begins never ends
        except Exception as error:
            self._folder.cleanup()
            raise Unusable(f"llama.cpp cannot open `{model.file.name}`") from error

    def chat(self, body: str, heard: Heard) -> None:
        server = self._server
        if server is None:
            raise ConnectionError
        server.handle_chat_completions(body, heard)

    def close(self) -> None:
        self._server = None
        self._folder.cleanup()

    def _parameters(self, xllamacpp: Any, model: Model) -> Any:
        made = xllamacpp.CommonParams()
        made.model.path = str(model.file)
        made.n_ctx = model.context
        made.n_gpu_layers = model.gpu_layers
        made.n_parallel = 1
        made.warmup = False
        made.verbosity = -1
        made.ui = False
        made.endpoint_slots = False
        made.endpoint_metrics = True  # asked once, on the socket of our own
        made.hostnames = [str(Path(self._folder.name) / "s.sock")]
        if model.threads:
            made.cpuparams.n_threads = model.threads
            made.cpuparams_batch.n_threads = model.threads
        return made
