/** A folder as mongoexport fills it: one Extended JSON document a line in `users.json`, `tasks.json`, … */
import { AppError } from "../../../errors.ts";
import { readDocument } from "../documents/ejson_read.ts";
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

const newline = 10;
// A document ends at 16 MB of BSON, which is never this much text.
const lineBytesMax = 128 * 1024 * 1024;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();
const bom = "\uFEFF";

const advice = "export again with 'mongoexport --collection=NAME --out=NAME.json'";

/** Whole lines of a file: bytes from `start`, in the file. */
interface Block {
  start: number;
  bytes: Uint8Array;
}

async function* readBlocks(path: string, blockBytes: number): AsyncGenerator<Block> {
  using file = await Deno.open(path);
  let start = 0;
  let held = new Uint8Array(0);
  while (true) {
    const buffer = new Uint8Array(held.length + blockBytes);
    buffer.set(held);
    let filled = held.length;
    let ended = false;
    while (filled < buffer.length) {
      const read = await file.read(buffer.subarray(filled));
      if (read === null) {
        ended = true;
        break;
      }
      filled += read;
    }
    const cut = ended ? filled : buffer.lastIndexOf(newline, filled - 1) + 1;
    if (cut > 0) yield { start, bytes: buffer.subarray(0, cut) };
    if (ended) return;
    held = buffer.slice(cut, filled);
    start += cut;
    if (held.length > lineBytesMax) {
      throw new AppError(
        "invalid_source",
        `reading '${path}': a line is over ${lineBytesMax} bytes; ${advice}`,
      );
    }
  }
}

class Line implements RawDocument {
  constructor(readonly position: number, readonly line: string) {}

  read() {
    return readDocument(this.line);
  }

  original() {
    return encoder.encode(this.line);
  }
}

/** Bytes of lines made a string at a time: short strings are young ones, whose memory costs next to nothing. */
const pieceBytes = 32 * 1024;

/** The documents of whole lines; empty lines count as lines only. */
class Lines implements Iterable<Line> {
  /** True once the last line was given. */
  isAtEnd = false;

  /** @param number of the next line */
  constructor(readonly path: string, readonly bytes: Uint8Array, public number: number) {}

  *[Symbol.iterator](): Generator<Line> {
    const { path, bytes } = this;
    for (let at = 0; at < bytes.length;) {
      let end = bytes.length;
      if (at + pieceBytes < end) {
        end = bytes.lastIndexOf(newline, at + pieceBytes - 1) + 1;
        if (end <= at) end = bytes.indexOf(newline, at) + 1 || bytes.length;
      }
      const text = decode(path, bytes.subarray(at, end), this.number);
      at = end;
      yield* this.#split(text, at === bytes.length);
    }
  }

  *#split(text: string, isLast: boolean): Generator<Line> {
    for (let at = 0; at < text.length; this.number++) {
      let end = text.indexOf("\n", at);
      if (end < 0) end = text.length;
      let line = text.slice(at, text.charCodeAt(end - 1) === 13 && end > at ? end - 1 : end);
      if (this.number === 1 && line.startsWith(bom)) line = line.slice(1);
      at = end + 1;
      this.isAtEnd = isLast && at >= text.length;
      if (line.trim() !== "") yield new Line(this.number, line);
    }
  }
}

function decode(path: string, bytes: Uint8Array, firstLine: number): string {
  try {
    return decoder.decode(bytes);
  } catch {
    let at = 0;
    let number = firstLine;
    while (at < bytes.length) {
      const end = bytes.indexOf(newline, at);
      try {
        decoder.decode(bytes.subarray(at, end < 0 ? bytes.length : end));
      } catch {
        break;
      }
      at = end + 1;
      number++;
    }
    throw new AppError("invalid_source", `reading '${path}' line ${number}: it is not UTF-8; ${advice}`);
  }
}

/** Why a first line is another kind of export, in words; undefined when it may be ours. */
function nameOtherFormat(text: string): string | undefined {
  if (text.startsWith("[")) return "it is a JSON array: export again without --jsonArray";
  if (/^_?id,|^[\w.]+(,[\w.]+)+\r?$/.test(text.slice(0, text.indexOf("\n") >>> 0))) {
    return "it is CSV, which loses types: export again with --type=json";
  }
  return undefined;
}

function checkLine(path: string, { line, position }: Line, isCutOff: boolean): void {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    if (isCutOff) {
      throw new AppError(
        "source_truncated",
        `reading '${path}' line ${position}: the file ends in the middle of a document; ` +
          "copy it again from where it was exported, or export it again; nothing was written",
        { cause },
      );
    }
    const other = position === 1 ? nameOtherFormat(line) : undefined;
    throw new AppError(
      "invalid_source",
      `reading '${path}' line ${position}: ${
        other ?? `it is not JSON (${(cause as Error).message}); ${advice}`
      }; ` +
        "nothing was written",
      { cause },
    );
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    const other = position === 1 ? nameOtherFormat(line) : undefined;
    throw new AppError(
      "invalid_source",
      `reading '${path}' line ${position}: ${
        other ?? `wanted a document {…}, found '${line.slice(0, 40)}'; ${advice}`
      }; nothing was written`,
    );
  }
}

interface File {
  path: string;
  size: number;
  changedAt: number;
}

class FolderSource implements Source {
  readonly kind = "mongoexport";
  readonly notes = [];
  readonly bytes: number;
  readonly #surveyed = new Surveyed();

  constructor(readonly location: string, readonly files: Map<Collection, File>) {
    this.bytes = [...files.values()].reduce((sum, { size }) => sum + size, 0);
  }

  async survey(collection: Collection, options: SurveyOptions): Promise<Survey> {
    const { path } = this.files.get(collection)!;
    const { rangeBytes, onDocument, onBytes } = options;
    const survey = new SurveyBuilder(collection, this.#surveyed);
    let lines = 0;
    for await (const block of readBlocks(path, rangeBytes)) {
      if (block.start === 0 && block.bytes[0] === 0x1f && block.bytes[1] === 0x8b) {
        throw new AppError(
          "invalid_source",
          `reading '${path}': it is compressed; unpack it with gunzip first`,
        );
      }
      const whole = block.bytes.at(-1) === newline;
      const all = new Lines(path, block.bytes, lines + 1);
      let count = 0;
      for (const line of all) {
        if (collection !== "dramatiq_tasks" || !isUsualSubtask(line.line)) {
          checkLine(path, line, !whole && all.isAtEnd);
        }
        onDocument?.(line);
        count++;
      }
      survey.add(block.start, block.bytes, count, lines + 1);
      lines = all.number - 1;
      onBytes?.(block.bytes.length);
    }
    return survey.finish();
  }

  fingerprint(): string {
    return this.#surveyed.fingerprint();
  }

  async read(range: Range): Promise<Iterable<RawDocument>> {
    const { path, size, changedAt } = this.files.get(range.collection)!;
    using file = await Deno.open(path);
    const stat = await file.stat();
    if (stat.size !== size || (stat.mtime?.getTime() ?? 0) !== changedAt) {
      throw new AppError(
        "source_changed",
        `reading '${path}': it was changed while it is being read; leave it alone and run the same command again`,
      );
    }
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

  /** No file stays open between two reads. */
  async [Symbol.asyncDispose](): Promise<void> {}
}

async function statFile(folder: string, collection: Collection): Promise<File | undefined> {
  const path = `${folder}/${collection}.json`;
  const stat = await Deno.stat(path).catch(() => undefined);
  return stat?.isFile ? { path, size: stat.size, changedAt: stat.mtime?.getTime() ?? 0 } : undefined;
}

/**
 * Opens a mongoexport folder.
 *
 * @throws AppError source_missing (no such folder, a collection lacks), not_a_dump
 */
export async function openFolder(folder: string): Promise<Source> {
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
    collections.map(async (name) => [name, await statFile(path, name)] as const),
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
  return new FolderSource(path, new Map(found as [Collection, File][]));
}
