/**
 * Other forms of a mongoexport folder than one plain document a line: gzip, arrays (`--jsonArray`), documents over
 * several lines (`--pretty`, Compass), a byte order mark. CSV has lost the types: refused.
 */
import { AppError } from "../../../errors.ts";
import { type Bytes, openBytes, stampOf } from "./bytes.ts";
import { readDocument, TooDeepError } from "../documents/ejson_read.ts";
import { isUsualSubtask } from "../lens/fast_subtask.ts";
import {
  type Collection,
  collections,
  type Range,
  type RawDocument,
  type Source,
  type Survey,
  type SurveyOptions,
} from "../documents/source.ts";
import { SurveyBuilder, Surveyed } from "./survey.ts";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
// A document ends at 16 MB of BSON, which is never this much text.
const documentBytesMax = 128 * 1024 * 1024;
const advice = "export again with 'mongoexport --collection=NAME --out=NAME.json'";
const endings = [".json", ".json.gz", ".jsonl", ".jsonl.gz"];

const [quote, backslash, open, close, openList, closeList, comma] = encoder.encode('"\\{}[],') as unknown as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];

class Text implements RawDocument {
  constructor(readonly position: number, readonly line: string) {}

  read() {
    return readDocument(this.line);
  }

  original() {
    return encoder.encode(this.line);
  }
}

/** Where a document stands in a buffer. */
interface Span {
  from: number;
  to: number;
}

/** The place after the document that starts at `from`; -1 where its end has not come yet. */
function endOfDocument(bytes: Uint8Array, from: number): number {
  let depth = 0;
  for (let at = from; at < bytes.length; at++) {
    const byte = bytes[at]!;
    if (byte === quote) {
      for (at++; at < bytes.length && bytes[at] !== quote; at++) if (bytes[at] === backslash) at++;
    } else if (byte === open || byte === openList) depth++;
    else if ((byte === close || byte === closeList) && --depth === 0) return at + 1;
  }
  return -1;
}

/** Cuts whole documents; between them are white space, commas, and an array's brackets. */
class Cutter {
  /** Inside an array: its end has to come. */
  inList = false;
  ended = false;
  constructor(readonly path: string) {}

  refuse(at: number, why: string): never {
    throw new AppError("invalid_source", `reading '${this.path}' at byte ${at}: ${why}; nothing was written`);
  }

  /** @param start place of the buffer in the file */
  cut(bytes: Uint8Array, start: number): { spans: Span[]; used: number } {
    const spans: Span[] = [];
    let at = 0;
    for (; at < bytes.length; at++) {
      const byte = bytes[at]!;
      if (byte <= 32 || byte === comma && this.inList) continue;
      if (start + at === 0 && byte === 0xef) {
        at += 2;
        continue;
      }
      if (byte === openList && !this.inList && !this.ended) this.inList = true;
      else if (byte === closeList && this.inList) {
        this.inList = false;
        this.ended = true;
      } else if (byte === open && !this.ended) {
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
    const isFirst = start === 0 && at <= 3 && !this.inList;
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
  const cutter = new Cutter(file.path);
  let start = 0;
  let size = blockBytes;
  while (true) {
    const buffer = new Uint8Array(size);
    const filled = await file.read(start, buffer);
    if (filled === 0) break;
    const { spans, used } = cutter.cut(buffer.subarray(0, filled), start);
    if (used > 0) {
      yield { start, bytes: buffer.subarray(0, used), spans };
      start = start + used;
      size = blockBytes;
    } else if (filled < buffer.length) truncated(file.path, start);
    else if (size > documentBytesMax) cutter.refuse(start, `a document is over ${documentBytesMax} bytes`);
    else size *= 2;
  }
  if (cutter.inList) truncated(file.path, start);
}

function truncated(path: string, at: number): never {
  throw new AppError(
    "source_truncated",
    `reading '${path}' at byte ${at}: the file ends in the middle of a document or list; ` +
      "copy it again from where it was exported, or export it again; nothing was written",
  );
}

function* makeTexts({ bytes, spans }: Block, firstPosition: number, refuse: (at: number) => never) {
  let position = firstPosition;
  for (const { from, to } of spans) {
    let text: string;
    try {
      text = decoder.decode(bytes.subarray(from, to));
    } catch {
      return refuse(from);
    }
    yield new Text(position++, text);
  }
}

function checkText(path: string, at: number, { line }: Text): void {
  try {
    readDocument(line);
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

class FormsSource implements Source {
  readonly kind = "mongoexport";
  readonly notes: readonly string[] = [];
  readonly #surveyed = new Surveyed();

  constructor(readonly location: string, readonly files: ReadonlyMap<Collection, Bytes>) {}

  /** Of the files at first, of what they unpack to once that is known. */
  get bytes(): number {
    return collections.reduce(
      (sum, name) => sum + (this.#surveyed.sizeOf(name) ?? this.files.get(name)!.fileBytes),
      0,
    );
  }

  #notUtf8(path: string, at: number): never {
    throw new AppError("invalid_source", `reading '${path}' at byte ${at}: it is not UTF-8; ${advice}`);
  }

  async survey(collection: Collection, { rangeBytes, onDocument, onBytes }: SurveyOptions): Promise<Survey> {
    const file = this.files.get(collection)!;
    const survey = new SurveyBuilder(collection, this.#surveyed);
    let passed = 0;
    for await (const block of readBlocks(file, rangeBytes)) {
      const { start, spans } = block;
      let place = 0;
      for (
        const text of makeTexts(block, survey.documents + 1, (at) => this.#notUtf8(file.path, start + at))
      ) {
        const { from } = spans[place++]!;
        if (collection !== "dramatiq_tasks" || !isUsualSubtask(text.line)) {
          checkText(file.path, start + from, text);
        }
        onDocument?.(text);
      }
      survey.add(start, block.bytes, spans.length);
      onBytes?.(file.passed - passed);
      passed = file.passed;
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
    const cutter = new Cutter(file.path);
    // The survey has seen that commas and a closing bracket belong there.
    cutter.inList = start > 0;
    const { spans } = cutter.cut(bytes, start);
    return makeTexts({ start, bytes, spans }, firstPosition, (at) => this.#notUtf8(file.path, start + at));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const file of this.files.values()) await file[Symbol.asyncDispose]();
  }
}

async function findFile(folder: string, name: Collection): Promise<string | undefined> {
  for (const ending of endings) {
    if (await stampOf(`${folder}/${name}${ending}`)) return `${folder}/${name}${ending}`;
  }
}

/** True where a file begins as one document a line does, which the plain reader takes. */
async function isPlain(path: string): Promise<boolean> {
  if (!path.endsWith(".json")) return false;
  using file = await Deno.open(path);
  const head = new Uint8Array(64);
  const read = await file.read(head) ?? 0;
  if (head[0] === 0x1f && head[1] === 0x8b) return false;
  const text = new TextDecoder().decode(head.subarray(0, read)).trimStart();
  return !text.startsWith("[") && !/^\{\s*\n/.test(text);
}

/**
 * Opens a mongoexport folder of which at least one file is of another form; undefined where none is.
 *
 * @throws AppError source_missing, invalid_source for CSV
 */
export async function openForms(folder: string): Promise<(Source & AsyncDisposable) | undefined> {
  const found = await Promise.all(
    collections.map(async (name) => [name, await findFile(folder, name)] as const),
  );
  const missing = found.filter(([, path]) => !path).map(([name]) => name);
  const csv = (await Promise.all(missing.map((name) => stampOf(`${folder}/${name}.csv`)))).some(Boolean);
  if (csv) {
    throw new AppError(
      "invalid_source",
      `opening the dump '${folder}': '${missing[0]}.csv' is CSV, which loses types; ${advice} (--type=json)`,
    );
  }
  const paths = found.map(([, path]) => path).filter((path) => path !== undefined);
  const plain = await Promise.all(paths.map(isPlain));
  if (plain.every(Boolean)) return undefined;
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
  for (const [name, path] of found) files.set(name, await openBytes(path!, (await stampOf(path!))!));
  return new FormsSource(folder, files);
}
