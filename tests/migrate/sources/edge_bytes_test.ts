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
  name: string;
  /** Fields that replace those of a valid subtask, or are added to it. */
  fields: Record<string, BsonValue>;
  /** Expected value of one column. */
  column?: [name: string, text: string | null];
  /** Expected rules in the ledger. */
  rules?: string[];
  /** Expected reason if the document has no row. */
  reason?: string;
}

const raw = (type: string, hex: string) =>
  new Special(`{"$bson":{"type":"${type}","base64":"${Uint8Array.fromHex(hex).toBase64()}"}}`);
const nest = (levels: number): BsonValue => levels === 0 ? 1 : new BsonDocument(["a"], [nest(levels - 1)]);

const cases: Case[] = [
  { name: "a valid document", fields: {}, column: ["error", "boom"], rules: [] },
  {
    name: "invalid UTF-8 in a text column",
    fields: { error: "bo\udcffom" },
    column: ["error", "bo\ufffdom"],
    rules: ["text_escaped"],
  },
  {
    name: "invalid UTF-8 in client JSON",
    fields: { prompts: [new BsonDocument(["type", "value"], ["freetext", "\udce2\udc82 cat"])] },
    column: ["prompts", '[{"type":"freetext","value":"\ufffd\ufffd cat"}]'],
    rules: ["text_escaped"],
  },
  { name: "invalid UTF-8 in a key", fields: { "k\udc80": 1 }, column: ["error", "boom"], rules: [] },
  {
    name: "U+FFFD in the document",
    fields: { error: "bo\ufffdom" },
    column: ["error", "bo\ufffdom"],
    rules: [],
  },
  { name: "a boolean of 2", fields: { note: raw("08", "02") }, rules: ["original_kept"] },
  { name: "a NaN with a payload", fields: { note: raw("01", "010000000000f87f") }, rules: ["original_kept"] },
  {
    name: "an array whose keys are not consecutive",
    fields: { note: raw("04", "0c000000103100070000000000".slice(0, 24)) },
    rules: ["original_kept"],
  },
  { name: "a symbol", fields: { error: new Special('{"$symbol":"s"}') }, rules: ["text_from_value"] },
  { name: "undefined", fields: { note: new Special('{"$undefined":true}') }, rules: [] },
  { name: "the maximum nesting of MongoDB", fields: { note: nest(100) }, rules: [] },
  { name: "a nesting beyond the maximum", fields: { note: nest(300) }, reason: "too_deep" },
];

/** Returns the document of a case as BSON, with unique ids. */
function makeDocument({ fields }: Case, number: number): Uint8Array {
  const id = number.toString(16).padStart(12, "0");
  const keys = [...subtask.keys, ...Object.keys(fields).filter((key) => !subtask.keys.includes(key))];
  const values = keys.map((key) =>
    key === "id" ? `4a92c865-b4a6-44d7-bb81-${id}` : fields[key] ?? subtask.get(key) ?? null
  );
  const bytes = writeBson(new BsonDocument(keys, values));
  // The last byte of `_id`, which is the first field.
  bytes[4 + 1 + 4 + 11] = number;
  return bytes;
}

/** A document with a duplicate key, which `Case.fields` cannot express. */
const duplicated = writeBson(
  new BsonDocument([...subtask.keys, "error"], [
    ...subtask.values.map((v, i) => subtask.keys[i] === "id" ? "4a92c865-b4a6-44d7-bb81-ffffffffffff" : v),
    "again",
  ]),
);

Deno.test("edge cases in BSON have a row or a reason, and give back their bytes", async (t) => {
  const subtasks = [...cases.map(makeDocument), duplicated];
  await using folder = await makeFolder(
    dumpFiles({ users: [], tasks: [taskDocument], dramatiq_tasks: subtasks }),
  );
  await using source = await openSource(folder.path) as BsonSource;
  await using database = await createDatabase();
  const { sql } = database;
  await load(sql, source, { progress: silentProgress });
  const { columns, toDocument } = tables.dramatiq_tasks;

  for (const [i, { name, column, rules, reason }] of cases.entries()) {
    await t.step(name, async () => {
      const position = i + 1;
      const [quarantined] = await sql`
        select reason, original
        from migration.quarantine
        where collection = 'dramatiq_tasks' and position = ${position}`;
      assert.equal(quarantined?.reason, reason);
      if (reason !== undefined) return assert.deepEqual(new Uint8Array(quarantined!.original), subtasks[i]);
      const applied = await sql`
        select rule
        from migration.adjustments
        where collection = 'dramatiq_tasks' and position = ${position}
        order by rule`;
      assert.deepEqual(applied.map(({ rule }) => rule), rules);
      const id = readBson(subtasks[i]!).get("id") as string;
      const texts = sql.unsafe(columns.map((column) => `${column}::text as ${column}`).join());
      const [row] = await sql`
        select ${texts}
        from subtasks
        where id = ${id}`;
      if (column) assert.equal(row![column[0]], column[1]);
      const [stored] = await sql`select original from migration.originals where row_id = ${id}`;
      const bytes = stored ? new Uint8Array(stored.original) : writeBson(toDocument(toRow(row!)));
      assert.deepEqual(bytes, subtasks[i]);
    });
  }

  const [last] = await sql`
    select reason, path
    from migration.quarantine
    where position = ${subtasks.length}`;
  assert.deepEqual({ ...last }, { reason: "duplicate_key", path: "error" });
  const { differences, mismatches } = await verify(sql, source, { progress: silentProgress });
  assert.equal(differences, 0, JSON.stringify(mismatches));
});

/** Converts booleans to the output form of COPY. */
const toRow = (row: Record<string, string | null>) =>
  Object.fromEntries(
    Object.entries(row).map(([name, text]) => [name, name === "use_polish" ? text![0]! : text]),
  );
