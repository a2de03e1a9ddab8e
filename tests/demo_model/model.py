"""A plain Llama in torch, small enough to read, and its export to a Hugging Face folder."""

import json
import pathlib

import torch
import torch.nn.functional as F
from safetensors.torch import save_file

CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "head_dim": 64,
    "hidden_act": "silu",
    "hidden_size": 256,
    "initializer_range": 0.02,
    "intermediate_size": 512,
    "max_position_embeddings": 4096,
    "model_type": "llama",
    "num_attention_heads": 8,
    "num_hidden_layers": 6,
    "num_key_value_heads": 2,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-05,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "vocab_size": 2048,
}
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' %}{% if message['content']%}"
    "{{'### System:\\n' + message['content']+'\\n\\n'}}{% endif %}{% elif message['role'] == 'user' %}"
    "{{'### User:\\n' + message['content']+'\\n\\n'}}{% elif message['role'] == 'assistant' %}"
    "{{'### Assistant:\\n'  + message['content']}}{% endif %}{% if loop.last and add_generation_prompt %}"
    "{{ '### Assistant:\\n' }}{% endif %}{% endfor %}"
)
TOKENIZER_CONFIG = {
    "add_bos_token": True,
    "add_eos_token": False,
    "bos_token": "<s>",
    "chat_template": TEMPLATE,
    "clean_up_tokenization_spaces": False,
    "eos_token": "</s>",
    "legacy": True,
    "model_max_length": 4096,
    "pad_token": None,
    "tokenizer_class": "LlamaTokenizer",
    "unk_token": "<unk>",
}

HIDDEN, HEADS, KV_HEADS, DIM = 256, 8, 2, 64


def rotate(x, cos, sin):
    """Applies rotary positions in the half-split layout that Hugging Face checkpoints use."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        linear = lambda i, o: torch.nn.Linear(i, o, bias=False)  # noqa: E731
        self.input_layernorm = torch.nn.RMSNorm(HIDDEN, eps=CONFIG["rms_norm_eps"])
        self.post_attention_layernorm = torch.nn.RMSNorm(HIDDEN, eps=CONFIG["rms_norm_eps"])
        self.self_attn = torch.nn.ModuleDict(
            {
                "q_proj": linear(HIDDEN, HEADS * DIM),
                "k_proj": linear(HIDDEN, KV_HEADS * DIM),
                "v_proj": linear(HIDDEN, KV_HEADS * DIM),
                "o_proj": linear(HEADS * DIM, HIDDEN),
            }
        )
        inner = CONFIG["intermediate_size"]
        self.mlp = torch.nn.ModuleDict(
            {
                "gate_proj": linear(HIDDEN, inner),
                "up_proj": linear(HIDDEN, inner),
                "down_proj": linear(inner, HIDDEN),
            }
        )

    def forward(self, x, cos, sin, mask):
        n, t, _ = x.shape
        h = self.input_layernorm(x)
        heads = lambda y, count: y.view(n, t, count, DIM).transpose(1, 2)  # noqa: E731
        q = rotate(heads(self.self_attn["q_proj"](h), HEADS), cos, sin)
        k = rotate(heads(self.self_attn["k_proj"](h), KV_HEADS), cos, sin)
        v = heads(self.self_attn["v_proj"](h), KV_HEADS)
        # Attention is written out, because at these lengths two matrix products are faster than the fused CPU kernel.
        # The query heads of one KV head are stacked along time, so that keys and values need no copies.
        q = q.reshape(n, KV_HEADS, HEADS // KV_HEADS * t, DIM) * DIM**-0.5
        scores = (q @ k.mT).view(n, KV_HEADS, HEADS // KV_HEADS, t, t) + mask
        weights = scores.float().softmax(-1).to(v.dtype)
        mixed = (weights.view(n, KV_HEADS, -1, t) @ v).view(n, HEADS, t, DIM)
        x = x + self.self_attn["o_proj"](mixed.transpose(1, 2).reshape(n, t, HEADS * DIM))
        h = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](h)) * self.mlp["up_proj"](h))


class Llama(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = torch.nn.Embedding(CONFIG["vocab_size"], HIDDEN)
        self.layers = torch.nn.ModuleList(Layer() for _ in range(CONFIG["num_hidden_layers"]))
        self.norm = torch.nn.RMSNorm(HIDDEN, eps=CONFIG["rms_norm_eps"])
        self.lm_head = torch.nn.Linear(HIDDEN, CONFIG["vocab_size"], bias=False)
        for weight in self.parameters():
            if weight.ndim == 2:
                torch.nn.init.normal_(weight, std=CONFIG["initializer_range"])
        angles = torch.outer(torch.arange(1024.0), CONFIG["rope_theta"] ** (-torch.arange(0, DIM, 2) / DIM))
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def hidden(self, ids):
        x = self.embed_tokens(ids)
        low = torch.is_autocast_enabled("cpu")
        cos, sin = (y[: ids.shape[1]].to(torch.bfloat16 if low else y.dtype) for y in (self.cos, self.sin))
        # The padding is on the right, so the causal mask already hides it from every real token.
        mask = torch.full((ids.shape[1],) * 2, float("-inf"), dtype=cos.dtype).triu(1)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.norm(x)

    def forward(self, ids):
        return self.lm_head(self.hidden(ids))


def export(model, folder):
    """Writes config, generation config, tokenizer config and two bf16 shards with their index."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    shards = {"model-00001-of-00002.safetensors": {}, "model-00002-of-00002.safetensors": {}}
    first, second = shards
    where = {}
    for name, weight in model.state_dict().items():
        full = name if name.startswith("lm_head") else "model." + name
        late = name.startswith(("norm", "lm_head", "layers.3", "layers.4", "layers.5"))
        where[full] = second if late else first
        shards[where[full]][full] = weight.detach().to(torch.bfloat16).contiguous()
    for file, tensors in shards.items():
        save_file(tensors, folder / file, metadata={"format": "pt"})
        (folder / file).chmod(0o644)
    size = sum(2 * weight.numel() for tensors in shards.values() for weight in tensors.values())
    generation = {"_from_model_config": True, "bos_token_id": 1, "eos_token_id": 2}
    for file, content in {
        "config.json": CONFIG,
        "generation_config.json": generation,
        "tokenizer_config.json": TOKENIZER_CONFIG,
        "model.safetensors.index.json": {
            "metadata": {"total_size": size},
            "weight_map": dict(sorted(where.items())),
        },
    }.items():
        (folder / file).write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
