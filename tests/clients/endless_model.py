"""Writes a checkpoint of a model that never ends its answer: it generates "a" until max_tokens.

Tests of stopping need an answer that is certainly still running when they stop it, and the demonstration model
finishes too soon. The weights of this model are zeros, so its text is known, but each token costs a real forward pass.

The embeddings are all ones and the layers add nothing, so the normalised state is all ones. The logit of a token is
therefore the sum of the token's row of lm_head. The row is all ones for the byte "a", and all zeros for the others.
"""

import json
import shutil
import struct

from support import ROOT

HIDDEN, INTERMEDIATE, LAYERS, HEADS, HEAD_DIM = 512, 2048, 8, 8, 64
BYTE_A = 3 + ord("a")  # the ids 0, 1 and 2 are unk, bos and eos; the 256 bytes follow
ONE = struct.pack("<H", 0x3F80)  # 1.0 as bf16


def _tensors(vocabulary):
    """Yields (name, shape, fill) of each tensor; `fill` is "zeros", "ones" or the index of the only row of ones."""
    yield "model.embed_tokens.weight", (vocabulary, HIDDEN), "ones"
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            yield f"{prefix}{name}.weight", (HIDDEN,), "ones"
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            yield f"{prefix}self_attn.{name}.weight", (HIDDEN, HIDDEN), "zeros"
        for name in ("gate_proj", "up_proj"):
            yield f"{prefix}mlp.{name}.weight", (INTERMEDIATE, HIDDEN), "zeros"
        yield f"{prefix}mlp.down_proj.weight", (HIDDEN, INTERMEDIATE), "zeros"
    yield "model.norm.weight", (HIDDEN,), "ones"
    yield "lm_head.weight", (vocabulary, HIDDEN), BYTE_A


def write_endless_model(folder):
    demo = ROOT / "config/demo-model"
    vocabulary = json.loads((demo / "config.json").read_text())["vocab_size"]
    for name in ("tokenizer.model", "tokenizer_config.json"):
        shutil.copy(demo / name, folder / name)
    config = {
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "torch_dtype": "bfloat16", "hidden_act": "silu",
        "hidden_size": HIDDEN, "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "head_dim": HEAD_DIM, "vocab_size": vocabulary,
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": False,
        "bos_token_id": 1, "eos_token_id": 2,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))

    header, fills, end = {}, [], 0
    for name, shape, fill in _tensors(vocabulary):
        begin, end = end, end + 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
        fills.append((begin, end, fill))
    text = json.dumps(header).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        data = file.tell()
        file.truncate(data + end)  # fills the file with zeros, which take no space on the disk
        for begin, end, fill in fills:
            if fill == "zeros":
                continue
            row = 0 if fill == "ones" else 2 * HIDDEN * fill
            file.seek(data + begin + row)
            file.write(ONE * ((end - begin) // 2 if fill == "ones" else HIDDEN))
    return folder
