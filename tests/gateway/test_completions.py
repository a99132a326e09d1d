"""The older completions: passed on as they are where the server knows them, continued by a chat model where not."""

from __future__ import annotations

import json
from collections.abc import Iterator

import openai
import pytest

from hroute.gateway.asked import read
from hroute.gateway.doors import COMPLETIONS
from hroute.providers.sandbox.server import SandboxServer
from hroute.terms.message import Unread
from hroute.wire.fields import Malformed
from hroute.wire.grammar import violations
from hroute.wire.openai_completions import CONTINUE, CURSOR, FILL
from tests.gateway.house import ANSWERS, JSON, House, Notary, before_sandbox, house, policy_of, prompt

PATH = "/v1/completions"
RULE = """
guarantees: [{{name: stays_home, when: {{contains_pii: true}}, only: {{local: true}}}}]
""".format()
ODD = b'{ "prompt" : "def add(a, b):\\n    return ", "suffix":"\\n", "model" : "gpt-5", "n": 2, "echo":true, "logprobs": 3, "max_tokens":20 }'


@pytest.fixture(scope="module")
def stage() -> Iterator[tuple[House, SandboxServer]]:
    with before_sandbox({"answers": [{"text": "a + b"}]}) as found:
        yield found


def test_a_server_that_knows_completions_gets_the_bytes_that_came() -> None:
    with Notary((200, JSON, ANSWERS[PATH])) as notary, house(policy_of(notary.url)) as here:
        answer = here.post(PATH, ODD, x_hroute_cost_center="gpt")
    assert answer.content == ANSWERS[PATH]
    assert notary.noted[0].path == "/gpt/v1/completions"
    assert notary.noted[0].body == ODD.replace(b"gpt-5", b"gpt-x")


@pytest.mark.parametrize("target", ["claude", "chat_only", "llama"])
def test_a_gap_is_filled_by_a_chat_model(stage: tuple[House, SandboxServer], target: str) -> None:
    here, sandbox = stage
    body = prompt("def add(a, b):\n    return ", suffix="\n\nprint(add(1, 2))", max_tokens=40, stop=["\n\n"])
    answer = here.post(PATH, body, x_hroute_cost_center=target)
    told = answer.json()
    assert (answer.status_code, told["object"], told["choices"][0]["text"]) == (200, "text_completion", "a + b")
    assert told["choices"][0]["finish_reason"] == "stop"
    assert told["usage"]["completion_tokens"] > 0
    assert "x-hroute-dropped" not in answer.headers
    asked = json.dumps(sandbox.calls.as_json()[-1]["body"])
    assert json.dumps(f"def add(a, b):\n    return {CURSOR}\n\nprint(add(1, 2))")[1:-1] in asked
    assert json.dumps(FILL)[1:-1] in asked
    here.post(PATH, prompt("Once upon a"), x_hroute_cost_center=target)
    assert json.dumps(CONTINUE)[1:-1] in json.dumps(sandbox.calls.as_json()[-1]["body"])


@pytest.mark.parametrize("target", ["claude", "gpt", "chat_only", "llama"])
def test_openais_sdk_completes_and_streams(stage: tuple[House, SandboxServer], target: str) -> None:
    client = openai.OpenAI(base_url=f"{stage[0].url}/v1", api_key="dummy", default_headers={"x-hroute-cost-center": target})  # fmt: skip
    one = client.completions.create(model="gpt-5", prompt="1 + 1 is ", suffix=".", max_tokens=9)
    assert (one.choices[0].text, one.choices[0].finish_reason) == ("a + b", "stop")
    chunks = list(client.completions.create(model="gpt-5", prompt="1 + 1 is ", stream=True, stream_options={"include_usage": True}))  # fmt: skip
    assert "".join(choice.text for chunk in chunks for choice in chunk.choices) == "a + b"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == one.usage.completion_tokens  # type: ignore[union-attr]


INSTRUCT = """
providers:
  any: {{plugin: openai, model: requested, base_url: "{url}/gpt/v1", api_key: env:KEY}}
default: {{route_to: any}}
{more}
"""


def test_openais_own_models_for_completions_are_known_by_name() -> None:
    with Notary((200, JSON, ANSWERS[PATH])) as notary, house(policy_of(notary.url, text=INSTRUCT)) as here:
        raw = json.dumps(prompt(model="gpt-3.5-turbo-instruct", n=2)).encode()
        assert here.post(PATH, raw).status_code == 200
        assert (notary.noted[0].path, notary.noted[0].body) == ("/gpt/v1/completions", raw)
        assert here.post(PATH, prompt(n=2)).status_code == 400


BEYOND = [{"n": 2}, {"best_of": 3}, {"echo": True}, {"logprobs": 0}, {"logit_bias": {"50256": -100}}, {"prompt": ["a", "b"]}, {"prompt": [1, 2]}, {"prompt": [[1, 2], [3]]}]  # fmt: skip


@pytest.mark.parametrize("more", BEYOND, ids=lambda more: "-".join(map(str, [*more, *more.values()])))
def test_what_no_chat_can_give_goes_to_who_can_or_is_a_400(stage: tuple[House, SandboxServer], more: dict[str, object]) -> None:  # fmt: skip
    here, sandbox = stage
    served = here.post(PATH, {**prompt(), **more}, x_hroute_cost_center="gpt")
    assert (served.status_code, served.headers["x-hroute-model"]) == (200, "gpt-x")
    calls = len(sandbox.calls.as_json())
    refused = here.post(PATH, {**prompt(), **more}, x_hroute_cost_center="alone")
    assert refused.status_code == 400
    assert refused.json()["error"]["type"] == "invalid_request_error"
    assert next(iter(more)) in refused.json()["error"]["message"]
    assert len(sandbox.calls.as_json()) == calls


@pytest.mark.parametrize("more", [{"n": 1}, {"best_of": 1}, {"echo": False}, {"logprobs": None}, {"logit_bias": {}}, {"prompt": ["a"]}])  # fmt: skip
def test_a_wish_for_the_usual_is_no_wish(stage: tuple[House, SandboxServer], more: dict[str, object]) -> None:
    assert stage[0].post(PATH, {**prompt(), **more}, x_hroute_cost_center="alone").status_code == 200


@pytest.mark.parametrize("odd", [None, 3, {}, [], [None], ["a", 3], [True], [[True]], [{"a": 1}]])
def test_a_prompt_of_another_kind_is_a_400(stage: tuple[House, SandboxServer], odd: object) -> None:
    answer = stage[0].post(PATH, {**prompt(), "prompt": odd})
    assert (answer.status_code, answer.json()["error"]["type"]) == (400, "invalid_request_error")
    assert stage[0].post(PATH, {**prompt(), "suffix": 3}).status_code == 400


def test_a_gap_is_known_as_a_completion_of_code() -> None:
    def given(**more: object) -> dict[str, object]:
        return dict(read(COMPLETIONS, json.dumps({**prompt("x = "), **more}).encode(), {}).given)

    assert given(suffix="\n")["code_task"] == "completion"
    assert given(suffix="\n")["task_type"] == "code"
    assert given(prompt="<|fim_prefix|>x = <|fim_suffix|>\n<|fim_middle|>")["code_task"] == "completion"
    assert "code_task" not in given()
    headers = {"x-hroute-signal": "task_type=translation"}
    said = read(COMPLETIONS, json.dumps(prompt("a", suffix="b")).encode(), headers).given
    assert said["task_type"] == "translation"


def test_tokens_are_a_part_that_nobody_can_read() -> None:
    parts = read(COMPLETIONS, json.dumps(prompt() | {"prompt": [1, 2, 3]}).encode(), {}).request.messages[0].parts
    assert [type(part) for part in parts] == [Unread]


@pytest.mark.parametrize(
    "body",
    [
        prompt("my card is 4111 1111 1111 1111"),
        prompt("a", suffix="my card is 4111 1111 1111 1111"),
        {**prompt(), "prompt": ["a", "my card is 4111 1111 1111 1111"]},
        {**prompt(), "prompt": [4111, 1111]},
    ],
    ids=["prompt", "suffix", "second", "tokens"],
)
def test_a_guarantee_holds_for_the_whole_text(body: dict[str, object]) -> None:
    with before_sandbox(more=RULE) as (here, sandbox):
        answer = here.post(PATH, body, x_hroute_cost_center="gpt")
        assert {call["provider"] for call in sandbox.calls.as_json()} <= {"llama"}
        assert answer.status_code in (200, 403)


def test_a_stream_that_breaks_ends_with_an_error_of_the_dialect() -> None:
    for target in ("gpt", "claude", "llama"):
        with before_sandbox({"faults": [{"kind": "cut", "provider": target}]}) as (here, _):
            answer = here.post(PATH, prompt(stream=True), x_hroute_cost_center=target)
        assert violations("openai_completions", answer.content) == []
        assert b"broke off in the middle" in answer.content


def test_no_prompt_is_malformed() -> None:
    with pytest.raises(Malformed, match="prompt"):
        read(COMPLETIONS, b'{"model": "m"}', {})
