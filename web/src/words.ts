/** An answer's phase in words: the label beside its figures, and the announcement for a screen reader. */

import type { Answer } from "./answer";
import { ordinal, percent } from "./format";

export interface Circumstances {
    connected: boolean;
    /** Whether the server is still loading its model. */
    starting: boolean;
}

const COMPLETE_LABELS: Record<string, string> = { max_output_tokens: "Max tokens reached" };

export function phaseLabel(answer: Answer, { connected, starting }: Circumstances): string {
    const { phase, responseId, queuePosition, promptRead, stopReason } = answer;
    if (phase === "complete") return COMPLETE_LABELS[stopReason] ?? "Complete";
    if (phase === "stopped") return "Stopped";
    if (phase === "failed") return "Failed";
    if (starting) return "Model is loading";
    if (!connected) return responseId ? "Reconnecting" : "Connecting";
    if (phase === "generating") return "Generating";
    if (queuePosition !== undefined) return `Waiting, ${ordinal(queuePosition)} in the queue`;
    if (promptRead !== undefined) return `Reading the prompt: ${percent(promptRead)}`;
    return "Waiting";
}

function announcementOf({ phase, responseId }: Answer, { connected, starting }: Circumstances): string {
    if (phase === "complete") return "Answer complete";
    if (phase === "stopped") return "Stopped";
    if (phase === "failed") return ""; // The alert announces the error.
    if (starting) return "The model is loading";
    if (!connected && responseId) return "Reconnecting";
    return phase === "generating" ? "Generating the answer" : "Waiting for the answer";
}

/** Returns a few words that change only with the phases, not with each token or queue position. */
export function announcementFor(answers: readonly Answer[], circumstances: Circumstances): string {
    const words = answers.map((answer) => announcementOf(answer, circumstances));
    if (words.every((word) => word === words[0])) return words[0] ?? "";
    return words.flatMap((word, column) => (word ? [`Answer ${column + 1}: ${word}.`] : [])).join(" ");
}
