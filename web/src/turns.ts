/** The conversation as signals, which the tab keeps over a reload. */

import { computed, effect, signal, type Signal } from "@preact/signals";
import { isRunning, type Answer } from "./answer";
import type { Turn } from "./conversation";
import { loadTurns, saveTurns } from "./history";
import { serverState } from "./server";
import { spoken, type Circumstances } from "./words";

let nextId = 1;
const turnOf = (prompt: string, answers: readonly Answer[]): Turn => ({
    id: nextId++,
    prompt,
    answers: answers.map((answer) => signal(answer)),
});

export const turns = signal<readonly Turn[]>(loadTurns().map(({ prompt, answers }) => turnOf(prompt, answers)));
/** Whether there is a socket. */
export const connected = signal(false);
/** The clock of the figures that run; it stands still between answers. */
export const now = signal(Date.now());

export function addTurn(prompt: string, answers: readonly Answer[]): void {
    turns.value = [...turns.value, turnOf(prompt, answers)];
}

export const findAnswer = (id: string): Signal<Answer> | undefined =>
    turns.value.flatMap((turn) => turn.answers).find((answer) => answer.value.id === id);

export const runningSlots = computed(() =>
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
