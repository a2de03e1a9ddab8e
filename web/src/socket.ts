/** The page's WebSocket: opened when it is wanted, and again, after growing pauses, for as long as it is. */

const PROTOCOL = "solar.responses.v1";
// A page cannot set headers of an upgrade.
const KEY_PREFIX = "openai-insecure-api-key.";
const FIRST_PAUSE = 500;
const LONGEST_PAUSE = 8000;
/** After a life this long a loss is an accident and no sign of trouble: the pause is the first one again. */
const GOOD_LIFE = 10_000;

/** Milliseconds, and chance; tests bring their own. */
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
    /** Called after a handshake that failed, of which the browser does not tell why; the next try waits for it. */
    refused(failures: number): Promise<void>;
}

export class Socket {
    private socket: WebSocket | undefined;
    private trying = false;
    private wake = (): void => undefined;

    constructor(
        private readonly owner: SocketOwner,
        private readonly clock: Clock,
    ) {}

    get isOpen(): boolean {
        return this.socket?.readyState === WebSocket.OPEN;
    }

    /** Connects if it is wanted and not connected; a pause ends here. */
    open(): void {
        this.wake();
        if (!this.trying) void this.run();
    }

    send(message: object): void {
        if (this.isOpen) this.socket?.send(JSON.stringify(message));
    }

    /** One that is still wanted connects anew. */
    close(): void {
        this.socket?.close();
    }

    private async run(): Promise<void> {
        this.trying = true;
        let failures = 0;
        while (this.owner.wanted()) {
            const began = this.clock.now();
            const opened = await this.connection();
            const good = opened && this.clock.now() - began >= GOOD_LIFE;
            failures = good ? 0 : failures + 1;
            if (!this.owner.wanted()) break;
            if (!opened) await this.owner.refused(failures);
            await this.pause(failures);
        }
        this.trying = false;
    }

    /** One socket's life; true: it was open. */
    private connection(): Promise<boolean> {
        const key = this.owner.apiKey();
        const address = new URL("/v1/responses", location.href);
        address.protocol = address.protocol.replace("http", "ws");
        return new Promise((resolve) => {
            let socket: WebSocket;
            try {
                socket = new WebSocket(address, key ? [PROTOCOL, KEY_PREFIX + key] : [PROTOCOL]);
            } catch {
                resolve(false); // The key has characters that no header takes.
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

    /** Half of it is chance, lest all pages come back at once. */
    private async pause(failures: number): Promise<void> {
        const longest = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures);
        const woken = new Promise<void>((resolve) => (this.wake = resolve));
        await Promise.race([this.clock.sleep(longest * (1 - this.clock.random() / 2)), woken]);
    }
}
