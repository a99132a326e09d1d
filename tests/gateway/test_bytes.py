"""What leaves for a provider that speaks the client's dialect: its own bytes, and nothing of its credentials."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hroute.gateway.outgoing import with_model
from hroute.providers import registry
from hroute.providers.protocol import Capabilities
from tests.gateway.house import ANSWERS, BODIES, JSON, House, Notary, house, message, policy_of

ODD = b'{ "messages" : [ {"role":"user","content":"caf\\u00e9 \\"model\\": \\"x\\" \xc3\xa9"} ],\n  "tools":[{"name":"t","input_schema":{"type":"object","properties":{"model":{"type":"string"}}}}],  "model" :  "claude-opus-4-8" , "max_tokens":100, "metadata":{"user_id":"u"}, "context_management":{"edits":[]} }'


@pytest.fixture
def notary() -> Iterator[Notary]:
    with Notary((200, {**JSON, "request-id": "req_1"}, ANSWERS["/v1/messages"])) as found:
        yield found


@pytest.fixture
def before_notary(notary: Notary) -> Iterator[House]:
    with house(policy_of(notary.url)) as found:
        yield found


def test_only_the_name_of_the_model_is_exchanged(before_notary: House, notary: Notary) -> None:
    answer = before_notary.post("/v1/messages?beta=true", ODD, anthropic_beta="a,b", x_app="cli")
    assert answer.content == ANSWERS["/v1/messages"]
    assert answer.headers["request-id"] == "req_1"
    [seen] = notary.noted
    assert seen.body == ODD.replace(b'"claude-opus-4-8"', b'"claude-x"')
    assert seen.path == "/claude/v1/messages?beta=true"
    assert (seen.header("anthropic-beta"), seen.header("x-app")) == ("a,b", "cli")


def test_a_request_for_the_providers_own_model_is_not_touched(before_notary: House, notary: Notary) -> None:
    raw = ODD.replace(b"claude-opus-4-8", b"claude-x")
    before_notary.post("/v1/messages", raw)
    assert notary.noted[0].body == raw


@pytest.mark.parametrize("path", BODIES)
def test_every_door_has_its_own_wire(notary: Notary, before_notary: House, path: str) -> None:
    notary.answer = (200, JSON, ANSWERS[path])
    target = "claude" if path == "/v1/messages" else "gpt"
    raw = json.dumps(BODIES[path](), indent=1).encode()
    answer = before_notary.post(path, raw, x_hroute_cost_center=target)
    assert answer.content == ANSWERS[path]
    [seen] = notary.noted
    assert seen.path == f"/{target}{path}"
    assert seen.body == raw.replace(b"claude-opus-4-8", b"claude-x").replace(b"gpt-5", b"gpt-x")


def test_the_clients_credentials_stay_here(before_notary: House, notary: Notary) -> None:
    mine = {"authorization": "Bearer clients-own-login", "x_api_key": "clients-own-key", "cookie": "a=b"}
    before_notary.post("/v1/messages", message(), **mine, x_hroute_session="s", x_forwarded_for="10.0.0.1")
    [seen] = notary.noted
    said = repr(seen).lower()
    assert "clients-own" not in said
    assert seen.header("x-api-key") == "policys-own-key"
    assert not [name for name, _ in seen.headers if name.lower() in ("cookie", "authorization", "x-forwarded-for")]
    assert [name for name, _ in seen.headers if name.lower().startswith("x-hroute-")] == ["x-hroute-instance"]


def test_what_names_a_person_goes_to_its_own_vendor_only(notary: Notary) -> None:
    policy = policy_of(notary.url)
    far = replace(policy.providers["claude"], base_url="http://198.51.100.7:1")
    near = {**policy.providers, "claude": far}
    body = message(metadata={"user_id": "person"})
    with house(policy) as here:
        here.post("/v1/messages", body, anthropic_beta="b", user_agent="claude-cli/2.1", x_claude_code_session_id="s")
        assert json.loads(notary.noted[-1].body)["metadata"] == {"user_id": "person"}
        assert notary.noted[-1].header("anthropic-beta") == "b"
    from hroute.gateway.asked import read
    from hroute.gateway.doors import MESSAGES
    from hroute.gateway.outgoing import Standing, outgoing
    from hroute.providers.wires import wire_of
    from hroute.router.attempts import Call
    from hroute.router.engine import Engine

    engine = Engine(replace(policy, providers=near), environ={"KEY": "k"})
    headers = {"anthropic-beta": "b", "x-claude-code-session-id": "s", "anthropic-version": "v"}
    asked = read(MESSAGES, json.dumps(body).encode(), headers)
    run = engine.begin(asked.request, asked.given)
    step = next(run.steps)
    while not isinstance(step, Call):
        step = run.steps.send(None)
    wire = wire_of("anthropic", step.target, "anthropic")
    assert wire is not None
    stranger = outgoing(asked, step, wire, Standing(vendor=False, own_address=False), "me").call
    assert "metadata" not in json.loads(stranger.body)
    assert {name for name, _ in stranger.headers} >= {"anthropic-version", "x-api-key"}
    assert not {"anthropic-beta", "x-claude-code-session-id"} & {name for name, _ in stranger.headers}


def test_a_clients_own_login_goes_to_its_own_vendor_at_its_own_address(notary: Notary) -> None:
    def facts(plugin: str) -> Capabilities:
        found = registry.facts(plugin)
        return replace(found, default_base_url=f"{notary.url}/claude") if plugin == "anthropic" else found

    text = """
providers:
  mine: {{plugin: anthropic, model: requested, base_url: "{url}/claude", api_key: client}}
  other: {{plugin: anthropic, model: m, base_url: "{url}/elsewhere", api_key: client}}
routing_rules:
  - {{name: elsewhere, condition: {{cost_center: elsewhere}}, route_to: other}}
default: {{route_to: mine}}
"""
    with house(policy_of(notary.url, text=text), facts=facts) as found:
        answer = found.post("/v1/messages", ODD, authorization="Bearer my-login")
        assert answer.status_code == 200
        assert notary.noted[-1].header("authorization") == "Bearer my-login"
        assert notary.noted[-1].body == ODD
        assert notary.noted[-1].header("x-api-key") is None
        nobody = found.post("/v1/messages", ODD, authorization="Bearer my-login", x_hroute_cost_center="elsewhere")
        assert nobody.status_code == 503
        without = found.post("/v1/messages", ODD)
        assert without.status_code == 503
        assert len(notary.noted) == 1


def test_a_request_that_comes_round_is_told_so(before_notary: House, notary: Notary) -> None:
    before_notary.post("/v1/messages", message())
    passed = notary.noted[0].header("x-hroute-instance")
    assert passed
    again = before_notary.post("/v1/messages", message(), x_hroute_instance=f"another, {passed}")
    assert again.status_code == 508
    before_notary.post("/v1/messages", message(), x_hroute_instance="another")
    assert notary.noted[-1].header("x-hroute-instance") == f"another, {passed}"


def test_a_vendors_no_to_the_request_itself_comes_back_as_it_said_it(before_notary: House, notary: Notary) -> None:
    said = b'{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too large"}}'
    notary.answer = (400, {**JSON, "request-id": "req_2"}, said)
    answer = before_notary.post("/v1/messages", message(model="claude-x"))
    assert (answer.status_code, answer.content) == (400, said)
    assert answer.headers["request-id"] == "req_2"
    assert len(notary.noted) == 1


def test_parameters_of_the_policy_are_added_where_the_client_says_nothing(notary: Notary) -> None:
    more = "timeout: {connect: 1s}"
    policy = policy_of(notary.url, more)
    rule = replace(policy.default, params={"temperature": 0.25, "stop": ("END",)})
    with house(replace(policy, default=rule)) as found:
        found.post("/v1/messages", message(temperature=1.0, custom_field=[1]))
    assert json.loads(notary.noted[0].body) == {
        **message(temperature=1.0, custom_field=[1]), "model": "claude-x", "stop_sequences": ["END"],
    }  # fmt: skip


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20) | st.just('"model": "a"'),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["model", "a", "b"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=200)
@given(
    before=st.dictionaries(st.sampled_from(["tools", "messages", "x"]), VALUES, max_size=3),
    after=st.dictionaries(st.sampled_from(["system", "y"]), VALUES, max_size=2),
    old=st.text(min_size=1, max_size=12),
    new=st.text(min_size=1, max_size=12),
    indent=st.sampled_from([None, 0, 3]),
    ascii_only=st.booleans(),
)
def test_a_models_name_is_found_wherever_it_stands(
    before: dict[str, object], after: dict[str, object], old: str, new: str, indent: int | None, ascii_only: bool
) -> None:
    body = {**before, "model": old, **after}
    raw = json.dumps(body, indent=indent, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    made = with_model(raw, body, new)
    assert json.loads(made) == {**body, "model": new}
    if indent is None and not ascii_only:
        spelled = [json.dumps(name, ensure_ascii=False).encode("utf-8", "surrogatepass") for name in (old, new)]
        assert len(made) - len(raw) == len(spelled[1]) - len(spelled[0])


def test_a_model_that_its_server_has_from_elsewhere_is_not_local(notary: Notary) -> None:
    notary.answer = (200, JSON, b'{"remote_host": "https://ollama.com:443", "remote_model": "big"}')
    with house(policy_of(notary.url)) as found:
        answer = found.post("/v1/messages", message("a secret plan"), x_hroute_cost_center="llama")
    assert answer.headers["x-hroute-provider"] == "claude"
    shown = [seen for seen in notary.noted if seen.path.startswith("/llama")]
    assert [seen.path for seen in shown] == ["/llama/api/show"]
    assert b"secret plan" not in shown[0].body
