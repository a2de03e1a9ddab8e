"""Chat templates that never end, and conversations that are much work for a template."""

import asyncio
import collections
import pathlib

from client import LOST, Connection
from rows import row

HOSTILE = pathlib.Path(__file__).parent / "hostile.jinja"
NUM_CLIENTS = 32
DURATION = 5  # seconds
PROMISED = "every request is refused with 400; other requests are served meanwhile"


def conversation(*contents):
    return {"max_tokens": 1, "messages": [{"role": "user", "content": content} for content in contents]}


async def flood(attack, bodies):
    """Sends the bodies again and again from several connections. Returns what was measured, and whether all answers are
    refusals of the request."""
    statuses = collections.Counter()

    async def ask_always(body):
        connection = await Connection.open(attack.server.port)
        try:
            while True:
                statuses[(await connection.request("POST", "/v1/chat/completions", body)).status] += 1
        except LOST:
            statuses["lost"] += 1

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask_always(bodies[i % len(bodies)])) for i in range(NUM_CLIENTS)]
        await asyncio.sleep(DURATION)
        for task in tasks:
            task.cancel()
    answers = ", ".join(f"{count} times {status}" for status, count in sorted(statuses.items(), key=str))
    return answers, statuses[400] > NUM_CLIENTS and set(statuses) <= {400, 503}


@row("templates", f"{NUM_CLIENTS} clients ask a template for loops, texts and calls without end", PROMISED,
     flags=("--chat-template", str(HOSTILE)))  # fmt: skip
async def endless_template(attack):
    return await flood(attack, [conversation(wish) for wish in ("loop", "grow", "search", "nest")])


@row("templates", f"{NUM_CLIENTS} clients send conversations of 1,024 messages, 8,000 quotes, and 1 MB of spaces", PROMISED)
async def hostile_conversations(attack):
    return await flood(attack, [conversation(*["x"] * 1024), conversation('"' * 8000), conversation(" " * 1_000_000)])
