/** Carries the running answers over the socket: asks for each, and after a loss goes on where it stood. */

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
    /** See SocketOwner. */
    refused(failures: number): Promise<void>;
    connected(is: boolean): void;
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
                refused: (failures) => owner.refused(failures),
                received: (data) => this.receive(data),
                opened: () => {
                    owner.connected(true);
                    this.pursue();
                },
                closed: () => {
                    this.lanes.clear();
                    owner.connected(false);
                },
            },
            clock,
        );
    }

    /** Asks for every running answer that was not yet asked for on this socket, and opens one if there is none. */
    pursue(): void {
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

    /** With another key everything is asked for anew. */
    reconnect(): void {
        this.socket.close();
    }

    private receive(data: unknown): void {
        const event = parseEvent(data);
        const id = event && this.lanes.take(event);
        // A socket too old for new requests is about to be closed, and the next one takes this request.
        const postponed = event?.kind === "error" && event.code === "websocket_connection_limit_reached";
        if (event && id !== undefined && !postponed) this.owner.received(id, event);
    }
}
