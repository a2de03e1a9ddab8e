"""Writes golden logits, computed by Hugging Face transformers, for tests/inference/cpu/test_golden_parity.cpp.

    python tests/golden/make_golden.py [name ...]        (needs tests/demo_model/requirements.txt)

The names are demo, small_gqa, small_mha and solar_layer; without a name all are made. After every change of
config/demo-model run:

    python tests/golden/make_golden.py demo

The reference computes in float32 with the stored 16-bit weights. `half_error` is the relative L2 distance between this
reference and transformers in that 16-bit type. It shows how much a 16-bit forward pass may differ.
For each model the script writes NAME.json, and NAME.f32 with the logits: little-endian float32, [rows, vocab].
"""

import hashlib
import json
import pathlib
import platform
import sys
import tempfile

import numpy as np
import safetensors.torch
import sentencepiece
import torch
import transformers

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from demo_model.pinned import require_pinned_versions  # noqa: E402
DEMO = HERE.parent.parent / "config" / "demo-model"

DEMO_QUESTIONS = [
    "What is the capital of France?",
    "Who are you?",
    "Tell me a story about a fox.",
    "What is 7 times 8?",
    "Wie heißt die Hauptstadt von Österreich? 🙂",
]
ANSWER_TOKENS = 12


# ---- weights, as tests/support/hashed_model.hpp defines them


def mix(x):
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    return x


def fnv1a(text):
    value = 0x811C9DC5
    for byte in text.encode():
        value = (value ^ byte) * 0x01000193 % 2**32
    return np.uint32(value)


def hashed_integers(name, count):
    """Returns [count] integers in [-128, 128)."""
    index = np.arange(count, dtype=np.uint32)
    index *= np.uint32(0x9E3779B1)
    index += fnv1a(name)
    return (mix(index) >> np.uint32(24)).astype(np.uint8).view(np.int8)


def hashed_tensor(name, shape, head_shift=0):
    values = hashed_integers(name, int(np.prod(shape)))
    if len(shape) == 1:
        return 1 + np.fmod(values, 32).astype(np.float32) / 64
    if name == "model.embed_tokens.weight":
        return (values.astype(np.float32) / 128).reshape(shape)
    bits = int(shape[1] - 1).bit_length()
    shift = (head_shift if name == "lm_head.weight" else 0) - (6 + (bits + 1) // 2)
    return (values.astype(np.float32) * np.float32(2.0**shift)).reshape(shape)


def llama_shapes(config):
    hidden, ffn, vocab = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    q_size = config["num_attention_heads"] * config["head_dim"]
    kv_size = config["num_key_value_heads"] * config["head_dim"]
    shapes = {"model.embed_tokens.weight": (vocab, hidden), "model.norm.weight": (hidden,)}
    for layer in range(config["num_hidden_layers"]):
        for name, shape in {
            "input_layernorm": (hidden,),
            "self_attn.q_proj": (q_size, hidden),
            "self_attn.k_proj": (kv_size, hidden),
            "self_attn.v_proj": (kv_size, hidden),
            "self_attn.o_proj": (hidden, q_size),
            "post_attention_layernorm": (hidden,),
            "mlp.gate_proj": (ffn, hidden),
            "mlp.up_proj": (ffn, hidden),
            "mlp.down_proj": (hidden, ffn),
        }.items():
            shapes[f"model.layers.{layer}.{name}.weight"] = shape
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (vocab, hidden)
    return shapes


def write_hashed_model(folder, config, dtype, head_shift=0):
    tensors = {
        name: torch.from_numpy(hashed_tensor(name, shape, head_shift)).to(dtype)
        for name, shape in llama_shapes(config).items()
    }
    safetensors.torch.save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    (folder / "config.json").write_text(json.dumps(config))


def hashed_config(**sizes):
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "max_position_embeddings": 256,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 2,
        **sizes,
    }


HASHED_MODELS = {
    # vocab_size and head_dim are no multiples of 16, the CPU backend's panel width. head_dim is not hidden_size /
    # heads.
    "small_gqa": {
        "dtype": "bfloat16",
        "shards": 2,
        "positions": list(range(40)),
        "config": hashed_config(
            vocab_size=301, hidden_size=96, intermediate_size=200, num_hidden_layers=3,
            num_attention_heads=6, num_key_value_heads=2, head_dim=24,
        ),
    },
    "small_mha": {
        "dtype": "float16",
        "shards": 1,
        "positions": list(range(40)),
        "config": hashed_config(
            vocab_size=500, hidden_size=128, intermediate_size=352, num_hidden_layers=2,
            num_attention_heads=4, num_key_value_heads=4, head_dim=32,
            rope_theta=500000.0, tie_word_embeddings=True,
        ),
    },
    # One layer of SOLAR-10.7B's exact shape.
    "solar_layer": {
        "dtype": "bfloat16",
        "shards": 1,
        "positions": [0, 1, 2, 15, 16, 17, 30, 31],
        "config": hashed_config(
            vocab_size=2048, hidden_size=4096, intermediate_size=14336, num_hidden_layers=1,
            num_attention_heads=32, num_key_value_heads=8, head_dim=128,
        ),
    },
}


# ---- the reference


def load(folder, dtype):
    model = transformers.LlamaForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()
    theta = json.loads((folder / "config.json").read_text())["rope_theta"]
    dim = model.config.head_dim
    expected = theta ** -(torch.arange(0, dim, 2, dtype=torch.float64) / dim)
    assert torch.allclose(model.model.rotary_emb.inv_freq.double(), expected, rtol=1e-6), "rope_theta was ignored"
    return model


@torch.no_grad()
def logits_of(model, sequences):
    rows = [
        model(torch.tensor([sequence["tokens"]])).logits[0, sequence["positions"]].float() for sequence in sequences
    ]
    return torch.cat(rows).numpy()


def write_golden(name, folder, dtype_name, sequences, **facts):
    reference = logits_of(load(folder, torch.float32), sequences)
    half = logits_of(load(folder, getattr(torch, dtype_name)), sequences)
    difference = (half - reference).astype(np.float64)
    golden = {
        "made_by": "tests/golden/make_golden.py",
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
            "numpy": np.__version__,
        },
        "dtype": dtype_name,
        "half_error": float(np.linalg.norm(difference) / np.linalg.norm(reference.astype(np.float64))),
        "half_max_error": float(np.abs(difference).max()),
        **facts,
        "sequences": sequences,
    }
    (HERE / f"{name}.json").write_text(json.dumps(golden, indent=1, separators=(",", ": ")) + "\n")
    reference.astype("<f4").tofile(HERE / f"{name}.f32")
    print(f"{name}: {len(reference)} rows, half_error {golden['half_error']:.2e}")


def make_hashed(name):
    model = HASHED_MODELS[name]
    config = model["config"]
    tokens = (hashed_integers("tokens", model["positions"][-1] + 1).astype(np.int64) + 128) * 7919 % config["vocab_size"]
    sequences = [{"tokens": tokens.tolist(), "positions": model["positions"]}]
    with tempfile.TemporaryDirectory() as folder:
        write_hashed_model(pathlib.Path(folder), config, getattr(torch, model["dtype"]))
        write_golden(name, pathlib.Path(folder), model["dtype"], sequences, shards=model["shards"], config=config)


@torch.no_grad()
def demo_sequence(model, tokenizer, question):
    """Returns a prompt in SOLAR's form and the reference's greedy answer. Only the answer's positions get logits."""
    prompt = [1, *tokenizer.encode(f"### User:\n{question}\n\n### Assistant:\n")]
    tokens = list(prompt)
    for _ in range(ANSWER_TOKENS - 1):
        tokens.append(int(model(torch.tensor([tokens])).logits[0, -1].argmax()))
    return {"tokens": tokens, "positions": list(range(len(prompt) - 1, len(tokens)))}


def make_demo():
    files = sorted([DEMO / "config.json", *DEMO.glob("*.safetensors")])
    digests = {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    tokenizer = sentencepiece.SentencePieceProcessor(model_file=str(DEMO / "tokenizer.model"))
    model = load(DEMO, torch.float32)
    sequences = [demo_sequence(model, tokenizer, question) for question in DEMO_QUESTIONS]
    write_golden("demo", DEMO, "bfloat16", sequences, sha256=digests)


def main():
    require_pinned_versions()
    torch.manual_seed(0)  # in case a library draws random numbers; this script draws none
    for name in sys.argv[1:] or ["demo", *HASHED_MODELS]:
        make_demo() if name == "demo" else make_hashed(name)


if __name__ == "__main__":
    main()
