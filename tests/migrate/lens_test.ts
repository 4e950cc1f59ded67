import assert from "node:assert/strict";
import fc from "fast-check";
import { encodeLine } from "../../migrate/data/tools/copy.ts";
import { readDocument, readValue } from "../../migrate/data/documents/ejson_read.ts";
import {
  isStorable,
  writeCanonical,
  writeFloat,
  writeLossless,
} from "../../migrate/data/documents/ejson_write.ts";
import type { Mapped, Row } from "../../migrate/data/lens/draft.ts";
import { subtaskColumns, toSubtaskDocument, toSubtaskRow } from "../../migrate/data/lens/subtasks.ts";
import { taskColumns, toTaskDocument, toTaskRow } from "../../migrate/data/lens/tasks.ts";
import { toUserDocument, toUserRow, userColumns } from "../../migrate/data/lens/users.ts";
import { readTime, writeTime } from "../../migrate/data/documents/times.ts";
import {
  BsonDocument,
  type BsonValue,
  DateMs,
  Double,
  ObjectId,
  Special,
} from "../../migrate/data/documents/tree.ts";
import { toFastLine } from "./support/fast_line.ts";
import { generations, readPacked } from "./support/program.ts";

const parent = "5c9eca9a-6247-42fe-80f6-51ccd3eb17b1";
const findParent = (name: string) => name === "nowhere" ? undefined : parent;
const toSubtask = (document: BsonDocument) => toSubtaskRow(document, findParent);

interface Lens {
  columns: readonly string[];
  toRow(document: BsonDocument): Mapped<string>;
  // deno-lint-ignore no-explicit-any -- each lens names its own columns
  toDocument(row: any): BsonDocument;
}

const lenses: Record<string, Lens> = {
  users: { columns: userColumns, toRow: toUserRow, toDocument: toUserDocument },
  tasks: { columns: taskColumns, toRow: toTaskRow, toDocument: toTaskDocument },
  dramatiq_tasks: { columns: subtaskColumns, toRow: toSubtask, toDocument: toSubtaskDocument },
};

/**
 * Asserts that a document's row is storable and maps back to the same document. Returns undefined for a rejected
 * document.
 */
function assertReversible({ columns, toRow, toDocument }: Lens, document: BsonDocument): Row | undefined {
  const mapped = toRow(document);
  if ("rejected" in mapped) {
    assert.match(mapped.rejected.reason, /^[a-z_]+$/);
    return undefined;
  }
  for (const column of columns) {
    const text = mapped.row[column];
    assert.ok(text === null || (typeof text === "string" && isStorable(text)), `column ${column}: ${text}`);
  }
  assert.equal(writeCanonical(toDocument(mapped.row)), writeCanonical(document));
  return mapped.row;
}

const text = fc.oneof(
  fc.string(),
  fc.string({ unit: "binary" }),
  fc.constantFrom("a\0b", "half \ud83d", "\t\r\n\\N\\.", "樱花", "\ufffd", "", "__proto__", "12345"),
);
const hex = fc.stringMatching(/^[0-9a-f]{24}$/);
const leaf: fc.Arbitrary<BsonValue> = fc.oneof(
  text,
  fc.constant(null),
  fc.boolean(),
  fc.integer(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.constantFrom(0n, 5n, 2n ** 31n),
  fc.double().map((value) => new Double(value)),
  fc.constantFrom(1, -0, 1e16, 1e300, 1e-5, NaN, Infinity).map((value) => new Double(value)),
  fc.oneof(fc.integer(), fc.constantFrom(0, -1, 8.64e15, 253402300800000, -62167219200000))
    .map((ms) => new DateMs(ms)),
  fc.constant(new DateMs(2n ** 63n - 1n)),
  hex.map((id) => new ObjectId(id)),
  fc.constantFrom('{"$minKey":1}', '{"$numberDecimal":"1.10"}', '{"$timestamp":{"t":1,"i":2}}')
    .map((special) => new Special(special)),
);
const key = fc.oneof(
  fc.constantFrom("v0", "10", "2", "url", "$set", "$date", "", "a.b", "__proto__", "constructor", "va\0lue"),
  fc.string({ maxLength: 8 }),
);

function documentOf(entries: [string, BsonValue][]): BsonDocument {
  const map = new Map(entries);
  return new BsonDocument([...map.keys()], [...map.values()]);
}

const value: fc.Arbitrary<BsonValue> = fc.letrec<{ value: BsonValue }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3, withCrossShrink: true },
    leaf,
    fc.array(tie("value"), { maxLength: 4 }),
    fc.array(fc.tuple(key, tie("value")), { maxLength: 4 }).map(documentOf),
  ),
})).value;

const status = fc.constantFrom(
  "pending",
  "processing",
  "completed",
  "failed",
  "cancelled",
  "Completed",
  "done",
);
const uuid = fc.uuid();
const time = fc.date({ noInvalidDate: true }).map((date): BsonValue => new DateMs(date.getTime()));
const index = fc.oneof(fc.constant(null), fc.integer({ min: 0, max: 99 }));

/** Typical values of fields. Documents may also have any other value there. */
const typicalValues: Record<string, fc.Arbitrary<BsonValue>> = {
  _id: hex.map((id) => new ObjectId(id)),
  id: uuid,
  task_uuid: uuid,
  parent_task_id: fc.constantFrom<BsonValue>(parent, "67ed8630a1b2c3d4e544ccd2", "nowhere"),
  email: text.filter((name) => name.length < 500),
  hashed_password: fc.constant("$2b$04$x"),
  status,
  created_at: time,
  updated_at: time,
  is_active: fc.boolean(),
  roles: fc.array(fc.constantFrom("admin", "user", "king"), { maxLength: 3 }),
  variable_indices: fc.array(index, { maxLength: 8 }),
  seed: fc.oneof(fc.integer(), fc.constant(null), fc.integer().map((n): BsonValue => new Double(n))),
  ...Object.fromEntries(["v0", "v1", "v2", "v3", "v4", "v5"].map((name) => [name, index])),
};

/** Fields of each generation in their usual order. */
const fieldOrders: Record<string, string[]> = {
  "users U": [
    "_id",
    "email",
    "hashed_password",
    "fullname",
    "roles",
    "is_active",
    "created_at",
    "updated_at",
  ],
  "tasks T1": [
    ...["_id", "task_uuid", "task_name", "username", "tags", "variables", "settings", "status", "created_at"],
    ...["updated_at", "total_images", "processed_images", "progress", "is_deleted", "priority"],
  ],
  "tasks T2": [
    ...["_id", "task_uuid", "task_name", "username", "tags", "variables", "settings", "status", "created_at"],
    ...["updated_at", "total_images", "all_subtasks_completed", "is_deleted", "priority", "error"],
  ],
  "tasks T3": [
    ...["_id", "id", "task_name", "username", "tags", "variables", "settings", "status", "created_at"],
    ...["updated_at", "total_images", "all_subtasks_completed", "processed_images", "progress", "is_deleted"],
  ],
  "dramatiq_tasks S1": [
    ...[
      "_id",
      "dramatiq_message_id",
      "parent_task_id",
      "v0",
      "v1",
      "v2",
      "v3",
      "v4",
      "v5",
      "status",
      "result",
    ],
    ...[
      "error",
      "retry_count",
      "prompt",
      "characters",
      "elements",
      "ratio",
      "seed",
      "use_polish",
      "created_at",
    ],
  ],
  "dramatiq_tasks S2": [
    ...["_id", "id", "parent_task_id", "v0", "v1", "v2", "v3", "v4", "v5", "status", "result", "error"],
    ...[
      "retry_count",
      "prompt",
      "characters",
      "elements",
      "ratio",
      "seed",
      "use_polish",
      "created_at",
      "updated_at",
    ],
  ],
  "dramatiq_tasks S3": [
    ...[
      "_id",
      "id",
      "parent_task_id",
      "variable_indices",
      "status",
      "result",
      "error",
      "retry_count",
      "prompt",
    ],
    ...["characters", "elements", "ratio", "seed", "use_polish", "created_at", "updated_at"],
  ],
  "dramatiq_tasks S4": [
    ...[
      "_id",
      "id",
      "parent_task_id",
      "variable_indices",
      "variable_types_map",
      "type_to_variable",
      "status",
    ],
    ...[
      "result",
      "error",
      "retry_count",
      "prompts",
      "ratio",
      "seed",
      "use_polish",
      "created_at",
      "updated_at",
    ],
  ],
};

/** Generates documents with typical or arbitrary values, missing and additional fields, some in another order. */
function documents(order: string[]): fc.Arbitrary<BsonDocument> {
  const field = (name: string) =>
    fc.oneof({ weight: 6, arbitrary: typicalValues[name] ?? value }, { weight: 1, arbitrary: value })
      .map((item): [string, BsonValue] => [name, item]);
  const fields = fc.tuple(
    ...order.map((name, i) => i === 0 ? field(name) : fc.option(field(name), { freq: 12, nil: undefined })),
  ).map((list) => list.filter((entry) => entry !== undefined) as [string, BsonValue][]);
  const more = fc.array(fc.tuple(key, value), { maxLength: 2 });
  return fc.tuple(fields, more, fc.integer({ min: 0, max: 9 })).map(([list, rest, random]) =>
    documentOf(random === 0 ? [...rest, ...list.toReversed()] : [...list, ...rest])
  );
}

for (const [name, order] of Object.entries(fieldOrders)) {
  Deno.test(`the row of a document of ${name} maps back to the same document, whatever its values`, () => {
    const lens = lenses[name.split(" ")[0]!]!;
    let rows = 0;
    fc.assert(
      fc.property(documents(order), (document) => {
        if (assertReversible(lens, document)) rows++;
      }),
      { numRuns: 400 },
    );
    assert.ok(rows >= 80, `only ${rows} of 400 documents became rows`);
  });
}

Deno.test("the lossless form and the canonical form parse to the same tree", () => {
  fc.assert(
    fc.property(value, (tree) => {
      assert.equal(writeCanonical(readValue(writeLossless(tree), "lossless")), writeCanonical(tree));
      assert.ok(isStorable(writeLossless(tree)));
    }),
    { numRuns: 2000 },
  );
});

Deno.test("writeFloat() writes floats as Python does", () => {
  const cases: [number, string][] = [
    [1, "1.0"],
    [-0, "-0.0"],
    [0.1, "0.1"],
    [1e15, "1000000000000000.0"],
    [1e16, "1e+16"],
    [1.5e300, "1.5e+300"],
    [1e-4, "0.0001"],
    [1e-5, "1e-05"],
    [5e-324, "5e-324"],
  ];
  for (const [number, wanted] of cases) assert.equal(writeFloat(number), wanted);
});

Deno.test("writeTime() and readTime() handle years before 1 and after 9999", () => {
  const cases: [number, string][] = [
    [0, "1970-01-01 00:00:00+00"],
    [-1, "1969-12-31 23:59:59.999+00"],
    [1743628611270, "2025-04-02 21:16:51.27+00"],
    [253402300800000, "10000-01-01 00:00:00+00"],
    [-62167219200000, "0001-01-01 00:00:00+00 BC"],
  ];
  for (const [ms, wanted] of cases) {
    assert.equal(writeTime(ms), wanted);
    assert.equal(readTime(wanted), ms);
  }
});

async function readLines(form: string, collection: string): Promise<string[]> {
  const bytes = form === "generations"
    ? await Deno.readFile(`${generations}/${collection}.json`)
    : form === "current"
    ? await Deno.readFile(new URL(`../data/current/${collection}.json`, import.meta.url))
    : await readPacked(`${form}/${collection}.json.gz`);
  return new TextDecoder().decode(bytes).split("\n").filter((line) => line !== "");
}

for (const form of ["generations", "current", "odd", "odd-canonical"]) {
  Deno.test(`every document of the dump '${form}' is mapped reversibly or rejected with a reason`, async () => {
    for (const [collection, lens] of Object.entries(lenses)) {
      for (const line of await readLines(form, collection)) assertReversible(lens, readDocument(line));
    }
  });
}

Deno.test("a relaxed and a canonical dump give the same rows, except for int64 marks in extra", async () => {
  for (const [collection, lens] of Object.entries(lenses)) {
    const [relaxed, canonical] = await Promise.all([
      readLines("odd", collection),
      readLines("odd-canonical", collection),
    ]);
    assert.equal(relaxed.length, canonical.length);
    relaxed.forEach((line, i) => {
      const a = lens.toRow(readDocument(line));
      const b = lens.toRow(readDocument(canonical[i]!));
      const withoutExtra = (mapped: Mapped<string>) =>
        "row" in mapped ? { ...mapped.row, extra: "" } : mapped;
      assert.deepEqual(withoutExtra(a), withoutExtra(b));
    });
  }
});

/** Returns the COPY line that the lens gives a subtask of a known task. Its row must be exact. */
function toLineByLens(document: BsonDocument): string {
  const mapped = toSubtaskRow(document, (name) => name);
  assert.ok("row" in mapped);
  assert.deepEqual(mapped.adjustments, []);
  assert.equal(writeCanonical(toSubtaskDocument(mapped.row)), writeCanonical(document));
  return encodeLine(subtaskColumns.map((column) => mapped.row[column]));
}

Deno.test("the fast path gives the same COPY text as the lens for every line that it accepts", async () => {
  let fastLines = 0;
  for (const form of ["generations", "current", "odd"]) {
    for (const line of await readLines(form, "dramatiq_tasks")) {
      const document = readDocument(line);
      const own = document.get("parent_task_id");
      const fast = toFastLine(line, (name) => name === own ? name : undefined);
      assert.deepEqual(
        toFastLine(writeCanonical(document), (name) => name === own ? name : undefined),
        fast,
        "the canonical form gives another result",
      );
      if (!fast) continue;
      fastLines++;
      assert.equal(fast.line, toLineByLens(document));
    }
  }
  assert.ok(fastLines > 1200, `the fast path accepted only ${fastLines} lines`);
});

Deno.test("the fast path rejects every line with another form", async () => {
  const [line] = (await readLines("current", "dramatiq_tasks")).filter((text) => text.includes('"prompts"'));
  assert.ok(toFastLine(line!, (name) => name));
  const changes: [string, (line: string) => string][] = [
    ["a duplicate key", (text) => text.replace('"ratio":', '"ratio":"1:1","ratio":')],
    ["white space", (text) => text.replace('"status":', '"status": ')],
    ["an escape that is not the shortest", (text) => text.replace('"value":"', '"value":"\\u0041')],
    ["a NUL", (text) => text.replace('"value":"', '"value":"\\u0000')],
    ["a tagged number", (text) => text.replace('"retry_count":0', '"retry_count":{"$numberLong":"0"}')],
    ["a float as a count", (text) => text.replace('"retry_count":0', '"retry_count":0.0')],
    ["a long float", (text) => text.replace('"weight":1', '"weight":0.30000000000000004')],
    ["an unknown status", (text) => text.replace(/"status":"[a-z]+","result"/, '"status":"done","result"')],
    [
      "31 February",
      (text) => text.replace(/"created_at":\{"\$date":"\d{4}-\d\d-\d\d/, '"created_at":{"$date":"2025-02-31'),
    ],
    ["an additional field", (text) => text.replace(/\}$/, ',"note":1}')],
    ["a missing field", (text) => text.replace(/"use_polish":(true|false),/, "")],
  ];
  for (const [what, change] of changes) {
    const changed = change(line!);
    assert.notEqual(changed, line, what);
    assert.equal(toFastLine(changed, (name) => name), undefined, what);
  }
});

const fragments = [
  ...[
    "0",
    "-",
    "1",
    ".5",
    ".0",
    "00",
    "e1",
    "9999999999",
    "123456789012345",
    "2147483648",
    "null",
    "true",
    "NaN",
  ],
  ...[
    '"',
    "\\",
    "\\\\",
    '\\"',
    "\\n",
    "\\u0041",
    "\\/",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    " ",
    "{}",
    "[]",
    "\t",
    "\x7f",
  ],
  ...["ü", "樱", "🐱", "LUMINA", "lumina", "\u2028", "$", "a"],
  ...['{"$numberInt":"5"}', '{"$numberLong":"5"}', '{"$numberLong":"5000000000"}', '{"$numberDouble":"5.0"}'],
  ...['{"$numberDouble":"5"}', '{"$numberDouble":"-0.0"}', '{"$numberInt":"-2147483648"}'],
  ...[
    '{"$date":{"$numberLong":"0"}}',
    '{"$date":{"$numberLong":"-1"}}',
    '{"$date":"2024-02-29T23:59:59.120Z"}',
  ],
  ...['{"$date":{"$numberLong":"1743628611007"}}', '{"$date":"0001-01-01T00:00:00.1Z"}'],
];
const strictDecoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/** Replaces some bytes, mostly whole values. */
function damage(bytes: Uint8Array, at: number, length: number, fragment: Uint8Array): Uint8Array {
  return Uint8Array.from([...bytes.subarray(0, at), ...fragment, ...bytes.subarray(at + length)]);
}

Deno.test("whatever the fast path accepts is valid, and the lens gives it the same COPY text", async () => {
  const lines = (await readLines("current", "dramatiq_tasks")).filter((line) =>
    toFastLine(line, (name) => name)
  );
  const bases = lines.slice(0, 40).flatMap((line) => [line, writeCanonical(readDocument(line))]);
  const values = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|null|true|false|\{"\$[^{}]*(?:\{[^{}]*\})?\}/g;
  let accepted = 0;
  fc.assert(
    fc.property(
      fc.constantFrom(...bases),
      fc.nat(),
      fc.nat(3),
      fc.boolean(),
      fc.oneof(
        fc.constantFrom(...fragments).map((text) => encoder.encode(text)),
        fc.uint8Array({ minLength: 1, maxLength: 2 }),
      ),
      (base, position, length, isWhole, fragment) => {
        const spans = [...base.matchAll(values)];
        const span = spans[position % spans.length]!;
        const start = encoder.encode(base.slice(0, span.index)).length;
        const bytes = encoder.encode(base);
        const damaged = isWhole
          ? damage(bytes, start, encoder.encode(span[0]).length, fragment)
          : damage(bytes, position % bytes.length, length, fragment);
        const fast = toFastLine(damaged, (name) => name);
        if (!fast) return;
        accepted++;
        const text = strictDecoder.decode(damaged);
        JSON.parse(text);
        assert.equal(fast.line, toLineByLens(readDocument(text)), text);
      },
    ),
    { numRuns: 5000 },
  );
  assert.ok(accepted > 250, `the fast path accepted only ${accepted}`);
});

Deno.test("ids of different types differ, and equal numbers are equal, as in MongoDB's index", () => {
  const idOf = (id: BsonValue) => {
    const mapped = toUserRow(documentOf([["_id", id], ["email", "a@b"]]));
    assert.ok("row" in mapped);
    return mapped.row.id;
  };
  assert.notEqual(idOf(1), idOf("1"));
  assert.notEqual(idOf(new ObjectId("66aa00000000000000000001")), idOf("66aa00000000000000000001"));
  assert.equal(idOf(1), idOf(1n));
  assert.equal(idOf(1), idOf(new Double(1)));
  assert.equal(idOf(new Double(NaN)), idOf(new Double(NaN)));
});
