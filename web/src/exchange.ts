/** Requests the running answers over the socket. After a lost connection, the exchange continues each answer after the
    last event that the answer includes. */

import type { Answer } from "./answer";
import { Lanes } from "./lanes";
import { attach, cancel, create, parseEvent, type ResponseRequest, type ServerEvent } from "./responses";
import { Socket, type Clock } from "./socket";

export interface Running {
    lane: string;
    answer: Answer;
    request(): ResponseRequest;
}

export interface ExchangeOwner {
    apiKey(): string;
    running(): Running[];
    received(id: string, event: ServerEvent): void;
    /** See SocketOwner.handshakeFailed(). */
    handshakeFailed(failures: number): Promise<void>;
    connected(isConnected: boolean): void;
}

export class Exchange {
    private readonly lanes = new Lanes();
    private readonly socket: Socket;

    constructor(
        private readonly owner: ExchangeOwner,
        clock: Clock,
    ) {
        this.socket = new Socket(
            {
                wanted: () => owner.running().length > 0,
                apiKey: () => owner.apiKey(),
                handshakeFailed: (failures) => owner.handshakeFailed(failures),
                received: (data) => this.receive(data),
                opened: () => {
                    owner.connected(true);
                    this.requestRunning();
                },
                closed: () => {
                    this.lanes.clear();
                    owner.connected(false);
                },
            },
            clock,
        );
    }

    /** Requests every running answer that was not yet requested on this socket. Opens a socket if there is none. */
    requestRunning(): void {
        if (!this.socket.isOpen) return this.socket.open();
        for (const { lane, answer, request } of this.owner.running()) {
            const { id, responseId, cursor } = answer;
            if (this.lanes.holds(id)) continue;
            this.lanes.add(lane, id);
            this.socket.send(responseId ? attach(lane, id, responseId, cursor) : create(lane, id, request()));
        }
    }

    cancel(lane: string): void {
        this.socket.send(cancel(lane));
    }

    /** Closes the socket after a change of the API key. The next socket requests every running answer with the new key. */
    reconnect(): void {
        this.socket.close();
    }

    private receive(data: unknown): void {
        const event = parseEvent(data);
        const id = event && this.lanes.take(event);
        // The server refuses new requests on a socket that has reached its age limit. The next socket sends the request again.
        const postponed = event?.kind === "error" && event.code === "websocket_connection_limit_reached";
        if (event && id !== undefined && !postponed) this.owner.received(id, event);
    }
}
