/** The server's HTTP API as this page uses it. Every response body has the type `unknown` until its fields are checked. */

import { list, number, object, text } from "./json";

export type ServerState = "connecting" | "starting" | "ready" | "locked" | "draining" | "failed" | "unreachable";

export interface Health {
    state: ServerState;
    /** The loaded part of the model in per cent, while the model is loading. */
    progress: number | undefined;
}

export interface ServerFacts {
    model: string;
    device: string;
    version: string;
    contextLength: number | undefined;
    parameters: number | undefined;
    maxTokens: number | undefined;
    temperature: readonly [number, number] | undefined;
    examples: string[];
}

/** A failed HTTP request. `status` is 0 if there was no connection. */
export class ApiError extends Error {
    constructor(
        message: string,
        readonly status = 0,
        readonly code = "",
    ) {
        super(message);
    }
}

function range(value: unknown): readonly [number, number] | undefined {
    const [low, high] = list(value).map(number);
    return low !== undefined && high !== undefined && low < high ? [low, high] : undefined;
}

export function parseFacts(metadata: unknown, models: unknown): ServerFacts {
    const body = object(metadata);
    const model = object(body.model);
    const limits = object(body.limits);
    return {
        model: text(model.id) || text(object(list(object(models).data)[0]).id),
        device: text(body.device),
        version: text(body.version),
        contextLength: number(model.context_length),
        parameters: number(model.num_parameters),
        maxTokens: number(limits.max_tokens),
        temperature: range(limits.temperature),
        examples: list(body.examples).map(text).filter(Boolean),
    };
}

function errorOf(body: unknown, status: number): ApiError {
    const error = object(object(body).error);
    const fallback = status ? `The server returned HTTP status ${status}.` : "The server reported an error without a message.";
    return new ApiError(text(error.message) || fallback, status, text(error.code));
}

let apiKey = "";

/** Sets the key that later requests carry. If the key is empty, later requests carry no key. */
export function useApiKey(key: string): void {
    apiKey = key;
}

/** Calls fetch. Every failure becomes an ApiError, except an abort, which is thrown unchanged. */
async function request(path: string, init: RequestInit): Promise<Response> {
    let response: Response;
    const headers = new Headers(init.headers);
    if (apiKey) headers.set("Authorization", `Bearer ${apiKey}`);
    try {
        response = await fetch(path, { ...init, headers });
    } catch (failure) {
        init.signal?.throwIfAborted();
        throw new ApiError(`The server cannot be reached (${text(object(failure).message) || "no connection"}).`);
    }
    if (response.ok) return response;
    throw errorOf(await response.json().catch(() => undefined), response.status);
}

const getJson = async (path: string): Promise<unknown> => (await request(path, { cache: "no-store" })).json();

export async function fetchFacts(): Promise<ServerFacts> {
    const [metadata, models] = await Promise.all([getJson("/v1/metadata"), getJson("/v1/models")]);
    return parseFacts(metadata, models);
}

/** Never throws: a server that does not respond has the state `unreachable`. */
export async function fetchHealth(): Promise<Health> {
    try {
        const response = await fetch("/v1/health/ready", { cache: "no-store" });
        const body = object(await response.json().catch(() => undefined));
        const status = text(body.status);
        const state = response.ok ? "ready" : status === "draining" || status === "failed" ? status : "starting";
        return { state, progress: number(body.progress) };
    } catch {
        return { state: "unreachable", progress: undefined };
    }
}
