/** Questions with their answers, and what the model is told of them. */

import type { Signal } from "@preact/signals";
import type { Answer } from "./answer";
import type { ResponseRequest } from "./responses";

export interface Turn {
    id: number;
    prompt: string;
    /** One, or two side by side. */
    answers: readonly Signal<Answer>[];
}

/** Each column goes on with its own answers. Those that failed or are empty are left out together with their question. */
export function conversation(
    system: string,
    past: readonly Turn[],
    prompt: string,
    column: number,
): Pick<ResponseRequest, "instructions" | "input"> {
    const input: ResponseRequest["input"] = [];
    for (const turn of past) {
        const answer = (turn.answers[column] ?? turn.answers[0])?.peek();
        if (!answer || answer.phase === "failed" || answer.text === "") continue;
        input.push({ role: "user", content: turn.prompt }, { role: "assistant", content: answer.text });
    }
    input.push({ role: "user", content: prompt });
    return system.trim() ? { instructions: system, input } : { input };
}
