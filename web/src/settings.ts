/** The user's settings, stored in localStorage, and their valid ranges. */

import type { ServerFacts } from "./api";
import { number, object, parseJson } from "./json";
import { load, save } from "./storage";

export interface Settings {
    system: string;
    temperature: number;
    maxTokens: number;
    /** Whether each question gets two answers. */
    compare: boolean;
}

export interface Ranges {
    temperature: readonly [number, number];
    maxTokens: readonly [number, number];
}

export const DEFAULTS: Settings = { system: "", temperature: 0.7, maxTokens: 512, compare: false };

const KEY = "solard.settings";
const API_KEY = "solard.api-key";

export function rangesOf(facts: ServerFacts | undefined): Ranges {
    const max = facts?.maxTokens ?? facts?.contextLength ?? 4096;
    return { temperature: facts?.temperature ?? [0, 2], maxTokens: [1, Math.max(1, max)] };
}

/** Returns the nearest value within the range. For NaN, returns the lower end of the range. */
export function clamp(value: number, [low, high]: readonly [number, number]): number {
    return value > low ? Math.min(value, high) : low;
}

/** Returns usable settings for any stored text: a value that is missing or of the wrong type becomes the default. */
export function parseSettings(stored: string | null): Settings {
    const found = object(parseJson(stored));
    return {
        system: typeof found.system === "string" ? found.system : DEFAULTS.system,
        temperature: number(found.temperature) ?? DEFAULTS.temperature,
        maxTokens: Math.round(number(found.maxTokens) ?? DEFAULTS.maxTokens),
        compare: found.compare === true,
    };
}

export const loadSettings = (): Settings => parseSettings(load("localStorage", KEY));
export const saveSettings = (settings: Settings): void => save("localStorage", KEY, JSON.stringify(settings));
export const loadApiKey = (): string => load("localStorage", API_KEY) ?? "";
export const saveApiKey = (key: string): void => save("localStorage", API_KEY, key);
