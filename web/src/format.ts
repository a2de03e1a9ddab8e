/** Numbers as readable text. */

export function duration(milliseconds: number): string {
    return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : seconds(milliseconds);
}

export const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(1)} s`;

export function rate(tokensPerSecond: number): string {
    return `${tokensPerSecond.toFixed(tokensPerSecond < 100 ? 1 : 0)} tok/s`;
}

/** 10731524096 → "10.7B", 3870000 → "3.9M". */
export function magnitude(count: number): string {
    for (const [unit, size] of [["B", 1e9], ["M", 1e6], ["K", 1e3]] as const) {
        if (count >= size) return (count / size).toFixed(1) + unit;
    }
    return String(count);
}

export function count(amount: number, noun: string): string {
    return `${amount.toLocaleString("en")} ${noun}${amount === 1 ? "" : "s"}`;
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`;

const ORDINAL_SUFFIXES: Record<string, string> = { one: "st", two: "nd", few: "rd" };
const english = new Intl.PluralRules("en", { type: "ordinal" });

/** 3 → "3rd". */
export const ordinal = (place: number): string => place + (ORDINAL_SUFFIXES[english.select(place)] ?? "th");
