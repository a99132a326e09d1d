"""llama.cpp inside the process, as a provider plugin of hroute."""

from hroute_provider_llamacpp.plugin import LlamaCppPlugin

__all__ = ["LlamaCppPlugin"]
