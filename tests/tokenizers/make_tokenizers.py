"""Makes the tokenizers of the tests and the token ids that are expected of them.

usage: python make_tokenizers.py DATA

It must run twice: first with transformers 4.44.2, then with 5.24.0 (requirements-4.txt, requirements-5.txt). Each run
adds the folders that its version writes. expected.json is written anew by the second run, from all folders.

Each folder of DATA has the tokenizer files of one family, in the shape in which they are published. The vocabularies
are small and are trained on the text in texts.py. expected_prompts.json has conversations, and what each family makes of
them with the chat template that its relatives are published with, in our words (inference/model/builtin_templates.cpp).
The expected ids are those of the library tokenizers, which
transformers uses, and for a folder with only a tokenizer.model those of the slow tokenizer of transformers 4.
"""

import io
import json
import pathlib
import re
import sys

import sentencepiece
import tokenizers
import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import texts

VOCABULARY = 700
VERSION = int(transformers.__version__.split(".")[0])

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def write_json(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def compact(folder):
    """Writes the JSON files of a folder in one line each, and leaves out what the tests do not need."""
    for path in folder.glob("*.json"):
        write_json(path, json.loads(path.read_text(encoding="utf-8")))
    (folder / "chat_template.jinja").unlink(missing_ok=True)


def train_sentencepiece():
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts.CORPUS * 2), model_writer=model, vocab_size=VOCABULARY, model_type="bpe",
        byte_fallback=True, split_digits=True, character_coverage=0.98, normalization_rule_name="identity",
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, num_threads=1, unk_id=0, bos_id=1, eos_id=2,
        pad_id=-1, minloglevel=2,
    )
    return model.getvalue()


def train_byte_level(pre_tokenizer, special_tokens):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizer
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, min_frequency=1, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=special_tokens,
    )
    tokenizer.train_from_iterator(texts.CORPUS * 2, trainer)
    return tokenizer


def byte_level(add_prefix_space=False, use_regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space, use_regex=use_regex)


def save_fast(tokenizer, folder, **names):
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, clean_up_tokenization_spaces=False, **names).save_pretrained(folder)
    compact(folder)


def make_llama_4(data):
    """The three forms that transformers 4 writes for a SentencePiece model, and one without tokenizer.json."""
    model = train_sentencepiece()
    source = data / "sentencepiece"
    source.mkdir(exist_ok=True)
    (source / "tokenizer.model").write_bytes(model)
    chatml = [AddedToken("<|im_start|>", special=False, normalized=False), AddedToken("<|im_end|>", special=True, normalized=False)]
    words = [AddedToken("한국어", normalized=False), AddedToken("감사", normalized=False)]
    write_json(source / "added_tokens.json", {"<|im_end|>": VOCABULARY, "<|im_start|>": VOCABULARY + 1, "한국어": VOCABULARY + 2})
    write_json(source / "special_tokens_map.json", {"bos_token": "<s>", "eos_token": "<|im_end|>", "unk_token": "<unk>"})
    write_json(source / "tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "legacy": True, "bos_token": "<s>", "eos_token": "<|im_end|>",
                                                  "unk_token": "<unk>", "clean_up_tokenization_spaces": False})
    for name, legacy in (("llama_prepend", True), ("llama_first", False)):
        tokenizer = transformers.LlamaTokenizerFast(vocab_file=str(source / "tokenizer.model"), legacy=legacy, add_prefix_space=True)
        tokenizer.add_tokens(chatml[:1] + words)
        tokenizer.add_special_tokens({"eos_token": chatml[1]})
        if not legacy:
            tokenizer.add_tokens([AddedToken("<strip>", lstrip=True, rstrip=True, normalized=False),
                                  AddedToken("word", single_word=True, normalized=True)])
        tokenizer.save_pretrained(data / name)
        (data / name / "tokenizer.model").unlink(missing_ok=True)
        compact(data / name)


def make_llama_5(data):
    """What transformers 5 writes for the same model, and the byte-level families."""
    source = data / "llama_always"
    source.mkdir(exist_ok=True)
    (source / "tokenizer.model").write_bytes((data / "sentencepiece" / "tokenizer.model").read_bytes())
    tokenizer = transformers.LlamaTokenizer.from_pretrained(source, legacy=True)
    tokenizer.add_tokens([AddedToken("<|im_start|>", special=True, normalized=False), AddedToken("안녕하", normalized=True)])
    tokenizer.save_pretrained(source)
    (source / "tokenizer.model").unlink(missing_ok=True)
    compact(source)

    never = Tokenizer.from_file(str(source / "tokenizer.json"))
    never.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never", split=False)
    never.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    save_fast(never, data / "llama_never", bos_token="<s>", eos_token="</s>", add_bos_token=False, add_eos_token=True)

    # Llama 3: the words of a Split pattern, whole words first, and BOS by a template after ByteLevel.
    names = ["<|begin_of_text|>", "<|end_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]
    split = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), byte_level(use_regex=False)])
    tokenizer = train_byte_level(split, [])
    tokenizer.model.ignore_merges = True
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=True),
        processors.TemplateProcessing("<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", tokenizer.token_to_id("<|begin_of_text|>"))]),
    ])
    save_fast(tokenizer, data / "llama3", bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")

    # SmolLM2: digits one by one, GPT-2's pattern, special tokens in the vocabulary, and no BOS.
    digits = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()])
    tokenizer = train_byte_level(digits, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    save_fast(tokenizer, data / "smollm2", bos_token="<|im_start|>", eos_token="<|im_end|>", pad_token="<|im_end|>")

    # DeepSeek: several patterns one after the other. The shape of the published file; the letters are abridged.
    steps = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("[\r\n]"), "isolated"),
        pre_tokenizers.Split(Regex(r"\s?\p{L}+"), "isolated"),
        pre_tokenizers.Split(Regex(r"\s?\p{P}+"), "isolated"),
        pre_tokenizers.Split(Regex(r"\s+$"), "isolated"),
        pre_tokenizers.Split(Regex("[一-龥ࠀ-一가-퟿]+"), "isolated"),
        pre_tokenizers.Digits(individual_digits=True),
        byte_level(use_regex=False),
    ])
    tokenizer = train_byte_level(steps, [])
    tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=True) for name in ("<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>")])
    tokenizer.add_tokens([AddedToken("<｜User｜>", normalized=False), AddedToken("жук", normalized=True)])
    save_fast(tokenizer, data / "deepseek", bos_token="<｜begin▁of▁sentence｜>", eos_token="<｜end▁of▁sentence｜>", add_bos_token=True)

    # A prefix space, an unknown token that is fused, and merges written as strings.
    tokenizer = train_byte_level(byte_level(add_prefix_space=True), [])
    save_fast(tokenizer, data / "prefix_space", eos_token=None)
    path = data / "prefix_space" / "tokenizer.json"
    value = json.loads(path.read_text(encoding="utf-8"))
    value["model"]["merges"] = [" ".join(pair) for pair in value["model"]["merges"]]
    write_json(path, value)


def expectation(tokenizer, tokens):
    """Returns ids and decoded texts. A decoded text that equals its source is null, which keeps the file small."""
    plain, special = texts.awkward_texts(), texts.texts_with_tokens(tokens) if tokens else []
    tokenizer.encode_special_tokens = True
    plain_ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in plain]
    tokenizer.encode_special_tokens = False
    special_ids = [tokenizer.encode(text).ids for text in special]
    decode = lambda source, ids, skip: None if (text := tokenizer.decode(ids, skip_special_tokens=skip)) == source else text
    return {
        "tokens": tokens,
        "ids": plain_ids,
        "decoded": [decode(text, ids, True) for text, ids in zip(plain, plain_ids)],
        "special_texts": special,
        "special_ids": special_ids,
        "special_decoded": [decode(text, ids, False) for text, ids in zip(special, special_ids)],
    }


def make_expected(data):
    expected = {}
    for path in sorted(data.glob("*/tokenizer_config.json")):
        if not (path.parent / "tokenizer.json").exists():
            continue
        loaded = transformers.PreTrainedTokenizerFast.from_pretrained(path.parent)
        tokens = [token.content for _, token in sorted(loaded.added_tokens_decoder.items())]
        expected[path.parent.name] = expectation(loaded.backend_tokenizer, tokens)
    write_json(data / "expected.json", {
        "seed": "random.Random(17) in texts.py", "tokenizers": tokenizers.__version__, "transformers": transformers.__version__,
        "texts": texts.awkward_texts(), "families": expected,
    })


def make_expected_slow(data):
    """The folder with a tokenizer.model and no tokenizer.json, as the slow tokenizer of transformers 4 reads it.

    Two things are left out, because transformers itself disagrees on them: </s>, if another token ends the text, and a
    text that begins with an added word, before which only the slow tokenizer without "legacy" has a space.
    """
    folder = data / "sentencepiece"
    tokenizer = transformers.LlamaTokenizer.from_pretrained(folder)
    modern = transformers.LlamaTokenizer.from_pretrained(folder, legacy=False)
    special = texts.texts_with_tokens(["<s>", "<|im_start|>", "<|im_end|>", "한국어"])
    special = [text for text in special if not text.startswith("한국어")]
    write_json(data / "expected_sentencepiece.json", {
        "transformers": transformers.__version__, "texts": special,
        "ids": [tokenizer.encode(text) for text in special],
        "ids_without_legacy": [modern.encode(text) for text in special],
    })


# The family of each built-in template.
TEMPLATES = {
    "solar": "llama_always", "chatml": "llama_first", "llama2": "llama_prepend", "llama3": "llama3", "mistral": "llama_always",
    "zephyr": "llama_prepend", "vicuna": "deepseek",
}  # fmt: skip


def builtin_template(name):
    source = pathlib.Path(__file__).parents[2] / "inference" / "model" / "builtin_templates.cpp"
    return re.search(rf'string_view {name} = R"\((.*?)\)";', source.read_text(encoding="utf-8"), re.DOTALL)[1]


def make_prompts(data):
    """What the families make of conversations. Their texts contain no special token: these stay text in solard."""
    conversations = texts.conversations()
    templates = {}
    for name, family in TEMPLATES.items():
        tokenizer = transformers.PreTrainedTokenizerFast.from_pretrained(data / family)
        prompts = [
            tokenizer.apply_chat_template(one, chat_template=builtin_template(name), tokenize=False, add_generation_prompt=True)
            for one in conversations
        ]
        ids = [tokenizer(prompt, add_special_tokens=False).input_ids for prompt in prompts]
        templates[name] = {"family": family, "prompts": prompts, "ids": ids}
    write_json(data / "expected_prompts.json", {
        "seed": "random.Random(40) in texts.py", "transformers": transformers.__version__,
        "conversations": conversations, "templates": templates,
    })


def make_demo(data):
    """The tokenizer of the demonstration model, as transformers 4 converts it to a tokenizer.json."""
    model = pathlib.Path(__file__).parents[2] / "config" / "demo-model" / "tokenizer.model"
    folder = data / "demo"
    transformers.LlamaTokenizerFast(vocab_file=str(model), legacy=True, add_prefix_space=True).save_pretrained(folder)
    for path in folder.iterdir():
        if path.name != "tokenizer.json":
            path.unlink()
    compact(folder)


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(exist_ok=True)
    if VERSION == 4:
        make_llama_4(folder)
        make_expected_slow(folder)
        make_demo(folder)
    else:
        make_llama_5(folder)
        make_expected(folder)
        make_prompts(folder)
