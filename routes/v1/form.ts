/** Reads urlencoded and multipart forms as Starlette does. Of equal names, the last counts. */
import { int, type Json, type JsonObject } from "../../json.ts";
import { readBytes, unparsableBody } from "./body.ts";
import { latin1ToUtf8, parseQuery } from "./query.ts";
import { HttpError } from "./http_error.ts";

/** A part of a multipart form with a file name. */
export interface FormFile {
  filename: string;
  size: number;
  headers: [name: string, value: string][];
}

export type Form = ReadonlyMap<string, string | FormFile>;

/** Maximum number of fields, and of files. */
const countMax = 1000;
const partBytesMax = 1024 * 1024;

/** Converts bytes to text with one character per byte, so that string functions work on them. */
function toLatin1(bytes: Uint8Array): string {
  let text = "";
  for (let offset = 0; offset < bytes.length; offset += 8192) {
    text += String.fromCharCode(...bytes.subarray(offset, offset + 8192));
  }
  return text;
}

/** Decodes Latin-1 text as `charset`. Text that is not valid in it stays unchanged. */
function decode(latin1: string, charset: string): string {
  if (charset.toLowerCase() === "utf-8") return latin1ToUtf8(latin1) ?? latin1;
  try {
    const bytes = Uint8Array.from(latin1, (character) => character.charCodeAt(0));
    return new TextDecoder(charset, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return latin1;
  }
}

/**
 * Splits the header `value; name=…; other="…"` into its value and its parameters, with names in lower case.
 */
function parseOptions(header: string): { value: string; options: Map<string, string> } {
  const [value = "", ...rest] = header.match(/(?:"(?:\\.|[^"\\])*"|[^;])+/g) ?? [];
  const options = new Map<string, string>();
  for (const part of rest) {
    const equals = part.indexOf("=");
    const name = (equals < 0 ? part : part.slice(0, equals)).trim().toLowerCase();
    const raw = equals < 0 ? "" : part.slice(equals + 1).trim();
    const isQuoted = raw.length > 1 && raw.startsWith('"') && raw.endsWith('"');
    options.set(name, isQuoted ? raw.slice(1, -1).replace(/\\(["\\])/g, "$1") : raw);
  }
  return { value: value.trim().toLowerCase(), options };
}

/**
 * Reads the headers of a part from `start`. `bodyStart` is the offset after the empty line. Returns undefined
 * if the headers do not end.
 */
function readHeaders(
  text: string,
  start: number,
): { headers: [string, string][]; bodyStart: number } | undefined {
  const headers: [string, string][] = [];
  let offset = start;
  for (;;) {
    const end = text.indexOf("\r\n", offset);
    if (end < 0) return undefined;
    const line = text.slice(offset, end);
    if (line === "") return { headers, bodyStart: end + 2 };
    const match = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r]*)$/.exec(line);
    if (!match) throw unparsableBody();
    headers.push([match[1]!.toLowerCase(), match[2]!]);
    offset = end + 2;
  }
}

/** Returns the offset of the next delimiter that a line end or `--` follows, or -1. */
function findBoundary(text: string, delimiter: string, from: number): number {
  for (
    let offset = text.indexOf(delimiter, from);
    offset >= 0;
    offset = text.indexOf(delimiter, offset + 1)
  ) {
    const next = text.slice(offset + delimiter.length, offset + delimiter.length + 2);
    if (next === "\r\n" || next === "--") return offset;
  }
  return -1;
}

function parseMultipart(text: string, boundary: string, charset: string): Form {
  const form = new Map<string, string | FormFile>();
  const count = { fields: 0, files: 0 };
  const countPart = (kind: "fields" | "files") => {
    if (++count[kind] > countMax) {
      throw new HttpError(400, `Too many ${kind}. Maximum number of ${kind} is ${countMax}.`);
    }
  };
  let offset = /^[\r\n]*/.exec(text)![0].length;
  if (offset === text.length) return form;
  if (boundary === "" || !text.startsWith(`--${boundary}`, offset)) throw unparsableBody();
  const delimiter = `\r\n--${boundary}`;
  offset += delimiter.length - 2;
  while (!text.startsWith("--", offset)) {
    if (!text.startsWith("\r\n", offset)) throw unparsableBody();
    const part = readHeaders(text, offset + 2);
    if (!part) return form;
    const { headers, bodyStart } = part;
    const disposition = headers.findLast(([name]) => name === "content-disposition")?.[1] ?? "";
    const { options } = parseOptions(disposition);
    const name = options.get("name");
    if (name === undefined) {
      throw new HttpError(400, 'The Content-Disposition header field "name" must be provided.');
    }
    const filename = options.get("filename");
    countPart(filename === undefined ? "fields" : "files");
    const end = findBoundary(text, delimiter, bodyStart);
    const size = (end < 0 ? text.length : end) - bodyStart;
    if (filename === undefined && size > partBytesMax) {
      throw new HttpError(400, `Part exceeded maximum size of ${partBytesMax / 1024}KB.`);
    }
    if (end < 0) return form;
    form.set(
      decode(name, charset),
      filename === undefined
        ? decode(text.slice(bodyStart, end), charset)
        : { filename: decode(filename, charset), size, headers },
    );
    offset = end + delimiter.length;
  }
  return form;
}

/**
 * Reads the fields of a form. The form is empty if the content type is not that of a form.
 *
 * @throws HttpError 400 if a multipart body is malformed, 413 if the body is too large, 408 if it arrives too
 *   slowly
 */
export async function readForm(request: Request, msMax: number): Promise<Form> {
  const { value: type, options } = parseOptions(request.headers.get("content-type") ?? "");
  const bytes = await readBytes(request, msMax);
  if (type === "application/x-www-form-urlencoded") return parseQuery(toLatin1(bytes));
  if (type !== "multipart/form-data") return new Map();
  const boundary = options.get("boundary");
  if (boundary === undefined) throw new HttpError(400, "Missing boundary in multipart.");
  return parseMultipart(toLatin1(bytes), boundary, options.get("charset") ?? "utf-8");
}

/** Returns the JSON that the old backend reported for a file in a text field. */
export function fileToJson({ filename, size, headers }: FormFile): Json {
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
