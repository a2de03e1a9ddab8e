/** The user's actions on the chat, and their effects. */

import { batch, effect, signal, type Signal } from "@preact/signals";
import { begin, change, end, type Answer } from "./answer";
import { Exchange, type Running } from "./exchange";
import type { ResponseRequest, ServerEvent } from "./responses";
import { apiKey, connect, facts, ranges, serverState } from "./server";
import { clamp, loadSettings, saveSettings } from "./settings";
import { realClock } from "./socket";
import { requestInput, type Turn } from "./turn";
import { addTurn, connected, findAnswer, numRunning, runningAnswers, turns } from "./turns";

export const settings = signal(loadSettings());
export const draft = signal("");

/** Returns the lane (stream_id) of a column's requests. The requests of one lane run one after another. Each column has
    its own lane, so that the two answers do not wait for each other. */
const laneOf = (column: number): string => (column === 0 ? "left" : "right");
/** After this many attempts in a row without a stable connection, a failed handshake makes the answers fail. */
const MAX_FAILURES = 5;

const KEY_REQUIRED = "The server requires a valid API key. Enter one in the settings.";
const NO_WEBSOCKET =
    "The server is reachable, but no WebSocket could be opened. A proxy in front of the server must forward WebSockets.";

const exchange = new Exchange(
    {
        apiKey: () => apiKey.peek(),
        running: () =>
            runningAnswers.peek().map(
                ({ turn, answer, column }): Running => ({
                    lane: laneOf(column),
                    answer: answer.peek(),
                    request: () => requestOf(turn, column),
                }),
            ),
        received,
        handshakeFailed,
        connected: (isConnected) => (connected.value = isConnected),
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
        ...requestInput(system, all.slice(0, all.indexOf(turn)), turn.question, column),
        temperature: clamp(temperature, ranges.peek().temperature),
        max_output_tokens: clamp(maxTokens, ranges.peek().maxTokens),
    };
}

/** The id must be hard to guess, because a request with the same id receives the same answer. */
const newAnswer = (): Answer => begin(crypto.getRandomValues(new Uint32Array(4)).join("-"), Date.now());

export function send(text: string): void {
    const question = text.trim();
    if (!question || numRunning.value) return;
    const answers = settings.value.compare ? [newAnswer(), newAnswer()] : [newAnswer()];
    batch(() => {
        draft.value = "";
        addTurn(question, answers);
    });
    exchange.requestRunning();
}

export function askAgain(answer: Signal<Answer>): void {
    answer.value = newAnswer();
    exchange.requestRunning();
}

/** Resumes the answers that were running when the user left the page. */
export const resume = (): void => exchange.requestRunning();

/** Stops one answer, or all running answers. */
export function stop(which?: Signal<Answer>): void {
    for (const { answer, column } of runningAnswers.value) {
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
    if (!answer) return; // The answer's chat was discarded.
    if (event.kind === "error" && event.code === "server_starting") return void requestOnceReady();
    answer.value = change(answer.value, event, Date.now());
    if (event.kind === "error" && event.status === 503) void connect();
}

async function requestOnceReady(): Promise<void> {
    serverState.value = "starting";
    await connect();
    exchange.requestRunning();
}

async function handshakeFailed(failures: number): Promise<void> {
    await connect();
    if (serverState.value === "locked") failAll(KEY_REQUIRED);
    else if (failures >= MAX_FAILURES) failAll(NO_WEBSOCKET);
}

function failAll(message: string): void {
    for (const { answer } of runningAnswers.value) answer.value = end(answer.value, "failed", Date.now(), message);
}
