"""Item 1: nobody reads what the server writes."""

import asyncio
import signal
import time

from client import ask, chat
from rows import repeat, row


async def requests_then_stop(attack, count):
    """Sends requests, each of which leaves a log line, then ends the server. Returns what was measured and whether the
    server stayed well."""
    port = attack.server.port
    try:
        async with asyncio.timeout(10):
            # A long path makes long log lines.
            answered = (await repeat(port, count, "GET", "/" + 180 * "x")).get(404, 0)
            chatted = await ask(port, "POST", "/v1/chat/completions", chat(8))
    except TimeoutError:
        answered, chatted = None, None
    lost = await attack.metric("solard_log_lines_lost_total")
    await attack.stop_observing()
    begin = time.monotonic()
    attack.server.signal(signal.SIGTERM)
    code = await asyncio.to_thread(attack.server.exit_code, 5)
    took = time.monotonic() - begin
    measured = [
        f"{answered} of {count} answered" if answered is not None else "no answers within 10 s",
        "chat answered" if chatted is not None and chatted.status == 200 else "chat not answered",
        "SIGTERM not obeyed" if code is None else f"exit code {code} {took:.1f} s after SIGTERM",
    ]
    good = answered == count and chatted is not None and chatted.status == 200 and code == 0
    return measured, good, lost


PROMISED = "all requests answered; SIGTERM ends the server with code 0"


@row("1", "stderr is a pipe that nobody reads", PROMISED + "; the lost log lines are counted", outputs={"stderr": "unread"})
async def stuck_stderr(attack):
    measured, good, lost = await requests_then_stop(attack, 8000)
    return ", ".join([*measured, f"{int(lost or 0)} lost lines counted"]), good and bool(lost)


@row("1", "the reader of stderr and stdout is gone", PROMISED, outputs={"stdout": "closed", "stderr": "closed"})
async def closed_stderr(attack):
    measured, good, _ = await requests_then_stop(attack, 400)
    return ", ".join(measured), good


@row("1", "stdout is a full pipe that nobody reads", PROMISED, outputs={"stdout": "full"})
async def stuck_stdout(attack):
    measured, good, _ = await requests_then_stop(attack, 400)
    return ", ".join(measured), good
