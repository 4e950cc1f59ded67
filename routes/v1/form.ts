/** Forms as Starlette reads them: urlencoded and multipart, the last of equal names. */
import { int, type Json, type JsonObject } from "../../json.ts";
import { parseRefusal, readBytes } from "./body.ts";
import { recode, unquotePlus } from "./query.ts";
import { Refusal } from "./refusal.ts";

/** A part of a multipart form that came with a file name. */
export interface FormFile {
  filename: string;
  size: number;
  headers: [name: string, value: string][];
}

export type Form = ReadonlyMap<string, string | FormFile>;

const countMax = 1000;
const partBytesMax = 1024 * 1024;

/** Bytes as text of one letter each, so that text functions work on them. */
function toLatin1(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) {
    text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  }
  return text;
}

/** Text of one letter a byte, in `charset`; what is not in it stays as it is. */
function decode(latin1: string, charset: string): string {
  if (charset.toLowerCase() === "utf-8") return recode(latin1) ?? latin1;
  try {
    const bytes = Uint8Array.from(latin1, (letter) => letter.charCodeAt(0));
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return latin1;
  }
}

/** `value; name=…; other="…"`: the value and its parameters, names in lower case. */
function parseOptions(header: string): { value: string; options: Map<string, string> } {
  const [value = "", ...rest] = header.match(/(?:"(?:\\.|[^"\\])*"|[^;])+/g) ?? [];
  const options = new Map<string, string>();
  for (const part of rest) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    const given = equals < 0 ? "" : part.slice(equals + 1).trim();
    const isQuoted = given.length > 1 && given.startsWith('"') && given.endsWith('"');
    options.set(name, isQuoted ? given.slice(1, -1).replace(/\\(["\\])/g, "$1") : given);
  }
  return { value: value.trim().toLowerCase(), options };
}

function parseUrlencoded(text: string): Form {
  const form = new Map<string, string>();
  for (const part of text.split("&")) {
    if (part === "") continue;
    const equals = part.indexOf("=");
    const name = equals < 0 ? part : part.slice(0, equals);
    form.set(unquotePlus(name), equals < 0 ? "" : unquotePlus(part.slice(equals + 1)));
  }
  return form;
}

/** The headers of a part, from `at` to behind the empty line. */
function readHeaders(text: string, at: number): { headers: [string, string][]; at: number } | undefined {
  const headers: [string, string][] = [];
  for (;;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const line = text.slice(at, end);
    if (line === "") return { headers, at: end + 2 };
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r]*)$/.exec(line);
    if (!match) throw parseRefusal();
    headers.push([match[1]!.toLowerCase(), match[2]!]);
    at = end + 2;
  }
}

/** Where the next `\r\n--boundary` is that a line end or `--` follows. */
function findBoundary(text: string, delimiter: string, from: number): number {
  for (let at = text.indexOf(delimiter, from); at >= 0; at = text.indexOf(delimiter, at + 1)) {
    const next = text.slice(at + delimiter.length, at + delimiter.length + 2);
    if (next === "\r\n" || next === "--") return at;
  }
  return -1;
}

function parseMultipart(text: string, boundary: string, charset: string): Form {
  const form = new Map<string, string | FormFile>();
  const count = { fields: 0, files: 0 };
  const tooMany = (what: "fields" | "files") => {
    if (++count[what] > countMax) {
      throw new Refusal(400, `Too many ${what}. Maximum number of ${what} is ${countMax}.`);
    }
  };
  let at = /^[\r\n]*/.exec(text)![0].length;
  if (at === text.length) return form;
  if (boundary === "" || !text.startsWith(`--${boundary}`, at)) throw parseRefusal();
  const delimiter = `\r\n--${boundary}`;
  at += delimiter.length - 2;
  while (!text.startsWith("--", at)) {
    if (!text.startsWith("\r\n", at)) throw parseRefusal();
    const head = readHeaders(text, at + 2);
    if (!head) return form;
    const { options } = parseOptions(
      head.headers.findLast(([name]) => name === "content-disposition")?.[1] ?? "",
    );
    const name = options.get("name");
    if (name === undefined) {
      throw new Refusal(400, 'The Content-Disposition header field "name" must be provided.');
    }
    const filename = options.get("filename");
    tooMany(filename === undefined ? "fields" : "files");
    const end = findBoundary(text, delimiter, head.at);
    const size = (end < 0 ? text.length : end) - head.at;
    if (filename === undefined && size > partBytesMax) {
      throw new Refusal(400, `Part exceeded maximum size of ${partBytesMax / 1024}KB.`);
    }
    if (end < 0) return form;
    form.set(
      decode(name, charset),
      filename === undefined
        ? decode(text.slice(head.at, end), charset)
        : { filename: decode(filename, charset), size, headers: head.headers },
    );
    at = end + delimiter.length;
  }
  return form;
}

/**
 * The fields of a form; none where the content type says that it is no form.
 *
 * @throws Refusal 400 for a multipart body that breaks its own rules, 413 over the limit of a body
 */
export async function readForm(request: Request, msMax: number): Promise<Form> {
  const { value: type, options } = parseOptions(request.headers.get("content-type") ?? "");
  const bytes = await readBytes(request, msMax);
  if (type === "application/x-www-form-urlencoded") return parseUrlencoded(toLatin1(bytes));
  if (type !== "multipart/form-data") return new Map();
  const boundary = options.get("boundary");
  if (boundary === undefined) throw new Refusal(400, "Missing boundary in multipart.");
  return parseMultipart(toLatin1(bytes), boundary, options.get("charset") ?? "utf-8");
}

/** What the old backend showed of a file where it wanted text. */
export function describeField({ filename, size, headers }: FormFile): Json {
  const args: JsonObject = new Map<string, Json>([["mode", "w+b"], ["buffering", int(-1)]]);
  for (const name of ["suffix", "prefix", "encoding", "newline", "dir", "errors"]) args.set(name, null);
  const file: JsonObject = new Map<string, Json>([
    ["_file", new Map()],
    ["_max_size", int(partBytesMax)],
    ["_rolled", size > partBytesMax],
    ["_TemporaryFileArgs", args],
  ]);
  return new Map<string, Json>([
    ["filename", filename],
    ["file", file],
    ["size", int(size)],
    ["headers", new Map<string, Json>(headers)],
  ]);
}
