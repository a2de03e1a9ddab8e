import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { AnswerView } from "./answer_view";
import { send } from "./chat";
import type { Turn } from "./turn";
import { count, magnitude } from "./format";
import { facts } from "./server";
import { turns } from "./turns";

/** If the reader is within this many pixels of the end, the view follows new text. */
const STICKY = 48;

export function ChatView() {
    const box = useRef<HTMLDivElement>(null);
    const sticky = useRef(true);
    const last = turns.value.at(-1);
    const shown = last?.answers.map(({ value: { text, phase } }) => `${text.length} ${phase}`).join();
    // A new question is always scrolled into view. New text does not scroll the view if the reader has scrolled up.
    useLayoutEffect(() => {
        sticky.current = true;
    }, [last?.id]);
    const keepEndInView = (): void => {
        if (sticky.current && box.current) box.current.scrollTop = box.current.scrollHeight;
    };
    useLayoutEffect(keepEndInView, [last?.id, shown]);
    // If the composer grows or a phone's keyboard opens, the view shrinks and must be scrolled to its end again.
    useEffect(() => {
        const observer = new ResizeObserver(keepEndInView);
        if (box.current) observer.observe(box.current);
        return () => observer.disconnect();
    }, []);
    return (
        <div
            ref={box}
            class="turns"
            role="log"
            aria-live="off"
            aria-label="Chat"
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
                        <button type="button" class="chip" onClick={() => send(example)}>
                            {example}
                        </button>
                    </li>
                ))}
            </ul>
        </div>
    );
}

function TurnView({ turn }: { turn: Turn }) {
    const compared = turn.answers.length > 1;
    return (
        <article class={`turn ${compared ? "compared" : ""}`}>
            <p class="question" dir="auto">
                {turn.question}
            </p>
            <div class="answers">
                {turn.answers.map((answer, column) => (
                    <AnswerView
                        key={column}
                        answer={answer}
                        heading={compared ? `Answer ${column + 1}` : ""}
                        last={turn === turns.value.at(-1)}
                    />
                ))}
            </div>
        </article>
    );
}
