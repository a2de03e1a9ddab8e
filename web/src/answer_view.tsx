import type { Signal } from "@preact/signals";
import { elapsed, isRunning, type Answer } from "./answer";
import { askAgain, stop } from "./chat";
import { count, duration, rate, seconds } from "./format";
import { circumstances, now, numRunning } from "./turns";
import { phaseLabel } from "./words";

interface AnswerViewProps {
    answer: Signal<Answer>;
    /** Empty unless the answer stands beside another answer. */
    heading: string;
    /** Whether the answer belongs to the last question. The user can repeat only the last question. */
    last: boolean;
}

export function AnswerView({ answer, heading, last }: AnswerViewProps) {
    const { phase, text, error } = answer.value;
    const busy = isRunning(answer.value);
    return (
        <div class="answer" role={heading ? "group" : undefined} aria-label={heading || undefined} aria-busy={busy}>
            {heading !== "" && (
                <div class="answer-head">
                    <h2>{heading}</h2>
                    {busy && (
                        <button
                            type="button"
                            class="quiet"
                            aria-label={`Stop ${heading.toLowerCase()}`}
                            onClick={() => stop(answer)}
                        >
                            Stop
                        </button>
                    )}
                </div>
            )}
            {text !== "" && (
                <p class={`text ${phase}`} dir="auto">
                    {text}
                </p>
            )}
            {error !== "" && (
                <p class="error" role="alert">
                    {error}
                </p>
            )}
            {phase === "failed" && last && (
                <button type="button" class="quiet again" disabled={numRunning.value > 0} onClick={() => askAgain(answer)}>
                    Ask again
                </button>
            )}
            <FigureLine answer={answer.value} />
        </div>
    );
}

function FigureLine({ answer }: { answer: Answer }) {
    const { tokens, tokensPerSecond, queue, prefill, ttft, seed } = answer.measured;
    const parts = [
        queue !== undefined && `${duration(queue)} in the queue`,
        prefill !== undefined && `${duration(prefill)} reading the prompt`,
    ].filter(Boolean);
    return (
        <ul class="figures">
            <li class={`phase ${answer.phase}`}>{phaseLabel(answer, circumstances.value)}</li>
            <li>{isRunning(answer) ? seconds(elapsed(answer, now.value)) : duration(elapsed(answer, 0))}</li>
            {ttft !== undefined && (
                <li title={["Time to first token", parts.join(", ")].filter(Boolean).join(": ")}>TTFT {duration(ttft)}</li>
            )}
            {!!tokens && <li>{count(tokens, "token")}</li>}
            {tokensPerSecond !== undefined && (
                <li title="Tokens per second after the first token">{rate(tokensPerSecond)}</li>
            )}
            {seed !== undefined && <li title="Seed of the random choices">seed {seed}</li>}
        </ul>
    );
}
