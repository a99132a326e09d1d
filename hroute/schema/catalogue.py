"""The built-in providers: what a policy may name without declaring it, each on its vendor's current model.

Models and windows are those of the genai-prices data set (0.2.3) and the vendors' own pages on the date below; a
`providers:` entry of the same name overrides field by field. Credentials are references, never values.
"""

from __future__ import annotations

from typing import Any, Final

CATALOGUE_VERSION: Final = "2026-11-20"

_ANTHROPIC: Final = {
    "plugin": "anthropic",
    "api_key": "env:ANTHROPIC_API_KEY",
    "context_window": 1_000_000,
    "max_output": 128_000,
}

CATALOGUE: Final[dict[str, dict[str, Any]]] = {
    "ollama": {
        "plugin": "ollama",
        "model": "llama3.1:8b",
        "base_url": "http://127.0.0.1:11434",
        "local": True,
        "context_window": 131_072,
    },
    "claude_haiku": {**_ANTHROPIC, "model": "claude-haiku-5-5"},
    "claude_sonnet": {**_ANTHROPIC, "model": "claude-sonnet-5-5"},
    "claude_opus": {**_ANTHROPIC, "model": "claude-opus-5-5"},
    # The name is the article's. GPT-4o itself leaves the API on 2027-01-14; this is what stands in its place and price.
    "gpt4o": {
        "plugin": "openai",
        "model": "gpt-6.1-sol",
        "api_key": "env:OPENAI_API_KEY",
        "context_window": 1_050_000,
        "max_output": 128_000,
    },
    "deepseek": {
        "plugin": "openai",
        "model": "deepseek-flash",
        "base_url": "https://api.deepseek.com",
        "api_key": "env:DEEPSEEK_API_KEY",
        "context_window": 1_000_000,
        "max_output": 384_000,
    },
}
"""Provider name -> its entry, as it would stand in a policy."""
