/** Readers of untrusted JSON: each takes any value and returns a value of the type that the reader is named after. */

export type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null;

export const object = (value: unknown): Json => (isObject(value) ? value : {});
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const text = (value: unknown): string => (typeof value === "string" ? value : "");
export const number = (value: unknown): number | undefined =>
    typeof value === "number" && Number.isFinite(value) ? value : undefined;

/** Returns undefined if the text is not valid JSON. */
export function parseJson(source: string | null): unknown {
    try {
        return JSON.parse(source ?? "");
    } catch {
        return undefined;
    }
}
