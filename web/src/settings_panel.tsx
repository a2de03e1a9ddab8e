import { effect, signal } from "@preact/signals";
import { settings } from "./chat";
import { apiKey, ranges, serverState, unlock } from "./server";
import { clamp, DEFAULTS } from "./settings";

// At first, the panel is open beside the chat if the window is wide enough. Otherwise the Settings button opens it.
export const settingsOpen = signal(matchMedia("(min-width: 60rem)").matches);

effect(() => {
    if (serverState.value === "locked") settingsOpen.value = true;
});

/** Is shown only if the server requires a key or a key is stored. */
function ApiKeySetting() {
    const locked = serverState.value === "locked";
    if (!locked && !apiKey.value) return null;
    return (
        <div class="setting">
            <label for="api-key">API key</label>
            <input
                id="api-key"
                type="password"
                autocomplete="off"
                value={apiKey.value}
                onChange={(event) => unlock(event.currentTarget.value)}
            />
            <p class="hint">{locked ? "The server requires a valid key." : "Stored in this browser."}</p>
        </div>
    );
}

interface NumberSettingProps {
    name: "temperature" | "maxTokens";
    label: string;
    hint: string;
    step: number;
}

/** One setting with two controls: a slider for rough choices and a box for the exact value. */
function NumberSetting({ name, label, hint, step }: NumberSettingProps) {
    const [low, high] = ranges.value[name];
    const value = clamp(settings.value[name], [low, high]);
    const set = (input: HTMLInputElement): void => {
        const wanted = input.valueAsNumber;
        // The box may be empty while the user is typing. Then the setting keeps its value.
        if (Number.isFinite(wanted)) {
            const kept = name === "maxTokens" ? Math.round(wanted) : wanted;
            settings.value = { ...settings.value, [name]: clamp(kept, [low, high]) };
        }
    };
    const common = { min: low, max: high, step, value };
    return (
        <div class="setting" role="group" aria-labelledby={`${name}-label`}>
            <label id={`${name}-label`} for={name}>
                {label}
            </label>
            <input
                id={name}
                type="number"
                {...common}
                onChange={(event) => {
                    set(event.currentTarget);
                    event.currentTarget.value = String(settings.value[name]);
                }}
            />
            <input type="range" aria-label={label} {...common} onInput={(event) => set(event.currentTarget)} />
            <p class="hint">{hint}</p>
        </div>
    );
}

export function SettingsPanel() {
    const { system, compare } = settings.value;
    return (
        <aside id="settings" class="settings" aria-label="Settings" hidden={!settingsOpen.value}>
            <ApiKeySetting />
            <details class="setting" open={system !== ""}>
                <summary>System prompt</summary>
                <textarea
                    aria-label="System prompt"
                    rows={5}
                    placeholder="Describe how the model should behave"
                    value={system}
                    onInput={(event) => (settings.value = { ...settings.value, system: event.currentTarget.value })}
                />
            </details>
            <NumberSetting
                name="temperature"
                label="Temperature"
                step={0.05}
                hint="0 always picks the most likely token. Higher values are more random."
            />
            <NumberSetting name="maxTokens" label="Max tokens" step={1} hint="The maximum length of an answer." />
            <button type="button" class="quiet" onClick={() => (settings.value = { ...DEFAULTS, compare })}>
                Reset to defaults
            </button>
        </aside>
    );
}
