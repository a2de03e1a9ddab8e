// Replacements of the browser's WebSocket and clock. The test acts as the server and advances the time.

globalThis.location = new URL("http://127.0.0.1:8000/");

export class FakeWebSocket {
    static OPEN = 1;
    static all = [];

    /** Returns the socket with this index; -1 is the newest. */
    static at = (index) => FakeWebSocket.all.at(index);

    readyState = 0;
    sent = [];

    constructor(address, protocols) {
        if (protocols.some((name) => /[^\w.-]/.test(name))) throw new SyntaxError("not a token");
        this.address = String(address);
        this.protocols = protocols;
        FakeWebSocket.all.push(this);
    }
    send(text) {
        this.sent.push(JSON.parse(text));
    }
    close() {
        this.readyState = 2;
    }

    // The test calls the methods below to act as the server.
    accept() {
        this.readyState = 1;
        this.onopen();
    }
    deliver(event) {
        this.onmessage({ data: JSON.stringify(event) });
    }
    /** Ends the connection, as after a lost connection, after close(), or after a failed handshake. */
    drop() {
        this.readyState = 3;
        this.onclose();
    }
}

export function useFakeSockets() {
    FakeWebSocket.all = [];
    globalThis.WebSocket = FakeWebSocket;
}

export class FakeClock {
    time = 0;
    sleeps = [];
    chance = 0;

    now = () => this.time;
    random = () => this.chance;
    sleep = (length) => new Promise((wake) => this.sleeps.push({ length, due: this.time + length, wake }));

    /** The length of the last pause in milliseconds. */
    get lastPause() {
        return this.sleeps.at(-1)?.length;
    }
    async pass(time) {
        this.time += time;
        for (const { due, wake } of this.sleeps) if (due <= this.time) wake();
        await settled();
    }
}

/** Resolves when all pending work is done. */
export const settled = () => new Promise(setImmediate);
