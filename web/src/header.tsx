import { newChat } from "./chat";
import icon from "./icon.svg";
import { facts, loadProgress, serverState } from "./server";
import { settingsOpen } from "./settings_panel";
import { turns } from "./turns";

const STATES = {
    connecting: "connecting…",
    starting: "model is loading…",
    ready: "ready",
    locked: "API key required",
    draining: "shutting down",
    failed: "engine failed",
    unreachable: "server unreachable",
};

function stateText(): string {
    const state = serverState.value;
    const progress = state === "starting" ? loadProgress.value : undefined;
    return STATES[state] + (progress === undefined ? "" : ` ${Math.round(progress)} %`);
}

export function Header() {
    const known = facts.value;
    return (
        <header class="header">
            <img class="logo" src={icon} alt="" width="28" height="28" />
            <h1>solard</h1>
            <p class="server">
                <span class={`state ${serverState.value}`}>{stateText()}</span>
                {known?.model && <span class="model">{known.model}</span>}
                {known?.device && <span class="device">{known.device}</span>}
            </p>
            <button type="button" class="quiet" onClick={newChat} disabled={turns.value.length === 0}>
                New chat
            </button>
            <button
                type="button"
                class="quiet"
                aria-expanded={settingsOpen.value}
                aria-controls="settings"
                onClick={() => (settingsOpen.value = !settingsOpen.value)}
            >
                Settings
            </button>
        </header>
    );
}
