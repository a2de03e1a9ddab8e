"""Items 2 and 3: more requests than the server has places."""

import asyncio

from client import chat
from rows import OPENAI_ATTEMPTS, Client, CouldNotRun, Tally, newcomer, obedient, row, rude, run_together

PLACES = 32
FEW_PLACES = ["--max-num-seqs", "8", "--max-queued-requests", str(PLACES - 8)]
NEWCOMERS = 4
SECONDS = 6


async def newcomers_beside(attack, source, reconnects, attempts=1):
    """Returns what 100 rude connections and four newcomers from `source` got. The newcomers come two seconds later."""
    port = attack.server.port
    flood, few = Tally(), Tally()

    async def later(client):
        await asyncio.sleep(2)
        await newcomer(client, few, attempts)

    rude_clients = (rude(Client(port, chat(32)), flood, reconnects) for _ in range(100))
    newcomers = (later(Client(port, chat(8), source=source)) for _ in range(NEWCOMERS))
    await run_together(2 + SECONDS, *rude_clients, *newcomers)
    return few, f"{few.answered} of {few.asked} newcomers' calls answered, {flood.answered} of the others"


@row("2", "100 connections retry after 5 ms; newcomers from another address", "every newcomer answered", flags=FEW_PLACES)
async def newcomers_from_another_address(attack):
    few, measured = await newcomers_beside(attack, "127.0.0.2", False)
    return measured, few.answered == few.asked > 0


@row("2", "100 connections retry after 5 ms and reconnect; newcomers from another address", "every newcomer answered",
     flags=FEW_PLACES)  # fmt: skip
async def newcomers_beside_reconnecting(attack):
    few, measured = await newcomers_beside(attack, "127.0.0.2", True)
    return measured, few.answered == few.asked > 0


# A new connection counts as the average of its address, so its first attempt may be refused. Then it waits as it is told.
@row("2", "100 connections retry after 5 ms; newcomers from the same address, which make up to three attempts per call",
     "at least 95 % of the newcomers' calls answered", flags=FEW_PLACES)  # fmt: skip
async def newcomers_from_the_same_address(attack):
    few, measured = await newcomers_beside(attack, None, False, OPENAI_ATTEMPTS)
    return measured, few.answered >= 0.95 * few.asked > 0


async def reconnecting_beside_staying(attack, reconnecting_address, staying_address):
    port = attack.server.port
    new, kept = Tally(), Tally()
    await run_together(
        SECONDS,
        *(rude(Client(port, chat(32), source=reconnecting_address), new, True) for _ in range(30)),
        *(rude(Client(port, chat(32), source=staying_address), kept) for _ in range(30)),
    )
    ratio = new.tokens / max(1, kept.tokens)
    return f"{new.tokens} tokens for those which reconnect, {kept.tokens} for the others, ratio {ratio:.2f}", ratio <= 1.2


@row("2", "30 connections which reconnect beside 30 which stay, same address", "those which reconnect get no more (ratio at most 1.2)",
     flags=FEW_PLACES)  # fmt: skip
async def reconnecting_from_the_same_address(attack):
    return await reconnecting_beside_staying(attack, "127.0.0.5", "127.0.0.5")


@row("2", "30 connections which reconnect beside 30 which stay, two addresses", "those which reconnect get no more (ratio at most 1.2)",
     flags=FEW_PLACES)  # fmt: skip
async def reconnecting_from_another_address(attack):
    return await reconnecting_beside_staying(attack, "127.0.0.5", "127.0.0.6")


@row("3", "a burst of 128 calls of OpenAI's library (default retries) on 64 places", "at least 90 % of the calls answered",
     flags=["--max-num-seqs", "16", "--max-queued-requests", "48"])  # fmt: skip
async def burst_of_openai_calls(attack):
    try:
        import openai
    except ImportError as error:
        raise CouldNotRun("the package openai is not installed") from error
    calls = 128
    async with openai.AsyncOpenAI(base_url=f"http://127.0.0.1:{attack.server.port}/v1", api_key="none") as sdk:
        messages = [{"role": "user", "content": "Hi"}]
        model = (await sdk.models.list()).data[0].id

        async def call():
            try:
                await sdk.chat.completions.create(
                    model=model, messages=messages, max_tokens=64, extra_body={"ignore_eos": True}
                )
            except openai.OpenAIError:
                return False
            return True

        answered = sum(await asyncio.gather(*(call() for _ in range(calls))))
    return f"{answered} of {calls} calls answered ({100 * answered / calls:.0f} %)", answered >= 0.9 * calls


async def goodput(attack, count, client_kind, seconds):
    """Returns the tokens of whole answers per CPU second of the server and per second."""
    server, tally = attack.server, Tally()
    cpu = server.cpu()
    await run_together(seconds, *(client_kind(Client(server.port, chat(32)), tally) for _ in range(count)))
    return tally.tokens / max(0.01, server.cpu() - cpu), tally.tokens / seconds


async def goodput_under_overload(attack, client_kind):
    """Compares a full engine without refusals with ten times as many clients as places, in three rounds."""
    rounds = []
    for _ in range(3):
        normal, normal_rate = await goodput(attack, PLACES * 3 // 4, obedient, 5)
        loaded, loaded_rate = await goodput(attack, PLACES * 10, client_kind, 8)
        rounds.append((loaded / normal, loaded, normal, loaded_rate, normal_rate))
    rounds.sort()
    ratio, loaded, normal, loaded_rate, normal_rate = rounds[1]
    measured = (
        f"{100 * ratio:.0f} % per CPU second ({loaded:.0f} of {normal:.0f} tokens; in the other rounds"
        f" {100 * rounds[0][0]:.0f} and {100 * rounds[2][0]:.0f} %);"
        f" {loaded_rate:.0f} of {normal_rate:.0f} tokens per second"
    )
    return measured, ratio >= 0.95


GOODPUT = "goodput per CPU second of the server at least 95 % of that without overload"


@row("3", "10 times as many obedient clients as places", GOODPUT, flags=FEW_PLACES)
async def goodput_with_obedient_clients(attack):
    return await goodput_under_overload(attack, obedient)


@row("3", "10 times as many rude clients as places (retry after 5 ms)", GOODPUT, flags=FEW_PLACES)
async def goodput_with_rude_clients(attack):
    return await goodput_under_overload(attack, rude)
