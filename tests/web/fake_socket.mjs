// Stands in for the browser's WebSocket and clock: the test plays the server, and time passes when it says so.

globalThis.location = new URL("http://127.0.0.1:8000/");

export class FakeWebSocket {
    static OPEN = 1;
    static all = [];

    /** The newest one, or the one of that number. */
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

    // The server's part.
    accept() {
        this.readyState = 1;
        this.onopen();
    }
    tell(event) {
        this.onmessage({ data: JSON.stringify(event) });
    }
    /** Also the end of a close() from here, and of a handshake that was refused. */
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

    /** The length of the last pause. */
    get lastPause() {
        return this.sleeps.at(-1)?.length;
    }
    async pass(time) {
        this.time += time;
        for (const { due, wake } of this.sleeps) if (due <= this.time) wake();
        await settled();
    }
}

/** Everything that was due has been done. */
export const settled = () => new Promise(setImmediate);
