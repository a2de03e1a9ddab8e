/** The page's state as signals, and the actions that change it. */

import { batch, computed, effect, signal, type Signal } from "@preact/signals";
import { begin, end, extend, isRunning, type Answer } from "./answer";
import { ApiError, fetchFacts, fetchHealth, streamChat, useApiKey, type ChatRequest, type Message } from "./api";
import type { ServerFacts, ServerState } from "./api";
import { clamp, loadApiKey, loadSettings, rangesOf, saveApiKey, saveSettings } from "./settings";

export interface Turn {
    id: number;
    prompt: string;
    answer: Signal<Answer>;
}

export const serverState = signal<ServerState>("connecting");
export const loadProgress = signal<number | undefined>(undefined);
export const facts = signal<ServerFacts | undefined>(undefined);
export const ranges = computed(() => rangesOf(facts.value));
export const settings = signal(loadSettings());
export const apiKey = signal(loadApiKey());
export const turns = signal<readonly Turn[]>([]);
export const draft = signal("");
/** The clock of the figures that run; it stands still between answers. */
export const now = signal(Date.now());

export const running = computed(() => turns.value.some((turn) => isRunning(turn.answer.value)));

/** What a screen reader hears: a few words at each change of phase, never the tokens. */
export const announcement = computed(() => {
    const answer = turns.value.at(-1)?.answer.value;
    if (!answer) return "";
    const words = {
        waiting: serverState.value === "starting" ? "The model is loading" : "Waiting for the answer",
        generating: "Generating the answer",
        complete: "Answer complete",
        stopped: "Stopped",
        failed: "", // The alert says it.
    };
    return words[answer.phase];
});

effect(() => saveSettings(settings.value));
effect(() => {
    useApiKey(apiKey.value);
    saveApiKey(apiKey.value);
});

const POLL_INTERVAL = 1000;
let nextId = 1;
let current: AbortController | undefined;
let connection: Promise<void> | undefined;

/** Resolves when the server is ready and its facts are known, or when it wants another key; asks again every second until
    then. */
export function connect(): Promise<void> {
    connection ??= pollUntilReady().finally(() => (connection = undefined));
    return connection;
}

async function pollUntilReady(): Promise<void> {
    for (;;) {
        const { state, progress } = await fetchHealth();
        // A server that still loads may already tell its name; one that does not is no error.
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

/** The messages of the next request. Answers that failed or are empty are left out together with their question. */
export function conversation(system: string, past: readonly Turn[], prompt: string): Message[] {
    const messages: Message[] = system.trim() ? [{ role: "system", content: system }] : [];
    for (const turn of past) {
        const answer = turn.answer.peek();
        if (answer.phase === "failed" || answer.text === "") continue;
        messages.push({ role: "user", content: turn.prompt }, { role: "assistant", content: answer.text });
    }
    return [...messages, { role: "user", content: prompt }];
}

export async function send(text: string): Promise<void> {
    const prompt = text.trim();
    if (!prompt || running.value) return;
    const { system, temperature, maxTokens } = settings.value;
    const request: ChatRequest = {
        model: facts.value?.model ?? "",
        messages: conversation(system, turns.value, prompt),
        temperature: clamp(temperature, ranges.value.temperature),
        max_tokens: clamp(maxTokens, ranges.value.maxTokens),
    };
    now.value = Date.now();
    const answer = signal(begin(now.value));
    batch(() => {
        draft.value = "";
        turns.value = [...turns.value, { id: nextId++, prompt, answer }];
    });
    const clock = setInterval(() => (now.value = Date.now()), 100);
    current = new AbortController();
    await run(request, answer, current.signal).finally(() => clearInterval(clock));
}

async function run(request: ChatRequest, answer: Signal<Answer>, abort: AbortSignal): Promise<void> {
    try {
        for await (const delta of streamChat(request, abort)) {
            answer.value = extend(answer.value, delta, Date.now());
        }
        answer.value = end(answer.value, "complete", Date.now());
    } catch (failure) {
        if (abort.aborted) {
            answer.value = end(answer.value, "stopped", Date.now());
        } else if (failure instanceof ApiError && failure.code === "server_starting") {
            await runOnceReady(request, answer, abort);
        } else {
            const message = failure instanceof Error ? failure.message : String(failure);
            answer.value = end(answer.value, "failed", Date.now(), message);
            if (failure instanceof ApiError && [0, 401, 503].includes(failure.status)) void connect();
        }
    }
}

async function runOnceReady(request: ChatRequest, answer: Signal<Answer>, abort: AbortSignal): Promise<void> {
    serverState.value = "starting";
    const stopped = new Promise<void>((resolve) => abort.addEventListener("abort", () => resolve()));
    await Promise.race([connect(), stopped]);
    await run({ ...request, model: request.model || (facts.value?.model ?? "") }, answer, abort);
}

export function stop(): void {
    current?.abort();
}

export function newChat(): void {
    stop();
    turns.value = [];
}
