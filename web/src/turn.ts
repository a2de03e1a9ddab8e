/** A turn of the chat: a question and its answers. The input of a request is built from all turns. */

import type { Signal } from "@preact/signals";
import type { Answer } from "./answer";
import type { ResponseRequest } from "./responses";

export interface Turn {
    id: number;
    question: string;
    /** One answer, or two answers side by side if Compare is on. */
    answers: readonly Signal<Answer>[];
}

/** Returns the input for the column's next answer. A column continues its own earlier answers. An answer that failed or
    is empty is left out together with its question. */
export function requestInput(
    system: string,
    past: readonly Turn[],
    question: string,
    column: number,
): Pick<ResponseRequest, "instructions" | "input"> {
    const input: ResponseRequest["input"] = [];
    for (const turn of past) {
        const answer = (turn.answers[column] ?? turn.answers[0])?.peek();
        if (!answer || answer.phase === "failed" || answer.text === "") continue;
        input.push({ role: "user", content: turn.question }, { role: "assistant", content: answer.text });
    }
    input.push({ role: "user", content: question });
    return system.trim() ? { instructions: system, input } : { input };
}
