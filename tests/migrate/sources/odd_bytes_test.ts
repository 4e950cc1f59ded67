import assert from "node:assert/strict";
import { BsonSource } from "../../../migrate/data/sources/bson_files.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../../migrate/data/documents/ejson_read.ts";
import { load } from "../../../migrate/data/load/load.ts";
import { openSource } from "../../../migrate/data/sources/open.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { tables } from "../../../migrate/data/lens/tables.ts";
import { BsonDocument, type BsonValue, Special } from "../../../migrate/data/documents/tree.ts";
import { verify } from "../../../migrate/data/verify/verify.ts";
import { createDatabase } from "../../support/database.ts";
import { dumpFiles, makeFolder } from "../support/sources.ts";

const task = "363c99e3-096a-49c5-8f7a-717cca150dc1";
const at = '{"$date":"2025-04-02T21:19:27.787Z"}';
const taskDocument = writeBson(readDocument(
  `{"_id":{"$oid":"67ed8630a1b2c3d4e544ccd2"},"id":"${task}","task_name":"t","username":"u@example.com","tags":[],` +
    `"variables":{},"settings":{},"status":"completed","created_at":${at},"updated_at":${at},"total_images":0}`,
));
const subtask = readDocument(
  `{"_id":{"$oid":"67ed8630a1b2c3d4e5440000"},"id":"","parent_task_id":"${task}",` +
    '"variable_indices":[0,null,null,null,null,null],"variable_types_map":{"v0":"prompt"},' +
    '"type_to_variable":{"prompt":"v0"},"status":"failed","result":null,"error":"boom","retry_count":5,' +
    `"prompts":[{"type":"freetext","weight":1,"value":"cat"}],"ratio":"1:1","seed":7,"use_polish":false,` +
    `"created_at":${at},"updated_at":${at}}`,
);

interface Case {
  what: string;
  /** Values put over those of a good subtask, or keys it does not have. */
  fields: Record<string, BsonValue>;
  /** One column as it is then. */
  column?: [name: string, text: string | null];
  /** Rules the ledger names. */
  rules?: string[];
  /** Why it has no row. */
  reason?: string;
}

const raw = (type: string, hex: string) =>
  new Special(`{"$bson":{"type":"${type}","base64":"${Uint8Array.fromHex(hex).toBase64()}"}}`);
const nest = (levels: number): BsonValue => levels === 0 ? 1 : new BsonDocument(["a"], [nest(levels - 1)]);

const cases: Case[] = [
  { what: "nothing odd", fields: {}, column: ["error", "boom"], rules: [] },
  {
    what: "bytes that are no UTF-8 in a text column",
    fields: { error: "bo\udcffom" },
    column: ["error", "bo\ufffdom"],
    rules: ["text_escaped"],
  },
  {
    what: "the same in client JSON",
    fields: { prompts: [new BsonDocument(["type", "value"], ["freetext", "\udce2\udc82 cat"])] },
    column: ["prompts", '[{"type":"freetext","value":"\ufffd\ufffd cat"}]'],
    rules: ["text_escaped"],
  },
  { what: "the same in a key", fields: { "k\udc80": 1 }, column: ["error", "boom"], rules: [] },
  {
    what: "U+FFFD that was there",
    fields: { error: "bo\ufffdom" },
    column: ["error", "bo\ufffdom"],
    rules: [],
  },
  { what: "a boolean of 2", fields: { note: raw("08", "02") }, rules: ["original_kept"] },
  { what: "a NaN with a payload", fields: { note: raw("01", "010000000000f87f") }, rules: ["original_kept"] },
  {
    what: "a list whose keys do not count up",
    fields: { note: raw("04", "0c000000103100070000000000".slice(0, 24)) },
    rules: ["original_kept"],
  },
  { what: "a symbol", fields: { error: new Special('{"$symbol":"s"}') }, rules: ["text_from_value"] },
  { what: "undefined", fields: { note: new Special('{"$undefined":true}') }, rules: [] },
  { what: "levels to the most MongoDB has", fields: { note: nest(100) }, rules: [] },
  { what: "levels beyond what is taken", fields: { note: nest(300) }, reason: "too_deep" },
];

/** The case's document as BSON; each its own ids. */
function makeDocument({ fields }: Case, number: number): Uint8Array {
  const id = number.toString(16).padStart(12, "0");
  const keys = [...subtask.keys, ...Object.keys(fields).filter((key) => !subtask.keys.includes(key))];
  const values = keys.map((key) =>
    key === "id" ? `4a92c865-b4a6-44d7-bb81-${id}` : fields[key] ?? subtask.get(key) ?? null
  );
  const bytes = writeBson(new BsonDocument(keys, values));
  // `_id` stands first: its last byte.
  bytes[4 + 1 + 4 + 11] = number;
  return bytes;
}

/** A key twice has no place in an object of fields. */
const doubled = writeBson(
  new BsonDocument([...subtask.keys, "error"], [
    ...subtask.values.map((v, i) => subtask.keys[i] === "id" ? "4a92c865-b4a6-44d7-bb81-ffffffffffff" : v),
    "again",
  ]),
);

Deno.test("odd bytes in BSON: each document has its row by rule or its reason, and comes back", async (t) => {
  const subtasks = [...cases.map(makeDocument), doubled];
  await using folder = await makeFolder(
    dumpFiles({ users: [], tasks: [taskDocument], dramatiq_tasks: subtasks }),
  );
  await using source = await openSource(folder.path) as BsonSource;
  await using database = await createDatabase();
  const { sql } = database;
  await load(sql, source, { progress: silentProgress });
  const { columns, toDocument } = tables.dramatiq_tasks;

  for (const [i, { what, column, rules, reason }] of cases.entries()) {
    await t.step(what, async () => {
      const position = i + 1;
      const [quarantined] = await sql`
        select reason, original from migration.quarantine where collection = 'dramatiq_tasks' and position = ${position}`;
      assert.equal(quarantined?.reason, reason);
      if (reason !== undefined) return assert.deepEqual(new Uint8Array(quarantined!.original), subtasks[i]);
      const applied = await sql`
        select rule from migration.adjustments
        where collection = 'dramatiq_tasks' and position = ${position}
        order by rule`;
      assert.deepEqual(applied.map(({ rule }) => rule), rules);
      const id = readBson(subtasks[i]!).get("id") as string;
      const [row] = await sql`
        select ${sql(columns.map((name) => name))} from (
          select ${
        sql.unsafe(columns.map((name) => `${name}::text as ${name}`).join())
      } from subtasks where id = ${id}
        ) as texts`;
      if (column) assert.equal(row![column[0]], column[1]);
      const [kept] = await sql`select original from migration.originals where row_id = ${id}`;
      const back = kept ? new Uint8Array(kept.original) : writeBson(toDocument(toRow(row!)));
      assert.deepEqual(back, subtasks[i]);
    });
  }

  const [twice] =
    await sql`select reason, path from migration.quarantine where position = ${subtasks.length}`;
  assert.deepEqual({ ...twice }, { reason: "duplicate_key", path: "error" });
  const { differences, mismatches } = await verify(sql, source, { progress: silentProgress });
  assert.equal(differences, 0, JSON.stringify(mismatches));
});

/** Booleans as COPY prints them. */
const toRow = (row: Record<string, string | null>) =>
  Object.fromEntries(
    Object.entries(row).map(([name, text]) => [name, name === "use_polish" ? text![0]! : text]),
  );
