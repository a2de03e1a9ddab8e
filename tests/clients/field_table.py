"""The table of fields, `server/api/peer_fields.tsv`, and how its values are compared."""

import csv
import dataclasses
import json

from support import ROOT


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


def same(a, b):
    """Compares JSON values. A member that is null is the same as a member that is absent."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(same(a.get(key), b.get(key)) for key in a | b)
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    return a == b
