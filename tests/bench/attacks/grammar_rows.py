"""Schemas and grammars that are much work for a compiler, or for those who follow them."""

import asyncio
import collections
import pathlib
import time

from client import Connection, ask, chat
from rows import SMALL_CACHE, mb, row, touch_cache

DEADLINE = 1  # --grammar-timeout, seconds
NUM_CLIENTS = 4


def nested(schema, wrap, levels):
    for _ in range(levels):
        schema = wrap(schema)
    return schema


def tags(count):
    """Returns schemas which exclude each other."""
    return [{"type": "object", "properties": {"t": {"const": i}, "x": {"type": "string"}}, "required": ["t"]} for i in range(count)]


def string(pattern, **more):
    return {"type": "string", "pattern": pattern, **more}


OBJECT = {"type": "object"}
MANY_OPTIONAL = {"type": "object", "properties": {f"p{i}": {"type": "integer"} for i in range(1000)}}
HOSTILE = {
    # Schemas
    "nested oneOf": {"json_schema": nested({"oneOf": tags(8)}, lambda inner: {"oneOf": [{"type": "array", "items": inner}, *tags(7)]}, 14)},
    "nested anyOf": {"json_schema": nested({}, lambda inner: {"anyOf": [inner] * 4}, 6)},
    "deep arrays": {"json_schema": nested({}, lambda inner: {"type": "array", "items": inner}, 200)},
    "long lists of lists": {"json_schema": nested(OBJECT, lambda inner: {"type": "array", "items": inner, "minItems": 9999, "maxItems": 10000}, 5)},
    "huge enum": {"json_schema": {"enum": [f"value {i} " + "x" * 40 for i in range(1000)]}},
    "enum of long values": {"json_schema": {"enum": ["ab" * 15_000, "ba" * 15_000]}},
    "recursive references": {"json_schema": {"$defs": {f"d{i}": {"anyOf": [{"$ref": f"#/$defs/d{j}"} for j in range(20)]} for i in range(20)}, "$ref": "#/$defs/d0"}},
    "references in a ring": {"json_schema": {"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}},
    "recursion without end": {"json_schema": {"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}},
    "1000 optional properties": {"json_schema": MANY_OPTIONAL},
    "1000 properties, four times": {"json_schema": {"type": "array", "prefixItems": [MANY_OPTIONAL] * 2}},
    "unknown keywords": {"json_schema": {"type": "object", "patternProperties": {"(a+)+$": {}}, "not": {}}},
    "multiples": {"json_schema": {"type": "array", "prefixItems": [{"type": "integer", "multipleOf": 999 - i} for i in range(60)]}},
    "string lengths": {"json_schema": {"type": "array", "prefixItems": [{"type": "string", "minLength": 5000 + i, "maxLength": 10_000} for i in range(100)]}},
    "300 patterns": {"json_schema": {"type": "array", "prefixItems": [string("^(a|b)*a(a|b){6}$") for _ in range(300)]}},
    "exponential pattern": {"json_schema": string("^(a|b)*a(a|b){25}$")},
    "pattern and length": {"json_schema": string("^(a?){500}(b|c)*$", minLength=900, maxLength=10_000)},
    "lookahead": {"json_schema": string("^(?=a+)+$")},
    # Regular expressions
    "1 MB regex": {"guided_regex": "(ab|cd)" * 150_000},
    "64 KiB regex": {"guided_regex": "(ab|c.)*" * 8_000},
    "nested repetition": {"guided_regex": "((((a{1,100}){1,100}){1,100}){1,100}){1,100}"},
    "catastrophic repetition": {"guided_regex": "(a*)*(a*)*(a|a)*(a|aa)+$"},
    "many wildcards": {"guided_regex": "(.*a.*b.*c.*){400}"},
    "deep groups": {"guided_regex": "(" * 30_000 + ")" * 30_000},
    "wide classes": {"guided_regex": "[" + "".join(chr(0x100 + 2 * i) for i in range(15_000)) + "]{50}"},
    # Grammars
    "left recursion": {"grammar": 'root ::= root "a" | root root | "a"'},
    "ambiguous": {"grammar": 'root ::= s\ns ::= "" | "a" s s s s | s2 s2\ns2 ::= "a" s | "b" s s'},
    "counted repetition": {"grammar": "root ::= (((a{1,9000}){1,9000}){1,9000}){1,9000}\na ::= [a-z]{1,9000}"},
    "deep brackets": {"grammar": "root ::= " + "(" * 20_000 + '"a"' + ")" * 20_000},
    "2000 rules": {"grammar": "root ::= r0\n" + "\n".join(f'r{i} ::= "a" r{(i + 7) % 1500} | "b" r{(i * 3) % 1500} r{(i + 1) % 1500} | ""' for i in range(1500))},
    "macro": {"grammar": 'root ::= TagDispatch(("a", root), loop_after_dispatch=true)'},
    "lark": {"guided_grammar": "start: x x x x\nx: /(a|b)*a(a|b){20}/ | x2 x2\nx2: x | /.*/"},
}  # fmt: skip


def children_of(pid):
    return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


@row("grammars", f"{NUM_CLIENTS} clients send {len(HOSTILE)} schemas and grammars that are much work",
     "each is refused or served within the deadline and a turn of each client; afterwards, no process is left, and memory grows by "
     "at most the cache and 32 MB",
     flags=[*SMALL_CACHE, "--grammar-cache-size", "16MiB"])  # fmt: skip
async def hostile_grammars(attack):
    server = attack.server
    await touch_cache(server)
    await ask(server.port, "POST", "/v1/chat/completions", chat(4, guided_choice=["a"]))
    before = server.memory()
    results = collections.defaultdict(set)
    slowest = 0

    async def attacker(shift):
        nonlocal slowest
        names = [*HOSTILE][shift:] + [*HOSTILE][:shift]
        for name in names:
            connection = await Connection.open(server.port, None, f"127.0.1.{shift + 1}")
            begin = time.monotonic()
            answer = await connection.request("POST", "/v1/chat/completions", chat(32, **HOSTILE[name]))
            slowest = max(slowest, time.monotonic() - begin)
            results[name].add(answer.status)
            connection.close()

    await asyncio.gather(*(attacker(shift) for shift in range(NUM_CLIENTS)))
    await asyncio.sleep(DEADLINE)
    left, grown = len(children_of(server.pid)), server.memory() - before
    statuses = collections.Counter(status for found in results.values() for status in found)
    wrong = {name: found for name, found in results.items() if not found <= {200, 400, 413, 503}}
    measured = f"statuses {dict(sorted(statuses.items()))}, slowest {slowest:.1f} s, {left} processes left, {mb(grown)}"
    limit = DEADLINE * (NUM_CLIENTS + 1) + 1
    return measured + (f", wrong: {wrong}" if wrong else ""), not wrong and slowest <= limit and left == 0 and grown <= 48e6
