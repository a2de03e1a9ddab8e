/** The state of the server, facts about the server (such as its model), and the API key that the page uses. */

import { batch, computed, effect, signal } from "@preact/signals";
import { ApiError, fetchFacts, fetchHealth, useApiKey, type ServerFacts, type ServerState } from "./api";
import { loadApiKey, rangesOf, saveApiKey } from "./settings";

export const serverState = signal<ServerState>("connecting");
export const loadProgress = signal<number | undefined>(undefined);
export const facts = signal<ServerFacts | undefined>(undefined);
export const ranges = computed(() => rangesOf(facts.value));
export const apiKey = signal(loadApiKey());

effect(() => {
    useApiKey(apiKey.value);
    saveApiKey(apiKey.value);
});

const POLL_INTERVAL = 1000;
let connection: Promise<void> | undefined;

/** Requests the state of the server and its facts (such as the model and the limits) every second. Resolves when the
    server is ready and has sent the facts, or when the server refuses the API key. */
export function connect(): Promise<void> {
    connection ??= pollUntilReady().finally(() => (connection = undefined));
    return connection;
}

async function pollUntilReady(): Promise<void> {
    for (;;) {
        const { state, progress } = await fetchHealth();
        // A server that is still loading its model may already return facts. If it does not, this is not an error.
        let found: ServerFacts | undefined;
        let locked = false;
        if (state !== "unreachable") {
            found = await fetchFacts().catch((failure) => {
                locked = failure instanceof ApiError && failure.status === 401;
                return undefined;
            });
        }
        const ready = state === "ready" && found !== undefined;
        batch(() => {
            if (found) facts.value = found;
            loadProgress.value = progress;
            serverState.value = locked ? "locked" : state === "ready" && !ready ? "connecting" : state;
        });
        if (ready || locked) return;
        await new Promise((resolve) => setTimeout(resolve, POLL_INTERVAL));
    }
}

export function unlock(key: string): void {
    apiKey.value = key.trim();
    void connect();
}
