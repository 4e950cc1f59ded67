/** Idempotency-Key: the same request under the same key does its work once and is answered alike. */
import type { Context } from "hono";
import type { Sql } from "../../db/connect.ts";
import { reserveKey, saveAnswer } from "../../db/idempotency.ts";
import { AppError } from "../../errors.ts";
import type { V2Env } from "./context.ts";

/** What the work answers: stored as text, so that it comes back byte for byte. */
export interface Answer {
  status: 200 | 201 | 202;
  headers?: Record<string, string>;
  body: unknown;
}

const keyForm = /^[\x21-\x7e]{1,255}$/;

const toResponse = (status: number, headers: Record<string, string>, text: string) =>
  new Response(text, { status, headers: { "content-type": "application/json", ...headers } });

async function hashRequest(c: Context<V2Env>): Promise<Uint8Array> {
  const text = `${c.req.method} ${c.req.path}\n${await c.req.text()}`;
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

/**
 * Runs `work` in a transaction; with a key, its answer is stored in the same one. A second request under the key waits
 * for the first and gets its answer; where the first died nothing of it is there, and the second does the work.
 *
 * @throws AppError invalid_request for a key that is none; conflict where the key came with another request
 */
export async function answerOnce(c: Context<V2Env>, work: (sql: Sql) => Promise<Answer>): Promise<Response> {
  const { sql: pool } = c.var.deps;
  const key = c.req.header("idempotency-key");
  if (key === undefined) {
    const { status, headers = {}, body } = await pool.begin(work) as Answer;
    return toResponse(status, headers, JSON.stringify(body));
  }
  if (!keyForm.test(key)) {
    throw new AppError("invalid_request", "reading the request: faulty header Idempotency-Key", {
      fields: [{
        field: "idempotency-key",
        value: key.slice(0, 100),
        wanted: "1 to 255 visible ASCII characters",
      }],
    });
  }
  const principalId = c.var.principal.id;
  const requestHash = await hashRequest(c);
  return await pool.begin(async (sql) => {
    const held = await reserveKey(sql, { principalId, key, requestHash });
    if (held === "other_request") {
      throw new AppError(
        "conflict",
        `repeating a request: the key '${key}' came with another request before`,
      );
    }
    if (held !== "new") {
      return toResponse(held.status, { ...held.headers, "idempotent-replay": "true" }, held.body);
    }
    const { status, headers = {}, body } = await work(sql);
    const text = JSON.stringify(body);
    await saveAnswer(sql, { principalId, key, status, headers, body: text });
    return toResponse(status, headers, text);
  }) as Response;
}
