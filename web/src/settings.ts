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
const API_KEY = "solard.api-key";

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
function load(key: string): string | null {
    try {
        return localStorage.getItem(key);
    } catch {
        return null;
    }
}

function save(key: string, value: string): void {
    try {
        localStorage.setItem(key, value);
    } catch {
        // See above.
    }
}

export const loadSettings = (): Settings => parseSettings(load(KEY));
export const saveSettings = (settings: Settings): void => save(KEY, JSON.stringify(settings));
export const loadApiKey = (): string => load(API_KEY) ?? "";
export const saveApiKey = (key: string): void => save(API_KEY, key);
