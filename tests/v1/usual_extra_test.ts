/** v1 answers a migrated subtask the same whether its `extra` is read as a usual one or as JSON. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { openTaskDetail } from "../../db/v1/detail.ts";
import { openTaskMatrix } from "../../db/v1/matrix.ts";
import { createDatabase } from "../support/database.ts";
import { drawn, readText, seedSubtasks, seedTask } from "../support/task_rows.ts";

const database = await createDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

/** Returns the texts of detail and matrix of a task whose subtasks have these `extra`. */
async function answers(extras: string[]): Promise<{ items: string[]; raw: unknown; coordinates: unknown }> {
  const id = await seedTask(sql, { status: "completed", generation: "T3" });
  const cells = extras.map((extra, n) =>
    Object.assign(drawn(`{${n},1,null,null,null,null}`, `https://img.example.com/${n}.webp`), {
      generation: "S4",
      extra,
      seed: "7",
    })
  );
  await seedSubtasks(sql, id, cells);
  const rows = await sql<{ id: string }[]>`select id from subtasks where parent_task_id = ${id}`;
  const hide = (text: string) =>
    [id, ...rows.map(({ id }) => id)].reduce((text, id) => text.replaceAll(id, "ID"), text);
  const text = hide((await readText(await openTaskDetail(sql, id)))!);
  const matrix = JSON.parse(hide((await readText(await openTaskMatrix(sql, id)))!));
  const items = text.slice(text.indexOf('"dramatiq_tasks":['));
  return {
    items: items.split('{"_id":'),
    raw: JSON.parse(text).results.raw,
    coordinates: matrix.coordinates_by_indices,
  };
}

/** `$absent` changes nothing, but no usual `extra` has it: the whole subtask is built from parsed JSON. */
const toUnusual = (extra: string) => `${extra.slice(0, -1)}${extra === "{}" ? "" : ","}"$absent":[]}`;

async function compare(extras: string[]): Promise<void> {
  const [usual, parsed] = [await answers(extras), await answers(extras.map(toUnusual))];
  assert.deepEqual(usual, parsed);
}

Deno.test("usual and nearly usual forms of extra give the same answers as parsed JSON", async () => {
  const indices = [
    '{"v0":0,"v1":2}',
    '{"v0":1.0,"v5":3}',
    '{"v0":"3"}',
    '{"v0":"}"}',
    '{"v0":"},\\"seed\\":1"}',
    '{"v0":"]","v1":"{"}',
    '{"v0":{"a":1}}',
    '{"v0":{"$numberLong":"5"}}',
    '{"v0":null,"v1":true}',
    '{"v0":-1,"x":2}',
    "{}",
    "[]",
    "[0.0,1.0,null]",
    '["]",1]',
    "[[1],2]",
    '"text, with } and ]"',
    "null",
    "7",
  ];
  const seeds = [
    "5.0",
    "-0.0",
    "1.5e+300",
    '"42"',
    '"a,b"',
    "null",
    '{"$numberDouble":"NaN"}',
    "[1]",
    "[1,2]",
    '{"a":1}',
  ];
  await compare([
    "{}",
    ...indices.map((value) => `{"variable_indices":${value}}`),
    ...seeds.map((value) => `{"seed":${value}}`),
    ...indices.map((value) => `{"variable_indices":${value},"seed":9.0}`),
    ...seeds.map((value) => `{"variable_indices":{"v0":1},"seed":${value}}`),
    '{"seed":9.0,"variable_indices":{"v0":1}}',
    '{"variable_indices":{"v0":1},"seed":9.0,"note":1}',
    '{"variable_indices":{"v0":1},"note":"x"}',
    '{"note":"\\"variable_indices\\":{\\"v0\\":4}"}',
  ]);
});

Deno.test("generated forms of extra give the same answers as parsed JSON", async () => {
  const text = fc.string({ unit: fc.constantFrom("a", "}", "]", ",", '"', "\\", "$", "{", ":", "樱") });
  const value = fc.oneof(
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    text,
    fc.constant(null),
  );
  const extra = fc.record({
    variable_indices: fc.oneof(
      fc.dictionary(fc.constantFrom("v0", "v1", "v2", "v3", "v4", "v5"), value),
      fc.array(value, { maxLength: 6 }),
    ),
    seed: value,
  }, { requiredKeys: [] });
  await fc.assert(
    fc.asyncProperty(fc.array(extra, { minLength: 20, maxLength: 40 }), async (extras) => {
      await compare(extras.map((extra) => JSON.stringify(extra)));
    }),
    { numRuns: 8 },
  );
});
