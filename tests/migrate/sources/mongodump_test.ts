import assert from "node:assert/strict";
import { AppError } from "../../../errors.ts";
import { writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { BsonSource } from "../../../migrate/data/sources/bson_files.ts";
import { openSource } from "../../../migrate/data/sources/open.ts";
import {
  collections,
  type Range,
  type RawDocument,
  type Source,
} from "../../../migrate/data/documents/source.ts";
import { BsonDocument } from "../../../migrate/data/documents/tree.ts";
import { readPacked } from "../support/program.ts";
import { concat, type Documents, dumpFiles, gzip, makeArchive, makeFolder } from "../support/sources.ts";

const settings = { MONGODB_URL: "", DB_NAME: "" };

/** Documents of a few hundred bytes and one of 50 kB. */
const make = (count: number): Uint8Array[] =>
  Array.from(
    { length: count },
    (_, i) =>
      writeBson(
        new BsonDocument(["_id", "text"], [i, i === 20 ? "长".repeat(17_000) : `text ${i} `.repeat(20)]),
      ),
  );

const documents: Documents = { users: make(3), tasks: make(50), dramatiq_tasks: make(400) };
const namespaces = collections.map((collection) => ({
  database: "old",
  collection: collection as string,
  documents: documents[collection],
}));

const hasError = (code: string, ...patterns: RegExp[]) => (error: unknown) => {
  assert.ok(error instanceof AppError, String(error));
  assert.equal(error.code, code);
  for (const pattern of patterns) assert.match(error.message, pattern);
  return true;
};

async function surveyAll(source: Source, rangeBytes = 4096): Promise<Range[]> {
  const ranges: Range[] = [];
  for (const name of collections) ranges.push(...(await source.survey(name, { rangeBytes })).ranges);
  return ranges;
}

async function readAll(source: Source, ranges: Range[]): Promise<RawDocument[]> {
  const all: RawDocument[] = [];
  for (const range of ranges) {
    const raws = [...await source.read(range)];
    assert.equal(raws.length, range.documents);
    assert.equal(raws[0]!.position, range.firstPosition);
    all.push(...raws);
  }
  return all;
}

const files = dumpFiles(documents);
const gzippedFiles = Object.fromEntries(
  await Promise.all(
    Object.entries(files).map(async ([name, bytes]) => [`${name}.gz`, await gzip(bytes)] as const),
  ),
);
const archive = makeArchive(namespaces);

const forms: [name: string, files: Record<string, Uint8Array>, from: string][] = [
  ["a folder of .bson files", files, ""],
  ["a folder of .bson.gz files", gzippedFiles, ""],
  [
    "a folder with one database in a subfolder",
    Object.fromEntries(
      Object.entries(files).map(([name, bytes]) => [`old/${name}`, bytes]),
    ),
    "",
  ],
  ["an archive", { "dump.archive": archive }, "/dump.archive"],
  ["a gzipped archive", { "dump.archive.gz": await gzip(archive) }, "/dump.archive.gz"],
];
const fingerprints = new Set<string>();
for (const [name, content, from] of forms) {
  Deno.test(`mongodump: ${name} yields every document from any range`, async () => {
    await using folder = await makeFolder(content);
    await using source = await openSource(folder.path + from, () => settings) as BsonSource;
    const ranges = await surveyAll(source);
    assert.ok(ranges.length > 20);
    const expected = collections.flatMap((collection) => documents[collection]);
    const all = await readAll(source, ranges);
    assert.deepEqual(all.map((raw) => raw.original().toHex()), expected.map((bytes) => bytes.toHex()));
    assert.equal(source.bytes, expected.reduce((sum, { length }) => sum + length, 0));
    // A resumed load starts anywhere, so a decompressed stream must be able to go back.
    assert.equal((await readAll(source, ranges.toReversed())).length, expected.length);
    fingerprints.add(source.fingerprint());
    assert.equal(fingerprints.size, 1, "the same documents have the same fingerprint in each form");
    assert.deepEqual(source.notes, []);
  });
}

Deno.test("mongodump: all edge cases in a dump are read", async () => {
  const content: Record<string, Uint8Array> = {};
  for (const name of collections) content[`${name}.bson`] = await readPacked(`odd-bson/${name}.bson.gz`);
  await using folder = await makeFolder(content);
  await using source = await openSource(folder.path) as BsonSource;
  const all = await readAll(source, await surveyAll(source, 65536));
  assert.equal(all.length, 18 + 32 + 554);
  for (const raw of all) raw.read();
});

const oplog = writeBson(new BsonDocument(["op"], ["n"]));
const withOplog: [name: string, files: Record<string, Uint8Array>, from: string][] = [
  ["beside the collections", { ...files, "oplog.bson": oplog }, ""],
  ["beside the folder of the database", {
    ...Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`old/${name}`, bytes])),
    "oplog.bson": oplog,
  }, ""],
  ["in an archive", {
    a: makeArchive([...namespaces, { database: "", collection: "oplog", documents: [oplog] }]),
  }, "/a"],
];
for (const [name, content, from] of withOplog) {
  Deno.test(`mongodump: an oplog ${name} is noted`, async () => {
    await using folder = await makeFolder(content);
    await using source = await openSource(folder.path + from, () => settings) as BsonSource;
    assert.match(source.notes.join(), /has an oplog\.bson.*not applied/);
    assert.equal((await readAll(source, await surveyAll(source))).length, 453);
  });
}

function flip(bytes: Uint8Array, at: number, to = bytes[at]! ^ 0xff): Uint8Array<ArrayBuffer> {
  const flipped = bytes.slice() as Uint8Array<ArrayBuffer>;
  flipped[at] = to;
  return flipped;
}

const tasks = files["tasks.bson"]!;
const firstTask = documents.tasks[0]!.length;
const faulty: [
  name: string,
  files: Record<string, Uint8Array>,
  from: string,
  code: string,
  patterns: RegExp[],
][] = [
  [
    "a file that ends early",
    { ...files, "tasks.bson": tasks.subarray(0, tasks.length - 7) },
    "",
    "source_truncated",
    [
      /tasks in '.*tasks\.bson' at byte \d+: the dump ends in the middle of a document/,
      /nothing was written/,
    ],
  ],
  ["a file of two bytes", { ...files, "users.bson": tasks.subarray(0, 2) }, "", "source_truncated", [
    /at byte 0/,
  ]],
  ["an invalid length", { ...files, "tasks.bson": flip(tasks, firstTask + 3) }, "", "invalid_source", [
    new RegExp(`tasks in '.*' at byte ${firstTask}: it is not BSON \\(a document's length`),
  ]],
  [
    "an unknown type",
    { ...files, "tasks.bson": flip(tasks, firstTask + 4, 0x44) },
    "",
    "invalid_source",
    [
      new RegExp(`at byte ${firstTask + 4}: it is not BSON \\(unknown type 0x44`),
    ],
  ],
  [
    "a gzip that ends early",
    {
      ...gzippedFiles,
      "tasks.bson.gz": gzippedFiles["tasks.bson.gz"]!.subarray(0, 200),
    },
    "",
    "source_truncated",
    [/tasks\.bson\.gz': its gzip data ends early/],
  ],
  [
    "a damaged gzip",
    { ...gzippedFiles, "tasks.bson.gz": flip(gzippedFiles["tasks.bson.gz"]!, 60) },
    "",
    "invalid_source",
    [
      /tasks\.bson\.gz': its gzip data is damaged/,
    ],
  ],
  [
    "a missing collection",
    Object.fromEntries(
      Object.entries(files).filter(([name]) => name !== "tasks.bson"),
    ),
    "",
    "source_missing",
    [/tasks\.bson missing/, /mongodump/],
  ],
  [
    "two databases",
    {
      ...Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`old/${name}`, bytes])),
      ...Object.fromEntries(Object.entries(files).map(([name, bytes]) => [`new/${name}`, bytes])),
    },
    "",
    "invalid_source",
    [/2 databases; name one: '.*\/new', '.*\/old'/],
  ],
  [
    "an archive that ends in a block",
    { a: archive.subarray(0, archive.length >> 1) },
    "/a",
    "source_truncated",
    [
      /the archive '.*\/a' at byte \d+: it ends before its last block/,
    ],
  ],
  [
    "an archive that ends between blocks",
    { a: archive.subarray(0, archive.length - 4) },
    "/a",
    "source_truncated",
    [],
  ],
  [
    "an archive with a flipped byte in a text",
    {
      a: flip(
        archive,
        archive.findIndex((_, i) => new TextDecoder().decode(archive.subarray(i, i + 7)) === "text 7 "),
      ),
    },
    "/a",
    "invalid_source",
    [/damaged \(the checksum of 'old\.(users|tasks|dramatiq_tasks)' is \d+, wanted \d+/],
  ],
  ["an archive without a collection", { a: makeArchive(namespaces.slice(1)) }, "/a", "source_missing", [
    /users missing/,
  ]],
  [
    "an archive of another application",
    {
      a: makeArchive([{ database: "x", collection: "y", documents: [] }]),
    },
    "/a",
    "not_a_dump",
    [/holds none of users, tasks, dramatiq_tasks, but 'x\.y'/],
  ],
  [
    "an archive of two databases",
    {
      a: makeArchive([...namespaces, ...namespaces.map((each) => ({ ...each, database: "new" }))]),
    },
    "/a",
    "invalid_source",
    [/databases old, new; name one by DB_NAME/],
  ],
  ["a file that is not an archive", { a: concat(documents.users) }, "/a", "not_a_dump", [
    /wanted a folder, found a file/,
  ]],
];
for (const [name, content, from, code, patterns] of faulty) {
  Deno.test(`mongodump: ${name} is reported`, async () => {
    await using folder = await makeFolder(content);
    const work = async () => {
      await using source = await openSource(folder.path + from, () => settings) as BsonSource;
      await surveyAll(source);
    };
    await assert.rejects(work, hasError(code, ...patterns));
  });
}

Deno.test("mongodump: DB_NAME selects a database of an archive", async () => {
  const other = namespaces.map((each) => ({
    ...each,
    database: "new",
    documents: each.documents.slice(0, 2),
  }));
  await using folder = await makeFolder({ a: makeArchive([...namespaces, ...other]) });
  await using source = await openSource(
    `${folder.path}/a`,
    () => ({ ...settings, DB_NAME: "new" }),
  ) as BsonSource;
  assert.equal((await readAll(source, await surveyAll(source))).length, 6);
});

Deno.test("mongodump: a file that changes after the survey is reported", async () => {
  await using folder = await makeFolder(files);
  await using source = await openSource(folder.path) as BsonSource;
  const ranges = await surveyAll(source);
  await Deno.writeFile(`${folder.path}/tasks.bson`, documents.tasks[0]!, { append: true });
  const range = ranges.find(({ collection }) => collection === "tasks")!;
  await assert.rejects(async () => await source.read(range), hasError("source_changed", /tasks\.bson/));
});
