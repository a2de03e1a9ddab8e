/** Finds the request that an event belongs to. The server answers the requests of one lane (stream_id) in the
    order of their arrival. */

import type { ServerEvent } from "./responses";

export class Lanes {
    private readonly requests = new Map<string, string[]>(); // lane → ids of its requests, oldest first

    add(lane: string, id: string): void {
        this.requests.set(lane, [...(this.requests.get(lane) ?? []), id]);
    }

    holds(id: string): boolean {
        return [...this.requests.values()].some((ids) => ids.includes(id));
    }

    /** Returns the id of the request that the event belongs to. If the event ends the request, removes the request from
        its lane. */
    take(event: ServerEvent): string | undefined {
        const ids = this.requests.get(event.lane) ?? [];
        // An error names the message that caused it. That message may be the lane's first request, a later request, or
        // no request at all.
        const id = event.kind === "error" ? ids.find((waiting) => waiting === event.id) : ids[0];
        if (event.kind === "error" || event.kind === "end") {
            this.requests.set(
                event.lane,
                ids.filter((waiting) => waiting !== id),
            );
        }
        return id;
    }

    clear(): void {
        this.requests.clear();
    }
}
