/** The conversation as signals, and the actions that change it. */

import { batch, computed, effect, signal, type Signal } from "@preact/signals";
import { begin, change, end, isRunning, type Answer } from "./answer";
import { conversation, type Turn } from "./conversation";
import { Exchange, type Running } from "./exchange";
import { loadTurns, saveTurns } from "./history";
import type { ResponseRequest, ServerEvent } from "./responses";
import { apiKey, connect, facts, ranges, serverState } from "./server";
import { clamp, loadSettings, saveSettings } from "./settings";
import { realClock } from "./socket";
import { spoken, type Circumstances } from "./words";

let nextId = 1;

export const settings = signal(loadSettings());
export const turns = signal<readonly Turn[]>(
    loadTurns().map(({ prompt, answers }) => ({ id: nextId++, prompt, answers: answers.map((answer) => signal(answer)) })),
);
export const draft = signal("");
const connected = signal(false);
/** The clock of the figures that run; it stands still between answers. */
export const now = signal(Date.now());

/** By column: an answer on the left never waits for the one on the right. */
const LANES = ["left", "right"];
/** Handshakes that fail although the server answers, before that is told. */
const MOST_FAILURES = 5;

const runningSlots = computed(() =>
    turns.value.flatMap((turn) =>
        turn.answers.flatMap((answer, column) => (isRunning(answer.value) ? [{ turn, answer, column }] : [])),
    ),
);
export const running = computed(() => runningSlots.value.length);

export const circumstances = computed<Circumstances>(() => ({
    connected: connected.value,
    starting: serverState.value === "starting",
}));
export const announcement = computed(() => {
    const answers = turns.value.at(-1)?.answers ?? [];
    return spoken(
        answers.map((answer) => answer.value),
        circumstances.value,
    );
});

const exchange = new Exchange(
    {
        apiKey: () => apiKey.peek(),
        running: () =>
            runningSlots.peek().map(
                ({ turn, answer, column }): Running => ({
                    lane: LANES[column] ?? "",
                    answer: answer.peek(),
                    request: () => requestOf(turn, column),
                }),
            ),
        received,
        refused,
        connected: (is) => (connected.value = is),
    },
    realClock,
);

effect(() => saveSettings(settings.value));
effect(() => {
    void apiKey.value;
    exchange.reconnect();
});
effect(() => {
    if (running.value === 0) return;
    now.value = Date.now();
    const clock = setInterval(() => (now.value = Date.now()), 100);
    return () => clearInterval(clock);
});

/** Between these moments what is kept grows old but stays true: the server sends again what came after its cursor. */
const milestones = computed(() =>
    turns.value
        .flatMap(({ answers }) => answers.map(({ value: { id, responseId, phase } }) => `${id} ${responseId} ${phase}`))
        .join(),
);
export const keep = (): void =>
    saveTurns(turns.peek().map(({ prompt, answers }) => ({ prompt, answers: answers.map((answer) => answer.peek()) })));
effect(() => {
    void milestones.value;
    keep();
});

function requestOf(turn: Turn, column: number): ResponseRequest {
    const { system, temperature, maxTokens } = settings.peek();
    const all = turns.peek();
    return {
        model: facts.peek()?.model ?? "",
        ...conversation(system, all.slice(0, all.indexOf(turn)), turn.prompt, column),
        temperature: clamp(temperature, ranges.peek().temperature),
        max_output_tokens: clamp(maxTokens, ranges.peek().maxTokens),
    };
}

/** Hard to guess: whoever names the id of another's request gets its answer. */
const newAnswer = (): Answer => begin(crypto.getRandomValues(new Uint32Array(4)).join("-"), Date.now());

export function send(text: string): void {
    const prompt = text.trim();
    if (!prompt || running.value) return;
    const answers = LANES.slice(0, settings.value.compare ? 2 : 1).map(() => signal(newAnswer()));
    batch(() => {
        draft.value = "";
        turns.value = [...turns.value, { id: nextId++, prompt, answers }];
    });
    exchange.pursue();
}

export function askAgain(answer: Signal<Answer>): void {
    answer.value = newAnswer();
    exchange.pursue();
}

/** Goes on with the answers that ran when the page was left. */
export const resume = (): void => {
    if (running.value) exchange.pursue();
};

/** Stops one answer, or all that run. */
export function stop(which?: Signal<Answer>): void {
    for (const { answer, column } of runningSlots.value) {
        if (which && which !== answer) continue;
        exchange.cancel(LANES[column] ?? "");
        answer.value = end(answer.value, "stopped", Date.now());
    }
}

export function newChat(): void {
    stop();
    turns.value = [];
}

function received(id: string, event: ServerEvent): void {
    const answer = turns.value.flatMap((turn) => turn.answers).find((one) => one.value.id === id);
    if (!answer) return; // Of a chat that is no more.
    if (event.kind === "error" && event.code === "server_starting") return void pursueOnceReady();
    answer.value = change(answer.value, event, Date.now());
    if (event.kind === "error" && event.status === 503) void connect();
}

async function pursueOnceReady(): Promise<void> {
    serverState.value = "starting";
    await connect();
    resume();
}

async function refused(failures: number): Promise<void> {
    await connect();
    if (serverState.value === "locked") failAll("The server wants an API key, or another one.");
    else if (failures >= MOST_FAILURES)
        failAll("The server answers, but opens no WebSocket. If there is a proxy before it, that must forward them.");
}

function failAll(message: string): void {
    for (const { answer } of runningSlots.value) answer.value = end(answer.value, "failed", Date.now(), message);
}
