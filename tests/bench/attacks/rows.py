"""The list of attacks, and what several of them need."""

import asyncio
import dataclasses
import time
from collections.abc import Callable

from client import LOST, Connection, chat

ROWS = []


@dataclasses.dataclass
class Row:
    """One line of the table. `run(attack)` returns what was measured, as text, and whether it keeps the promise."""

    # The heading under which the row is printed: "1" to "7", "templates" or "grammars" for a kind of attack each, or "held" for
    # attacks which older versions withstood too.
    item: str
    name: str
    what: str
    promised: str
    run: Callable
    observers: tuple  # the kinds of Observer that run during the attack
    server: dict  # keyword arguments for Server


def row(item, what, promised, observers=("probe", "witness"), **server):
    """Adds a function to the table. Its name is the row's name."""

    def add(function):
        ROWS.append(Row(item, function.__name__, what, promised, function, observers, server))
        return function

    return add


class CouldNotRun(Exception):
    """Says why this machine cannot run a row."""


class Tally:
    """What the clients of one kind got."""

    def __init__(self):
        self.answered = self.refused = self.lost = self.tokens = 0

    def count(self, answer):
        if answer is None:
            self.lost += 1
        elif answer.status == 200:
            self.answered += 1
            self.tokens += answer.json()["usage"]["completion_tokens"]
        else:
            self.refused += 1

    @property
    def asked(self):
        return self.answered + self.refused + self.lost


class Client:
    """Sends chat requests on one connection, which is opened again if it is lost."""

    def __init__(self, port, body, key=None, source=None):
        self.port, self.body, self.key, self.source = port, body, key, source
        self.connection = None

    async def ask(self):
        """Returns None if the connection is lost."""
        try:
            if self.connection is None:
                self.connection = await Connection.open(self.port, self.key, self.source)
            return await self.connection.request("POST", "/v1/chat/completions", self.body)
        except LOST:
            self.close()
            return None

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection = None


async def rude(client, tally, reconnects=False):
    """Asks without end, and again 5 ms after a refusal."""
    try:
        while True:
            answer = await client.ask()
            tally.count(answer)
            if reconnects:
                client.close()
            if answer is None or answer.status != 200:
                await asyncio.sleep(0.005)
    finally:
        client.close()


async def call(client, attempts):
    """Makes up to so many attempts, and waits after each refusal as long as the server says. Returns the last answer."""
    for _ in range(attempts):
        answer = await client.ask()
        if answer is not None and answer.status == 200:
            break
        headers = answer.headers if answer is not None else {}
        await asyncio.sleep(float(headers.get("retry-after-ms", 500)) / 1000)
    return answer


# OpenAI's library makes so many attempts unless it is told otherwise.
OPENAI_ATTEMPTS = 3


async def obedient(client, tally):
    """Calls without end as OpenAI's library does."""
    try:
        while True:
            tally.count(await call(client, OPENAI_ATTEMPTS))
    finally:
        client.close()


async def newcomer(client, tally, attempts=1):
    """Calls once per second."""
    try:
        while True:
            due = time.monotonic() + 1
            tally.count(await call(client, attempts))
            await asyncio.sleep(max(0, due - time.monotonic()))
    finally:
        client.close()


async def run_together(seconds, *coroutines):
    """Runs endless coroutines side by side for so many seconds."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    await asyncio.sleep(seconds)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def repeat(port, count, method, path, body=None, key=None, connections=8):
    """Sends the same request `count` times over some connections. Returns how many were answered, by status; the status
    of a lost one is 0."""
    statuses = {}

    async def some(share):
        connection = await Connection.open(port, key)
        for _ in range(share):
            answer = await connection.request(method, path, body)
            statuses[answer.status] = statuses.get(answer.status, 0) + 1
        connection.close()

    await asyncio.gather(*(some(count // connections) for _ in range(connections)), return_exceptions=True)
    missing = count // connections * connections - sum(statuses.values())
    return statuses | ({0: missing} if missing else {})


# The process takes the memory of a block of the KV cache only when the block is first used. Rows which measure memory
# use a small cache, so that all blocks are in use before the measurement begins.
SMALL_CACHE = ["--kv-cache-memory", "16MiB"]


async def touch_cache(server):
    """Uses every block of the small KV cache."""
    texts = [f"{at} " + "one two three four " * 40 for at in range(40)]
    await asyncio.gather(*(Client(server.port, chat(1, text)).ask() for text in texts))


async def closed_after(client, since, limit):
    """Reads and drops what comes on a raw socket. Returns the seconds from `since` to its end, or None if it stays open
    for `limit` seconds."""
    client.setblocking(False)
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(limit):
            while await loop.sock_recv(client, 1 << 16):
                pass
    except TimeoutError:
        return None
    except OSError:
        pass
    return time.monotonic() - since


def spread(times):
    """Returns a short text of the smallest and the largest of some seconds; None stands for a connection which stayed."""
    ended = sorted(time for time in times if time is not None)
    stayed = len(times) - len(ended)
    text = f"{ended[0]:.1f} to {ended[-1]:.1f} s" if ended else "never"
    return text + (f", {stayed} stayed open" if stayed else "")


def mb(size):
    return f"{size / 1e6:.1f} MB"


def close_all(sockets):
    for client in sockets:
        client.close()
