"""What earlier attacks did not break: signals, clocks, memory and damaged files."""

import asyncio
import contextlib
import json
import resource
import shutil
import signal
import struct
import subprocess

from client import Connection, ask, chat
from rows import CouldNotRun, row
from server import Server


async def read_stream(port, tokens):
    """Returns whether a stream was whole."""
    connection = await Connection.open(port)
    with contextlib.closing(connection):
        await connection.begin("POST", "/v1/chat/completions", chat(tokens, stream=True, return_token_ids=True))
        got, reason = 0, None
        async for event in connection.events():
            for choice in event["choices"]:
                got += len(choice.get("token_ids") or [])
                reason = choice["finish_reason"] or reason
        return got == tokens and reason == "length"


async def whole_streams(port, count, tokens, disturb):
    """Returns how many of the streams were whole, although `disturb()` ran beside them."""
    streams = [asyncio.create_task(read_stream(port, tokens)) for _ in range(count)]
    await asyncio.sleep(0.7)
    await disturb()
    ends = await asyncio.gather(*streams, return_exceptions=True)
    return sum(end is True for end in ends)


@row("held", "SIGTERM while 48 streams run", "all are whole; exit code 0", observers=(),
     flags=["--max-num-seqs", "48", "--max-num-batched-tokens", "128"])  # fmt: skip
async def sigterm_under_load(attack):
    async def disturb():
        attack.server.signal(signal.SIGTERM)

    whole = await whole_streams(attack.server.port, 48, 150, disturb)
    code = await asyncio.to_thread(attack.server.exit_code, 10)
    return f"{whole} of 48, exit code {code}", whole == 48 and code == 0


@row("held", "the process is stopped for 5 s while 20 streams run", "all are whole", observers=("witness",))
async def stopped_process(attack):
    async def disturb():
        attack.server.signal(signal.SIGSTOP)
        await asyncio.sleep(5)
        attack.server.signal(signal.SIGCONT)

    whole = await whole_streams(attack.server.port, 20, 200, disturb)
    return f"{whole} of 20", whole == 20


@row("held", "a KV cache of 1 TiB with 4 GiB of address space", "a clear error and an exit code of the table, no crash", observers=())
async def kv_cache_larger_than_memory(attack):
    limit = 4 << 30
    done = await asyncio.to_thread(
        subprocess.run, [attack.binary, "--model", attack.model, "--port", "0", "--device", "cpu", "--kv-cache-memory", "1024GiB"],
        capture_output=True, text=True, timeout=30,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )  # fmt: skip
    last = (done.stderr.strip().splitlines() or [""])[-1]
    return f"exit code {done.returncode}: {last.partition(' error ')[2][:120]}", done.returncode in (1, 66, 69, 78)


def damage(folder):
    """Yields the name of each kind of damage, after it was done to the copy of a model in `folder`."""
    whole = {path.name: path.read_bytes() for path in folder.iterdir()}

    def restore():
        for name, data in whole.items():
            (folder / name).write_bytes(data)

    for name, data in whole.items():
        if name.endswith((".json", ".safetensors", ".model")):
            for kind, broken in (("empty", b""), ("half", data[: len(data) // 2]), ("zeros", b"\0" * min(len(data), 1 << 20)),
                                 ("flipped", bytes(byte ^ 0xFF for byte in data[:4096]) + data[4096:])):  # fmt: skip
                (folder / name).write_bytes(broken)
                yield f"{name} {kind}"
                restore()
    config = json.loads(whole["config.json"])
    for field, value in (("vocab_size", 1 << 40), ("hidden_size", -1), ("num_attention_heads", 0), ("num_hidden_layers", 10**9),
                         ("head_dim", 7), ("max_position_embeddings", 1 << 62)):  # fmt: skip
        (folder / "config.json").write_text(json.dumps(config | {field: value}))
        yield f"{field} {value}"
        restore()


@row("held", "damaged model folders", "no crash: each is refused, or serves if the file is not needed", observers=())
async def damaged_models(attack):
    folder = attack.folder / "damaged"
    shutil.copytree(attack.model, folder)
    counts, crashes = {}, []
    limit = 8 << 30
    for kind in damage(folder):
        process = subprocess.Popen(
            [attack.binary, "--model", folder, "--port", "0", "--device", "cpu"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
        )  # fmt: skip
        for line in process.stdout:
            if b"is ready" in line:
                process.send_signal(signal.SIGTERM)
        process.wait()
        counts[process.returncode] = counts.get(process.returncode, 0) + 1
        if process.returncode not in (0, 1, 66, 78):
            crashes.append(f"{kind}: {process.returncode}")
    total = sum(counts.values())
    text = ", ".join(f"{count} x {code}" for code, count in sorted(counts.items()))
    return f"exit codes of {total} folders: {text}" + "".join(f"; {crash}" for crash in crashes), not crashes


# Source of a library that replaces clock_gettime(). The library shifts the time of day by a number of seconds, which it
# reads from a file that is mapped into memory.
SHIFTED_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
static volatile long* seconds;
__attribute__((constructor)) static void map_file(void) {
    seconds = mmap(0, sizeof *seconds, PROT_READ, MAP_SHARED, open(getenv("CLOCK_SHIFT_FILE"), O_RDONLY), 0);
}
int clock_gettime(clockid_t id, struct timespec* time) {
    static int (*real)(clockid_t, struct timespec*);
    if (!real) real = (int (*)(clockid_t, struct timespec*))dlsym(RTLD_NEXT, "clock_gettime");
    const int result = real(id, time);
    if (id == CLOCK_REALTIME && seconds) time->tv_sec += *seconds;
    return result;
}
"""


@row("held", "the clock moves by a day, there and back, while 20 streams run", "all are whole, and the server answers", observers=())
async def moved_clock(attack):
    if not shutil.which("cc"):
        raise CouldNotRun("there is no C compiler for a library that shifts the clock")
    source, library, shift = (attack.folder / name for name in ("clock.c", "clock.so", "shift"))
    source.write_text(SHIFTED_CLOCK)
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source, "-ldl"], check=True, capture_output=True)
    shift.write_bytes(struct.pack("@l", 0))
    environment = {"LD_PRELOAD": str(library), "CLOCK_SHIFT_FILE": str(shift)}
    server = Server(attack.binary, attack.model, attack.folder, environment=environment)
    created = []

    async def move_to(seconds):
        with shift.open("r+b") as file:
            file.write(struct.pack("@l", seconds))
        answer = await ask(server.port, "POST", "/v1/chat/completions", chat(1))
        created.append(answer.json()["created"] if answer and answer.status == 200 else 0)

    async def disturb():
        for days in (0, 1, -1, 0):
            await move_to(days * 86_400)

    try:
        whole = await whole_streams(server.port, 20, 300, disturb)
    finally:
        server.stop()
    moved = created[1] - created[0] > 80_000 and created[2] - created[0] < -80_000
    if 0 not in created and not moved:
        raise CouldNotRun("the server does not see the shifted clock")
    return f"{whole} of 20 streams whole, {4 - created.count(0)} of 4 requests answered", whole == 20 and 0 not in created


@row("held", "23 kinds of request under Valgrind", "no error", observers=())
async def memcheck(attack):
    raise CouldNotRun("it takes longer than the table; ./test.sh --long runs the server's tests under AddressSanitizer")
