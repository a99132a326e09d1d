"""From a request to its signals: each read at most once, and only when somebody asks for it.

What the caller says wins over an extractor. Taints (`pii`, `contains_pii`, `contains_secret`) are the exception: a caller
may raise one and never lower it, a detector that fails counts as true, and a part that no detector can read (image, audio,
document) puts the kind `unspecified` into `pii` (for rules and guarantees alike) unless the policy says `unread: false`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from hroute.router.signals import conversation, counts, intent, language, paths, purpose, score, task, tokens, wording
from hroute.router.signals.blocks import Block, BlockCache, Sent
from hroute.router.signals.compiled import compiled
from hroute.router.signals.taints import NAMES as TAINTS
from hroute.router.signals.taints import Detectors, Finding, Taints
from hroute.schema.policy import Policy
from hroute.terms.message import Request
from hroute.terms.pattern import Prepared
from hroute.terms.signal import ABSENT, SIGNALS, Kind, Value

__all__ = ["VERSIONS", "BlockCache", "Detectors", "Extraction", "Finding"]

VERSIONS: Final = {
    m.VERSION.partition("/")[0]: m.VERSION
    for m in (tokens, conversation, intent, task, score, language, purpose, paths)
}
"""The extractors and their versions, for records; the scanners carry their own."""


class Extraction:
    """The signals of one request under one policy. Not for several threads at once.

    `given` holds values as `hroute.terms.signal.coerce` makes them; recorded text tests may stand in it by their key.
    `request` None: signals only; what a text would give is then absent, taints are false, and `assumed` names them.
    `hour` is the hour of arrival; `cache` keeps scans between requests.
    """

    def __init__(
        self,
        policy: Policy,
        request: Request | None,
        given: Mapping[str, Value],
        *,
        hour: int | None = None,
        cache: BlockCache | None = None,
        detectors: Detectors = Detectors(),
    ) -> None:
        self._policy = policy
        self._request = request
        self._given = given
        self._hour = hour
        self._cache = cache
        self._known: dict[str, Value] = {
            name: value for name, value in given.items() if name not in TAINTS and name != "message"
        }
        self._assumed: dict[str, None] = {}
        self._sent = Sent(request)
        self._conversation: conversation.Conversation | None = None
        self._files: frozenset[str] | None = None
        self._counted: tuple[str, int] = ("", 0)
        self._said: frozenset[str] | None = None
        self._texts: dict[str, dict[str, bool]] = {}
        self._looked_at: score.Features | None = None
        self._assessment: score.Assessment | None = None
        self._taints = Taints(policy.signals, self._sent, given, cache, detectors)

    def ask(self, feature: str) -> Value:
        """The value of a signal or of a text test by its key, defaults filled in; ABSENT where there is none."""
        if feature in self._known:
            value = self._known[feature]
            if value is not ABSENT or feature not in self._given or SIGNALS[feature].may_be_absent:
                return value
        value = self._text_test(feature) if "~" in feature else self._value(feature)
        if feature != "message":
            self._known[feature] = value
        return value

    def known(self) -> dict[str, Value]:
        """What was given or asked so far, text tests as booleans; never the text itself, nor what is absent."""
        return {name: value for name, value in self._known.items() if value is not ABSENT}

    def all(self) -> dict[str, Value]:
        """Every signal and every text test of the policy: all extractors run."""
        for name in (*SIGNALS, *self._policy.texts):
            self.ask(name)
        return self.known()

    @property
    def assumed(self) -> tuple[str, ...]:
        """Signals asked so far whose value was assumed because there was no text to read."""
        return tuple(self._assumed)

    @property
    def sent(self) -> tuple[Block, ...]:
        """All that would be sent, as blocks of text."""
        return self._sent.blocks()

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Personal data, by kind and place."""
        return self._taints.personal.findings

    @property
    def secret_findings(self) -> tuple[Finding, ...]:
        """Credentials, by kind and place."""
        return self._taints.secret.findings

    @property
    def score_parts(self) -> dict[str, float]:
        """What each feature contributed to the score; empty where the score was not read from a text."""
        return dict(self._assess().parts) if self._request and "score" not in self._given else {}

    @property
    def strengths(self) -> dict[str, float]:
        """What a learned score may weigh of this request, by name, each from 0 to 1."""
        return score.strengths_of(self._features())

    def _value(self, name: str) -> Value:
        if name in TAINTS:
            if self._request is None and self._taints.is_assumed(name):
                self._assumed[name] = None
            return self._taints.of(name)
        read = _READ.get(name)
        if read is None:
            return SIGNALS[name].default
        if self._request is None and name != "arrival_hour":
            return self._without_text(name)
        return read(self)

    def _without_text(self, name: str) -> Value:
        """SEMANTICS 1.3: absent unless given."""
        if name == "message":
            return self._given.get(name, ABSENT)
        if SIGNALS[name].default is ABSENT:
            self._assumed[name] = None
        return frozenset() if SIGNALS[name].kind is Kind.SET else SIGNALS[name].default

    def _text_test(self, key: str) -> Value:
        test = self._policy.texts.get(key)
        text = self.ask(test.signal) if test else ABSENT
        if test is None or not isinstance(text, str):
            return False
        held = self._texts.get(test.signal)
        if held is None:
            held = self._texts[test.signal] = compiled(self._policy).texts(test.signal, Prepared(text))
        return held[key]

    def _talk(self) -> conversation.Conversation:
        if self._conversation is None:
            self._conversation = conversation.read(self._request) if self._request else conversation.Conversation()
        return self._conversation

    def _about(self) -> str:
        """What the user is talking about: the message, or the turn that a short reply answers."""
        return self._talk().subject

    def _tokens(self, text: str) -> int:
        if self._counted[0] is not text:
            self._counted = (text, tokens.estimate(text))
        return self._counted[1]

    def _words(self) -> frozenset[str]:
        """What it says, by the names of `wording.TESTS`."""
        if self._said is None:
            self._said = wording.read(self._about())
        return self._said

    def _features(self) -> score.Features:
        if self._looked_at is None:
            asked: dict[str, Value] = {name: self.ask(name) for name in _ASSESSED}
            self._looked_at = score.Features(
                said=self._words(),
                words=tokens.words(self._about()),
                context_tokens=_whole(asked["context_tokens"]),
                clarifying_turns=_whole(asked["clarifying_turns"]),
                has_code=asked["has_code"] is True,
                code_files=self._code_files(),
                response_format=str(asked["response_format"]),
                intents=_names(asked["intent"]),
                task_type=str(asked["task_type"]) if asked["task_type"] is not ABSENT else None,
            )
        return self._looked_at

    def _assess(self) -> score.Assessment:
        if self._assessment is None:
            self._assessment = score.assess(self._features(), self._policy.scoring)
        return self._assessment

    def _code_files(self) -> bool:
        return self._request is not None and paths.has_code(name for name, _ in self._request.files)

    def _paths(self) -> frozenset[str]:
        if self._files is None:
            self._files = paths.files(self._request) if self._request else frozenset()
        return self._files

    def _read_intent(self) -> Value:
        return compiled(self._policy).intents.of(self._about(), self._words())

    def _read_has_code(self) -> Value:
        return task.has_code(self._talk().message)

    def _read_task_type(self) -> Value:
        code = self.ask("has_code") is True
        return (
            task.task_type(self._words(), code=code, code_files=self._code_files(), intents=_names(self.ask("intent")))
            or ABSENT
        )

    def _read_code_task(self) -> Value:
        is_code = self.ask("task_type") == "code" or self.ask("has_code") is True
        files = _whole(self.ask("files"))
        return task.code_task(self._words(), is_code=is_code, message=self._about(), files=files) or ABSENT

    def _read_files(self) -> Value:
        return len(self._paths())

    def _read_score(self) -> Value:
        return self._assess().score

    def _read_confidence(self) -> Value:
        return self._assess().confidence

    def _read_complexity(self) -> Value:
        value, confidence = self.ask("score"), self.ask("confidence")
        assert isinstance(value, float | int)
        assert isinstance(confidence, float | int)
        return score.complexity(value, confidence, self._policy.scoring)

    def _read_message_tokens(self) -> Value:
        return min(self._tokens(self._talk().message), _whole(self.ask("prompt_tokens")))

    def _read_context_tokens(self) -> Value:
        return counts.context_tokens(self._request, self.sent, self._cache) if self._request else 0

    def _read_prompt_tokens(self) -> Value:
        return counts.prompt_tokens(self._request, self.sent, self._cache) if self._request else ABSENT

    def _read_expected_tokens(self) -> Value:
        most = self._request.max_tokens if self._request else None
        return counts.expected_tokens(_whole(self.ask("prompt_tokens")), most)

    def _read_turns(self) -> Value:
        return max(1, self._talk().turns)

    def _read_clarifying_turns(self) -> Value:
        return self._talk().clarifying_turns

    def _read_language(self) -> Value:
        return language.detect(self._talk().message) or ABSENT

    def _read_purpose(self) -> Value:
        return purpose.read(self._request, self._talk().message) if self._request else "turn"

    def _read_message(self) -> Value:
        given = self._given.get("message", ABSENT)
        return given if isinstance(given, str) else self._talk().message

    def _read_hour(self) -> Value:
        return ABSENT if self._hour is None else self._hour

    def _read_tools(self) -> Value:
        return len(self._request.tools) if self._request else 0

    def _read_images(self) -> Value:
        return counts.images(self._request) if self._request else 0

    def _read_stream(self) -> Value:
        return self._request.stream if self._request else False

    def _read_response_format(self) -> Value:
        return self._request.response_format if self._request else "text"


_ASSESSED: Final = ("context_tokens", "clarifying_turns", "has_code", "response_format", "intent", "task_type")

_READ: Final[dict[str, Callable[[Extraction], Value]]] = {
    "intent": Extraction._read_intent,
    "has_code": Extraction._read_has_code,
    "task_type": Extraction._read_task_type,
    "code_task": Extraction._read_code_task,
    "files": Extraction._read_files,
    "score": Extraction._read_score,
    "confidence": Extraction._read_confidence,
    "complexity": Extraction._read_complexity,
    "message_tokens": Extraction._read_message_tokens,
    "context_tokens": Extraction._read_context_tokens,
    "prompt_tokens": Extraction._read_prompt_tokens,
    "expected_tokens": Extraction._read_expected_tokens,
    "turns": Extraction._read_turns,
    "clarifying_turns": Extraction._read_clarifying_turns,
    "language": Extraction._read_language,
    "purpose": Extraction._read_purpose,
    "message": Extraction._read_message,
    "arrival_hour": Extraction._read_hour,
    "tools": Extraction._read_tools,
    "images": Extraction._read_images,
    "stream": Extraction._read_stream,
    "response_format": Extraction._read_response_format,
}


def _whole(value: Value) -> int:
    return value if isinstance(value, int) else 0


def _names(value: Value) -> frozenset[str]:
    return value if isinstance(value, frozenset) else frozenset()
