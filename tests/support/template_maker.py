"""Makes random chat templates and conversations, for the comparison with Jinja2."""

import random

TEXTS = ["", "Hi", " two  words ", "a\nb\n", "Grüße, ẞ ǆ", "안녕하세요", "<|im_end|>", "it's \"quoted\"", "[INST] x [/INST]",
         "a,b,,c", "\u2028x\t", "{{ x }}", "UPPER lower", "-5", "3.5", "tab\there", "emoji 👩‍👩‍👧 é"]
ROLES = ["system", "user", "assistant", "tool"]
LITERALS = ["''", "'x'", '"a b"', "'\\n'", "'it\\'s'", "','", "'role'", "'content'", "'user'", "'<s>'", "'é\\u00df'", "'%'"]
STRING_FILTERS = ["upper", "lower", "title", "capitalize", "trim", "string", "length", "safe", "tojson", "list", "first",
                  "last", "reverse", "int", "float", "wordcount", "replace('a', 'bb')", "default('d')", "default('d', true)",
                  "indent", "indent(2, true)", "indent(width=1, blank=true)", "trim('x')", "join('-')", "count",
                  "replace('', '.')", "replace(' ', '_', 1)", "d(1)", "abs", "round(1)", "attr('x')"]
METHODS = ["strip()", "lstrip()", "rstrip()", "strip('x ')", "split()", "split(',')", "split(' ', 1)", "rsplit(',', 1)",
           "splitlines()", "startswith('a')", "endswith(('x', 'b'))", "upper()", "lower()", "title()", "capitalize()",
           "replace('a', '')", "find('b')", "rfind('b')", "count('a')", "join(['a', 'b'])", "isdigit()", "isupper()",
           "islower()", "removeprefix('a')", "removesuffix('b')", "partition(' ')", "rpartition(',')", "isspace()",
           "split(none, 1)", "rsplit(none, 1)", "splitlines(true)", "no_such_method()"]
LIST_FILTERS = ["length", "first", "last", "list", "reverse | list", "join", "join(', ')", "tojson", "map('string') | list",
                "map('upper') | join(' ')", "select | list", "reject('none') | list", "select('string') | list", "sort",
                "unique | list", "max", "min", "sum", "count", "map(attribute='role') | list", "tojson(indent=2)",
                "selectattr('role', 'equalto', 'user') | list", "rejectattr('content') | map(attribute='content') | list",
                "map(attribute='role') | join(',')", "selectattr('role', 'defined') | list | length", "sort(reverse=true)",
                "sort(attribute='role') | map(attribute='content') | list", "map('length') | list", "list | tojson",
                "selectattr('role', 'in', ['user']) | first", "map('default', 'x') | list", "map('tojson') | list"]
DICT_USES = ["{}.items() | list", "{} | items | list", "{}.keys() | list", "{}.values() | list", "{}.get('role')",
             "{}.get('nothing', 7)", "{} | length", "{} | tojson", "{} | dictsort", "{} | list", "{}.role", "{}['content']",
             "{}.missing", "{} | string", "{} | tojson(indent=4)", "dict({}, x=1)", "{}.content | trim",
             "{} | tojson(separators=(',', ':'))", "{} | tojson(sort_keys=true)", "{} | dictsort(reverse=true) | first"]
TESTS = ["defined", "undefined", "none", "string", "number", "mapping", "iterable", "sequence", "true", "false", "boolean",
         "integer", "float", "odd", "even", "divisibleby 3", "in ['user', 1]", "eq 'x'", "equalto('user')", "ne 3", "lower",
         "upper", "callable", "gt 1", "lessthan(2)", "sameas none"]
SPACES = ["", " ", "\n", "  \n", "\n  ", "\t", "\n\n", " \n \n "]


class Maker:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self.names = []  # variables which the template has set so far
        self.loops = 0
        self.in_messages = False  # the loop around runs over messages
        self.macros = []

    def pick(self, options):
        return self.random.choice(options)

    def chance(self, probability):
        return self.random.random() < probability

    # ---- expressions

    def text(self, depth):
        kind = self.random.randrange(10) if depth > 0 else self.random.randrange(3)
        if kind <= 1:
            return self.pick(LITERALS)
        if kind == 2:
            options = ["message.content", "message['role']"] if self.in_messages else ["name"]
            return self.pick([*options, "bos_token", "eos_token", "name"])
        if kind == 3:
            return f"({self.text(depth - 1)} + {self.text(depth - 1)})"
        if kind == 4:
            return f"({self.any(depth - 1)} ~ {self.any(depth - 1)})"
        if kind == 5:
            return f"{self.text(depth - 1)}.{self.pick(METHODS)}"
        if kind == 6:
            return f"({self.text(depth - 1)} | {self.pick(STRING_FILTERS)})"
        if kind == 7:
            return f"({self.text(depth - 1)} ~ name)[{self.slice(depth)}]"
        if kind == 8:
            return f"({self.text(depth - 1)} if {self.truth(depth - 1)} else {self.text(depth - 1)})"
        return f"({self.text(depth - 1)} * {self.pick(['0', '2', '3', '-1'])})"

    def slice(self, depth):
        part = lambda: self.pick(["", "", "0", "1", "-1", "2", "-2", "5", "numbers | length"])
        return self.pick([f"{part()}:{part()}", f"{part()}:{part()}:{self.pick(['', '1', '2', '-1', '-2'])}",
                          self.pick(["0", "-1", "1", "9"])])

    def number(self, depth):
        kind = self.random.randrange(7) if depth > 0 else self.random.randrange(3)
        if kind <= 1:
            return self.pick(["0", "1", "2", "-3", "10", "0.5", "2.0", "1e3", "7", "0x1f", "1_000"])
        if kind == 2:
            loop = ["loop.index", "loop.index0", "loop.revindex", "loop.length", "loop.revindex0"] if self.loops else ["3"]
            return self.pick([*loop, "numbers[0]", "numbers | length"])
        if kind == 3:
            return f"(messages | length - {self.pick(['0', '1'])})"
        operator = self.pick(["+", "-", "*", "//", "%", "/", "**"])
        right = self.pick(["0", "1", "2", "3"]) if operator == "**" else self.number(depth - 1)
        return f"({self.number(depth - 1)} {operator} {right})"

    def list(self, depth):
        kind = self.random.randrange(7) if depth > 0 else self.random.randrange(2)
        if kind == 0:
            return self.pick(["messages", "numbers", "tools", "documents"])
        if kind == 1:
            return self.pick(["[]", "[1, 'a', none]", "['b', 'a', 'B']", "(1, 2)", "range(3) | list", "range(5, 1, -2) | list", "[3, 1.5, 2]"])
        if kind == 2:
            return f"[{', '.join(self.any(depth - 1) for _ in range(self.random.randrange(4)))}]"
        if kind == 3:
            return f"({self.list(depth - 1)} | list)[{self.slice(depth)}]"
        if kind == 4:
            return f"({self.list(depth - 1)} + {self.list(depth - 1)})"
        return f"({self.list(depth - 1)} | {self.pick(LIST_FILTERS)})"

    def dict(self, depth):
        options = ["messages[0]", "{'role': 'x', 'n': 1}", "{}", "tools[0]", "messages[-1]"]
        return self.pick([*options, "message"] if self.in_messages else options)

    def truth(self, depth):
        kind = self.random.randrange(9) if depth > 0 else self.random.randrange(3)
        if kind == 0:
            return self.pick(["true", "false", "add_generation_prompt", "none", "missing", "name"])
        if kind == 1:
            return self.pick(["loop.first", "loop.last", "not loop.last", "loop.index > 1"] if self.loops else ["tools"])
        if kind == 2 and self.in_messages and self.chance(0.5):
            return self.pick(["message.role == 'user'", "message['role'] != 'system'", "message.content"])
        if kind == 2:
            return f"{self.any(0)} is {self.pick(['', 'not '])}{self.pick(TESTS)}"
        if kind == 3:
            return f"({self.truth(depth - 1)} {self.pick(['and', 'or'])} {self.truth(depth - 1)})"
        if kind == 4:
            return f"not {self.truth(depth - 1)}"
        if kind == 5:
            return f"({self.any(depth - 1)} {self.pick(['==', '!='])} {self.any(depth - 1)})"
        if kind == 6:
            operator = self.pick(["<", "<=", ">", ">="])
            return f"({self.number(depth - 1)} {operator} {self.number(depth - 1)} {self.pick(['', '', '< 5'])})"
        if kind == 7:
            return f"({self.text(depth - 1)} {self.pick(['in', 'not in'])} {self.pick([self.text, self.list])(depth - 1)})"
        return f"({self.any(depth - 1)} is {self.pick(['', 'not '])}{self.pick(TESTS)})"

    def any(self, depth):
        kind = self.random.randrange(12)
        if kind <= 3:
            return self.text(depth)
        if kind <= 5:
            return self.number(depth)
        if kind == 6:
            return self.list(depth)
        if kind == 7:
            return self.pick(DICT_USES).format(self.dict(depth))
        if kind == 8:
            return self.truth(depth)
        if kind == 9 and self.names:
            return self.pick(self.names)
        if kind == 10 and self.macros:
            return self.pick(self.macros)
        if self.chance(0.1):
            return self.pick(["missing.x", "loop.index", "ns.count", "message.content", "none.x"])
        return self.pick(["none", "missing", "nothing", "true", "{}", "1 if false", "messages", "tools", "bos_token"])

    # ---- statements

    def open(self):
        return "{%" + self.pick(["", "", "-", "+"]) + " "

    def close(self):
        return " " + self.pick(["", "", "-", "+"]) + "%}"

    def tag(self, text):
        return self.open() + text + self.close()

    def data(self):
        text = self.pick(["", "x", "### User:", "<|im_start|>", "}", "{ ", "é", "'", "#"])
        return self.pick(SPACES) + text + self.pick(SPACES)

    def output(self):
        return "{{" + self.pick(["", "-"]) + " " + self.any(2) + " " + self.pick(["", "-"]) + "}}"

    def block(self, depth):
        return "".join(self.statement(depth) for _ in range(self.random.randrange(1, 4)))

    def statement(self, depth):
        kind = self.random.randrange(18) if depth > 0 else self.random.randrange(6)
        if kind <= 2:
            return self.data() + self.output()
        if kind == 3:
            return self.data() + "{#" + self.pick(["", "-"]) + " a comment " + self.pick(["", "-"]) + "#}" + self.data()
        if kind == 4:
            return self.set()
        if kind == 5:
            return self.data()
        if kind <= 8:
            return self.condition(depth)
        if kind <= 12:
            return self.loop(depth)
        if kind == 13:
            return self.tag("set ns = namespace(count=0)") + self.block(depth - 1) + self.tag("set ns.count = ns.count + 1")
        if kind == 14:
            return "{%" + self.pick(["", "-"]) + " raw %}" + self.data() + "{{ not }} {% evaluated %}" + self.tag("endraw")
        if kind == 15:
            filters = self.pick(["upper", "trim", "replace('x', 'y') | title", "length"])
            return self.tag(f"filter {filters}") + self.block(depth - 1) + self.tag("endfilter")
        if kind == 16:
            name = self.pick(["a", "b"])
            text = self.tag(f"set {name}{self.pick(['', ' | trim', ' | upper | trim'])}") + self.block(depth - 1) + self.tag("endset")
            self.names.append(name)
            return text
        return self.pick([self.with_block, self.macro, self.generation])(depth)

    def set(self):
        name = self.pick(["a", "b", "c"])
        text = self.tag(f"set {name} = {self.any(2)}")
        self.names.append(name)
        return text

    def condition(self, depth):
        text = self.tag(f"if {self.truth(2)}") + self.block(depth - 1)
        if self.chance(0.4):
            text += self.tag(f"elif {self.truth(2)}") + self.block(depth - 1)
        if self.chance(0.5):
            text += self.tag("else") + self.block(depth - 1)
        return text + self.tag("endif")

    def loop(self, depth):
        over, target = self.pick([("messages", "message"), ("messages", "message"), ("messages[1:]", "message"),
                                  (self.list(1), "item"), (self.dict(0) + ".items()", "key, value")])
        condition = self.pick(["", "", "", f" if {self.truth(1)}"]) if not self.loops else ""
        text = self.tag(f"for {target} in {over}{condition}")
        self.loops += 1
        outer, self.in_messages = self.in_messages, self.in_messages or target == "message"
        text += self.block(depth - 1)
        if self.chance(0.15):
            text += self.tag(f"if {self.truth(1)}") + self.tag(self.pick(["break", "continue"])) + self.tag("endif") + self.data()
        self.loops -= 1
        self.in_messages = outer
        if self.chance(0.2):
            text += self.tag("else") + self.block(depth - 1)
        return text + self.tag("endfor")

    def with_block(self, depth):
        return self.tag(f"with w = {self.any(1)}, v = 2") + "{{ w }}" + self.block(depth - 1) + self.tag("endwith")

    def generation(self, depth):
        return self.tag("generation") + self.block(depth - 1) + self.tag("endgeneration")

    def macro(self, depth):
        loops, self.loops = self.loops, 0
        outer, self.in_messages = self.in_messages, False
        name = f"m{len(self.macros)}"
        text = self.tag(f"macro {name}(p, q={self.pick(LITERALS)})") + "{{ p ~ q }}" + self.block(depth - 1) + self.tag("endmacro")
        self.loops, self.in_messages = loops, outer
        self.macros.append(self.pick([f"{name}('x')", f"{name}({self.text(1)}, q=1)", f"{name}()"]))
        return text

    def template(self):
        return "".join(self.statement(2) for _ in range(self.random.randrange(1, 6))) + self.pick(SPACES)

    # ---- conversations

    def conversation(self):
        messages = [{"role": self.pick(ROLES), "content": self.pick(TEXTS)} for _ in range(self.pick([0, 1, 1, 2, 3, 4, 5]))]
        tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"x": {"n": 1.5}}}}}
        return {
            "messages": messages,
            "tools": self.pick([None, [], [tool], [tool, tool]]),
            "documents": self.pick([None, [{"title": "t", "text": "é"}]]),
            "add_generation_prompt": self.chance(0.5),
            "bos_token": "<s>",
            "eos_token": "</s>",
            "name": self.pick(TEXTS),
            "numbers": self.pick([[1, 2, 3], [0.5, -1, 1e20], [7]]),
            "nothing": None,
        }
