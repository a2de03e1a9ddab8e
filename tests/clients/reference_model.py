"""The demonstration model computed with NumPy, its tokenizer, and the form of its prompts.

Written from the descriptions of Llama, SentencePiece and the published chat template, and apart from the server's own
code, so that tests can compare the two.
"""

import functools
import json
import struct

import jinja2
import numpy
import sentencepiece

from support import ROOT

FOLDER = ROOT / "config/demo-model"
CONFIG = json.loads((FOLDER / "config.json").read_text())
VOCABULARY = CONFIG["vocab_size"]
CONTEXT = CONFIG["max_position_embeddings"]
BOS, EOS = CONFIG["bos_token_id"], CONFIG["eos_token_id"]
HEADS, KV_HEADS, HEAD_SIZE = CONFIG["num_attention_heads"], CONFIG["num_key_value_heads"], CONFIG["head_dim"]

_tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(FOLDER / "tokenizer.model"))
_template = jinja2.Environment(keep_trailing_newline=True).from_string(
    json.loads((FOLDER / "tokenizer_config.json").read_text())["chat_template"]
)


def render(messages, add_generation_prompt):
    """Returns the prompt of (role, content) pairs, as the published template writes it."""
    conversation = [{"role": role, "content": content} for role, content in messages]
    return _template.render(messages=conversation, add_generation_prompt=add_generation_prompt)


def encode(text):
    """Returns the token ids of a prompt, BOS first."""
    return [BOS, *_tokenizer.encode(text)]


def piece_bytes(token, skip_special_tokens=True):
    """Returns the bytes that a token adds to a text. Special tokens add nothing, unless they are to be shown."""
    piece = _tokenizer.id_to_piece(token)
    if _tokenizer.is_control(token) or _tokenizer.is_unknown(token):
        return b"" if skip_special_tokens else piece.encode()
    return bytes([int(piece[1:-1], 16)]) if _tokenizer.is_byte(token) else piece.replace("\u2581", " ").encode()


@functools.cache
def tokens_of_bytes():
    """Returns the token ids of each text that a token adds."""
    tokens = {}
    for token in range(VOCABULARY):
        tokens.setdefault(piece_bytes(token), []).append(token)
    return tokens


def text_of(tokens, skip_special_tokens=True):
    """Returns the text of token ids; bytes that are not UTF-8 become U+FFFD."""
    return b"".join(piece_bytes(token, skip_special_tokens) for token in tokens).decode("utf-8", errors="replace")


def _read_weights():
    weights = {}
    for path in sorted(FOLDER.glob("*.safetensors")):
        data = path.read_bytes()
        (size,) = struct.unpack_from("<Q", data)
        for name, entry in json.loads(data[8 : 8 + size]).items():
            if name == "__metadata__":
                continue
            assert entry["dtype"] == "BF16", name
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            bits = numpy.frombuffer(data[begin:end], dtype=numpy.uint16).astype(numpy.uint32) << 16
            weights[name] = bits.view(numpy.float32).reshape(entry["shape"])
    return weights


_weights = _read_weights()


def _norm(x, name):
    scale = numpy.sqrt((x * x).mean(axis=-1, keepdims=True) + CONFIG["rms_norm_eps"])
    return x / scale * _weights[name]


_frequencies = CONFIG["rope_theta"] ** (-numpy.arange(0, HEAD_SIZE, 2) / HEAD_SIZE)
_angles = numpy.arange(CONTEXT)[:, None, None] * _frequencies
_cosine, _sine = numpy.cos(_angles).astype(numpy.float32), numpy.sin(_angles).astype(numpy.float32)


def _rotate(x):
    """Applies the rotary position embedding to [position, head, HEAD_SIZE]."""
    cosine, sine = _cosine[: len(x)], _sine[: len(x)]
    first, second = numpy.split(x, 2, axis=-1)
    return numpy.concatenate([first * cosine - second * sine, second * cosine + first * sine], axis=-1)


def _attention(x, layer):
    def project(name, heads):
        return (x @ _weights[f"{layer}.self_attn.{name}_proj.weight"].T).reshape(len(x), heads, HEAD_SIZE)

    query, key, value = _rotate(project("q", HEADS)), _rotate(project("k", KV_HEADS)), project("v", KV_HEADS)
    group = HEADS // KV_HEADS
    key, value = numpy.repeat(key, group, axis=1), numpy.repeat(value, group, axis=1)
    scores = numpy.einsum("qhd,khd->hqk", query, key) / numpy.sqrt(numpy.float32(HEAD_SIZE))
    scores += numpy.triu(numpy.full((len(x), len(x)), -numpy.inf, dtype=numpy.float32), k=1)
    scores = numpy.exp(scores - scores.max(axis=-1, keepdims=True))
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed = numpy.einsum("hqk,khd->qhd", scores, value).reshape(len(x), HEADS * HEAD_SIZE)
    return mixed @ _weights[f"{layer}.self_attn.o_proj.weight"].T


def _feed_forward(x, layer):
    gate = x @ _weights[f"{layer}.mlp.gate_proj.weight"].T
    up = x @ _weights[f"{layer}.mlp.up_proj.weight"].T
    return (gate / (1 + numpy.exp(-gate)) * up) @ _weights[f"{layer}.mlp.down_proj.weight"].T


def logits(prompt, answer):
    """Returns the logits from which each token of the answer is chosen: [len(answer), VOCABULARY]."""
    x = _weights["model.embed_tokens.weight"][[*prompt, *answer[:-1]]]
    for number in range(CONFIG["num_hidden_layers"]):
        layer = f"model.layers.{number}"
        x = x + _attention(_norm(x, f"{layer}.input_layernorm.weight"), layer)
        x = x + _feed_forward(_norm(x, f"{layer}.post_attention_layernorm.weight"), layer)
    last = _norm(x[-len(answer) :], "model.norm.weight")
    return (last @ _weights["lm_head.weight"].T).astype(numpy.float64)


def log_softmax(rows):
    rows = rows - rows.max(axis=-1, keepdims=True)
    return rows - numpy.log(numpy.exp(rows).sum(axis=-1, keepdims=True))
