/** What the visitor does with the conversation, and what comes of it. */

import { batch, effect, signal, type Signal } from "@preact/signals";
import { begin, change, end, type Answer } from "./answer";
import { conversation, type Turn } from "./conversation";
import { Exchange, type Running } from "./exchange";
import type { ResponseRequest, ServerEvent } from "./responses";
import { apiKey, connect, facts, ranges, serverState } from "./server";
import { clamp, loadSettings, saveSettings } from "./settings";
import { realClock } from "./socket";
import { addTurn, connected, findAnswer, running, runningSlots, turns } from "./turns";

export const settings = signal(loadSettings());
export const draft = signal("");

/** One for each column, so that neither answer waits for the other. */
const laneOf = (column: number): string => (column === 0 ? "left" : "right");
/** Handshakes that fail although the server answers, before that is told. */
const MOST_FAILURES = 5;

const exchange = new Exchange(
    {
        apiKey: () => apiKey.peek(),
        running: () =>
            runningSlots.peek().map(
                ({ turn, answer, column }): Running => ({
                    lane: laneOf(column),
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
    const answers = settings.value.compare ? [newAnswer(), newAnswer()] : [newAnswer()];
    batch(() => {
        draft.value = "";
        addTurn(prompt, answers);
    });
    exchange.pursue();
}

export function askAgain(answer: Signal<Answer>): void {
    answer.value = newAnswer();
    exchange.pursue();
}

/** Goes on with the answers that ran when the page was left. */
export const resume = (): void => exchange.pursue();

/** Stops one answer, or all that run. */
export function stop(which?: Signal<Answer>): void {
    for (const { answer, column } of runningSlots.value) {
        if (which && which !== answer) continue;
        exchange.cancel(laneOf(column));
        answer.value = end(answer.value, "stopped", Date.now());
    }
}

export function newChat(): void {
    stop();
    turns.value = [];
}

function received(id: string, event: ServerEvent): void {
    const answer = findAnswer(id);
    if (!answer) return; // Of a chat that is no more.
    if (event.kind === "error" && event.code === "server_starting") return void pursueOnceReady();
    answer.value = change(answer.value, event, Date.now());
    if (event.kind === "error" && event.status === 503) void connect();
}

async function pursueOnceReady(): Promise<void> {
    serverState.value = "starting";
    await connect();
    exchange.pursue();
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
