/** Idempotency-Key: a repeated request does its work once and gets the same response. */
import type { Context } from "hono";
import type { Sql } from "../../../db/pg/connect.ts";
import { reserveKey, saveAnswer } from "../../../db/people/idempotency.ts";
import { transact } from "../../../db/pg/transaction.ts";
import { AppError } from "../../../errors.ts";
import type { V2Env } from "./context.ts";
import { invalidFields } from "./faults.ts";
import { type JsonResponse, type SuccessStatus, withBodyType } from "./json_response.ts";
import { idempotencyKeyPattern } from "./route.ts";

/** The outcome of a request, stored as text so that a repetition gets the same bytes. */
export interface JsonResult<T, S extends SuccessStatus> {
  status: S;
  headers?: Record<string, string>;
  body: T;
}

const toResponse = <T, S extends SuccessStatus>(
  status: number,
  headers: Record<string, string>,
  text: string,
): JsonResponse<T, S> =>
  withBodyType(new Response(text, { status, headers: { "content-type": "application/json", ...headers } }));

function readKey(c: Context<V2Env>): string | undefined {
  const key = c.req.header("idempotency-key");
  if (key === undefined || idempotencyKeyPattern.test(key)) return key;
  const wanted = "1 to 255 visible ASCII characters";
  const fault = { field: "idempotency-key", value: key, wanted };
  throw invalidFields([fault], "header Idempotency-Key");
}

/** Returns a signature of the request, not a plain hash: the body may contain a password. */
async function hashRequest(c: Context<V2Env>): Promise<Uint8Array> {
  const { method, url } = c.req;
  const text = `${method} ${url.slice(url.indexOf("/", 8))}\n${await c.req.text()}`;
  return await c.var.deps.secrets.sign("request", text);
}

/**
 * Runs `work` in a transaction. With an Idempotency-Key, the response is stored in the same transaction. A second
 * request with the key waits for the first and gets its response. If the first failed, its transaction has left
 * nothing, and the second does the work.
 *
 * @throws AppError invalid_request if the key is malformed; conflict if it was used for another request
 */
export async function respondOnce<T, S extends SuccessStatus>(
  c: Context<V2Env>,
  work: (sql: Sql) => Promise<JsonResult<T, S>>,
): Promise<JsonResponse<T, S>> {
  const { sql: pool, secrets } = c.var.deps;
  const key = readKey(c);
  if (key === undefined) {
    const { status, headers = {}, body } = await transact(pool, work);
    return toResponse(status, headers, JSON.stringify(body));
  }
  const principalId = c.var.principal.id;
  const requestHash = await hashRequest(c);
  const outcome = await transact(pool, async (sql) => {
    const stored = await reserveKey(sql, { principalId, key, requestHash });
    if (stored !== "new") return { stored };
    const { status, headers = {}, body } = await work(sql);
    const text = JSON.stringify(body);
    // The body may contain a secret that is stored nowhere else, such as the link of a share.
    const encrypted = await secrets.encrypt(text);
    await saveAnswer(sql, { principalId, key, status, headers, body: encrypted });
    return { created: { status, headers, text } };
  });
  if (outcome.created) {
    const { status, headers, text } = outcome.created;
    return toResponse(status, headers, text);
  }
  const { stored } = outcome;
  if (stored === "other_request") {
    throw new AppError("conflict", `repeating a request: the key '${key}' came with another request before`);
  }
  const text = await secrets.decrypt(stored.body);
  if (text === undefined) {
    throw new AppError("conflict", `repeating a request: the answer under '${key}' cannot be read any more`);
  }
  return toResponse(stored.status, { ...stored.headers, "idempotent-replay": "true" }, text);
}

/** Adds fields to a response of {@link respondOnce} that its stored text must not contain. */
export async function extendBody<T extends { id: string }, S extends SuccessStatus, More extends object>(
  response: JsonResponse<T, S>,
  getMore: (body: T) => Promise<More>,
): Promise<JsonResponse<T & More, S>> {
  const body: T = await response.json();
  const text = JSON.stringify({ ...body, ...await getMore(body) });
  return withBodyType(new Response(text, { status: response.status, headers: response.headers }));
}
