"""A real llama.cpp behind an address: a tiny model of random weights, so its words are noise and its wire is real.

Its noise is held to letters by a grammar: by /v1/messages this engine leaves out the event with which a stream begins
where its first token is no whole character, one stream in four of noise that is not held to anything.
The engine runs in a process of its own, by an interpreter that has `xllamacpp` and `gguf`: this one, or the one that
`make clients` made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest

MODEL = Path(__file__).parents[2] / "examples" / "provider-llamacpp" / "tests"
TEMPLATE = "{% for m in messages[-2:] %}{{ m['role'] }}: {{ (m['content'] or '')[-300:] }}\n{% endfor %}assistant:"
"""What is read of a conversation: its end. A token is a byte here, and an agent's instructions are 80,000 of them."""
WHOLE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"

_SERVE = """
import json, sys
sys.path.insert(0, sys.argv[1])
import tiny_model, xllamacpp
file = tiny_model.write(sys.argv[2], context=int(sys.argv[3]), template=sys.argv[4])
made = xllamacpp.CommonParams()
made.model.path, made.n_ctx, made.n_parallel, made.warmup = str(file), int(sys.argv[3]), 1, False
made.hostnames, made.port, made.use_jinja, made.verbosity, made.ui = ["127.0.0.1"], 0, True, -1, False
made.endpoint_metrics = True
made.cpuparams.n_threads = made.cpuparams_batch.n_threads = 1
plain = made.sampling.grammar
plain.grammar, plain.type = "root ::= [a-z ]{1,200}", xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER
made.sampling.grammar = plain
server = xllamacpp.Server(made)
server.handle_metrics()
print(json.dumps({"url": server.listening_address}), flush=True)
sys.stdin.read()
import os; os._exit(0)
"""


@cache
def interpreter() -> str | None:
    """A Python that has the engine."""
    folder = os.environ.get("HROUTE_TEST_CLIENTS")
    beside = [Path(folder) / "python"] if folder else []
    for python in (sys.executable, *map(str, beside)):
        command = [python, "-c", "import xllamacpp, gguf, numpy"]
        try:
            if subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0:
                return python
        except OSError:
            continue
    return None


@contextmanager
def llama(place: Path, *, context: int = 8192, template: str = TEMPLATE) -> Iterator[str]:
    """The address of an engine that runs as long as the block."""
    python = interpreter()
    if python is None:
        pytest.skip("xllamacpp, gguf and numpy are not installed: make clients")
    command = [python, "-c", _SERVE, str(MODEL), str(place / "tiny.gguf"), str(context), template]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as engine:  # fmt: skip
        try:
            assert engine.stdout is not None
            lines = (line for line in engine.stdout if line.startswith('{"url"'))
            yield json.loads(next(lines))["url"]
        finally:
            engine.kill()
