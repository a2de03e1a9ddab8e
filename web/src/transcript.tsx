import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { figures, isRunning, type Answer } from "./answer";
import { facts, now, send, serverState, turns, type Turn } from "./chat";
import { count, duration, magnitude, rate, seconds } from "./format";

/** How near the end, in pixels, the reader must be for new text to keep the end in view. */
const STICKY = 48;

export function Transcript() {
    const box = useRef<HTMLDivElement>(null);
    const sticky = useRef(true);
    const last = turns.value.at(-1);
    const length = last?.answer.value.text.length;
    // A new question is always shown; text below the fold leaves a reader who scrolled up where he is.
    useLayoutEffect(() => {
        sticky.current = true;
    }, [last?.id]);
    const keepEndInView = (): void => {
        if (sticky.current && box.current) box.current.scrollTop = box.current.scrollHeight;
    };
    useLayoutEffect(keepEndInView, [last?.id, length, last?.answer.value.phase]);
    // A growing composer or a phone's keyboard takes room from the transcript.
    useEffect(() => {
        const observer = new ResizeObserver(keepEndInView);
        if (box.current) observer.observe(box.current);
        return () => observer.disconnect();
    }, []);
    return (
        <div
            ref={box}
            class="transcript"
            role="log"
            aria-live="off"
            aria-label="Conversation"
            tabIndex={0}
            onScroll={({ currentTarget: { scrollHeight, scrollTop, clientHeight } }) => {
                sticky.current = scrollHeight - scrollTop - clientHeight < STICKY;
            }}
        >
            {turns.value.length === 0 ? <Welcome /> : turns.value.map((turn) => <TurnView key={turn.id} turn={turn} />)}
        </div>
    );
}

function Welcome() {
    const known = facts.value;
    const size = [
        known?.parameters && `${magnitude(known.parameters)} parameters`,
        known?.contextLength && `${count(known.contextLength, "token")} of context`,
        known?.version && `solard ${known.version}`,
    ].filter(Boolean);
    return (
        <div class="welcome">
            <h2>{known?.model ? `Chat with ${known.model}` : "Chat"}</h2>
            <p class="hint">{size.join(" · ")}</p>
            <ul class="examples">
                {known?.examples.map((example) => (
                    <li key={example}>
                        <button type="button" class="chip" onClick={() => void send(example)}>
                            {example}
                        </button>
                    </li>
                ))}
            </ul>
        </div>
    );
}

function TurnView({ turn }: { turn: Turn }) {
    const answer = turn.answer.value;
    return (
        <article class="turn">
            <p class="prompt" dir="auto">
                {turn.prompt}
            </p>
            <div class="answer" aria-busy={isRunning(answer)}>
                {answer.text !== "" && (
                    <p class={`text ${answer.phase}`} dir="auto">
                        {answer.text}
                    </p>
                )}
                {answer.error !== "" && (
                    <p class="error" role="alert">
                        {answer.error}
                    </p>
                )}
                <FigureLine answer={answer} />
            </div>
        </article>
    );
}

const ENDINGS: Record<string, string> = { length: "max tokens reached" };

function phaseLabel(answer: Answer): string {
    if (answer.phase === "waiting" && serverState.value === "starting") return "model is loading";
    return (answer.phase === "complete" && ENDINGS[answer.finishReason ?? ""]) || answer.phase;
}

function FigureLine({ answer }: { answer: Answer }) {
    const found = figures(answer, isRunning(answer) ? now.value : 0);
    const about = found.estimated ? "≈ " : "";
    return (
        <ul class="figures">
            <li class={`phase ${answer.phase}`}>{phaseLabel(answer)}</li>
            <li>{seconds(found.elapsed)}</li>
            {found.ttft !== undefined && <li title="Time to first token">TTFT {duration(found.ttft)}</li>}
            {found.tokens > 0 && <li>{about + count(found.tokens, "token")}</li>}
            {found.tokensPerSecond !== undefined && (
                <li title="Tokens per second after the first token">{about + rate(found.tokensPerSecond)}</li>
            )}
        </ul>
    );
}
