/** What is said of an answer: the label beside its figures, and what a screen reader hears. */

import type { Answer } from "./answer";
import { ordinal, percent } from "./format";

export interface Circumstances {
    connected: boolean;
    /** The server still loads its model. */
    starting: boolean;
}

const ENDINGS: Record<string, string> = { max_output_tokens: "Max tokens reached" };

export function phaseLabel(answer: Answer, { connected, starting }: Circumstances): string {
    const { phase, responseId, queuePosition, promptRead, stopReason } = answer;
    if (phase === "complete") return ENDINGS[stopReason] ?? "Complete";
    if (phase === "stopped") return "Stopped";
    if (phase === "failed") return "Failed";
    if (starting) return "Model is loading";
    if (!connected) return responseId ? "Connecting again" : "Connecting";
    if (phase === "generating") return "Generating";
    if (queuePosition !== undefined) return `Waiting, ${ordinal(queuePosition)} in line`;
    if (promptRead !== undefined) return `Reading the prompt ${percent(promptRead)}`;
    return "Waiting";
}

function spokenOf({ phase, responseId }: Answer, { connected, starting }: Circumstances): string {
    if (phase === "complete") return "Answer complete";
    if (phase === "stopped") return "Stopped";
    if (phase === "failed") return ""; // The alert says it.
    if (starting) return "The model is loading";
    if (!connected && responseId) return "Connecting again";
    return phase === "generating" ? "Generating the answer" : "Waiting for the answer";
}

/** A few words at each change of phase, never the tokens, nor every step in the line. */
export function spoken(answers: readonly Answer[], circumstances: Circumstances): string {
    const words = answers.map((answer) => spokenOf(answer, circumstances));
    if (words.every((word) => word === words[0])) return words[0] ?? "";
    return words.flatMap((word, column) => (word ? [`Answer ${column + 1}: ${word}.`] : [])).join(" ");
}
