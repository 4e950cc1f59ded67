/** Idempotency-Key: the same request under the same key does its work once and is answered alike. */
import type { Context } from "hono";
import type { Sql } from "../../../db/pg/connect.ts";
import { reserveKey, saveAnswer } from "../../../db/people/idempotency.ts";
import { transact } from "../../../db/pg/transaction.ts";
import { AppError } from "../../../errors.ts";
import type { V2Env } from "./context.ts";
import { openText, sealText, sign } from "./secrets.ts";

/** What the work answers: stored as text, so that it comes back byte for byte. */
export interface Answer {
  status: 200 | 201 | 202;
  headers?: Record<string, string>;
  body: unknown;
}

const keyForm = /^[\x21-\x7e]{1,255}$/;

const toResponse = (status: number, headers: Record<string, string>, text: string) =>
  new Response(text, { status, headers: { "content-type": "application/json", ...headers } });

/** Under our key, as the body may hold a password. */
async function hashRequest(c: Context<V2Env>): Promise<Uint8Array> {
  const { method, url } = c.req;
  const text = `${method} ${url.slice(url.indexOf("/", 8))}\n${await c.req.text()}`;
  return await sign(c.var.deps.config.SECRET_KEY, "request", text);
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
    const { status, headers = {}, body } = await transact(pool, work);
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
  const { config: { SECRET_KEY: secret } } = c.var.deps;
  const principalId = c.var.principal.id;
  const requestHash = await hashRequest(c);
  const outcome = await transact(pool, async (sql) => {
    const held = await reserveKey(sql, { principalId, key, requestHash });
    if (held !== "new") return { held };
    const { status, headers = {}, body } = await work(sql);
    const text = JSON.stringify(body);
    // An answer may hold a secret that is stored nowhere else, as a share's link.
    const sealed = await sealText(secret, "answer", text);
    await saveAnswer(sql, { principalId, key, status, headers, body: sealed });
    return { made: { status, headers, text } };
  });
  if (outcome.made) return toResponse(outcome.made.status, outcome.made.headers, outcome.made.text);
  const { held } = outcome;
  if (held === "other_request") {
    throw new AppError("conflict", `repeating a request: the key '${key}' came with another request before`);
  }
  const text = await openText(secret, "answer", held.body);
  if (text === undefined) {
    throw new AppError("conflict", `repeating a request: the answer under '${key}' cannot be read any more`);
  }
  return toResponse(held.status, { ...held.headers, "idempotent-replay": "true" }, text);
}

/** Answers as `response` does, with what its stored text must not hold. */
export async function completeAnswer(
  response: Response,
  complete: (body: { id: string }) => Promise<Record<string, unknown>>,
): Promise<Response> {
  const body = await response.json();
  return new Response(JSON.stringify({ ...body, ...await complete(body) }), {
    status: response.status,
    headers: response.headers,
  });
}
