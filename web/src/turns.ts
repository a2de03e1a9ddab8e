/** The chat as signals. The chat is kept in the tab's storage, so that it survives a reload. */

import { computed, effect, signal, type Signal } from "@preact/signals";
import { isRunning, type Answer } from "./answer";
import type { Turn } from "./turn";
import { loadTurns, saveTurns } from "./history";
import { serverState } from "./server";
import { announcementFor, type Circumstances } from "./words";

let nextId = 1;
const newTurn = (question: string, answers: readonly Answer[]): Turn => ({
    id: nextId++,
    question,
    answers: answers.map((answer) => signal(answer)),
});

export const turns = signal<readonly Turn[]>(loadTurns().map(({ question, answers }) => newTurn(question, answers)));
/** Whether a socket is open. */
export const connected = signal(false);
/** The current time, for the figures of running answers. It is updated only while an answer is running. */
export const now = signal(Date.now());

export function addTurn(question: string, answers: readonly Answer[]): void {
    turns.value = [...turns.value, newTurn(question, answers)];
}

export const findAnswer = (id: string): Signal<Answer> | undefined =>
    turns.value.flatMap((turn) => turn.answers).find((answer) => answer.value.id === id);

export const runningAnswers = computed(() =>
    turns.value.flatMap((turn) =>
        turn.answers.flatMap((answer, column) => (isRunning(answer.value) ? [{ turn, answer, column }] : [])),
    ),
);
export const numRunning = computed(() => runningAnswers.value.length);

export const circumstances = computed<Circumstances>(() => ({
    connected: connected.value,
    starting: serverState.value === "starting",
}));
export const announcement = computed(() => {
    const answers = turns.value.at(-1)?.answers ?? [];
    return announcementFor(
        answers.map((answer) => answer.value),
        circumstances.value,
    );
});

effect(() => {
    if (numRunning.value === 0) return;
    now.value = Date.now();
    const clock = setInterval(() => (now.value = Date.now()), 100);
    return () => clearInterval(clock);
});

/** Changes whenever the chat must be stored again. Between two changes, the stored text gets old but stays valid: after
    a reload, the server sends all events after the stored cursor again. */
const milestones = computed(() =>
    turns.value
        .flatMap(({ answers }) => answers.map(({ value: { id, responseId, phase } }) => `${id} ${responseId} ${phase}`))
        .join(),
);
export const saveChat = (): void =>
    saveTurns(turns.peek().map(({ question, answers }) => ({ question, answers: answers.map((answer) => answer.peek()) })));
effect(() => {
    void milestones.value;
    saveChat();
});
