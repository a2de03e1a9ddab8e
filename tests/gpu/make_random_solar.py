"""Writes a checkpoint of SOLAR's shape with random weights: make_random_solar.py FOLDER [--layers N] [--dtype bf16|fp16]

run.sh gives it to parity.py in place of the real weights. The elements of every matrix are normally distributed. Their
standard deviation is 1 / sqrt(in_features), or 1 for the embedding, and the weights of norms are 1, so that
activations stay near 1 through all layers. There is one shard per layer. The same version of torch makes the same
numbers on the same kind of device.
"""

import argparse
import json
import math
import pathlib

import torch
from safetensors.torch import save_file

HIDDEN, INTERMEDIATE, VOCAB, HEADS, KV_HEADS, HEAD_DIM = 4096, 14336, 32000, 32, 8, 128


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--layers", type=int, default=48)
    parser.add_argument("--dtype", choices=["bf16", "fp16"], default="bf16")
    options = parser.parse_args()
    dtype = torch.bfloat16 if options.dtype == "bf16" else torch.float16
    options.folder.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator("cuda" if torch.cuda.is_available() else "cpu").manual_seed(1)
    index = {}

    def matrix(rows, columns, deviation=None):
        deviation = deviation or 1 / math.sqrt(columns)
        return (torch.randn(rows, columns, generator=generator, device=generator.device) * deviation).to(dtype).cpu()

    def save(name, tensors):
        save_file(tensors, options.folder / name, metadata={"format": "pt"})
        index.update({tensor: name for tensor in tensors})

    ones = torch.ones(HIDDEN, dtype=dtype)
    for layer in range(options.layers):
        prefix = f"model.layers.{layer}."
        save(f"model-layer-{layer:02}.safetensors", {
            prefix + "input_layernorm.weight": ones.clone(),
            prefix + "self_attn.q_proj.weight": matrix(HEADS * HEAD_DIM, HIDDEN),
            prefix + "self_attn.k_proj.weight": matrix(KV_HEADS * HEAD_DIM, HIDDEN),
            prefix + "self_attn.v_proj.weight": matrix(KV_HEADS * HEAD_DIM, HIDDEN),
            prefix + "self_attn.o_proj.weight": matrix(HIDDEN, HEADS * HEAD_DIM),
            prefix + "post_attention_layernorm.weight": ones.clone(),
            prefix + "mlp.gate_proj.weight": matrix(INTERMEDIATE, HIDDEN),
            prefix + "mlp.up_proj.weight": matrix(INTERMEDIATE, HIDDEN),
            prefix + "mlp.down_proj.weight": matrix(HIDDEN, INTERMEDIATE),
        })
    save("model-ends.safetensors", {"model.embed_tokens.weight": matrix(VOCAB, HIDDEN, 1.0),
                                    "model.norm.weight": ones.clone(), "lm_head.weight": matrix(VOCAB, HIDDEN)})
    (options.folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (options.folder / "config.json").write_text(json.dumps({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu", "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE, "num_hidden_layers": options.layers, "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS, "head_dim": HEAD_DIM, "vocab_size": VOCAB, "max_position_embeddings": 4096,
        "rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": False, "bos_token_id": 1, "eos_token_id": 2,
        "attention_bias": False, "torch_dtype": {"bf16": "bfloat16", "fp16": "float16"}[options.dtype]}, indent=2))


main()
