"""Makes random JSON Schemas, most of which an answer can be held to."""

import random

NAMES = ["name", "age", "city", "tags", "next", "값", "a b", "x-1", "größe"]
VALUES = [18446744073709551615, 12345678901234567890, "", "a", 'say "hi"', "서울", "line\nbreak", "back\\slash", 0, -3, 2.5, 1e6, True, False, None, [1, "b"], {"k": [None]}]
FORMATS = ["date", "time", "date-time", "email", "uuid", "ipv4", "ipv6", "hostname", "uri", "duration", "unknown-format"]
PARTS = ["[a-z]", "\\d", "\\w", ".", "x", "\\.", "[^a-f]", "\\s", "é", "[가-힣]", "\\u00e9", "[\\w.-]", '"', "\\\\", "\\n", "\\/", "[^\\s\\S]|y"]
COUNTS = ["", "", "*", "+", "?", "{2}", "{1,3}", "{2,}", "*?"]
REFUSED = [("uniqueItems", True), ("not", {"type": "string"}), ("contains", {}), ("patternProperties", {}), ("if", {}), ("minProperties", 1)]


class SchemaMaker:
    """Makes schemas; the same seed makes the same ones."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def make(self):
        """Returns (schema, name of a keyword in it that must be refused, or none)."""
        self.definitions = {}
        refused = None
        schema = self.schema(0)
        if self.definitions:
            schema = {**schema, "$defs": self.definitions} if "$ref" not in schema else {"anyOf": [schema], "$defs": self.definitions}
        if self.random.random() < 0.05:
            keyword, value = self.random.choice(REFUSED)
            schema[keyword] = value
            refused = keyword
        return schema, refused

    def maybe(self, probability):
        return self.random.random() < probability

    def schema(self, depth):
        choices = [self.string] * 3 + [self.number] * 2 + [self.integer] * 3 + [self.enum, self.constant, self.plain, self.several]
        if depth < 3:
            choices += [self.object] * 5 + [self.list] * 3 + [self.any_of, self.one_of, self.reference]
        schema = self.random.choice(choices)(depth)
        if self.maybe(0.2):
            schema["description"] = 'A "description"'
        return schema

    def plain(self, depth):
        return {"type": self.random.choice(["boolean", "null", "string", "integer", "number", "object", "array"])}

    def several(self, depth):
        schema = {"type": self.random.sample(["boolean", "null", "string", "integer", "number"], 2)}
        if self.maybe(0.5):
            schema |= self.random.choice([{"maxLength": 3}, {"minimum": 5}, {"pattern": "^[ab]+$"}, {"minimum": 1.2, "maximum": 1.8}])
        return schema

    def enum(self, depth):
        return {"enum": self.random.sample(VALUES, self.random.randint(1, 4))}

    def constant(self, depth):
        return {"const": self.random.choice(VALUES)}

    def pattern(self):
        def sequence(levels):
            parts = []
            for _ in range(self.random.randint(1, 3)):
                part = self.random.choice(PARTS)
                if levels and self.maybe(0.3):
                    part = "(?:" + "|".join(sequence(levels - 1) for _ in range(self.random.randint(1, 3))) + ")"
                elif "|" in part:
                    part = f"(?:{part})"
                parts.append(part + self.random.choice(COUNTS))
            return "".join(parts)

        return self.random.choice(["", "^"]) + sequence(2) + self.random.choice(["", "$"])

    def string(self, depth):
        schema = {"type": "string"}
        kind = self.random.random()
        if kind < 0.35:
            schema["pattern"] = self.pattern()
        elif kind < 0.5:
            schema["format"] = self.random.choice(FORMATS)
        if self.maybe(0.3):
            schema["minLength"] = self.random.choice([0, 1, 2, 5])
        if self.maybe(0.3):
            schema["maxLength"] = self.random.choice([5, 6, 20, 200, 5000])
        if self.maybe(0.1):
            del schema["type"]
            if not schema:
                schema["minLength"] = 1
        return schema

    def bounds(self, schema, values):
        low, high = sorted(self.random.sample(values, 2))
        if self.maybe(0.6):
            schema[self.random.choice(["minimum", "exclusiveMinimum"])] = low
        if self.maybe(0.6):
            schema[self.random.choice(["maximum", "exclusiveMaximum"])] = high
        return schema

    def integer(self, depth):
        schema = self.bounds({"type": "integer"}, [-100, -7, -1, 0, 1.2, 1.8, 3, 10, 99, 1000, 123456])
        if self.maybe(0.15):
            schema["multipleOf"] = self.random.choice([2, 3, 10])
        return schema

    def number(self, depth):
        return self.bounds({"type": "number"}, [-1000, -2.5, -0.75, 0, 1e-7, 0.000001, 0.001, 0.5, 1, 1.25, 10, 99.99, 1e6, 999999999999, 1e12])

    def list(self, depth):
        schema = {"type": "array"}
        if self.maybe(0.8):
            schema["items"] = self.schema(depth + 1)
        if self.maybe(0.2):
            schema["prefixItems"] = [self.schema(depth + 1) for _ in range(self.random.randint(1, 2))]
        if self.maybe(0.3):
            schema["minItems"] = self.random.randint(0, 2)
        if self.maybe(0.4):
            schema["maxItems"] = self.random.randint(2, 4)
        return schema

    def object(self, depth):
        schema = {"type": "object"}
        if self.maybe(0.85):
            names = self.random.sample(NAMES, self.random.randint(0, 4))
            schema["properties"] = {name: self.schema(depth + 1) for name in names}
            if self.maybe(0.7):
                schema["required"] = self.random.sample(names, self.random.randint(0, len(names)))
        if self.maybe(0.4):
            schema["additionalProperties"] = self.random.choice([True, False, {"type": "integer"}])
        if self.maybe(0.1):
            schema.pop("additionalProperties", None)
            schema["required"] = [*schema.get("required", []), "other"]
        return schema

    def any_of(self, depth):
        return {"anyOf": [self.schema(depth + 1) for _ in range(self.random.randint(1, 3))]}

    def one_of(self, depth):
        branches = [{"type": "string"}, self.integer(depth), {"type": "null"}, {"minLength": 3}, {"const": 1}, {"const": 1.0}, {"const": 2}]
        branches += [{"required": ["k"]}, {"type": ["object", "null"]}]
        branches += [{"type": "object", "properties": {"k": {"const": value}}, "required": ["k"]} for value in (1, 1.0, "a")]
        return {"oneOf": self.random.sample(branches[:3] if self.maybe(0.5) else branches, self.random.randint(1, 3))}

    def reference(self, depth):
        name = self.random.choice(["Node", "Item"])
        if name not in self.definitions:
            self.definitions[name] = {}
            self.definitions[name] = {
                "type": "object",
                "properties": {"value": self.schema(depth + 1), "next": {"anyOf": [{"$ref": f"#/$defs/{name}"}, {"type": "null"}]}},
                "required": ["value"],
            }
        return {"$ref": f"#/$defs/{name}"}
