"""A subscription's own client: the prompt goes in by standard input, nothing of ours leaks, nothing is left running."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hroute import Client
from hroute.providers import registry, testing
from hroute.providers.command import CommandPlugin
from hroute.providers.protocol import Plugin, ProviderError, Target
from hroute.terms.message import Done, Message, Reply, Request, Text, TextDelta, ToolUse, Unread, prompt
from hroute.terms.outcome import Failure, Outcome
from hroute.terms.usage import Usage
from tests.providers.fake_clients import (
    KEY,
    PROGRAM,
    FakeClient,
    claude_answer,
    claude_failure,
    codex_answer,
    codex_failure,
    write,
)

PARENT = {
    "PATH": os.environ["PATH"],
    "HOME": "/home/somebody",
    "ANTHROPIC_API_KEY": "sk-ant-of-the-parent",
    "OPENAI_API_KEY": "sk-of-the-parent",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-parent",
    "ANTHROPIC_BASE_URL": "http://trap.example",
    "HTTPS_PROXY": "http://proxy.example",
    "LD_PRELOAD_OF_MINE": "x",
    "CLAUDE_CONFIG_DIR": "/home/somebody/.claude-of-mine",
    "CODEX_HOME": "/home/somebody/.codex-of-mine",
}

each_client = pytest.mark.parametrize("client", ["claude", "codex", "mine"], indirect=True)


@pytest.fixture
def client(tmp_path: Path, request: pytest.FixtureRequest) -> FakeClient:
    return FakeClient(tmp_path / "bin", getattr(request, "param", "claude"))


@pytest.fixture
def plugin() -> CommandPlugin:
    return CommandPlugin(PARENT)


def send(plugin: Plugin, target: Target, asked: Request | None = None) -> Reply:
    return plugin.send(target, asked or testing.request(), testing.Leave(target.name))


def failure(plugin: Plugin, target: Target, asked: Request | None = None) -> Failure:
    with pytest.raises(ProviderError) as caught:
        send(plugin, target, asked)
    return caught.value.failure


def went(plugin: CommandPlugin, way: str, target: Target, asked: Request | None = None) -> Reply:
    """One call, the blocking way or the other."""
    if way == "send":
        return send(plugin, target, asked)
    return asyncio.run(plugin.asend(target, asked or testing.request(), testing.Leave(target.name)))


# -- the suite that every plugin takes ---------------------------------------------------------------------------------

NOT_TOLD_BY_AN_EXIT_CODE = {"check_every_error_has_its_outcome", "check_retry_after_is_read"}


@pytest.mark.parametrize("check", testing.CHECKS, ids=testing.name_of)
@each_client
def test_a_client_conforms(client: FakeClient, check: Callable[[Plugin, Any], None], plugin: CommandPlugin) -> None:
    if client.name == "mine" and check.__name__ in NOT_TOLD_BY_AN_EXIT_CODE:
        assert failure_of_an_exit_code(client, plugin).outcome is Outcome.SERVER
    else:
        check(plugin, client)


def failure_of_an_exit_code(client: FakeClient, plugin: CommandPlugin) -> Failure:
    client.plays(code=3)
    return failure(plugin, client.target())


def test_what_the_registry_states_is_what_the_plugin_says() -> None:
    made = registry.load("command")
    assert made.name == "command"
    assert made.capabilities == registry.facts("command")


def test_a_stream_is_the_answer_in_one_piece(client: FakeClient, plugin: CommandPlugin) -> None:
    client.says("One two.")
    target = client.target()
    pieces = list(plugin.stream(target, testing.request(), testing.Leave(target.name)))
    assert [type(piece) for piece in pieces] == [TextDelta, Done]
    assert pieces[0] == TextDelta("One two.")


# -- what the client gets ----------------------------------------------------------------------------------------------


@each_client
def test_no_text_of_a_request_is_an_argument(client: FakeClient, plugin: CommandPlugin) -> None:
    asked = prompt("My words.", system="Its instructions.", files=(("a.txt", "Its file."),))
    send(plugin, client.target(), asked)
    (call,) = client.called()
    assert not any(text in word for word in call["argv"] for text in ("My words", "Its instructions", "Its file"))
    told = call["stdin"] + call.get("system", "")
    assert all(text in told for text in ("My words.", "Its instructions.", "Its file."))


def test_the_file_with_the_system_prompt_is_gone_afterwards(client: FakeClient, plugin: CommandPlugin) -> None:
    send(plugin, client.target(), prompt("Hi.", system="Be terse."))
    (call,) = client.called()
    assert call["system"] == "Be terse."
    assert not Path(call["argv"][call["argv"].index("--system-prompt-file") + 1]).exists()


@each_client
def test_it_runs_in_an_empty_directory_that_is_gone_afterwards(client: FakeClient, plugin: CommandPlugin) -> None:
    send(plugin, client.target())
    (call,) = client.called()
    assert call["files"] == []
    assert not Path(call["cwd"]).parent.exists()


@each_client
def test_nothing_of_our_environment_reaches_it_but_what_leads_to_its_login(
    client: FakeClient, plugin: CommandPlugin
) -> None:
    send(plugin, replace(client.target(), api_key=None))
    (call,) = client.called()
    login = {"claude": {"CLAUDE_CONFIG_DIR"}, "codex": {"CODEX_HOME"}, "mine": set()}[client.name]
    assert set(call["env"]) & set(PARENT) == {"PATH", "HOME", *login}
    assert "of-the-parent" not in json.dumps(call["env"])
    assert "trap.example" not in json.dumps(call["env"])


def test_a_variable_that_the_policy_names_reaches_it(client: FakeClient, plugin: CommandPlugin) -> None:
    send(plugin, replace(client.target(), options={"env": ["HTTPS_PROXY", "NOT_SET"]}))
    (call,) = client.called()
    assert call["env"]["HTTPS_PROXY"] == "http://proxy.example"
    assert "NOT_SET" not in call["env"]


@pytest.mark.parametrize(
    ("client", "key", "variable"),
    [
        ("claude", KEY, "ANTHROPIC_API_KEY"),
        ("claude", "sk-ant-oat01-abcdefghijklmnop", "CLAUDE_CODE_OAUTH_TOKEN"),
        ("codex", KEY, "CODEX_API_KEY"),
        ("mine", KEY, "MY_KEY"),
    ],
    indirect=["client"],
)
def test_the_key_of_the_policy_goes_where_the_client_looks(
    client: FakeClient, key: str, variable: str, plugin: CommandPlugin
) -> None:
    send(plugin, replace(client.target(), api_key=key))
    (call,) = client.called()
    assert call["env"][variable] == key
    assert key not in json.dumps(call["argv"])
    assert [name for name, value in call["env"].items() if value == key] == [variable]


@pytest.mark.parametrize("client", ["mine"], indirect=True)
def test_a_key_without_a_place_is_a_credential_failure(client: FakeClient, plugin: CommandPlugin) -> None:
    failed = failure(plugin, replace(client.target(), options={}))
    assert (failed.outcome, failed.code) == (Outcome.CREDENTIAL, "no_key_env")
    assert client.calls() == 0


def test_claude_runs_with_its_tools_settings_and_attachments_off(client: FakeClient, plugin: CommandPlugin) -> None:
    send(plugin, client.target())
    (call,) = client.called()
    argv = call["argv"]
    assert argv[argv.index("--tools") + 1] == ""
    assert argv[argv.index("--setting-sources") + 1] == ""
    assert {"--strict-mcp-config", "--disable-slash-commands", "--no-session-persistence"} <= set(argv)
    assert argv.count("-p") == 1
    assert call["env"]["CLAUDE_CODE_DISABLE_ATTACHMENTS"] == "1"
    assert call["env"]["CLAUDE_CODE_SAFE_MODE"] == "1"


@pytest.mark.parametrize("client", ["codex"], indirect=True)
def test_codex_runs_read_only_with_its_tools_off(client: FakeClient, plugin: CommandPlugin) -> None:
    send(plugin, client.target())
    (call,) = client.called()
    argv = call["argv"]
    assert argv[argv.index("--sandbox") + 1] == "read-only"
    assert {"features.shell_tool=false", 'web_search="disabled"', "agents.enabled=false"} <= set(argv)
    assert {"--ephemeral", "--ignore-user-config", "--ignore-rules"} <= set(argv)
    assert argv[-1] == "-"
    assert argv.count("exec") == 1


@pytest.mark.parametrize(("client", "option"), [("claude", "--model"), ("codex", "--model")], indirect=["client"])
def test_a_model_of_the_policy_is_passed_on_unless_the_command_names_one(
    client: FakeClient, option: str, plugin: CommandPlugin
) -> None:
    target = client.target()
    send(plugin, target)
    send(plugin, replace(target, command=(*target.command, option, "theirs")))
    send(plugin, replace(target, model=target.name))
    models = [[a for o, a in zip(c["argv"], c["argv"][1:], strict=False) if o == option] for c in client.called()]
    assert models == [["some-model"], ["theirs"], []]


@pytest.mark.parametrize(
    ("client", "word"), [("claude", "low"), ("codex", 'model_reasoning_effort="low"')], indirect=["client"]
)
def test_the_effort_that_is_asked_for_is_passed_on(client: FakeClient, word: str, plugin: CommandPlugin) -> None:
    send(plugin, client.target(), prompt("Hi.", params={"effort": "low"}))
    assert word in client.called()[0]["argv"]


@pytest.mark.parametrize("text", ["/compact", "  /model opus", "!ls"])
def test_a_prompt_that_looks_like_a_command_of_the_client_is_still_a_prompt(
    client: FakeClient, plugin: CommandPlugin, text: str
) -> None:
    send(plugin, client.target(), prompt(text))
    said = client.called()[0]["stdin"]
    assert text in said
    assert not said.lstrip().startswith(("/", "!"))


def test_a_conversation_is_told_in_turns(client: FakeClient, plugin: CommandPlugin) -> None:
    turns = (Message("user", (Text("One?"),)), Message("assistant", (Text("One."),)), Message("user", (Text("Two?"),)))
    send(plugin, client.target(), Request(turns))
    assert client.called()[0]["stdin"] == (
        "<user>\nOne?\n</user>\n\n<assistant>\nOne.\n</assistant>\n\n<user>\nTwo?\n</user>\n\nAnswer the last user turn above."
    )


def test_a_single_turn_is_its_own_words(client: FakeClient, plugin: CommandPlugin) -> None:
    send(plugin, client.target(), prompt("  Just this,\nfor café.\n"))
    assert client.called()[0]["stdin"] == "  Just this,\nfor café.\n"


def test_a_schema_for_the_answer_is_asked_for_in_words(client: FakeClient, plugin: CommandPlugin) -> None:
    send(plugin, client.target(), prompt("Hi.", response_format="json_schema", json_schema={"type": "array"}))
    assert client.called()[0]["stdin"].endswith('JSON Schema:\n{"type":"array"}')


@pytest.mark.parametrize("part", [Unread("image", "image/png", "aGk="), ToolUse("1", "f", {})])
def test_what_a_text_cannot_carry_is_refused_before_anything_runs(
    client: FakeClient, plugin: CommandPlugin, part: Any
) -> None:
    failed = failure(plugin, client.target(), Request((Message("user", (Text("See."), part)),)))
    assert failed.outcome is Outcome.CAPABILITY
    assert client.calls() == 0


# -- what it says ------------------------------------------------------------------------------------------------------


def test_the_usage_of_claude_is_read(client: FakeClient, plugin: CommandPlugin) -> None:
    reply = send(plugin, client.target())
    assert reply.usage == Usage(input=122, output=5, cache_read=400, cache_write=30, cache_write_1h=10)
    assert reply.model == "claude-sonnet-5"


@pytest.mark.parametrize("client", ["codex"], indirect=True)
def test_the_usage_of_codex_is_read_and_nothing_counted_twice(client: FakeClient, plugin: CommandPlugin) -> None:
    client.says("The answer.")
    reply = send(plugin, client.target())
    assert reply.usage == Usage(input=1_000, output=5, cache_read=12_000, reasoning=20)
    assert reply.text == "The answer."


@pytest.mark.parametrize("client", ["mine"], indirect=True)
def test_tokens_that_nobody_counts_are_reckoned_from_bytes(client: FakeClient, plugin: CommandPlugin) -> None:
    client.says("12345678")
    assert send(plugin, client.target(), prompt("1234")).usage == Usage(input=1, output=2)


LIMITS = [
    ("claude", "You've hit your session limit · resets 3:30pm (Europe/Kyiv)"),
    ("claude", "You've hit your weekly limit · resets Nov 24, 3pm (UTC)"),
    ("claude", "Claude AI usage limit reached|1763000000"),
    ("claude", "API Error: 400 You have reached your specified API usage limits. You will regain access on 2026-04-01"),
    ("codex", "You've hit your usage limit. Upgrade to Pro (https://x/pro) or try again at Nov 24th, 2026 3:05 PM."),
    ("codex", "You've hit your usage limit. Try again at 3:05 PM."),
    ("codex", "Quota exceeded. Check your plan and billing details."),
]


@pytest.mark.parametrize("status", [None, 429])
@pytest.mark.parametrize(("client", "said"), LIMITS, indirect=["client"])
def test_a_spent_plan_is_a_limit(client: FakeClient, said: str, status: int | None, plugin: CommandPlugin) -> None:
    client.plays(out=codex_failure(said) if client.name == "codex" else claude_failure(status, said), code=1)
    failed = failure(plugin, client.target())
    assert failed.outcome is Outcome.CAPACITY
    assert (failed.retry_after is not None) == ("resets" in said or "again at" in said or "|" in said)


def test_an_old_claude_tells_its_limit_as_if_it_were_an_answer(client: FakeClient, plugin: CommandPlugin) -> None:
    client.plays(out=claude_answer("Claude AI usage limit reached|1763000000", usage={}, modelUsage={}))
    assert failure(plugin, client.target()).outcome is Outcome.CAPACITY


def test_an_answer_about_limits_is_an_answer(client: FakeClient, plugin: CommandPlugin) -> None:
    client.says("You've hit your usage limit means that the plan is spent, and /login that ...|17")
    assert "the plan is spent" in send(plugin, client.target()).text


LOGINS = [
    ("claude", "Not logged in · Please run /login"),
    ("claude", "Invalid API key · Fix external API key"),
    ("claude", "OAuth token revoked · Please run /login"),
    ("codex", "Your access token could not be refreshed. Please log out and sign in again."),
    ("codex", "Missing environment variable: `CODEX_API_KEY`."),
    ("codex", "unexpected status 401 Unauthorized: Missing bearer or basic authentication in header"),
]


@pytest.mark.parametrize(("client", "said"), LOGINS, indirect=["client"])
def test_a_client_that_is_not_logged_in_is_a_credential_failure(
    client: FakeClient, said: str, plugin: CommandPlugin
) -> None:
    client.plays(out=codex_failure(said) if client.name == "codex" else claude_failure(None, said), code=1)
    assert failure(plugin, client.target()).outcome is Outcome.CREDENTIAL


@pytest.mark.parametrize("client", ["claude", "codex"], indirect=True)
def test_a_client_too_old_for_an_option_is_no_outage(client: FakeClient, plugin: CommandPlugin) -> None:
    client.plays(err="error: unknown option '--tools'\n" if client.name == "claude" else "error: unexpected argument '--ephemeral' found\n", code=2)  # fmt: skip
    failed = failure(plugin, client.target())
    assert failed.outcome is Outcome.CREDENTIAL
    assert "too old" in failed.message


@pytest.mark.parametrize("client", ["claude", "codex"], indirect=True)
@pytest.mark.parametrize("out", ["", "{}", "[]", "null", "{not json", '{"type": "result"', "\x00\xff", '["a"]'])
def test_an_output_of_another_form_is_a_failure_of_the_server(
    client: FakeClient, out: str, plugin: CommandPlugin
) -> None:
    client.plays(out=out)
    assert failure(plugin, client.target()).outcome is Outcome.SERVER


@each_client
def test_an_empty_answer_is_bad_content(client: FakeClient, plugin: CommandPlugin) -> None:
    client.says(" \n")
    assert failure(plugin, client.target()).outcome is Outcome.BAD_CONTENT


def test_a_command_that_the_client_answered_itself_is_no_answer(client: FakeClient, plugin: CommandPlugin) -> None:
    client.plays(out=claude_answer("Unknown command: /hi", num_turns=0, usage={}, modelUsage={}))
    assert failure(plugin, client.target()).outcome is Outcome.BAD_CONTENT


# -- programs that are not there, hang, talk too much, or leave others behind -------------------------------------------


def test_a_program_that_is_not_installed_is_named(plugin: CommandPlugin) -> None:
    failed = failure(plugin, Target("paid", "m", command=("no-such-client", "-p")))
    assert (failed.outcome, failed.code) == (Outcome.CREDENTIAL, "not_installed")
    assert "`no-such-client` is not installed" in failed.message


def test_a_program_is_looked_for_in_path(client: FakeClient) -> None:
    found = CommandPlugin({"PATH": str(client.folder)})
    assert send(found, replace(client.target(), command=("claude", "-p"))).text == "Hello."


def test_a_program_that_cannot_be_started_is_a_transport_failure(tmp_path: Path, plugin: CommandPlugin) -> None:
    broken = write(tmp_path, "broken", "#!/no/such/interpreter\n")
    assert failure(plugin, Target("paid", "m", command=(broken,))).outcome is Outcome.TRANSPORT


def test_a_command_that_is_not_given_and_a_profile_that_is_not_known_are_told(plugin: CommandPlugin) -> None:
    assert failure(plugin, Target("paid", "m")).code == "no_command"
    unknown = Target("paid", "m", command=("cat",), options={"profile": "gemini"})
    assert "gemini" in failure(plugin, unknown).message


HANGS = """#!{python} -SE
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-SEc", "import time; time.sleep(60)"])
open({here!r} + "/pids", "w").write(f"{{os.getpid()}} {{child.pid}}")
time.sleep(60)
"""


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    state = Path(f"/proc/{pid}/stat")  # a zombie whose new parent has not looked yet
    return state.exists() and ") Z " in state.read_text()


def pids(folder: Path) -> list[int]:
    place = folder / "pids"
    until = time.monotonic() + 10
    while not (place.exists() and len(place.read_text().split()) == 2) and time.monotonic() < until:
        time.sleep(0.01)
    return [int(pid) for pid in place.read_text().split()]


def wait_until_gone(found: list[int]) -> bool:
    until = time.monotonic() + 5
    while not all(map(gone, found)) and time.monotonic() < until:
        time.sleep(0.01)
    return all(map(gone, found))


def test_a_timeout_ends_the_program_and_what_it_started(tmp_path: Path, plugin: CommandPlugin) -> None:
    target = Target("paid", "m", command=(write(tmp_path, "hangs", HANGS),), total=1.0)
    assert failure(plugin, target).outcome is Outcome.TIMEOUT
    assert wait_until_gone(pids(tmp_path))


def test_a_cancelled_call_ends_the_program_and_what_it_started(tmp_path: Path, plugin: CommandPlugin) -> None:
    target = Target("paid", "m", command=(write(tmp_path, "hangs", HANGS),))

    async def main() -> list[int]:
        call = asyncio.create_task(plugin.asend(target, testing.request(), testing.Leave("paid")))
        found = await asyncio.to_thread(pids, tmp_path)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return found

    assert wait_until_gone(asyncio.run(main()))


def test_an_abandoned_stream_ends_the_program(tmp_path: Path, plugin: CommandPlugin) -> None:
    target = Target("paid", "m", command=(write(tmp_path, "hangs", HANGS),))

    async def main() -> list[int]:
        events = plugin.astream(target, testing.request(), testing.Leave("paid"))
        first = asyncio.create_task(anext(events))  # type: ignore[arg-type]
        found = await asyncio.to_thread(pids, tmp_path)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        return found

    assert wait_until_gone(asyncio.run(main()))


def test_a_cancellation_is_not_lost_while_the_program_talks(tmp_path: Path, plugin: CommandPlugin) -> None:
    program = write(tmp_path, "flood", FLOOD.replace("{stream}", "stderr"))
    target = Target("paid", "m", command=(program,), total=20.0)

    async def main() -> None:
        for at in range(20):
            call = asyncio.create_task(plugin.asend(target, testing.request(), testing.Leave("paid")))
            await asyncio.sleep(0.04 + at / 1000)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call

    asyncio.run(main())


FLOOD = "#!{python} -SE\nimport sys\nwhile True: sys.{stream}.write('x' * 65536)\n"

LEAVES_ONE_BEHIND = """#!{python} -SE
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-SEc", "import time; time.sleep(60)"])
open({here!r} + "/pids", "w").write(f"{{os.getpid()}} {{child.pid}}")
print("Done.")
"""


WAITS = """#!{python} -SE
import sys, time
said = {{"type": "error", "message": "Reconnecting... waiting for network (Connection failed: error sending request)"}}
print(__import__("json").dumps(said), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("way", ["send", "asend"])
def test_a_client_that_waits_for_a_network_is_not_waited_for(tmp_path: Path, plugin: CommandPlugin, way: str) -> None:
    target = Target("paid", "m", command=(write(tmp_path, "codex", WAITS), "exec"), total=50.0)
    with pytest.raises(ProviderError) as caught:
        went(plugin, way, target)
    assert (caught.value.failure.outcome, caught.value.failure.code) == (Outcome.TRANSPORT, None)


def test_words_about_a_network_in_an_answer_end_nothing(client: FakeClient, plugin: CommandPlugin) -> None:
    said = "It is waiting for network, you say?"
    program = write(client.folder / "other", "codex", PROGRAM)
    (client.folder / "other" / "play.json").write_text(json.dumps({"out": codex_answer(said), "sleep": 0}))
    assert send(plugin, Target("paid", "m", command=(program, "exec"))).text == said


KILLED = """#!{python} -SE
import os, signal
print("half an", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("name", ["claude", "codex", "mine"])
def test_a_program_that_somebody_ended_is_told_apart(tmp_path: Path, plugin: CommandPlugin, name: str) -> None:
    failed = failure(plugin, Target("paid", "m", command=(write(tmp_path, name, KILLED),)))
    assert (failed.outcome, failed.message, failed.code) == (
        Outcome.SERVER,
        "the program was ended by signal 9",
        "signal_9",
    )


@pytest.mark.parametrize("way", ["send", "asend"])
def test_an_answer_does_not_wait_for_what_the_program_left_running(
    tmp_path: Path, plugin: CommandPlugin, way: str
) -> None:
    target = Target("paid", "m", command=(write(tmp_path, "leaves", LEAVES_ONE_BEHIND),), total=20.0)
    assert went(plugin, way, target).text == "Done."
    assert wait_until_gone(pids(tmp_path))


def test_an_endless_answer_is_cut_off(tmp_path: Path, plugin: CommandPlugin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hroute.providers.command.MOST_OUTPUT", 1_000_000)
    program = write(tmp_path, "flood", FLOOD.replace("{stream}", "stdout"))
    failed = failure(plugin, Target("paid", "m", command=(program,)))
    assert (failed.outcome, failed.code) == (Outcome.BAD_CONTENT, "too_much")


@pytest.mark.parametrize("way", ["send", "asend"])
def test_endless_talk_is_not_kept_and_does_not_outlast_the_timeout(
    tmp_path: Path, plugin: CommandPlugin, way: str
) -> None:
    program = write(tmp_path, "flood", FLOOD.replace("{stream}", "stderr"))
    target = Target("paid", "m", command=(program,), total=0.5)
    with pytest.raises(ProviderError) as caught:
        went(plugin, way, target)
    assert caught.value.failure.outcome is Outcome.TIMEOUT


LONG = "x" * 3_000_000


@pytest.mark.parametrize("way", ["send", "asend"])
def test_a_prompt_larger_than_any_pipe_gets_there_and_back(tmp_path: Path, plugin: CommandPlugin, way: str) -> None:
    assert went(plugin, way, Target("paid", "m", command=("cat",)), prompt(LONG)).text == LONG


@pytest.mark.parametrize("way", ["send", "asend"])
def test_a_program_that_does_not_read_its_prompt_may_answer(plugin: CommandPlugin, way: str) -> None:
    assert went(plugin, way, Target("paid", "m", command=("echo", "hi")), prompt(LONG)).text == "hi"


def test_many_calls_at_once_do_not_wait_for_each_other(tmp_path: Path, plugin: CommandPlugin) -> None:
    """Every program waits until all of them run."""
    meets = "#!{python} -SE\nimport os, time\nopen({here!r} + f'/{{os.getpid()}}', 'w')\nwhile len(os.listdir({here!r})) < 21: time.sleep(.01)\nprint('met')\n"
    target = Target("paid", "m", command=(write(tmp_path / "all", "meets", meets),), total=20.0)

    async def main() -> list[Reply]:
        calls = (plugin.asend(target, testing.request(), testing.Leave("paid")) for _ in range(20))
        return await asyncio.gather(*calls)

    assert {reply.text for reply in asyncio.run(main())} == {"met"}


def test_no_failure_quotes_the_prompt_the_key_or_the_program(client: FakeClient, plugin: CommandPlugin) -> None:
    client.plays(err=f"Traceback: {testing.CANARY} {KEY} my words", code=1)
    shown = repr(failure(plugin, client.target(), prompt(f"my words {testing.CANARY}")))
    assert testing.CANARY not in shown
    assert KEY not in shown
    assert "my words" not in shown


@pytest.fixture(autouse=True)
def no_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every test: the folders of its runs are gone when it ends."""
    made = tmp_path / "folders"
    made.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(made))
    yield
    assert list(made.iterdir()) == []


# -- the whole way -----------------------------------------------------------------------------------------------------

POLICY = """
providers:
  paid: {{plugin: command, command: [{program}, -p], options: {{billing: flat}}}}
  other: {{plugin: command, command: [echo, from the other]}}
  home: {{plugin: command, command: [echo, from home], local: true, vouched: it has no network}}
routing_rules:
  - {{name: private, condition: {{contains_pii: true}}, route_to: home, fallback: null}}
default: {{route_to: paid, fallback: other}}
guarantees:
  - {{name: stays, when: {{contains_pii: true}}, only: {{local: true}}}}
"""


@pytest.fixture
def asked(client: FakeClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("HROUTE_CACHE", "")
    (tmp_path / "policy.yaml").write_text(POLICY.format(program=client.program))
    with Client.from_policy(str(tmp_path / "policy.yaml")) as made:
        yield made


def test_a_subscription_answers_a_request_that_a_policy_sends_to_it(asked: Client) -> None:
    answer = asked.complete("Hello there.")
    assert (answer.text, answer.actual_provider, answer.actual_model) == ("Hello.", "paid", "claude-sonnet-5")
    assert answer.cost_usd == 0
    assert answer.usage.output == 5


def test_its_spent_quota_moves_the_request_on(asked: Client, client: FakeClient) -> None:
    client.plays(out=claude_failure(429, "You've hit your session limit · resets 3:30pm (UTC)"), code=1)
    answer = asked.complete("Hello there.")
    assert (answer.text, answer.escalation) == ("from the other", "capacity")
    assert answer.cost_usd is None  # nobody said what the other one costs


def test_a_stream_through_a_policy_is_whole(asked: Client) -> None:
    with asked.stream("Hello there.") as stream:
        assert "".join(event.text for event in stream if isinstance(event, TextDelta)) == "Hello."


def test_personal_data_goes_to_a_command_only_where_somebody_vouches_for_it(asked: Client, client: FakeClient) -> None:
    answer = asked.complete("My card is 4111 1111 1111 1111.")
    assert answer.actual_provider == "home"
    assert client.calls() == 0
