"""Builds random requests for every route, and says how each must be answered.

What happens to a field is read from the table `server/api/peer_fields.tsv`. Only for fields that are served, the
values that are allowed and the rules between fields are written here, after the descriptions in `openapi.json`.
"""

import csv
import dataclasses
import json

from reference_model import CONTEXT, VOCABULARY, encode, render
from support import ROOT

KINDS = {
    "/v1/chat/completions": "chat",
    "/v1/chat/completions/render": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    "/v1/responses/input_tokens": "responses",
    "/tokenize": "tokenize",
    "/detokenize": "detokenize",
}
GENERATING = ("/v1/chat/completions", "/v1/completions", "/v1/responses")  # the routes that answer a prompt
CAPS = {
    "chat": ("max_completion_tokens", "max_tokens", "n_predict"),
    "completions": ("max_tokens", "max_completion_tokens", "n_predict"),
    "responses": ("max_output_tokens",),
}


@dataclasses.dataclass
class Line:
    name: str
    kinds: list
    handling: str
    neutral: list


def read_table():
    with (ROOT / "server/api/peer_fields.tsv").open() as file:
        rows = list(csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE))[1:]
    return [Line(row[0], row[1].split(), row[3], json.loads(f"[{row[4]}]")) for row in rows]


TABLE = read_table()


def line_of(kind, name):
    """Returns the field's line. A request for an answer may have a field of another route, which is judged by that route's line."""
    lines = [line for line in TABLE if line.name == name]
    own = [line for line in lines if kind in line.kinds]
    return (own or (lines if kind not in ("tokenize", "detokenize") else []) or [None])[0]


def members_of(name, kind):
    """Returns the lines for the members of a field that is an object."""
    return [line for line in TABLE if line.name.startswith(name + ".") and kind in line.kinds]


ANY_VALUES = [True, False, 0, 1, -1, 0.5, 7, "", "none", "x", [], ["x"], {}, {"x": 1}]
BOOLEAN = ([True, False], [1, 0, "true", [], {}])


def number(low, high, *more):
    return [low, high, *more], [low - 0.5, high + 0.5, 2**63, "1", True, [low], {}]


def whole(low, high, *more):
    return [low, high, float(high) if abs(high) < 2**53 else high, *more], [low - 1, high + 1, 1.5, "1", True, [low], {}]


CAP = ([-1, 1, 2.0, CONTEXT, 2**53, 2**64 - 1, 1e300], [0, -2, 1.5, "1", True, [1]])
TEXTS = ["Hi", "What is the capital of France?", "7 * 8", "안녕하세요! 👋", "a\n\nb", " two  spaces ", "", "e\u0301 ### User:\n", "x" * 40]
IDS = [[1], [1, 29, 500], [5.0, 6], encode("7 * 8")]
MANY = ["x"] * 16

# For each served field the values that are allowed and values that are refused with `invalid_value`.
SERVED = {
    "add_generation_prompt": BOOLEAN,
    "add_special_tokens": BOOLEAN,
    "cache_salt": (["s", "x" * 256], ["", "x" * 257, 1, ["s"]]),
    "continue_final_message": BOOLEAN,
    "echo": BOOLEAN,
    "frequency_penalty": number(-2, 2, 0, 0.5),
    "ignore_eos": BOOLEAN,
    "include": (
        [[], ["message.output_text.logprobs"], ["reasoning.encrypted_content", "message.output_text.logprobs"]],
        [["no.such.part"], [1], "message.output_text.logprobs", {}],
    ),
    "instructions": (["", "Be brief."], [1, ["x"]]),
    "logit_bias": (
        [{}, [], {"5": 100}, {"2047": -100, "300": 1.5}, {str(i): 1 for i in range(300)}],
        [{"05": 1}, {"-1": 1}, {"5": 100.5}, {"5": "1"}, [1], "x", {str(i): 1 for i in range(301)}],
    ),
    "logprobs": BOOLEAN,
    "max_completion_tokens": CAP,
    "max_output_tokens": CAP,
    "max_tokens": CAP,
    "metadata": ([{}, {"a": "b"}, {"k" * 64: "v" * 512}], [{"a": 1}, {"k" * 65: ""}, {"a": "v" * 513}, "x", []]),
    "min_p": number(0, 1, 0.05),
    "min_tokens": whole(0, 2**24, 1, 2, 3),
    "model": (["solard-demo", ""], [1, ["x"], {}]),
    "n": whole(1, 8, 2, 3),
    "n_predict": CAP,
    "presence_penalty": number(-2, 2, 0, 0.5),
    "previous_response_id": ([], [1, ["x"]]),
    "priority": whole(-(2**31), 2**31 - 1, 0),
    "repetition_penalty": ([1, 2, 1.3, 0.5], [0, -0.5, 2.5, "1", True]),
    "return_token_ids": BOOLEAN,
    "return_token_strs": BOOLEAN,
    "seed": ([-1, 0, 7, 42.0, -(2**63), 2**64 - 1, 2**53 + 1], [-(2**63) - 1, 2**64, 1.5, "1", True, [1]]),
    "stop": (
        [[], "x", "is", [" the", "."], "도", MANY, "x" * 256],
        ["", [""], [1], 1, [*MANY, "x"], "x" * 257, "솔" * 86, {"a": 1}],
    ),
    "stop_token_ids": ([[], [VOCABULARY - 1], [2], [29, 300.0], [1] * 64], [[-1], [1.5], 5, [1] * 65, [None], "x"]),
    "store": BOOLEAN,
    "stream": BOOLEAN,
    "stream_options": ([{}], ["x", 1, []]),
    "stream_options.continuous_usage_stats": BOOLEAN,
    "stream_options.include_usage": BOOLEAN,
    "temperature": number(0, 2, 1, 0.2, 0.7, 1e-300),
    "top_k": whole(-1, 2**31 - 1, 0, 1, 5, VOCABULARY),
    "top_logprobs": whole(0, 20, 3),
    "top_p": number(0, 1, 0.05, 0.5, 0.9),
    "truncation": (["auto", "disabled"], ["x", 1]),
    "user": (["", "u" * 512], ["u" * 513, 1]),
}
COMPLETION_LOGPROBS = ([0, 3, 20.0, False], [21, -1, 1.5, "1", True, [1]])
OUTSIDE_OF_VOCABULARY = {"stop_token_ids": [[VOCABULARY]], "logit_bias": [{str(VOCABULARY): 1}]}
# Fields that only the WebSocket has, fields that are written with the conversation, and ignored fields with a limit.
OF_SOCKETS = {"stream_id", "type"}
OF_CONVERSATIONS = {"input", "messages", "prompt", "tokens"}
LABELS = {"user": (["", "u" * 256], ["u" * 257, 1])}


@dataclasses.dataclass
class Case:
    """A request, and the errors of which it must get one: (status, code, param). Without any, the answer is 200."""

    path: str
    body: dict
    errors: set = dataclasses.field(default_factory=set)
    messages: list = dataclasses.field(default_factory=list)  # (role, text) of the conversation, if it is valid
    prompts: list = dataclasses.field(default_factory=list)  # texts or lists of ids of completions and tokenize

    @property
    def kind(self):
        return KINDS[self.path]

    def value(self, name, absent=None):
        """Returns the field's value; a field that is null counts as absent."""
        value = self.body.get(name)
        return absent if value is None else value

    def refuse(self, param, code="invalid_value", status=400):
        self.errors.add((status, code, param))


def same(a, b):
    """Compares JSON values. A member that is null is the same as a member that is absent."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(same(a.get(key), b.get(key)) for key in a | b)
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b


class Builder:
    """Builds requests. `random` is a random.Random; `chance` is the share of values that are to be refused."""

    def __init__(self, random):
        self.random = random
        self.chance = 0

    def build(self):
        self.chance = self.random.choice([0, 0, 0, 0, 0, 0.1, 0.3, 0.6])
        path = self.random.choice([*KINDS, *GENERATING])
        case = Case(path, {})
        self.add_prompt(case)
        plain = [line for line in TABLE if "[" not in line.name and not self.is_member(line)]
        own = {line.name for line in plain if case.kind in line.kinds}
        if path in GENERATING:
            # Answers show their tokens, unless another value of the field is drawn.
            case.body |= {"include": ["message.output_text.logprobs"]} if case.kind == "responses" else {"return_token_ids": True}
            if not self.add_cap(case):
                own -= set(SERVED)
        own = sorted(own - set(case.body) - OF_CONVERSATIONS)
        for name in self.random.sample(own, min(len(own), self.random.randint(0, 9))):
            self.add_field(case, name)
        if self.random.random() < 0.15:
            names = {line.name for line in plain if not any(case.kind in one.kinds for one in TABLE if one.name == line.name)}
            self.add_field(case, self.random.choice(sorted(names - set(case.body))))
        if self.random.random() < 0.1:
            case.body["no_such_field"] = self.random.choice(ANY_VALUES)
        self.apply_rules(case)
        return case

    @staticmethod
    def is_member(line):
        return "." in line.name and not line.name.startswith("speculative.")  # llama.cpp's names have a dot

    def wants_refusal(self):
        return self.random.random() < self.chance

    def add_cap(self, case):
        """Adds a bound for the answer. Returns false if the answer ends by itself, unless served fields change it."""
        name = self.random.choice(CAPS[case.kind])
        if self.random.random() < 0.9:
            case.body[name] = self.random.choice([1, 2, 3.0, 5])
            if self.random.random() < 0.7:
                case.body["seed"] = self.random.choice(SERVED["seed"][0])
            return True
        case.body[name] = self.random.choice([-1, CONTEXT, 2**53, 1e300])
        case.body["temperature"] = 0
        case.errors.clear()
        case.messages = [("user", "What is the capital of France?")]
        case.prompts = [render(case.messages, True)]
        case.body |= {
            "chat": {"messages": [{"role": "user", "content": case.messages[0][1]}]},
            "completions": {"prompt": case.prompts[0]},
            "responses": {"input": case.messages[0][1]},
        }[case.kind]
        return False

    def add_field(self, case, name):
        line = line_of(case.kind, name)
        if self.random.random() < 0.1:
            case.body[name] = None
        elif line is None:  # a field of another route in a body without an answer: unknown and ignored
            case.body[name] = self.random.choice(ANY_VALUES)
        elif self.is_served(case, line):
            self.add_served(case, name)
        else:
            case.body[name], refused = self.judged(line, case.kind)
            if refused is not None:
                case.refuse(name + refused, "unsupported_parameter")

    @staticmethod
    def is_served(case, line):
        label = line.name in LABELS and case.kind in ("chat", "completions")
        return (line.handling == "served" and case.kind in line.kinds and line.name not in OF_SOCKETS) or label

    def add_served(self, case, name):
        if name == "stream_options" and self.random.random() < 0.7:
            return self.add_stream_options(case)
        allowed, refused = SERVED[name]
        if name in LABELS and case.kind != "responses":
            allowed, refused = LABELS[name]
        if name == "logprobs" and case.kind == "completions":
            allowed, refused = COMPLETION_LOGPROBS
        if case.path in GENERATING:  # only an answer needs tokens of the model
            refused = [*refused, *OUTSIDE_OF_VOCABULARY.get(name, [])]
        if name == "model" and self.wants_refusal():
            case.body[name] = "other"
            return case.refuse(name, "model_not_found", 404)
        if refused and (self.wants_refusal() or not allowed):
            case.refuse(name)
            allowed = refused
        case.body[name] = self.random.choice(allowed)
        return None

    def add_stream_options(self, case):
        options = case.body["stream_options"] = {}
        for line in self.random.sample(members_of("stream_options", case.kind), self.random.randint(0, 3)):
            member = line.name.split(".")[1]
            allowed, refused = SERVED.get(line.name, (ANY_VALUES, []))
            if refused and self.wants_refusal():
                case.refuse(line.name)
                allowed = refused
            options[member] = self.random.choice(allowed)

    def judged(self, line, kind):
        """Returns a value for a field that is not served, and None, or the place within the value that must be refused."""
        if line.handling == "ignored":
            return self.random.choice(ANY_VALUES), None
        members = members_of(line.name, kind) if line.handling == "neutral" else []
        if members and self.random.random() < 0.7:
            value, problems = {}, []
            for member in self.random.sample(members, self.random.randint(1, min(3, len(members)))):
                key = member.name[len(line.name) + 1 :]
                value[key], problem = self.judged(member, kind)
                problems += [f".{key}{problem}"] if problem is not None else []
            if any(same(value, one) for one in line.neutral):
                problems = []
            return value, problems[0] if problems else None
        wants_refusal = self.wants_refusal()
        if line.neutral and not wants_refusal:
            value = self.random.choice(line.neutral)
            is_number = isinstance(value, int) and not isinstance(value, bool)
            return (float(value) if is_number and self.random.random() < 0.3 else value), None
        if not wants_refusal:
            return None, None
        is_neutral = lambda value: any(same(value, one) for one in line.neutral) or (value == {} and members)  # noqa: E731
        return self.random.choice([value for value in ANY_VALUES if value != {"x": 1} and not is_neutral(value)]), ""

    # The prompt of each kind of body.

    def add_prompt(self, case):
        if case.kind == "completions":
            return self.add_prompts(case)
        if case.kind == "detokenize":
            return self.add_tokens(case)
        if case.kind == "tokenize" and self.random.random() < 0.5:
            case.body["prompt"] = self.random.choice(TEXTS)
            case.prompts = [case.body["prompt"]]
            return None
        name = "input" if case.kind == "responses" else "messages"
        if name == "input" and self.random.random() < 0.2:
            case.body["input"] = self.random.choice(TEXTS)
            case.messages = [("user", case.body["input"])]
            return None
        if self.wants_refusal() and self.random.random() < 0.2:
            case.body[name] = self.random.choice([[], {}, 1, *([] if name == "input" else ["x", None])])
            return case.refuse(name)
        case.body[name] = [self.message(case, f"{name}[{i}]") for i in range(self.random.randint(1, 3))]
        return None

    def add_prompts(self, case):
        pick = self.random.choice
        text, ids = pick(TEXTS), pick(IDS)
        valid = [(text, [text]), ([text, "Hi"], [text, "Hi"]), (ids, [ids]), ([ids, [1]], [ids, [1]]), (["Hi"] * 3, ["Hi"] * 3)]
        case.body["prompt"], case.prompts = pick(valid)
        if self.wants_refusal() and self.random.random() < 0.3:
            wrong = [[], 1, ["Hi", 1], [[1], "Hi"], [1.5], [-1], {}, [[]], ["x"] * 129, [VOCABULARY], [1, "x"]]
            case.body["prompt"] = pick(wrong)
            case.refuse("prompt")

    def add_tokens(self, case):
        case.body["tokens"] = self.random.choice([*IDS, []])
        if self.wants_refusal():
            case.body["tokens"] = self.random.choice([1, "x", {}, [VOCABULARY], [-1], [0.5], ["x"], [[1]], None])
            case.refuse("tokens")

    def message(self, case, place):
        """Returns a random message and adds its meaning to the case."""
        role = self.random.choice(["system", "developer", "user", "user", "assistant", "assistant"])
        message = {"role": role}
        if role == "assistant" and self.random.random() < 0.2:
            message |= self.random.choice([{}, {"content": None}, {"refusal": "No."}, {"content": None, "refusal": None}])
            text = message.get("refusal") or ""
        elif self.random.random() < 0.5:
            message["content"] = text = self.random.choice(TEXTS)
        else:
            message["content"], text = self.parts(case, place)
        if role != "assistant" and self.wants_refusal() and self.random.random() < 0.2:
            message["content"] = self.random.choice([None, 1, {}, [1], [{}], [{"type": "text"}]])
            case.refuse(f"{place}.content")
        if self.wants_refusal() and self.random.random() < 0.2:
            message["role"] = self.random.choice(["king", None, 1])
            case.refuse(f"{place}.role")
        self.add_members(case, message, place, place[: place.index("[")] + "[].")
        case.messages.append(("system" if role == "developer" else role, text))
        return message

    def parts(self, case, place):
        parts, texts = [], []
        for index in range(self.random.randint(1, 2)):
            text = self.random.choice(TEXTS)
            kind = self.random.choice(["string", "text", "input_text", "output_text", "refusal"])
            part = text if kind == "string" else {"type": kind, "refusal" if kind == "refusal" else "text": text}
            if kind != "string":
                self.add_members(case, part, f"{place}.content[{index}]", place[: place.index("[")] + "[].content[].")
            parts.append(part)
            texts.append(text)
        if self.wants_refusal() and self.random.random() < 0.2:
            parts.append({"type": "image_url", "image_url": {"url": "data:,"}})
            case.refuse(f"{place}.content", "unsupported_input")
        return parts, "\n".join(texts)

    def add_members(self, case, item, place, prefix):
        """Adds members of the table to a message or a part."""
        lines = [line for line in TABLE if line.name.startswith(prefix) and "[" not in line.name[len(prefix) :]]
        for line in self.random.sample(lines, self.random.choice([0, 0, 1, 2])):
            key = line.name[len(prefix) :]
            if line.handling == "served" or key in item:
                continue
            item[key], refused = self.judged(line, line.kinds[0])
            if refused is not None:
                case.refuse(f"{place}.{key}{refused}", "unsupported_parameter")

    # The rules between fields.

    def apply_rules(self, case):
        kind, body, value = case.kind, case.body, case.value
        wrong = {param for _, _, param in case.errors}
        if value("tool_choice") == "none":
            case.errors.discard((400, "unsupported_parameter", "tools"))
        if value("function_call") == "none":
            case.errors.discard((400, "unsupported_parameter", "functions"))
        n = value("n", 1) if "n" not in wrong and kind != "tokenize" else 1
        if kind == "completions" and value("best_of") == n and not isinstance(value("best_of"), bool):
            case.errors.discard((400, "unsupported_parameter", "best_of"))
        if kind == "responses" and n != 1:
            case.refuse("n")
        if value("stream_options") and value("stream") is not True and kind in ("chat", "completions"):
            if not any(param.startswith("stream_options") for param in wrong):
                case.refuse("stream_options")
        caps = [int(value(name)) for name in CAPS.get(kind, ()) if value(name) is not None and name not in wrong]
        if any(0 < cap < value("min_tokens", 0) for cap in caps if "min_tokens" not in wrong):
            case.refuse("min_tokens")
        if kind == "chat" and value("top_logprobs", 0) and value("logprobs") is not True and "top_logprobs" not in wrong:
            case.refuse("top_logprobs")
        if kind == "completions" and value("echo") is True and value("logprobs", False) is not False:
            del body["echo"]  # the two together are not served yet
        reads_messages = bool(case.messages) and "input" not in wrong
        continues = value("continue_final_message") is True and not isinstance(body.get("prompt"), str)
        if continues and kind in ("chat", "responses", "tokenize"):
            if value("add_generation_prompt") is True or (reads_messages and case.messages[-1][0] != "assistant"):
                case.refuse("continue_final_message")
        if kind == "tokenize" and isinstance(body.get("prompt"), str):
            # vLLM reads these fields of a conversation only if there is one.
            for name in ("add_generation_prompt", "continue_final_message"):
                case.errors.discard((400, "invalid_value", name))
