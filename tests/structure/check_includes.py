"""Checks the direction of includes, and which files may include Asio and Beast.

usage: check_includes.py ROOT

Every room (a folder, or a file that stands alone at the root of inference/) has a rank. A file may include files of
its own room and of rooms with a lower rank, never of one with a higher or an equal rank. So there can be no loop
between rooms. The script also looks for loops inside a room.
"""

import pathlib
import re
import sys

ROOT = pathlib.Path(sys.argv[1])
SUFFIXES = {".hpp", ".cpp", ".cu", ".cuh"}

# The rooms (folders, or single files of inference/) from the lowest rank to the highest. Rooms in one tuple have the
# same rank, so they must not include each other.
ORDER = [
    ("inference/error", "inference/token_id", "inference/sizes"),
    ("inference/token_mask",),
    ("inference/text",),
    ("inference/tokenizer",),
    ("inference/template",),
    ("inference/model",),
    ("inference/grammar",),
    ("inference/sampling_params",),
    ("inference/sampling_row",),
    ("inference/sampling",),
    ("inference/backend",),
    ("inference/request",),
    ("inference/scheduling", "inference/cpu", "cuda"),
    ("inference/engine",),
    ("server/config",),
    ("server/api",),
    ("server/auth", "server/observe"),
    ("server/http",),
    ("server/generation",),
    ("server/responses",),
    ("server/endpoints", "server/ws"),
    ("server",),
]
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}

# The rooms (folders or files) that a backend may include: the interface that it implements, the model that it loads,
# and those parts of the sampler which must have the same bits in every backend.
BACKEND_ROOMS = {"inference/error", "inference/token_id", "inference/sizes", "inference/token_mask", "inference/model", "inference/sampling_params", "inference/sampling_row",
                 "inference/sampling", "inference/backend"}
# The only file that may include the backends.
BACKENDS = {"server/backends.cpp"}
BEAST_FILES = {"server/http/head.hpp", "server/http/head.cpp", "server/http/request_body.hpp", "server/http/http1_exchange.hpp", "server/http/http1_exchange.cpp",
               "server/http/request_reader.hpp", "server/http/request_reader.cpp", "server/ws/socket.cpp", "server/asio.cpp"}


def room_of(path):
    """Returns the room of a file: its first two folders, "cuda", or "server" for a file in server/ itself (the spine).

    A file in inference/ itself is a room of its own, named by its path without the suffix.
    """
    parts = path.split("/")
    if parts[0] == "cuda":
        return "cuda"
    if parts[0] == "inference" and len(parts) == 2:
        return "inference/" + pathlib.PurePath(parts[1]).stem
    return "/".join(parts[:2]) if len(parts) > 2 else parts[0]


def problems_of(name, includes, text):
    room = room_of(name)
    for included in includes:
        target = room_of(included)
        if target == room or name.startswith("web/"):
            continue
        if room in ("cuda", "inference/cpu"):
            if target not in BACKEND_ROOMS:
                yield f"{name}: a backend may include {sorted(BACKEND_ROOMS)} only, not {included}"
        elif target in ("cuda", "inference/cpu"):
            if name not in BACKENDS:
                yield f"{name}: only {sorted(BACKENDS)} knows the backends, not {included}"
        elif RANK[target] >= RANK[room]:
            yield f"{name}: {room} stands below {target} or beside it, so it must not include {included}"
    if re.search("#include <boost/beast", text) and name not in BEAST_FILES:
        yield f"{name}: only {sorted(BEAST_FILES)} include Beast"
    if re.search("#include <boost/asio", text) and room.split("/")[0] != "server":
        yield f"{name}: only server/ includes Asio"
    if re.search("#include <boost/asio", text) and room in ("server/config", "server/api"):
        yield f"{name}: {room} has no socket, so it must not include Asio"
    if re.search(r"\bApp\b", text) and room.startswith("server/"):
        yield f"{name}: only the spine, the files in server/ itself, knows App"


def other_includes(name, text):
    """Yields a message for each include in quotes whose path does not begin with a folder of the product."""
    for included in re.findall(r'^#include "([^"]+)"', text, re.M):
        if not re.match("(inference|server|cuda|web)/", included):
            yield f"{name}: includes {included}, but product code names files of the product from the root"


def loops_of(graph):
    """Yields a message for each loop of includes between modules. A header and its source are one module."""
    state, stack = {}, []

    def visit(node):
        state[node] = "open"
        stack.append(node)
        for target in sorted(graph.get(node, ())):
            if state.get(target) == "open":
                yield "a loop of includes: " + " -> ".join(stack[stack.index(target):] + [target])
            elif target not in state:
                yield from visit(target)
        stack.pop()
        state[node] = "done"

    for node in sorted(graph):
        if node not in state:
            yield from visit(node)


def main():
    files = [p for top in ("inference", "server", "cuda", "web") for p in sorted((ROOT / top).rglob("*"))]
    sources = [p for p in files if p.suffix in SUFFIXES and "node_modules" not in p.parts]
    assert len(sources) > 200, "no sources found: wrong ROOT?"
    problems, graph = [], {}
    for path in sources:
        name = str(path.relative_to(ROOT))
        text = path.read_text()
        includes = re.findall(r'^#include "((?:inference|server|cuda|web)/[^"]+)"', text, re.M)
        problems += problems_of(name, includes, text)
        problems += other_includes(name, text)
        module = str(pathlib.PurePath(name).with_suffix(""))
        graph.setdefault(module, set()).update(str(pathlib.PurePath(i).with_suffix("")) for i in includes)
        graph[module].discard(module)
    problems += loops_of(graph)
    print("\n".join(problems) or f"{len(sources)} files keep the direction of includes, and there is no loop")
    sys.exit(bool(problems))


main()
