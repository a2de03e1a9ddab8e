/** Readers of JSON that came from elsewhere: each takes anything and gives a value of its type. */

export type Json = Record<string, unknown>;

const isObject = (value: unknown): value is Json => typeof value === "object" && value !== null;

export const object = (value: unknown): Json => (isObject(value) ? value : {});
export const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
export const text = (value: unknown): string => (typeof value === "string" ? value : "");
export const number = (value: unknown): number | undefined =>
    typeof value === "number" && Number.isFinite(value) ? value : undefined;

/** undefined for what is no JSON. */
export function parseJson(source: string | null): unknown {
    try {
        return JSON.parse(source ?? "");
    } catch {
        return undefined;
    }
}
