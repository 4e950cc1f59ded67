/** The one encoder of COPY text, and COPY through a driver that does not settle a COPY the server rejects. */
import { createHash } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import type postgres from "postgres";
import { AppError } from "../../../errors.ts";
import { failpoint } from "./failpoint.ts";

const escapes: Record<string, string> = {
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};
const unescapes: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", v: "\v" };
// deno-lint-ignore no-control-regex -- what PostgreSQL itself escapes on the way out
const special = /[\\\u0008-\u000d]/;
// deno-lint-ignore no-control-regex -- as above
const specials = /[\\\u0008-\u000d]/g;

/** One field as PostgreSQL's COPY prints it; null is `\N`. The text holds neither NUL nor half a surrogate pair. */
export function encodeField(text: string | null): string {
  if (text === null) return "\\N";
  return special.test(text) ? text.replace(specials, (char) => escapes[char]!) : text;
}

/** Fields joined by tabs, without the newline. */
export const encodeLine = (fields: readonly (string | null)[]): string => fields.map(encodeField).join("\t");

/** What encodeLine() wrote, or PostgreSQL. */
export function decodeLine(line: string): (string | null)[] {
  return line.split("\t").map((field) => {
    if (field === "\\N") return null;
    return field.includes("\\") ? field.replace(/\\(.)/gs, (_, char) => unescapes[char] ?? char) : field;
  });
}

/** Milliseconds without progress after which a COPY counts as dead. */
const stallMs = 120_000;

interface CopyQuery {
  writable(): Promise<Writable>;
  reject: (error: unknown) => void;
}

/**
 * Sends chunks of COPY text. The server's refusal comes as a rejection even after the last chunk, which the
 * driver alone would leave pending for ever.
 *
 * @param statement `copy … from stdin`, our own text
 * @throws the server's error; AppError internal when nothing moves for two minutes. Destroy the connection then.
 */
export async function copyIn(
  sql: postgres.ISql,
  statement: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const query = sql.unsafe(statement) as unknown as CopyQuery;
  const { promise: refused, reject: refuse } = Promise.withResolvers<never>();
  refused.catch(() => {});
  // The promise is settled once COPY has begun; what comes later arrives here only.
  const first = query.reject;
  query.reject = (error) => {
    refuse(error);
    first(error);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const guard = <T>(work: Promise<T>): Promise<T> => {
    clearTimeout(timer);
    timer = setTimeout(
      () => refuse(new AppError("internal", `copying rows: nothing moved for ${stallMs / 1000} s`)),
      stallMs,
    );
    return Promise.race([work, refused]);
  };
  try {
    const stream = await guard(query.writable());
    failpoint("copy.begun");
    stream.on("error", refuse);
    for await (const chunk of chunks) {
      if (!stream.write(chunk)) await guard(new Promise((drained) => stream.once("drain", drained)));
      failpoint("copy.chunk_sent");
    }
    await guard(new Promise<void>((done) => stream.end(() => done())));
  } finally {
    clearTimeout(timer);
  }
}

interface ReadQuery {
  readable(): Promise<Readable>;
  reject: (error: unknown) => void;
}

/** The rows of a COPY as they come; an error after the first ends them, which the driver alone would not do. */
async function openOut(sql: postgres.ISql, statement: string): Promise<Readable> {
  const query = sql.unsafe(statement) as unknown as ReadQuery;
  const begun = query.readable();
  const first = query.reject;
  query.reject = (error) => {
    begun.then((stream) => stream.destroy(error as Error), () => {});
    first(error);
  };
  return await begun;
}

/** The driver pauses its socket when the reader is slow, and forgets to go on when the last chunk did it. */
const goOn = (stream: Readable) => (stream as unknown as { _read(bytes: number): void })._read(0);

/** Reads COPY text as whole lines. */
export async function* copyOut(sql: postgres.ISql, statement: string): AsyncGenerator<string> {
  const stream = await openOut(sql, statement);
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of stream) {
    const text = rest + decoder.decode(chunk as Uint8Array, { stream: true });
    let at = 0;
    for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", at)) {
      yield text.slice(at, end);
      at = end + 1;
    }
    rest = text.slice(at);
  }
  goOn(stream);
}

/** A row is a message of its own: they are put together before they are hashed. */
const heldBytes = 64 * 1024;

/** SHA-256 of COPY text, in hex; nothing of it is made a string. */
export async function copyDigest(sql: postgres.ISql, statement: string): Promise<string> {
  const stream = await openOut(sql, statement);
  const hash = createHash("sha256");
  const held = new Uint8Array(heldBytes);
  let at = 0;
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  stream.on("data", (row: Uint8Array) => {
    if (at + row.length > heldBytes) {
      hash.update(held.subarray(0, at));
      at = 0;
    }
    if (row.length > heldBytes) hash.update(row);
    else {
      held.set(row, at);
      at += row.length;
    }
  });
  stream.once("end", resolve);
  stream.once("error", reject);
  await ended;
  goOn(stream);
  return hash.update(held.subarray(0, at)).digest("hex");
}
