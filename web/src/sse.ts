/**
 * Reader of a text/event-stream body that arrives in arbitrary pieces.
 *
 * A piece may end anywhere, also inside a UTF-8 character or between CR and LF. Only `data` matters to this page:
 * other fields, comment lines and blank keep-alive lines are skipped. An event that the stream cuts off is dropped.
 */
export class SseReader {
    private readonly decoder = new TextDecoder();
    private partial = "";
    private data: string[] = [];

    /** Takes the next bytes; returns the data of each event completed by them, oldest first. */
    push(bytes: Uint8Array): string[] {
        const lines = (this.partial + this.decoder.decode(bytes, { stream: true })).split("\n");
        this.partial = lines.pop() ?? "";
        const events: string[] = [];
        for (const line of lines) {
            const event = this.take(line.endsWith("\r") ? line.slice(0, -1) : line);
            if (event !== undefined) events.push(event);
        }
        return events;
    }

    private take(line: string): string | undefined {
        if (line.startsWith("data:")) {
            this.data.push(line.slice(line[5] === " " ? 6 : 5));
        } else if (line === "" && this.data.length > 0) {
            return this.data.splice(0).join("\n");
        }
        return undefined;
    }
}
