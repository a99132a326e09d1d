"""Any program that reads a prompt on its standard input and writes the answer on its standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hroute.providers.programs import prompt
from hroute.providers.programs.process import Ended
from hroute.providers.programs.profile import Call
from hroute.providers.protocol import ProviderError, Target
from hroute.terms.message import Reply, Request, Text
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage

_BYTES_PER_TOKEN: Final = 4


class Plain:
    name = "text"
    keeps: tuple[str, ...] = ()
    params: frozenset[str] = frozenset()

    def call(self, target: Target, request: Request, folder: Path) -> Call:
        env = {}
        if target.api_key:
            name = target.options.get("key_env")
            if not isinstance(name, str):
                said = "`options: {key_env: NAME}` has to say which variable the key goes into"
                raise ProviderError(Failure(Outcome.CREDENTIAL, said, code="no_key_env"))
            env[name] = target.api_key
        return Call((), prompt.whole(request, system=True), env)

    def reply(self, target: Target, request: Request, ended: Ended) -> Reply:
        """Exit code 0 is an answer, anything else a failure. Nothing counts tokens: they are reckoned from bytes."""
        if ended.code:
            said = f"the program ended with code {ended.code}"
            raise ProviderError(Failure(Outcome.SERVER, said, code=f"exit_{ended.code}"))
        text = ended.out.decode(errors="replace").strip()
        asked = prompt.whole(request, system=True)
        return Reply((Text(text),), target.model, usage=Usage(_tokens(asked), _tokens(text)))


def _tokens(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)
