/** A folder with the default output of mongoexport: one document a line in `users.json`, `tasks.json`, … */
import { AppError } from "../../../errors.ts";
import { checkStamp, type FileStamp, findStamp } from "./bytes.ts";
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

const newline = 10;
const carriageReturn = 13;
const openBrace = 123;
const bom = [0xef, 0xbb, 0xbf];

const advice = "export again with 'mongoexport --collection=NAME --out=NAME.json'";

/** Whole lines of a file, which start at byte `start`. */
interface Block {
  start: number;
  bytes: Uint8Array;
}

async function* readBlocks(path: string, blockBytes: number): AsyncGenerator<Block> {
  using file = await Deno.open(path);
  let start = 0;
  let rest = new Uint8Array(0);
  while (true) {
    const buffer = new Uint8Array(rest.length + blockBytes);
    buffer.set(rest);
    let filled = rest.length;
    let isEnd = false;
    while (filled < buffer.length) {
      const read = await file.read(buffer.subarray(filled));
      if (read === null) {
        isEnd = true;
        break;
      }
      filled += read;
    }
    const end = isEnd ? filled : buffer.lastIndexOf(newline, filled - 1) + 1;
    if (end > 0) yield { start, bytes: buffer.subarray(0, end) };
    if (isEnd) return;
    rest = buffer.slice(end, filled);
    start += end;
    if (rest.length > jsonBytesMax) {
      throw new AppError(
        "invalid_source",
        `reading '${path}': a line is over ${jsonBytesMax} bytes; ${advice}`,
      );
    }
  }
}

/** The documents of whole lines. Their positions are line numbers; empty lines are counted, but hold no document. */
class Lines implements Iterable<JsonDocument> {
  /** True once the last line was yielded. */
  isAtEnd = false;

  /** @param number number of the next line, from 1 */
  constructor(readonly path: string, readonly bytes: Uint8Array, public number: number) {}

  *[Symbol.iterator](): Generator<JsonDocument> {
    const { path, bytes } = this;
    const refuse: RefuseEncoding = ({ position }) => {
      throw new AppError("invalid_source", `reading '${path}' line ${position}: it is not UTF-8; ${advice}`);
    };
    for (let at = 0; at < bytes.length; this.number++) {
      let end = bytes.indexOf(newline, at);
      if (end < 0) end = bytes.length;
      const from = this.number === 1 && isAt(bytes, at, bom) ? at + bom.length : at;
      const to = end > from && bytes[end - 1] === carriageReturn ? end - 1 : end;
      at = end + 1;
      this.isAtEnd = at >= bytes.length;
      const document = new JsonDocument(this.number, bytes, from, to, refuse);
      if (bytes[from] === openBrace || document.text().trim() !== "") yield document;
    }
  }
}

const isAt = (bytes: Uint8Array, at: number, wanted: readonly number[]) =>
  wanted.every((byte, i) => bytes[at + i] === byte);

/** Returns a message if the first line shows another export format. */
function nameOtherFormat(text: string): string | undefined {
  if (/^_?id,|^[\w.]+(,[\w.]+)+\r?$/.test(text.slice(0, text.indexOf("\n") >>> 0))) {
    return "it is CSV, which loses types: export again with --type=json";
  }
  return undefined;
}

/** @param isCutOff true for a last line without newline */
function checkLine(path: string, document: JsonDocument, isCutOff: boolean): void {
  const { position } = document;
  const json = document.text();
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    if (isCutOff) {
      throw new AppError(
        "source_truncated",
        `reading '${path}' line ${position}: the file ends in the middle of a document; ` +
          "copy it again from where it was exported, or export it again; nothing was written",
        { cause },
      );
    }
    const otherFormat = position === 1 ? nameOtherFormat(json) : undefined;
    const why = otherFormat ?? `it is not JSON (${(cause as Error).message}); ${advice}`;
    throw new AppError(
      "invalid_source",
      `reading '${path}' line ${position}: ${why}; nothing was written`,
      { cause },
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new AppError(
      "invalid_source",
      `reading '${path}' line ${position}: wanted a document {…}, found '${json.slice(0, 40)}'; ${advice}; ` +
        "nothing was written",
    );
  }
}

interface File {
  path: string;
  stamp: FileStamp;
}

class JsonLinesSource implements Source {
  readonly kind = "mongoexport";
  readonly notes = [];
  readonly bytes: number;
  readonly #surveyed = new SurveyedCollections();

  constructor(readonly location: string, readonly files: Map<Collection, File>) {
    this.bytes = [...files.values()].reduce((sum, { stamp }) => sum + stamp.size, 0);
  }

  async survey(collection: Collection, options: SurveyOptions): Promise<Survey> {
    const { path } = this.files.get(collection)!;
    const { rangeBytes, onDocument, onBytes } = options;
    const survey = new SurveyBuilder(collection, this.#surveyed);
    let lineCount = 0;
    for await (const block of readBlocks(path, rangeBytes)) {
      const endsWithNewline = block.bytes.at(-1) === newline;
      const lines = new Lines(path, block.bytes, lineCount + 1);
      let documents = 0;
      for (const document of lines) {
        if (!acceptsFastPath(collection, document)) {
          checkLine(path, document, !endsWithNewline && lines.isAtEnd);
        }
        onDocument?.(document);
        documents++;
      }
      survey.add(block.start, block.bytes, documents, lineCount + 1);
      lineCount = lines.number - 1;
      onBytes?.(block.bytes.length);
    }
    return survey.finish();
  }

  fingerprint(): string {
    return this.#surveyed.fingerprint();
  }

  async read(range: Range): Promise<Iterable<RawDocument>> {
    const { path, stamp } = this.files.get(range.collection)!;
    await checkStamp(path, stamp);
    using file = await Deno.open(path);
    const from = Number(range.lower);
    const to = Number(range.upper);
    await file.seek(from, Deno.SeekMode.Start);
    const bytes = new Uint8Array(to - from);
    for (let filled = 0; filled < bytes.length;) {
      const read = await file.read(bytes.subarray(filled));
      if (read === null) break;
      filled += read;
    }
    return new Lines(path, bytes, range.firstPosition);
  }

  // No file is open between two reads.
  async [Symbol.asyncDispose](): Promise<void> {}
}

async function findFile(folder: string, collection: Collection): Promise<File | undefined> {
  const path = `${folder}/${collection}.json`;
  const stamp = await findStamp(path);
  return stamp && { path, stamp };
}

/**
 * Opens a folder with one document a line.
 *
 * @throws AppError source_missing (the folder or a collection is missing), not_a_dump
 */
export async function openJsonLines(folder: string): Promise<Source> {
  const stat = await Deno.stat(folder).catch((cause) => {
    throw new AppError("source_missing", `opening the dump '${folder}': no such folder`, { cause });
  });
  if (!stat.isDirectory) {
    throw new AppError(
      "not_a_dump",
      `opening the dump '${folder}': wanted a folder, found a file; name its folder`,
    );
  }
  const path = folder.replace(/(?<=.)\/+$/, "");
  const found = await Promise.all(
    collections.map(async (name) => [name, await findFile(path, name)] as const),
  );
  const missing = found.filter(([, file]) => !file).map(([name]) => `${name}.json`);
  if (missing.length === collections.length) {
    throw new AppError(
      "not_a_dump",
      `opening the dump '${folder}': it holds none of ${missing.join(", ")}; ${advice} for each collection`,
    );
  }
  if (missing.length > 0) {
    throw new AppError(
      "source_missing",
      `opening the dump '${folder}': ${
        missing.join(" and ")
      } missing; ${advice}, also for an empty collection`,
    );
  }
  return new JsonLinesSource(path, new Map(found as [Collection, File][]));
}
