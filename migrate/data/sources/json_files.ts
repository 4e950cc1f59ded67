/**
 * A folder with mongoexport output that is not one plain document a line: gzip, arrays (`--jsonArray`),
 * documents over several lines (`--pretty`, Compass), a byte order mark. CSV is refused, because it has lost
 * the types.
 */
import { AppError } from "../../../errors.ts";
import { type Bytes, findStamp, openBytes } from "./bytes.ts";
import { readDocument, TooDeepError } from "../documents/ejson_read.ts";
import { findFile, jsonEndings } from "./folder_files.ts";
import { jsonBytesMax, JsonDocument, type RefuseEncoding } from "./json_document.ts";
import { acceptsFastPath } from "../lens/tables.ts";
import {
  type Collection,
  collections,
  type Range,
  type RawDocument,
  type Source,
  type Survey,
  type SurveyOptions,
} from "../documents/source.ts";
import { SurveyBuilder, SurveyedCollections } from "./survey.ts";

const advice = "export again with 'mongoexport --collection=NAME --out=NAME.json'";

const code = (character: string) => character.charCodeAt(0);
const quote = code('"');
const backslash = code("\\");
const openBrace = code("{");
const closeBrace = code("}");
const openBracket = code("[");
const closeBracket = code("]");
const comma = code(",");

/** The bytes of a document in a buffer. */
interface Span {
  from: number;
  to: number;
}

/** Returns the offset after the document that starts at `from`, or -1 if its end is not in the buffer. */
function endOfDocument(bytes: Uint8Array, from: number): number {
  let depth = 0;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === quote) {
      for (at++; at < bytes.length && bytes[at] !== quote; at++) if (bytes[at] === backslash) at++;
    } else if (byte === openBrace || byte === openBracket) depth++;
    else if ((byte === closeBrace || byte === closeBracket) && --depth === 0) return at + 1;
  }
  return -1;
}

/**
 * Finds whole documents in buffers. Between documents are white space, and for an array also commas and
 * brackets.
 *
 * States: before an array, or in a file without one (`isInArray` and `isAfterArray` false) → in an array, at
 * `[` → after the array, at `]`.
 */
class DocumentSplitter {
  isInArray = false;
  isAfterArray = false;
  constructor(readonly path: string) {}

  refuse(at: number, why: string): never {
    throw new AppError("invalid_source", `reading '${this.path}' at byte ${at}: ${why}; nothing was written`);
  }

  /** @param start offset of the buffer in the file */
  split(bytes: Uint8Array, start: number): { spans: Span[]; used: number } {
    const spans: Span[] = [];
    let at = 0;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte <= 32 || byte === comma && this.isInArray) continue;
      if (start + at === 0 && byte === 0xef) {
        at += 2;
        continue;
      }
      if (byte === openBracket && !this.isInArray && !this.isAfterArray) this.isInArray = true;
      else if (byte === closeBracket && this.isInArray) {
        this.isInArray = false;
        this.isAfterArray = true;
      } else if (byte === openBrace && !this.isAfterArray) {
        const end = endOfDocument(bytes, at);
        if (end < 0) break;
        spans.push({ from: at, to: end });
        at = end - 1;
      } else this.refuseByte(bytes, at, start);
    }
    return { spans, used: Math.min(at, bytes.length) };
  }

  refuseByte(bytes: Uint8Array, at: number, start: number): never {
    const found = new TextDecoder().decode(bytes.subarray(at, at + 40)).split(/[\r\n]/)[0]!;
    const isFirst = start === 0 && at <= 3 && !this.isInArray;
    if (isFirst && /^_?id\b|^\w[\w.]*(,[\w.]+)+/.test(found)) {
      this.refuse(start + at, "it is CSV, which loses types: export again with --type=json");
    }
    this.refuse(start + at, `wanted a document {…}, found '${found}'; ${advice}`);
  }
}

interface Block {
  start: number;
  bytes: Uint8Array;
  spans: Span[];
}

async function* readBlocks(file: Bytes, blockBytes: number): AsyncGenerator<Block> {
  const splitter = new DocumentSplitter(file.path);
  let start = 0;
  let size = blockBytes;
  while (true) {
    const buffer = new Uint8Array(size);
    const filled = await file.read(start, buffer);
    if (filled === 0) break;
    const { spans, used } = splitter.split(buffer.subarray(0, filled), start);
    if (used > 0) {
      yield { start, bytes: buffer.subarray(0, used), spans };
      start += used;
      size = blockBytes;
    } else if (filled < buffer.length) throwTruncated(file.path, start);
    else if (size > jsonBytesMax) splitter.refuse(start, `a document is over ${jsonBytesMax} bytes`);
    else size *= 2;
  }
  if (splitter.isInArray) throwTruncated(file.path, start);
}

function throwTruncated(path: string, at: number): never {
  throw new AppError(
    "source_truncated",
    `reading '${path}' at byte ${at}: the file ends in the middle of a document or list; ` +
      "copy it again from where it was exported, or export it again; nothing was written",
  );
}

function* makeDocuments({ bytes, spans }: Block, firstPosition: number, refuse: RefuseEncoding) {
  let position = firstPosition;
  for (const { from, to } of spans) yield new JsonDocument(position++, bytes, from, to, refuse);
}

function checkDocument(path: string, at: number, document: JsonDocument): void {
  const json = document.text();
  try {
    readDocument(json);
  } catch (cause) {
    if (cause instanceof TooDeepError) return;
    throw new AppError(
      "invalid_source",
      `reading '${path}' at byte ${at}: the document that starts there is not JSON (${
        (cause as Error).message
      }); ${advice}; nothing was written`,
      { cause },
    );
  }
}

class JsonFilesSource implements Source {
  readonly kind = "mongoexport";
  readonly notes: readonly string[] = [];
  readonly #surveyed = new SurveyedCollections();

  constructor(readonly location: string, readonly files: ReadonlyMap<Collection, Bytes>) {}

  /** Size of the files. Once a collection is surveyed, its uncompressed size counts. */
  get bytes(): number {
    return collections.reduce(
      (sum, name) => sum + (this.#surveyed.sizeOf(name) ?? this.files.get(name)!.fileBytes),
      0,
    );
  }

  #refuseEncoding(path: string, at: number): never {
    throw new AppError("invalid_source", `reading '${path}' at byte ${at}: it is not UTF-8; ${advice}`);
  }

  async survey(collection: Collection, { rangeBytes, onDocument, onBytes }: SurveyOptions): Promise<Survey> {
    const file = this.files.get(collection)!;
    const survey = new SurveyBuilder(collection, this.#surveyed);
    let fileOffset = 0;
    for await (const block of readBlocks(file, rangeBytes)) {
      const { start, spans } = block;
      const firstPosition = survey.documents + 1;
      const refuse: RefuseEncoding = ({ from }) => this.#refuseEncoding(file.path, start + from);
      for (const document of makeDocuments(block, firstPosition, refuse)) {
        const { from } = spans[document.position - firstPosition]!;
        if (!acceptsFastPath(collection, document)) checkDocument(file.path, start + from, document);
        onDocument?.(document);
      }
      survey.add(start, block.bytes, spans.length);
      onBytes?.(file.fileOffset - fileOffset);
      fileOffset = file.fileOffset;
    }
    return survey.finish();
  }

  fingerprint(): string {
    return this.#surveyed.fingerprint();
  }

  async read({ collection, lower, upper, firstPosition }: Range): Promise<Iterable<RawDocument>> {
    const file = this.files.get(collection)!;
    const start = Number(lower);
    const to = Number(upper);
    const buffer = new Uint8Array(to - start);
    const bytes = buffer.subarray(0, await file.read(start, buffer));
    const splitter = new DocumentSplitter(file.path);
    // The survey has checked the syntax of the whole file; commas and a closing bracket are valid here.
    splitter.isInArray = start > 0;
    const { spans } = splitter.split(bytes, start);
    return makeDocuments(
      { start, bytes, spans },
      firstPosition,
      ({ from }) => this.#refuseEncoding(file.path, start + from),
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.files.values()) await file[Symbol.asyncDispose]();
  }
}

/** Reports whether a file seems to have one document a line, so that json_lines.ts can read it. */
async function hasJsonLines(path: string): Promise<boolean> {
  if (!path.endsWith(".json")) return false;
  using file = await Deno.open(path);
  const head = new Uint8Array(64);
  const read = await file.read(head) ?? 0;
  if (head[0] === 0x1f && head[1] === 0x8b) return false;
  const text = new TextDecoder().decode(head.subarray(0, read)).trimStart();
  return !text.startsWith("[") && !/^\{\s*\n/.test(text);
}

/**
 * Opens a folder with mongoexport output. Returns undefined if every file has one document a line.
 *
 * @throws AppError source_missing, invalid_source (CSV)
 */
export async function openJsonFiles(folder: string): Promise<(Source & AsyncDisposable) | undefined> {
  const found = await Promise.all(
    collections.map(async (name) => [name, await findFile(folder, name, jsonEndings)] as const),
  );
  const missing = found.filter(([, path]) => !path).map(([name]) => name);
  const csv = (await Promise.all(missing.map((name) => findStamp(`${folder}/${name}.csv`)))).some(Boolean);
  if (csv) {
    throw new AppError(
      "invalid_source",
      `opening the dump '${folder}': '${missing[0]}.csv' is CSV, which loses types; ${advice} (--type=json)`,
    );
  }
  const paths = found.map(([, path]) => path).filter((path) => path !== undefined);
  const areLines = await Promise.all(paths.map(hasJsonLines));
  if (areLines.every(Boolean)) return undefined;
  if (missing.length > 0) {
    throw new AppError(
      "source_missing",
      `opening the dump '${folder}': ${
        missing.map((name) => `${name}.json`).join(" and ")
      } missing; ${advice}, ` +
        "also for an empty collection",
    );
  }
  const files = new Map<Collection, Bytes>();
  for (const [name, path] of found) files.set(name, await openBytes(path!, (await findStamp(path!))!));
  return new JsonFilesSource(folder, files);
}
