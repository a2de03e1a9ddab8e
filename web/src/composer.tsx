import { useEffect, useRef } from "preact/hooks";
import { draft, send, settings, stop } from "./chat";
import { numRunning } from "./turns";

// A touch keyboard has no Shift+Enter. So on a touch screen, Enter must start a new line.
const touch = matchMedia("(pointer: coarse)");

export function Composer() {
    const box = useRef<HTMLTextAreaElement>(null);

    useEffect(() => {
        const stopOnEscape = (event: KeyboardEvent): void => {
            if (event.key === "Escape" && !event.isComposing) stop();
        };
        document.addEventListener("keydown", stopOnEscape);
        return () => document.removeEventListener("keydown", stopOnEscape);
    }, []);

    const submit = (): void => send(draft.value);

    return (
        <form
            class="composer"
            onSubmit={(event) => {
                event.preventDefault();
                submit();
                box.current?.focus();
            }}
        >
            {/* This hidden copy of the text sets the box's height. The page's policy forbids style attributes. */}
            <div class="grow">
                <div class="mirror" aria-hidden="true">
                    {draft.value + "\n"}
                </div>
                <textarea
                    ref={box}
                    rows={1}
                    aria-label="Question"
                    placeholder="Ask a question"
                    autofocus
                    value={draft.value}
                    onInput={(event) => (draft.value = event.currentTarget.value)}
                    onKeyDown={(event) => {
                        if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch.matches) return;
                        event.preventDefault();
                        submit();
                    }}
                />
            </div>
            {numRunning.value > 0 ? (
                <button key="stop" type="button" class="action stop" onClick={() => stop()}>
                    {numRunning.value > 1 ? "Stop both" : "Stop"}
                </button>
            ) : (
                <button key="send" type="submit" class="action" disabled={draft.value.trim() === ""}>
                    Send
                </button>
            )}
        </form>
    );
}

export function CompareToggle() {
    const { compare } = settings.value;
    return (
        <button
            type="button"
            class="quiet"
            aria-pressed={compare}
            title="Shows two answers to each question, side by side"
            onClick={() => (settings.value = { ...settings.value, compare: !compare })}
        >
            Compare
        </button>
    );
}
