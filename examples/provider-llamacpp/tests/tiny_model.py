"""A model of half a megabyte: the Llama architecture, two layers of random weights, one token a byte. It speaks noise."""

from __future__ import annotations

from pathlib import Path

EMBEDDING, LAYERS, HEADS, FEED_FORWARD = 64, 2, 4, 128
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:"
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'\"{}[]()-_/\u2581"


def write(place: Path, *, context: int = 4096, template: str = TEMPLATE) -> Path:
    """Write the model to `place`; `context` is the length in tokens that it claims to be trained on, `template` what makes
    a prompt of a chat."""
    import gguf
    import numpy as np

    tokens = [b"<unk>", b"<s>", b"</s>", *(f"<0x{byte:02X}>".encode() for byte in range(256)), *(c.encode() for c in LETTERS)]  # fmt: skip
    kinds = [gguf.TokenType.UNKNOWN, gguf.TokenType.CONTROL, gguf.TokenType.CONTROL]
    kinds += [gguf.TokenType.BYTE] * 256 + [gguf.TokenType.NORMAL] * len(LETTERS)
    made = gguf.GGUFWriter(place, "llama")
    made.add_context_length(context)
    made.add_embedding_length(EMBEDDING)
    made.add_block_count(LAYERS)
    made.add_feed_forward_length(FEED_FORWARD)
    made.add_head_count(HEADS)
    made.add_head_count_kv(HEADS)
    made.add_layer_norm_rms_eps(1e-5)
    made.add_rope_dimension_count(EMBEDDING // HEADS)
    made.add_vocab_size(len(tokens))
    made.add_tokenizer_model("llama")
    made.add_tokenizer_pre("default")
    made.add_token_list(tokens)
    made.add_token_scores([0.0] * len(tokens))
    made.add_token_types(kinds)
    made.add_bos_token_id(1)
    made.add_eos_token_id(2)
    made.add_unk_token_id(0)
    made.add_add_space_prefix(False)
    made.add_chat_template(template)
    random = np.random.default_rng(0)

    def weights(name: str, *shape: int) -> None:
        made.add_tensor(f"{name}.weight", random.standard_normal(shape).astype(np.float32) * 0.05)

    def ones(name: str) -> None:
        made.add_tensor(f"{name}.weight", np.ones(EMBEDDING, np.float32))

    weights("token_embd", len(tokens), EMBEDDING)
    weights("output", len(tokens), EMBEDDING)
    ones("output_norm")
    for layer in range(LAYERS):
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            weights(f"blk.{layer}.{name}", EMBEDDING, EMBEDDING)
        weights(f"blk.{layer}.ffn_gate", FEED_FORWARD, EMBEDDING)
        weights(f"blk.{layer}.ffn_up", FEED_FORWARD, EMBEDDING)
        weights(f"blk.{layer}.ffn_down", EMBEDDING, FEED_FORWARD)
        ones(f"blk.{layer}.attn_norm")
        ones(f"blk.{layer}.ffn_norm")
    made.write_header_to_file()
    made.write_kv_data_to_file()
    made.write_tensors_to_file()
    made.close()
    return place
