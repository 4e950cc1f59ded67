import assert from "node:assert/strict";
import { AppError } from "../../../errors.ts";
import { writeCanonical } from "../../../migrate/data/documents/ejson_write.ts";
import { openSource } from "../../../migrate/data/sources/open.ts";
import { collections, type Range, type Source } from "../../../migrate/data/documents/source.ts";
import { gzip, makeFolder } from "../support/sources.ts";

const encoder = new TextEncoder();
const line = (i: number) =>
  `{"_id":{"$oid":"${
    i.toString(16).padStart(24, "0")
  }"},"text":"a ] } \\" , [ { \\\\ 樱花 ${i}","list":[{"a":[]},[]],"n":{}}`;
const lines = (count: number) => Array.from({ length: count }, (_, i) => line(i));
const content: Record<string, string[]> = { users: lines(3), tasks: lines(40), dramatiq_tasks: lines(300) };

const perFile = <T>(make: (lines: string[]) => T, ending = ".json"): Record<string, T> =>
  Object.fromEntries(collections.map((name) => [name + ending, make(content[name]!)]));

const joined = (list: string[]) => list.map((text) => `${text}\n`).join("");
const pretty = (text: string) => JSON.stringify(JSON.parse(text), null, 2);

async function readAll(source: Source, rangeBytes: number) {
  const ranges: Range[] = [];
  for (const name of collections) ranges.push(...(await source.survey(name, { rangeBytes })).ranges);
  const texts: string[] = [];
  const positions = new Set<string>();
  for (const range of ranges) {
    let count = 0;
    for (const raw of await source.read(range)) {
      texts.push(writeCanonical(raw.read()));
      positions.add(`${range.collection} ${raw.position}`);
      count++;
    }
    assert.equal(count, range.documents);
  }
  assert.equal(positions.size, texts.length);
  return { texts, ranges };
}

async function gzipped(make: (lines: string[]) => string, ending = ".json.gz") {
  const files = Object.entries(perFile(make, ending));
  return Object.fromEntries(
    await Promise.all(files.map(async ([name, text]) => [name, await gzip(encoder.encode(text))] as const)),
  );
}

const bom = "\ufeff";
const forms: [name: string, files: Record<string, string | Uint8Array>][] = [
  ["lines", perFile(joined)],
  ["lines, the last without newline", perFile((list) => list.join("\n"))],
  ["lines with CRLF", perFile((list) => list.join("\r\n"))],
  ["lines after a byte order mark", perFile((list) => bom + joined(list))],
  ["gzipped lines", await gzipped(joined)],
  ["gzipped lines named .json", await gzipped(joined, ".json")],
  ["gzipped lines after a byte order mark", await gzipped((list) => bom + joined(list))],
  ["lines named .jsonl", perFile(joined, ".jsonl")],
  ["an array on one line", perFile((list) => `[${list.join(",")}]\n`)],
  ["an array with one document a line", perFile((list) => `[${list.join(",\n")}]\n`)],
  ["an array after a byte order mark", perFile((list) => `${bom}[${list.join(",")}]`)],
  ["an array in the format of Compass", perFile((list) => `[${list.map(pretty).join(",\n")}]`)],
  ["a gzipped array", await gzipped((list) => `[${list.join(",")}]`)],
  ["documents over several lines", perFile((list) => list.map(pretty).join("\n"))],
  ["documents without separators", perFile((list) => list.map(pretty).join(""))],
  ["an array for one collection, lines for others", {
    ...perFile(joined),
    "tasks.json": `[${content.tasks!.join(",")}]`,
  }],
];
const expected = collections.flatMap((name) => content[name]!);
for (const [name, files] of forms) {
  Deno.test(`mongoexport: every document is read from ${name}`, async () => {
    await using folder = await makeFolder(files);
    const source = await openSource(folder.path);
    for (const rangeBytes of [4096, 65536]) {
      const { texts, ranges } = await readAll(source, rangeBytes);
      assert.deepEqual(texts, expected);
      if (rangeBytes === 4096) assert.ok(ranges.length > 8, `${ranges.length} ranges`);
    }
  });
}

Deno.test("mongoexport: empty arrays and empty files are empty collections", async () => {
  await using folder = await makeFolder({
    "users.json": "[]",
    "tasks.json": "[\n]\n",
    "dramatiq_tasks.json": "",
  });
  const { texts } = await readAll(await openSource(folder.path), 4096);
  assert.deepEqual(texts, []);
});

const array = `[${content.tasks!.join(",")}]`;
const csv = "_id,email,fullname\n1,a@b,x\n";
const faulty: [name: string, files: Record<string, string | Uint8Array>, code: string, pattern: RegExp][] = [
  [
    "CSV under .json",
    perFile(() => csv),
    "invalid_source",
    /CSV, which loses types: export again with --type=json/,
  ],
  ["gzipped CSV", await gzipped(() => csv), "invalid_source", /byte 0: it is CSV.*--type=json/],
  ["CSV", perFile(() => csv, ".csv"), "invalid_source", /'users\.csv' is CSV.*--type=json/],
  [
    "an array that ends in a document",
    { ...perFile(joined), "tasks.json": array.slice(0, -100) },
    "source_truncated",
    /tasks\.json' at byte \d+: the file ends in the middle/,
  ],
  [
    "an array that ends between documents",
    { ...perFile(joined), "tasks.json": array.slice(0, -1) },
    "source_truncated",
    /tasks\.json'/,
  ],
  [
    "an array of numbers",
    { ...perFile(joined), "tasks.json": "[1,2]" },
    "invalid_source",
    /at byte 1: wanted a document \{…\}, found '1,2\]'/,
  ],
  [
    "text after an array",
    { ...perFile(joined), "tasks.json": `${array}{}` },
    "invalid_source",
    /at byte \d+: wanted a document/,
  ],
  [
    "an invalid document in an array",
    { ...perFile(joined), "tasks.json": `[{"a":1},{"a":}]` },
    "invalid_source",
    /at byte 9: the document that starts there is not JSON \(wanted a value/,
  ],
  [
    "invalid UTF-8",
    {
      ...perFile(joined),
      "tasks.json": new Uint8Array([0x5b, 0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d, 0x5d]),
    },
    "invalid_source",
    /at byte 1: it is not UTF-8/,
  ],
  [
    "a gzip that ends early",
    { ...await gzipped(joined), "tasks.json.gz": (await gzipped(joined))["tasks.json.gz"]!.subarray(0, 100) },
    "source_truncated",
    /gzip data ends early/,
  ],
  [
    "a missing collection beside gzipped ones",
    { "users.json.gz": (await gzipped(joined))["users.json.gz"]! },
    "source_missing",
    /tasks\.json and dramatiq_tasks\.json missing/,
  ],
];
for (const [name, files, code, pattern] of faulty) {
  Deno.test(`mongoexport: ${name} is reported`, async () => {
    await using folder = await makeFolder(files);
    await assert.rejects(
      async () => await readAll(await openSource(folder.path), 65536),
      (error: unknown) => {
        assert.ok(error instanceof AppError, String(error));
        assert.equal(error.code, code);
        assert.match(error.message, pattern);
        return true;
      },
    );
  });
}
