"""What a policy may say to the plugin `openai` besides parameters: how servers that speak its wire differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

OPTIONS: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "limit_key": {
            "title": "max_tokens or max_completion_tokens",
            "enum": ["max_tokens", "max_completion_tokens"],
            "description": "The name by which the server knows the limit on output tokens. Without it OpenAI and Azure are told `max_completion_tokens`, everybody else `max_tokens`.",
        },
        "response_format": {
            "title": "a list of json_schema and json_object",
            "type": "array",
            "items": {"title": "json_schema or json_object", "enum": ["json_schema", "json_object"]},
            "description": "The forms of a `response_format` that the server takes. What it does not take is asked for in words. Without it: both; of DeepSeek `json_object` alone.",
        },
        "responses": {
            "title": "true or false",
            "type": "boolean",
            "description": "Whether the server also knows OpenAI's newer `/responses`, so that the gateway can pass such requests on as they are. OpenAI itself does; for everybody else the default is false.",
        },
        "completions": {
            "title": "true or false",
            "type": "boolean",
            "description": "Whether the server also knows the older `/completions` (llama.cpp, vLLM and most local servers do), so that the gateway can pass on requests of that kind as they are, a gap to be filled in among them. The default is false, but for the models of OpenAI that know nothing else.",
        },
    },
}
"""The JSON Schema of `options:` of `plugin: openai`."""
