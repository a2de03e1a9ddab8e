"""Draws process.svg, the drawing in README.md of the process: its threads, and the data that passes between them.

usage: draw_process.py    (writes process.svg beside this file)
"""

import pathlib

from svg import GREY, INK, LINE, arrow, document, rect, text

OUTPUT = pathlib.Path(__file__).with_name("process.svg")
LOOP, QUEUE, ENGINE, BACKEND = "#ddf4ff", "#fff1d6", "#e3f5e5", "#f3e8ff"


def box(x, y, width, height, name, *lines, fill="#ffffff"):
    yield rect(x, y, width, height, fill, LINE, 5)
    first = y + height / 2 + 4.5 - 8 * len(lines)
    yield text(x + width / 2, first, name, 13, INK, "middle", "bold")
    for number, line in enumerate(lines, start=1):
        yield text(x + width / 2, first + 16 * number, line, 11, GREY, "middle")


def thread(x, y, width, height, name, fill):
    yield rect(x, y, width, height, fill, LINE, 8)
    yield text(x + 12, y + 20, name, 12, INK, weight="bold")


def svg():
    elements = [
        rect(156, 8, 786, 298, "#f6f8fa", "#d1d9e0", 8),
        *thread(168, 34, 400, 262, "event loop: one thread (Boost.Asio)", LOOP),
        *thread(676, 34, 256, 262, "engine thread", ENGINE),
        text(168, 24, "solard: one process", 12, GREY),

        *box(16, 80, 104, 178, "clients", "OpenAI's SDKs", "curl", "the page"),
        text(123, 104, "request", 10, GREY),
        text(123, 230, "stream", 10, GREY),
        *box(186, 70, 150, 84, "session", "HTTP or WebSocket", "parses and checks", "server/http, server/ws"),
        *box(402, 70, 150, 84, "admission", "lengths, quota, limits", "admits or refuses", "server/generation"),
        *box(186, 196, 150, 84, "answer", "reads by a cursor", "chunks, events, frames", "server/endpoints"),
        *box(402, 196, 150, 84, "generation log", "one for each request", "text and tokens so far", "server/generation"),
        *box(582, 84, 80, 56, "queue", "commands", fill=QUEUE),
        *box(692, 70, 224, 84, "scheduler", "prompt chunks and decodes", "in one batch, paged KV blocks", "inference/scheduling"),
        *box(692, 196, 106, 84, "step", "sampled tokens,", "stop rules", "inference/engine"),
        *box(824, 196, 92, 84, "backend", "forward pass", "CPU or CUDA", "cpu/, cuda/", fill=BACKEND),

        arrow((120, 112), (184, 112)),
        arrow((336, 112), (400, 112)),
        arrow((552, 112), (580, 112)),
        arrow((662, 112), (690, 112)),
        arrow((870, 154), (870, 194), label="submit", at=(862, 178), anchor="end"),
        arrow((824, 238), (800, 238)),
        arrow((692, 238), (554, 238), label="one post", at=(622, 214)),
        text(622, 229, "per step", 11, GREY, "middle"),
        arrow((402, 238), (338, 238)),
        arrow((186, 238), (122, 238)),
    ]
    return document(
        950, 314, "How a request passes through solard",
        "A client's request goes to a session on the event loop and then to admission. From there, the command queue takes it to the "
        "scheduler on the engine thread, which passes it to the backend. After each step, one callback on the event loop receives all "
        "new tokens and appends them to the log of each request. The answer reads the log of its request and streams it to the client.",
        elements)


if __name__ == "__main__":
    OUTPUT.write_text(svg(), encoding="utf-8")
