/** What the visitor chose, kept in localStorage, and the ranges in which it may lie. */

import type { ServerFacts } from "./api";

export interface Settings {
    system: string;
    temperature: number;
    maxTokens: number;
}

export interface Ranges {
    temperature: readonly [number, number];
    maxTokens: readonly [number, number];
}

export const DEFAULTS: Settings = { system: "", temperature: 0.7, maxTokens: 512 };

const KEY = "solard.settings";

export function rangesOf(facts: ServerFacts | undefined): Ranges {
    const most = facts?.maxTokens ?? facts?.contextLength ?? 4096;
    return { temperature: facts?.temperature ?? [0, 2], maxTokens: [1, Math.max(1, most)] };
}

/** The value moved into the range; NaN gives the lower end. */
export function clamp(value: number, [low, high]: readonly [number, number]): number {
    return value > low ? Math.min(value, high) : low;
}

/** Any stored text gives usable settings: what is missing or of the wrong type becomes the default. */
export function parseSettings(stored: string | null): Settings {
    let found: Partial<Record<keyof Settings, unknown>> = {};
    try {
        found = Object(JSON.parse(stored ?? "{}"));
    } catch {
        // Written by something else; the defaults serve.
    }
    const number = (value: unknown, otherwise: number): number =>
        typeof value === "number" && Number.isFinite(value) ? value : otherwise;
    return {
        system: typeof found.system === "string" ? found.system : DEFAULTS.system,
        temperature: number(found.temperature, DEFAULTS.temperature),
        maxTokens: Math.round(number(found.maxTokens, DEFAULTS.maxTokens)),
    };
}

// Storage may be forbidden (private windows, embedded views): the page then simply forgets.
export function loadSettings(): Settings {
    try {
        return parseSettings(localStorage.getItem(KEY));
    } catch {
        return DEFAULTS;
    }
}

export function saveSettings(settings: Settings): void {
    try {
        localStorage.setItem(KEY, JSON.stringify(settings));
    } catch {
        // See above.
    }
}
