"""Builds random requests for every route, and says how each must be answered.

What happens to a field is read from the table `server/api/peer_fields.tsv`, and the values of served fields are those of
`field_values.py`. The rules between fields are written here, after the descriptions in `openapi.json`.
"""

import dataclasses

from field_table import TABLE, line_of, members_of, same
from field_values import (
    ANY_VALUES,
    COMPLETION_LOGPROBS,
    IDS,
    LABELS,
    NEEDS_FEW_TOKENS,
    OF_CONVERSATIONS,
    OF_SOCKETS,
    OUTSIDE_OF_VOCABULARY,
    SERVED,
    SHAPING,
    TEXTS,
    THREE_TOKENS,
    WITHOUT_EFFECT_ON_SOCKETS,
)
from reference_model import CONTEXT, VOCABULARY, render

SOCKET = "ws /v1/responses"
KINDS = {
    "/v1/chat/completions": "chat",
    "/v1/chat/completions/render": "chat",
    "/v1/completions": "completions",
    "/v1/responses": "responses",
    SOCKET: "responses",
    "/v1/responses/input_tokens": "responses",
    "/tokenize": "tokenize",
    "/detokenize": "detokenize",
}
GENERATING = ("/v1/chat/completions", "/v1/completions", "/v1/responses", SOCKET)  # the routes that answer a prompt
CAPS = {
    "chat": ("max_completion_tokens", "max_tokens", "n_predict"),
    "completions": ("max_tokens", "max_completion_tokens", "n_predict"),
    "responses": ("max_output_tokens",),
}


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


def requests_from_table(random, count):
    """Builds the requests. Each is about one line of the table and has other fields besides.

    First, every line gets a value that must be refused (if there is one) among fields that are allowed, and then a value
    that is allowed. The rest have any values.
    """
    shaping = [line for line in TABLE if line.name in SHAPING]
    rounds = (("refused", TABLE), ("allowed", TABLE + 10 * shaping))
    plan = [(wish, line) for wish, lines in rounds for line in random.sample(lines, len(lines))]
    plan += [("mixed", random.choice(TABLE)) for _ in range(count - len(plan))]
    return [Builder(random, wish).build(line) for wish, line in plan]


class Builder:
    """Builds one request with random values from `random`, a random.Random."""

    def __init__(self, random, wish):
        self.random = random
        self.wish = wish  # what the main field gets: a value that is "refused" or "allowed", or either ("mixed")
        self.chance = 0.3 if wish == "mixed" else 0  # of each value to be one that is refused

    def build(self, line):
        kind = self.random.choice(line.kinds)
        paths = [path for path in (GENERATING if line.name in SHAPING else KINDS) if KINDS[path] == kind]
        case = Case(self.random.choice(paths), {})
        self.add_prompt(case)
        plain = [one for one in TABLE if "[" not in one.name and not self.is_member(one)]
        fillers = {one.name for one in plain if kind in one.kinds} - OF_CONVERSATIONS
        if case.path in GENERATING:
            # Answers show their tokens, unless another value of the field is drawn.
            case.body |= {"include": ["message.output_text.logprobs"]} if kind == "responses" else {"return_token_ids": True}
            if not self.add_cap(case, line):
                fillers -= set(SERVED)
        self.add_main(case, line)
        if line.name in SHAPING and case.path in GENERATING:
            case.body["temperature"] = self.random.choice([1.5, 2])  # the field changes little among few likely tokens
            if line.name in NEEDS_FEW_TOKENS:
                case.body["logit_bias"] = THREE_TOKENS
        fillers = sorted(fillers - set(case.body))
        for name in self.random.sample(fillers, min(len(fillers), self.random.randint(0, 6))):
            self.add_field(case, name)
        if self.random.random() < 0.3:
            names = {one.name for one in plain if not any(kind in other.kinds for other in TABLE if other.name == one.name)}
            self.add_field(case, self.random.choice(sorted(names - set(case.body))))
        if case.path in GENERATING and case.kind != "responses" and self.random.random() < 0.1:
            self.score_prompt(case)
        if self.random.random() < 0.1:
            case.body["no_such_field"] = self.random.choice(ANY_VALUES)
        self.apply_rules(case)
        return case

    def score_prompt(self, case):
        """Makes the request ask for the log-probabilities of its prompt, often without an answer."""
        fields = {"prompt_logprobs": self.random.choice(SERVED["prompt_logprobs"][0])}
        if case.kind == "completions" and self.random.random() < 0.5:
            fields = {"echo": True, "logprobs": self.random.choice(COMPLETION_LOGPROBS[0])}
        case.body |= fields
        case.errors -= {(400, "invalid_value", name) for name in fields}
        cap = self.random.choice(CAPS[case.kind])
        if self.random.random() < 0.5 and (400, "invalid_value", cap) not in case.errors:
            case.body[cap] = 0

    def add_main(self, case, line):
        """Adds the field that the request is about. The parts of a conversation are random already."""
        chance = self.chance
        self.chance = {"refused": 1, "allowed": 0, "mixed": 0.5}[self.wish]
        if "[" in line.name:
            self.add_main_member(case, line)
        elif self.is_member(line):
            self.add_main_object(case, line)
        elif line.name not in OF_CONVERSATIONS:
            self.add_value(case, line.name)
        self.chance = chance

    def add_main_object(self, case, line):
        name, key = line.name.split(".")
        if name == "stream_options" and line_of(case.kind, name).handling == "served":
            return self.add_stream_options(case)
        if line.handling == "served":
            allowed, refused = SERVED[line.name]
            if self.wants_refusal():
                case.refuse(line.name)
                allowed = refused
            case.body[name] = {key: self.random.choice(allowed)}
            return None
        value, refused = self.judged(line, case.kind)
        case.body[name] = {key: value}
        is_neutral = any(same(case.body[name], one) for one in line_of(case.kind, name).neutral)
        if refused is not None and line_of(case.kind, name).handling in ("neutral", "served") and not is_neutral:
            case.refuse(f"{name}.{key}{refused}", "unsupported_parameter")
        return None

    def add_main_member(self, case, line):
        """Adds a member to the first message, or to its first part."""
        name = line.name[: line.name.index("[")]
        key = line.name.split("[].")[-1]
        messages = case.body[name]
        if line.handling == "served" or not isinstance(messages, list) or not messages:
            return
        item, place = messages[0], f"{name}[0]"
        if "content[]" in line.name:
            if not isinstance(item.get("content"), list) or not isinstance(item["content"][0], dict):
                return
            item, place = item["content"][0], f"{place}.content[0]"
        case.errors -= {error for error in case.errors if error[2].startswith(f"{place}.{key}")}
        item[key], refused = self.judged(line, line.kinds[0])
        if refused is not None:
            case.refuse(f"{place}.{key}{refused}", "unsupported_parameter")

    @staticmethod
    def is_member(line):
        return "." in line.name and not line.name.startswith("speculative.")  # llama.cpp's names have a dot

    def wants_refusal(self):
        return self.random.random() < self.chance

    def add_cap(self, case, line):
        """Adds a bound for the answer. Returns false if the answer ends by itself, unless served fields change it."""
        name = self.random.choice(CAPS[case.kind])
        if line.name != name and (line.handling == "served" or "[" in line.name or self.random.random() < 0.8):
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
        if self.random.random() < 0.1:
            case.body[name] = None
        else:
            self.add_value(case, name)

    def add_value(self, case, name):
        line = line_of(case.kind, name)
        if case.path == SOCKET and name in OF_SOCKETS:
            return
        if case.path == SOCKET and name in WITHOUT_EFFECT_ON_SOCKETS:
            case.body[name] = self.random.choice(ANY_VALUES)
            return
        if line is None:  # a field of another route in a body without an answer: unknown and ignored
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
        if refused and self.wants_refusal():
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
        scores = kind in ("chat", "completions") and value("prompt_logprobs") is not None and "prompt_logprobs" not in wrong
        if scores and value("stream") is True:
            case.refuse("prompt_logprobs")
        if scores or (kind == "completions" and value("echo") is True):
            zero = {name for name in CAPS[kind] if value(name) == 0 and not isinstance(value(name), bool)}
            case.errors -= {(400, "invalid_value", name) for name in zero}
            wrong -= zero
        caps = [int(value(name)) for name in CAPS.get(kind, ()) if value(name) is not None and name not in wrong]
        if any(0 <= cap < value("min_tokens", 0) for cap in caps if "min_tokens" not in wrong):
            case.refuse("min_tokens")
        if kind == "chat" and value("top_logprobs", 0) and value("logprobs") is not True and "top_logprobs" not in wrong:
            case.refuse("top_logprobs")
        if kind == "completions" and value("add_special_tokens") is False and "" in case.prompts:
            case.refuse("prompt")  # no token is left
        reads_messages = bool(case.messages) and "input" not in wrong
        continues = value("continue_final_message") is True and not isinstance(body.get("prompt"), str)
        if continues and kind in ("chat", "responses", "tokenize"):
            if value("add_generation_prompt") is True or (reads_messages and case.messages[-1][0] != "assistant"):
                case.refuse("continue_final_message")
        if kind == "tokenize" and isinstance(body.get("prompt"), str):
            # vLLM reads these fields of a conversation only if there is one.
            of_messages = ("add_generation_prompt", "continue_final_message", "chat_template_kwargs", "documents", "tools", "tool_choice")
            for name in of_messages:
                case.errors.discard((400, "invalid_value", name))
