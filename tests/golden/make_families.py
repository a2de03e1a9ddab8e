"""Makes small checkpoints of the families that solard serves, and the greedy answers that are expected of them.

    python tests/golden/make_families.py tests/golden/families.json

It must run twice: first with transformers 4.44.2, then with 5.24.0 (tests/tokenizers/requirements-4.txt and
requirements-5.txt). Each run writes the config.json of its families as that version saves it. The second run adds the
answers.

The tokenizers are those of tests/tokenizers/data, and the prompts come from the same conversations. The weights are the
hashes of tests/support/hashed_model.hpp, so that none need to be stored. The reference is transformers in float32. An
answer ends before the first token whose logit leads by less than 0.25: from there on, 16-bit arithmetic may choose
another token.
"""

import json
import pathlib
import sys
import tempfile

import transformers

HERE = pathlib.Path(__file__).resolve().parent
TOKENIZERS = HERE.parent / "tokenizers"
VERSION = int(transformers.__version__.split(".")[0])

NUM_CONVERSATIONS = 20
MAX_TOKENS = 12
MIN_MARGIN = 0.25
# The logits of a head which is not tied are multiplied by 2 ** HEAD_SHIFT. Without that, few tokens would lead clearly.
HEAD_SHIFT = 2

# The sizes are small. All the rest is as in the published model after which the family is named.
GROUPED = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2)
# A tied head prefers the token that it just read. Only many layers outvote it.
DEEP = dict(GROUPED, num_hidden_layers=12)
PLAIN = dict(hidden_size=64, intermediate_size=176, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=4)
LLAMA3_SCALING = dict(factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=32)

# name: (version of transformers, tokenizer, built-in template, arguments of the configuration)
FAMILIES = {
    "solar": (4, "llama_always", "solar", dict(GROUPED, torch_dtype="float16", rms_norm_eps=1e-5, max_position_embeddings=4096)),
    "solar_chatml": (4, "llama_first", "chatml", dict(GROUPED, torch_dtype="bfloat16", rms_norm_eps=1e-5, max_position_embeddings=4096)),
    "llama2": (4, "llama_prepend", "llama2", dict(PLAIN, torch_dtype="float16", rms_norm_eps=1e-5, max_position_embeddings=4096)),
    "vicuna_16k": (4, "llama_prepend", "vicuna", dict(
        PLAIN, torch_dtype="float16", rms_norm_eps=1e-5, max_position_embeddings=4096, rope_scaling={"type": "linear", "factor": 4.0})),
    "llama31": (4, "llama3", "llama3", dict(
        GROUPED, torch_dtype="bfloat16", rms_norm_eps=1e-5, max_position_embeddings=131072, rope_theta=500000.0,
        rope_scaling={"rope_type": "llama3", **LLAMA3_SCALING})),
    "llama32": (5, "llama3", "llama3", dict(
        DEEP, dtype="bfloat16", rms_norm_eps=1e-5, max_position_embeddings=131072, head_dim=32, tie_word_embeddings=True,
        rope_parameters={"rope_type": "llama3", "rope_theta": 500000.0, **LLAMA3_SCALING, "factor": 32.0})),
    "mistral": (4, "llama_always", "mistral", dict(
        GROUPED, torch_dtype="bfloat16", rms_norm_eps=1e-5, max_position_embeddings=32768, sliding_window=4096)),
    "mistral_nemo": (5, "llama_always", "mistral", dict(
        GROUPED, dtype="bfloat16", rms_norm_eps=1e-5, max_position_embeddings=32768, head_dim=24, sliding_window=None,
        rope_parameters={"rope_type": "default", "rope_theta": 1000000.0})),
    "smollm2": (5, "smollm2", "chatml", dict(
        DEEP, dtype="bfloat16", rms_norm_eps=1e-5, max_position_embeddings=8192, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 130000.0})),
    "tinyllama": (4, "llama_prepend", "zephyr", dict(GROUPED, torch_dtype="bfloat16", rms_norm_eps=1e-5, max_position_embeddings=2048)),
    "deepseek": (5, "deepseek", "vicuna", dict(PLAIN, dtype="bfloat16", rms_norm_eps=1e-6, max_position_embeddings=4096)),
}  # fmt: skip

# The vocabulary of Llama 3. No tokenizer of this size is stored, so that its prompts are token ids. The CUDA backend needs
# a head_dim of 64.
FULL_VOCABULARY = dict(
    FAMILIES["llama31"][3], hidden_size=256, intermediate_size=512, num_hidden_layers=2, vocab_size=128256,
    bos_token_id=128000, eos_token_id=[128001, 128008, 128009],
)  # fmt: skip


def saved_config(name, arguments):
    """Returns the config.json that this version of transformers saves."""
    kind = "Mistral" if name.startswith("mistral") else "Llama"
    config = getattr(transformers, kind + "Config")(**arguments)
    config.architectures = [kind + "ForCausalLM"]
    return json.loads(config.to_json_string())


def vocabulary_of(tokenizer):
    """Returns the arguments that the tokenizer decides. Version 4 cannot load every tokenizer that version 5 saves."""
    folder = TOKENIZERS / "data" / tokenizer
    stored, names = (json.loads((folder / name).read_text(encoding="utf-8")) for name in ("tokenizer.json", "tokenizer_config.json"))
    ids = stored["model"]["vocab"] | {token["content"]: token["id"] for token in stored["added_tokens"]}
    return {
        "vocab_size": (max(ids.values()) + 8) // 8 * 8,
        "bos_token_id": ids[names["bos_token"]],
        "eos_token_id": ids[names["eos_token"]],
    }


def make_configs(families):
    for name, (version, tokenizer, template, arguments) in FAMILIES.items():
        if version != VERSION:
            continue
        config = saved_config(name, {**arguments, **vocabulary_of(tokenizer)})
        families[name] = {"saved_by": transformers.__version__, "tokenizer": tokenizer, "template": template, "config": config}
    if VERSION == 4:
        families["llama31_full_vocabulary"] = {"saved_by": transformers.__version__, "config": saved_config("llama", FULL_VOCABULARY)}


def make_answers(families):
    """Adds the answers to the families, and returns the conversations."""
    import torch

    sys.path[:0] = [str(HERE), str(TOKENIZERS)]
    import make_golden
    import make_tokenizers
    import texts

    @torch.no_grad()
    def answer(model, prompt):
        """Returns the tokens up to the first small margin."""
        tokens = list(prompt)
        while len(tokens) < len(prompt) + MAX_TOKENS:
            best = model(torch.tensor([tokens])).logits[0, -1].topk(2)
            if best.values[0] - best.values[1] < MIN_MARGIN:
                break
            tokens.append(int(best.indices[0]))
        return tokens[len(prompt) :]

    conversations = texts.conversations()[:NUM_CONVERSATIONS]
    for family in families.values():
        config = family["config"]
        sizes = {"head_dim": config["hidden_size"] // config["num_attention_heads"], **config}
        family["dtype"] = config.get("dtype") or config["torch_dtype"]
        family["head_shift"] = 0 if config["tie_word_embeddings"] else HEAD_SHIFT
        with tempfile.TemporaryDirectory() as folder:
            make_golden.write_hashed_model(pathlib.Path(folder), sizes, getattr(torch, family["dtype"]), family["head_shift"])
            (pathlib.Path(folder) / "config.json").write_text(json.dumps(config))
            model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        if "tokenizer" in family:
            tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(TOKENIZERS / "data" / family["tokenizer"])
            template = make_tokenizers.builtin_template(family["template"])
            rendered = [
                tokenizer.apply_chat_template(one, chat_template=template, tokenize=False, add_generation_prompt=True)
                for one in conversations
            ]
            prompts = [tokenizer(prompt, add_special_tokens=False).input_ids for prompt in rendered]
            family["answers"] = [answer(model, prompt) for prompt in prompts]
            family["texts"] = [tokenizer.decode(tokens, skip_special_tokens=True) for tokens in family["answers"]]
        else:
            family["prompts"] = [[(17 * n + 7919 * i) % config["vocab_size"] for i in range(5 + 5 * n)] for n in range(12)]
            family["answers"] = [answer(model, prompt) for prompt in family["prompts"]]
    return conversations


def main():
    path = pathlib.Path(sys.argv[1])
    families = {} if VERSION == 4 else json.loads(path.read_text(encoding="utf-8"))["families"]
    make_configs(families)
    golden = {"made_by": "tests/golden/make_families.py", "transformers": transformers.__version__, "families": families}
    if VERSION != 4:
        import torch

        golden["torch"] = torch.__version__.split("+")[0]
        golden["conversations"] = make_answers(families)
        for name, family in families.items():
            print(f"{name}: {[len(one) for one in family['answers']]}")
    path.write_text(json.dumps(golden, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
