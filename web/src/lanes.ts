/** Which request the events of each lane belong to: the server answers those of one lane in the order they came. */

import type { ServerEvent } from "./responses";

export class Lanes {
    private readonly lines = new Map<string, string[]>();

    add(lane: string, id: string): void {
        this.lines.set(lane, [...(this.lines.get(lane) ?? []), id]);
    }

    holds(id: string): boolean {
        return [...this.lines.values()].some((line) => line.includes(id));
    }

    /** The id of the request that the event is for; a request that ends with it leaves its lane. */
    take(event: ServerEvent): string | undefined {
        const line = this.lines.get(event.lane) ?? [];
        // A refusal names its message, which may be a later one than the lane's first, or none of these.
        const id = event.kind === "error" ? line.find((waiting) => waiting === event.id) : line[0];
        if (event.kind === "error" || event.kind === "end") {
            this.lines.set(
                event.lane,
                line.filter((waiting) => waiting !== id),
            );
        }
        return id;
    }

    clear(): void {
        this.lines.clear();
    }
}
