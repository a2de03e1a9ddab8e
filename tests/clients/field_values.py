"""Values for the fields of the random requests: which are allowed and which must be refused.

What happens to a field that is not served is in the table `server/api/peer_fields.tsv`. The values of served fields are
written here, after the descriptions in `openapi.json`.
"""

from reference_model import CONTEXT, VOCABULARY, encode

ANY_VALUES = [True, False, 0, 1, -1, 0.5, 7, "", "none", "x", [], ["x"], {}, {"x": 1}]
BOOLEAN = ([True, False], [1, 0, "true", [], {}])


def number(low, high, *more):
    return [low, high, *more], [low - 0.5, high + 0.5, 2**63, "1", True, [low], {}]


def whole(low, high, *more):
    return [low, high, float(high) if abs(high) < 2**53 else high, *more], [low - 1, high + 1, 1.5, "1", True, [low], {}]


# A cap of 0 is refused, unless the answer tells of its prompt.
CAP = ([-1, 1, 2.0, CONTEXT, 2**53, 2**64 - 1, 1e300], [0, -2, 1.5, "1", True, [1]])
TEXTS = ["Hi", "What is the capital of France?", "7 * 8", "안녕하세요! 👋", "a\n\nb", " two  spaces ", "", "e\u0301 ### User:\n", "x" * 40]
IDS = [[1], [1, 29, 500], [5.0, 6], encode("7 * 8")]
MANY = ["x"] * 16

# Biases that leave little but three tokens, those of the bytes 2 to 4, so that an answer repeats them.
THREE_TOKENS = {"5": 100, "6": 97, "7": 94.5}

# For each served field the values that are allowed and values that are refused with `invalid_value`.
SERVED = {
    "add_generation_prompt": BOOLEAN,
    "add_special_tokens": BOOLEAN,
    "cache_salt": (["s", "x" * 256], ["", "x" * 257, 1, ["s"]]),
    "chat_template_kwargs": ([{}, {"enable_thinking": True, "name": "</s>"}], [[], "x", 1]),
    "continue_final_message": BOOLEAN,
    "documents": ([[], [{"title": "a", "text": "b"}]], [{}, "x", ["x"], [1]]),
    "echo": BOOLEAN,
    "frequency_penalty": number(-2, 2, 0, 0.5),
    # The values restrict nothing, because the reference model knows no grammars.
    "grammar": ([None, ""], [1, [], "root ::= (", 'root ::= Token(1)']),
    "guided_choice": ([None], ["x", [], [1], {}]),
    "guided_grammar": ([None, ""], [1, [], "root ::= (", "start: %json {}"]),
    "guided_json": ([None], [1, [], "{", {"not": {}}]),
    "guided_regex": ([None, ""], [1, [], "(", "a(?=b)"]),
    "ignore_eos": BOOLEAN,
    "include": (
        [[], ["message.output_text.logprobs"], ["reasoning.encrypted_content", "message.output_text.logprobs"]],
        [["no.such.part"], [1], "message.output_text.logprobs", {}],
    ),
    "instructions": (["", "Be brief."], [1, ["x"]]),
    "json_schema": ([None], [1, [], "{", {"not": {}}]),
    "logit_bias": (
        [{}, [], {"5": 100}, THREE_TOKENS, {str(i): -0.5 * i for i in range(200)}, {str(i): 1 for i in range(300)}],
        [{"05": 1}, {"-1": 1}, {"5": 100.5}, {"5": "1"}, [1], "x", {str(i): 1 for i in range(301)}],
    ),
    "logprobs": BOOLEAN,
    "max_completion_tokens": CAP,
    "max_output_tokens": CAP,
    "max_tokens": CAP,
    "metadata": ([{}, {"a": "b"}, {"k" * 64: "v" * 512}], [{"a": 1}, {"k" * 65: ""}, {"a": "v" * 513}, "x", []]),
    "min_p": number(0, 1, 0.05, 0.3),
    "min_tokens": whole(0, 2**24, 1, 2, 3),
    "model": (["solard-demo", ""], [1, ["x"], {}]),
    "n": whole(1, 8, 2, 3),
    "n_predict": CAP,
    "parallel_tool_calls": BOOLEAN,
    "parse_special": BOOLEAN,
    "presence_penalty": number(-2, 2, 0, 0.5),
    "previous_response_id": ([None], [1, ["x"]]),
    "priority": whole(-(2**31), 2**31 - 1, 0),
    "prompt_logprobs": whole(0, 20, 3),
    "repetition_penalty": ([1, 2, 1.3, 0.5], [0, -0.5, 2.5, "1", True]),
    "response_format": ([{"type": "text"}, {"type": "text", "json_schema": None}], ["x", 1, []]),
    "return_token_ids": BOOLEAN,
    "return_token_strs": BOOLEAN,
    "seed": ([-1, 0, 7, 42.0, -(2**63), 2**64 - 1, 2**53 + 1], [-(2**63) - 1, 2**64, 1.5, "1", True, [1]]),
    "skip_special_tokens": BOOLEAN,
    "stop": (
        [[], "x", "is", [" the", "."], "도", MANY, "x" * 256, "\x02", ["x", "\x02\x02"], ["\x03", "\x02\x04"]],
        ["", [""], [1], 1, [*MANY, "x"], "x" * 257, "솔" * 86, {"a": 1}],
    ),
    "stop_token_ids": ([[], [VOCABULARY - 1], [2], [29, 300.0], [1] * 64, [6, 5], [7, 6.0]], [[-1], [1.5], 5, [1] * 65, [None], "x"]),
    "store": BOOLEAN,
    "stream": BOOLEAN,
    "stream_options": ([{}], ["x", 1, []]),
    "stream_options.continuous_usage_stats": BOOLEAN,
    "stream_options.include_usage": BOOLEAN,
    "structured_outputs": ([{}, {"json": None}], ["x", 1, []]),
    "structured_outputs.grammar": ([None, ""], [1, [], "root ::= (", "start: %json {}"]),
    "structured_outputs.regex": ([None, ""], [1, [], "(", "a(?=b)"]),
    "temperature": number(0, 2, 1, 0.2, 0.7, 1e-300),
    "text": ([{}, {"format": {"type": "text"}}], ["x", 1, []]),
    "text.format": ([{"type": "text"}], ["x", 1, []]),
    # Requests with tools are in test_tools.py: the reference model has none.
    "tool_choice": (["none", "auto"], ["some", 1, [], {}, "required"]),
    "tools": ([[]], [{}, "x", 1, True]),
    "top_k": whole(-1, 2**31 - 1, 0, 1, 2, 3, 5, VOCABULARY),
    "top_logprobs": whole(0, 20, 3),
    "top_p": number(0, 1, 0.05, 0.3, 0.5, 0.9),
    "truncation": (["auto", "disabled"], ["x", 1]),
    "user": (["", "u" * 512], ["u" * 513, 1]),
}
COMPLETION_LOGPROBS = ([0, 3, 20.0, False], [21, -1, 1.5, "1", True, [1]])
OUTSIDE_OF_VOCABULARY = {"stop_token_ids": [[VOCABULARY]], "logit_bias": [{str(VOCABULARY): 1}]}
# Fields that change which of the likely tokens is chosen, or which of them ends the answer.
SHAPING = {"frequency_penalty", "logit_bias", "min_p", "presence_penalty", "repetition_penalty", "seed", "stop", "stop_token_ids",
           "top_k", "top_p"}  # fmt: skip
NEEDS_FEW_TOKENS = {  # these change little unless tokens are repeated
    "frequency_penalty", "presence_penalty", "stop", "stop_token_ids",
}
# Fields that only the WebSocket has, fields that are written with the conversation, and ignored fields with a limit.
OF_SOCKETS = {"stream_id", "type"}
WITHOUT_EFFECT_ON_SOCKETS = {"background", "stream"}  # as server/ws/PROTOCOL.md says
OF_CONVERSATIONS = {"input", "messages", "prompt", "tokens"}
LABELS = {"user": (["", "u" * 256], ["u" * 257, 1])}
