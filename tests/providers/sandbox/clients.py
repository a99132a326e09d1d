"""The vendors' own SDKs behind one small face, so that a test says once what must hold for each of them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@dataclass
class Heard:
    """What a program got through an SDK."""

    text: str = ""
    thinking: str = ""
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    stop: str = ""
    tokens: tuple[int, int] = (0, 0)
    pieces: int = 0


def anthropic_says(url: str, *, use_async: bool, stream: bool, timeout: float = 10, **more: Any) -> Heard:
    import anthropic

    body = {"model": "m", "max_tokens": 500, "messages": [{"role": "user", "content": "hello"}]} | more
    if "tools" in body:
        body["tools"] = [{"name": "weather", "description": "d", "input_schema": TOOL}]

    def read(message: Any, pieces: int) -> Heard:
        heard = Heard(stop=message.stop_reason, pieces=pieces)
        heard.tokens = (message.usage.input_tokens, message.usage.output_tokens)
        for block in message.content:
            if block.type == "text":
                heard.text += block.text
            elif block.type == "thinking":
                heard.thinking += block.thinking
            elif block.type == "tool_use":
                heard.calls.append((block.name, block.input))
        return heard

    def sync() -> Heard:
        http = anthropic.DefaultHttpxClient(trust_env=False)
        with anthropic.Anthropic(
            base_url=url, api_key="dummy", max_retries=0, timeout=timeout, http_client=http
        ) as api:
            if not stream:
                return read(api.messages.create(**body), 0)
            with api.messages.stream(**body) as events:
                pieces = sum(1 for _ in events)
                return read(events.get_final_message(), pieces)

    async def later() -> Heard:
        http = anthropic.DefaultAsyncHttpxClient(trust_env=False)
        async with anthropic.AsyncAnthropic(
            base_url=url, api_key="dummy", max_retries=0, timeout=timeout, http_client=http
        ) as api:
            if not stream:
                return read(await api.messages.create(**body), 0)
            async with api.messages.stream(**body) as events:
                pieces = len([event async for event in events])
                return read(await events.get_final_message(), pieces)

    return asyncio.run(later()) if use_async else sync()


def _openai(url: str, use_async: bool, timeout: float) -> Any:
    import openai

    if use_async:
        http: Any = openai.DefaultAsyncHttpxClient(trust_env=False)
        return openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key="dummy", max_retries=0, timeout=timeout, http_client=http
        )
    http = openai.DefaultHttpxClient(trust_env=False)
    return openai.OpenAI(base_url=f"{url}/v1", api_key="dummy", max_retries=0, timeout=timeout, http_client=http)


def chat_says(url: str, *, use_async: bool, stream: bool, timeout: float = 10, **more: Any) -> Heard:
    body = {"model": "m", "messages": [{"role": "user", "content": "hello"}]} | more
    if "tools" in body:
        body["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}

    def read(reply: Any) -> Heard:
        message, usage = reply.choices[0].message, reply.usage
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls or []]
        thinking = getattr(message, "reasoning_content", None) or ""
        tokens = (usage.prompt_tokens, usage.completion_tokens)
        return Heard(message.content or "", thinking, calls, reply.choices[0].finish_reason, tokens)

    def add(heard: Heard, chunk: Any, arguments: dict[int, list[str]]) -> None:
        heard.pieces += 1
        if chunk.usage:
            heard.tokens = (chunk.usage.prompt_tokens, chunk.usage.completion_tokens)
        for choice in chunk.choices:
            heard.text += choice.delta.content or ""
            heard.thinking += getattr(choice.delta, "reasoning_content", None) or ""
            heard.stop = choice.finish_reason or heard.stop
            for call in choice.delta.tool_calls or []:
                arguments.setdefault(call.index, ["", ""])
                arguments[call.index][0] += call.function.name or ""
                arguments[call.index][1] += call.function.arguments or ""

    def calls_of(arguments: dict[int, list[str]]) -> list[tuple[str, dict[str, Any]]]:
        return [(name, json.loads(text)) for name, text in arguments.values()]

    def sync() -> Heard:
        with _openai(url, False, timeout) as api:
            if not stream:
                return read(api.chat.completions.create(**body))
            heard, arguments = Heard(), {}
            for chunk in api.chat.completions.create(**body):
                add(heard, chunk, arguments)
            heard.calls = calls_of(arguments)
            return heard

    async def later() -> Heard:
        async with _openai(url, True, timeout) as api:
            if not stream:
                return read(await api.chat.completions.create(**body))
            heard, arguments = Heard(), {}
            async for chunk in await api.chat.completions.create(**body):
                add(heard, chunk, arguments)
            heard.calls = calls_of(arguments)
            return heard

    return asyncio.run(later()) if use_async else sync()


def responses_says(url: str, *, use_async: bool, stream: bool, timeout: float = 10, **more: Any) -> Heard:
    body = {"model": "m", "input": "hello"} | more
    if "tools" in body:
        body["tools"] = [{"type": "function", "name": "weather", "parameters": TOOL, "strict": False}]

    def read(reply: Any, pieces: int) -> Heard:
        calls = [(i.name, json.loads(i.arguments)) for i in reply.output if i.type == "function_call"]
        thinking = "".join(s.text for i in reply.output if i.type == "reasoning" for s in i.summary)
        tokens = (reply.usage.input_tokens, reply.usage.output_tokens)
        reason = reply.incomplete_details.reason if reply.incomplete_details else reply.status
        return Heard(reply.output_text, thinking, calls, reason, tokens, pieces)

    def sync() -> Heard:
        with _openai(url, False, timeout) as api:
            if not stream:
                return read(api.responses.create(**body), 0)
            with api.responses.stream(**body) as events:
                heard = list(events)
                return read(heard[-1].response, len(heard))  # get_final_response knows no incomplete one

    async def later() -> Heard:
        async with _openai(url, True, timeout) as api:
            if not stream:
                return read(await api.responses.create(**body), 0)
            async with api.responses.stream(**body) as events:
                heard = [event async for event in events]
                return read(heard[-1].response, len(heard))

    return asyncio.run(later()) if use_async else sync()


def ollama_says(url: str, *, use_async: bool, stream: bool, timeout: float = 10, **more: Any) -> Heard:
    import ollama

    body: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": stream} | more
    if "tools" in body:
        body["tools"] = [{"type": "function", "function": {"name": "weather", "parameters": TOOL}}]

    def add(heard: Heard, chunk: Any) -> Heard:
        heard.pieces += 1
        heard.text += chunk.message.content or ""
        heard.thinking += chunk.message.thinking or ""
        heard.calls += [(c.function.name, dict(c.function.arguments)) for c in chunk.message.tool_calls or []]
        if chunk.done:
            heard.stop, heard.tokens = chunk.done_reason, (chunk.prompt_eval_count, chunk.eval_count)
        return heard

    def sync() -> Heard:
        api, heard = ollama.Client(host=url, trust_env=False, timeout=timeout), Heard()
        for chunk in api.chat(**body) if stream else [api.chat(**body)]:
            add(heard, chunk)
        return heard

    async def later() -> Heard:
        api, heard = ollama.AsyncClient(host=url, trust_env=False, timeout=timeout), Heard()
        if not stream:
            return add(heard, await api.chat(**body))
        async for chunk in await api.chat(**body):
            add(heard, chunk)
        return heard

    return asyncio.run(later()) if use_async else sync()


CLIENTS: dict[str, Callable[..., Heard]] = {
    "anthropic": anthropic_says,
    "openai_chat": chat_says,
    "openai_responses": responses_says,
    "ollama": ollama_says,
}
