/** The page's WebSocket. It connects while its owner wants a connection, with growing pauses between the attempts. */

const PROTOCOL = "solar.responses.v1";
// A page cannot set the headers of an upgrade request, so the key is sent as a subprotocol.
const KEY_PREFIX = "openai-insecure-api-key.";
const FIRST_PAUSE = 500;
const MAX_PAUSE = 8000;
/** A connection that lasted this many milliseconds counts as stable: after its loss, the first pause is short again. */
const STABLE_AFTER = 10_000;

/** Time in milliseconds, and random numbers. Tests use a clock of their own. */
export interface Clock {
    now(): number;
    sleep(time: number): Promise<void>;
    random(): number;
}

export const realClock: Clock = {
    now: () => Date.now(),
    sleep: (time) => new Promise((resolve) => setTimeout(resolve, time)),
    random: () => Math.random(),
};

export interface SocketOwner {
    wanted(): boolean;
    apiKey(): string;
    opened(): void;
    received(data: unknown): void;
    closed(): void;
    /** Is called after a failed handshake; the browser does not say why it failed. `failures` counts the attempts since
        the last stable connection. The next attempt waits until the promise resolves. */
    handshakeFailed(failures: number): Promise<void>;
}

export class Socket {
    private socket: WebSocket | undefined;
    private running = false;
    private wake = (): void => undefined;

    constructor(
        private readonly owner: SocketOwner,
        private readonly clock: Clock,
    ) {}

    get isOpen(): boolean {
        return this.socket?.readyState === WebSocket.OPEN;
    }

    /** Connects if the owner wants a connection and there is none. Ends a pause between two attempts. */
    open(): void {
        this.wake();
        if (!this.running) void this.run();
    }

    send(message: object): void {
        if (this.isOpen) this.socket?.send(JSON.stringify(message));
    }

    /** Closes the connection. If the owner still wants a connection, a new one is opened after a pause. */
    close(): void {
        this.socket?.close();
    }

    private async run(): Promise<void> {
        this.running = true;
        let failures = 0;
        while (this.owner.wanted()) {
            const startedAt = this.clock.now();
            const opened = await this.connection();
            const stable = opened && this.clock.now() - startedAt >= STABLE_AFTER;
            failures = stable ? 0 : failures + 1;
            if (!this.owner.wanted()) break;
            if (!opened) await this.owner.handshakeFailed(failures);
            await this.pause(failures);
        }
        this.running = false;
    }

    /** Opens a socket and waits until it is closed. Resolves to true if the handshake succeeded. */
    private connection(): Promise<boolean> {
        const key = this.owner.apiKey();
        const address = new URL("/v1/responses", location.href);
        address.protocol = address.protocol.replace("http", "ws");
        return new Promise((resolve) => {
            let socket: WebSocket;
            try {
                socket = new WebSocket(address, key ? [PROTOCOL, KEY_PREFIX + key] : [PROTOCOL]);
            } catch {
                resolve(false); // The key has characters that a header cannot carry.
                return;
            }
            let opened = false;
            socket.onopen = () => {
                opened = true;
                this.owner.opened();
            };
            socket.onmessage = ({ data }) => this.owner.received(data);
            socket.onclose = () => {
                this.owner.closed();
                resolve(opened);
            };
            this.socket = socket;
        });
    }

    /** Waits for a random time between half of the pause and the whole pause, so that not all pages reconnect at the
        same moment. */
    private async pause(failures: number): Promise<void> {
        const longest = Math.min(MAX_PAUSE, FIRST_PAUSE * 2 ** failures);
        const woken = new Promise<void>((resolve) => (this.wake = resolve));
        await Promise.race([this.clock.sleep(longest * (1 - this.clock.random() / 2)), woken]);
    }
}
