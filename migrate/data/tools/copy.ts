/** COPY: encoding of its text format, and streams that report errors which the driver would lose. */
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
// deno-lint-ignore no-control-regex -- the characters that PostgreSQL escapes
const special = /[\\\u0008-\u000d]/;
// deno-lint-ignore no-control-regex -- as above
const specials = /[\\\u0008-\u000d]/g;

/** Encodes a field as COPY TO prints it; null is `\N`. The text must contain neither NUL nor lone surrogates. */
export function encodeField(text: string | null): string {
  if (text === null) return "\\N";
  return special.test(text) ? text.replace(specials, (char) => escapes[char]!) : text;
}

/** Encodes fields as a line, without its newline. */
export const encodeLine = (fields: readonly (string | null)[]): string => fields.map(encodeField).join("\t");

/** Decodes a line of encodeLine() or of COPY TO. */
export function decodeLine(line: string): (string | null)[] {
  return line.split("\t").map((field) => {
    if (field === "\\N") return null;
    return field.includes("\\") ? field.replace(/\\(.)/gs, (_, char) => unescapes[char] ?? char) : field;
  });
}

/** Milliseconds without progress after which a COPY fails. */
const stallMs = 120_000;

interface CopyQuery {
  writable(): Promise<Writable>;
  reject: (error: unknown) => void;
}

/**
 * Runs COPY FROM STDIN with chunks of COPY text. Rejects with errors of the server even after the last chunk; the
 * driver alone would stay pending forever.
 *
 * @param statement `copy … from stdin`
 * @throws errors of the server; AppError internal after two minutes without progress. The connection must be
 * destroyed then.
 */
export async function copyIn(
  sql: postgres.ISql,
  statement: string,
  chunks: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): Promise<void> {
  const query = sql.unsafe(statement) as unknown as CopyQuery;
  const { promise: failed, reject: fail } = Promise.withResolvers<never>();
  failed.catch(() => {});
  // The promise of the driver settles when COPY begins. Later errors arrive only here.
  const driverReject = query.reject;
  query.reject = (error) => {
    fail(error);
    driverReject(error);
  };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const guard = <T>(work: Promise<T>): Promise<T> => {
    clearTimeout(timer);
    timer = setTimeout(
      () => fail(new AppError("internal", `copying rows: no progress for ${stallMs / 1000} s`)),
      stallMs,
    );
    return Promise.race([work, failed]);
  };
  try {
    const stream = await guard(query.writable());
    failpoint("copy.begun");
    stream.on("error", fail);
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

/** Starts COPY TO STDOUT. An error after the first row destroys the stream; the driver alone would not do that. */
async function startCopyOut(sql: postgres.ISql, statement: string): Promise<Readable> {
  const query = sql.unsafe(statement) as unknown as ReadQuery;
  const started = query.readable();
  const driverReject = query.reject;
  query.reject = (error) => {
    started.then((stream) => stream.destroy(error as Error), () => {});
    driverReject(error);
  };
  return await started;
}

/** Resumes the socket. The driver pauses it for slow readers, and does not resume it after the last chunk. */
const resumeSocket = (stream: Readable) => (stream as unknown as { _read(bytes: number): void })._read(0);

/** Runs COPY TO STDOUT and yields whole lines. */
export async function* copyOut(sql: postgres.ISql, statement: string): AsyncGenerator<string> {
  const stream = await startCopyOut(sql, statement);
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
  resumeSocket(stream);
}

/** Rows arrive as single messages and are collected up to this size before they are hashed. */
const bufferBytes = 64 * 1024;

/** Runs COPY TO STDOUT and returns the SHA-256 of its text in hex, without decoding it. */
export async function copyDigest(sql: postgres.ISql, statement: string): Promise<string> {
  const stream = await startCopyOut(sql, statement);
  const hash = createHash("sha256");
  const buffer = new Uint8Array(bufferBytes);
  let at = 0;
  const { promise: ended, resolve, reject } = Promise.withResolvers<void>();
  stream.on("data", (row: Uint8Array) => {
    if (at + row.length > bufferBytes) {
      hash.update(buffer.subarray(0, at));
      at = 0;
    }
    if (row.length > bufferBytes) hash.update(row);
    else {
      buffer.set(row, at);
      at += row.length;
    }
  });
  stream.once("end", resolve);
  stream.once("error", reject);
  await ended;
  resumeSocket(stream);
  return hash.update(buffer.subarray(0, at)).digest("hex");
}
