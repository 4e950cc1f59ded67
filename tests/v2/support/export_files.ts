/** Reads exports back: the same rows from CSV, JSON lines and the HTML page. */
import assert from "node:assert/strict";
import { type Feedback, feedbackColumns } from "../../../routes/v2/cells/export_feedback.ts";

/** A row as a reader restores it. */
export interface RestoredRow extends Feedback {
  cell: number;
  axes: { axis: string; name: string; value: string | null }[];
  status: string;
  version: number;
  image: string | null;
  /** In decimal digits, since it may exceed the precision of a number. */
  seed: string | null;
  ratio: string | null;
  prompts: string[];
  error: string | null;
  mean: number | null;
  n: number | null;
  distribution: number[] | null;
  favourite: boolean;
}

/** Parses CSV by RFC 4180, like a spreadsheet. A field without quotes and without text is null. */
export function parseCsv(text: string): (string | null)[][] {
  const rows: (string | null)[][] = [[]];
  const field = /("(?:[^"]|"")*"|[^,"\r\n]*)(,|\r\n)/y;
  for (let found; (found = field.exec(text));) {
    const [, value = "", end] = found;
    rows.at(-1)!.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value || null);
    if (end === "\r\n") rows.push([]);
    if (field.lastIndex === text.length) break;
  }
  assert.equal(field.lastIndex, text.length, "the whole text is CSV");
  assert.deepEqual(rows.pop(), []);
  return rows;
}

/** Removes the apostrophe that the export puts before a text that looks like a formula. */
export function withoutGuard(field: string): string {
  return /^'(?:['\s]*[=+\-@＝＋－＠]|'*[\t\r\n])/.test(field) ? field.slice(1) : field;
}

const numberOrNull = (field: string | null | undefined) => field == null ? null : Number(field);

/** Restores the rows of a CSV file. */
export function readCsv(file: string): RestoredRow[] {
  const [head, ...lines] = parseCsv(file.replace(/^\ufeff/, ""));
  const names = head!.map((name) => withoutGuard(name!));
  return lines.map((line) => {
    assert.equal(line.length, names.length);
    const text = (name: string) => {
      const field = line[names.indexOf(name)]!;
      return field === null ? null : withoutGuard(field);
    };
    const list = (name: string) => JSON.parse(text(name) ?? "[]");
    const axes = names.slice(1, names.indexOf("status")).map((title, i) => {
      const [, axis, name] = /^(v[0-5]|repeat)(?: ([^]*))?$/.exec(title)!;
      const value = line[i + 1]!;
      return { axis: axis!, name: name ?? axis!, value: value === null ? null : withoutGuard(value) };
    });
    const stars = [1, 2, 3, 4, 5].map((star) => text(`stars_${star}`));
    const row = {
      cell: Number(text("cell")),
      axes,
      status: text("status"),
      version: Number(text("version")),
      image: text("image"),
      seed: line[names.indexOf("seed")]!,
      ratio: text("ratio"),
      prompts: list("prompts"),
      error: text("error"),
      mean: numberOrNull(text("mean")),
      n: numberOrNull(text("n")),
      distribution: stars[0] === null ? null : stars.map(Number),
      favourite: text("favourite") === "true",
    };
    const feedback = Object.fromEntries(feedbackColumns.map((name) => [name, list(name)]));
    return Object.assign(row, feedback) as unknown as RestoredRow;
  });
}

/** Restores the rows of a file of JSON lines. */
export function readNdjson(file: string): RestoredRow[] {
  if (file === "") return [];
  assert.ok(file.endsWith("\n"));
  const reviver = (key: string, value: unknown, { source }: { source?: string }) =>
    key === "seed" && typeof value === "number" ? source : value;
  // The declaration of JSON.parse does not know the third argument yet.
  const parse = JSON.parse as (text: string, reviver: unknown) => RestoredRow;
  return file.slice(0, -1).split("\n").map((line) => parse(line, reviver));
}

/** Restores the head and the rows of an HTML page; indices instead of axes, and no version. */
export function readPage(page: string) {
  const data = [...page.matchAll(/<script type="application\/json"[^>]*>([^]*?)<\/script>/g)];
  const [head, ...parts] = data.map(([, json]) => JSON.parse(json!));
  const rows: Record<string, unknown>[] = parts.flat().map((list: unknown[]) =>
    Object.fromEntries(head.columns.map((name: string, i: number) => [name, list[i]]))
  );
  return { head, rows };
}

/** Returns an object without some of its fields. */
export function omit(row: object, ...names: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(row).filter(([name]) => !names.includes(name)));
}
