/** Text in the browser's storage. Storage may be forbidden or full (private windows, embedded views); the page then stores
    nothing. */

type Place = "localStorage" | "sessionStorage";

export function load(place: Place, key: string): string | null {
    try {
        return globalThis[place].getItem(key);
    } catch {
        return null;
    }
}

export function save(place: Place, key: string, value: string): void {
    try {
        globalThis[place].setItem(key, value);
    } catch {
        // The page works without storage.
    }
}
