/**
 * Indices that the old backend's drivers wrote as int64, double, Decimal128 or text: v1 answers them as the
 * documents have them, and every view of v1 and v2 shows every image at its place.
 */
import assert from "node:assert/strict";
import { openTaskDetail } from "../../db/v1/detail.ts";
import { openTaskMatrix } from "../../db/v1/matrix.ts";
import { readIndices } from "../../db/views/stats.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { startApi } from "../support/api.ts";
import { readText } from "../support/task_rows.ts";
import { addPeople, call } from "../v2/support/api.ts";
import { makeDump } from "./support/program.ts";

const times = '"created_at":{"$date":"2025-04-02T21:19:27Z"},"updated_at":{"$date":"2025-04-02T21:19:27Z"}';
const oid = (kind: number, number: number) =>
  `{"$oid":"67eda9df${kind}00000000000${String(number).padStart(4, "0")}"}`;
const taskId = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`;

interface WidthCase {
  what: string;
  /**
   * Fields of each subtask with its place. The task has one variable, `v0`, with a value for each subtask.
   */
  places: string[];
  /** Keys of v1's matrix, in order. */
  keys: string[];
  /** Values in v1's detail, in order. */
  details: string[];
  /** Levels in v2's export, by default in the order of the cells. */
  values?: string[];
}

const list = (...values: string[]) => values.map((value) => `"variable_indices":${value},"prompts":[]`);
const slotsOf = (value: string) =>
  `"v0":${value},"v1":null,"v2":null,"v3":null,"v4":null,"v5":null,"prompt":null`;
const fields = (...values: string[]) => values.map(slotsOf);
const one = (value: string) => `[${value},null,null,null,null,null]`;

const cases: WidthCase[] = [
  {
    what: "int64",
    places: list(one('{"$numberLong":"0"}'), one('{"$numberLong":"1"}'), one('{"$numberLong":"2"}')),
    keys: ["0,,,,,", "1,,,,,", "2,,,,,"],
    details: [one("0"), one("1"), one("2")],
  },
  {
    what: "double",
    places: list(one("0.0"), one("1.0"), one('{"$numberDouble":"2.0"}')),
    keys: ["0.0,,,,,", "1.0,,,,,", "2.0,,,,,"],
    details: [one("0.0"), one("1.0"), one("2.0")],
  },
  {
    what: "Decimal128",
    places: list(
      one('{"$numberDecimal":"0"}'),
      one('{"$numberDecimal":"1.0"}'),
      one('{"$numberDecimal":"2"}'),
    ),
    keys: ["0,,,,,", "1.0,,,,,", "2,,,,,"],
    details: [one("0"), one("1.0"), one("2")],
  },
  {
    what: "text",
    places: list(one('"0"'), one('"1"'), one('"2"')),
    keys: ["0,,,,,", "1,,,,,", "2,,,,,"],
    details: [one('"0"'), one('"1"'), one('"2"')],
  },
  {
    what: "every width in one task",
    places: list(one("0"), one('{"$numberLong":"1"}'), '{"v0":{"$numberDouble":"2.0"}}'),
    keys: ["0,,,,,", "1,,,,,", "2.0,,,,,"],
    details: [one("0"), one("1"), '{"v0":2.0}'],
  },
  {
    what: "objects",
    places: list('{"v0":{"$numberLong":"0"}}', '{"v0":{"$numberDouble":"1.0"},"v1":null}', '{"v0":"2"}'),
    keys: ["0,,,,,", "1.0,,,,,", "2,,,,,"],
    details: ['{"v0":0}', '{"v0":1.0,"v1":null}', '{"v0":"2"}'],
  },
  {
    what: "short lists",
    places: list('[{"$numberLong":"0"}]', "[1.0,null]", "[2]"),
    keys: ["0,,,,,", "1.0,,,,,", "2,,,,,"],
    details: ["[0]", "[1.0,null]", "[2]"],
  },
  {
    what: "the fields v0 to v5",
    places: fields('{"$numberLong":"0"}', "1.0", '"2"'),
    keys: ["0,,,,,", "1.0,,,,,", "2,,,,,"],
    details: ["0", "1.0", '"2"'],
  },
  {
    what: "an order that differs from that of the documents",
    places: list(one('{"$numberLong":"2"}'), one("1.0"), '{"v0":"0"}'),
    keys: ["2,,,,,", "1.0,,,,,", "0,,,,,"],
    details: [one("2"), one("1.0"), '{"v0":"0"}'],
    values: ["c", "b", "a"],
  },
  {
    what: "values that are no index",
    places: list(one("0.5"), one("true"), one('"a\\"b"')),
    keys: ["0.5,,,,,", "True,,,,,", 'a"b,,,,,'],
    details: [one("0.5"), one("true"), one('"a\\"b"')],
  },
];

const taskLine = (_: unknown, i: number) =>
  `{"_id":${oid(2, i)},"id":"${taskId(i)}","task_name":"t","username":"u@example.com","tags":[],` +
  `"variables":{"v0":{"name":"p","values":[{"value":"a"},{"value":"b"},{"value":"c"}],"values_count":3}},` +
  `"settings":{},"status":"completed",${times},"total_images":3}\n`;

const subtaskLines = ({ places }: WidthCase, i: number) =>
  places.map((place, n) =>
    `{"_id":${oid(3, 10 * i + n)},"id":"${taskId(1000 + 10 * i + n)}","parent_task_id":"${
      taskId(i)
    }",${place},` +
    `"status":"completed","result":{"url":"https://x/${n}"},"error":null,"retry_count":0,"ratio":"1:1","seed":1,` +
    `"use_polish":false,${times}}\n`
  ).join("");

Deno.test("every image is shown, whatever the type of its index", async (t) => {
  await using api = await startApi();
  const { sql } = api.database;
  const { admin } = await addPeople(api);
  await using dump = await makeDump({
    tasks: cases.map(taskLine).join(""),
    dramatiq_tasks: cases.map(subtaskLines).join(""),
  });
  await load(sql, await openSource(dump.path), { progress: silentProgress });
  const urls = ["https://x/0", "https://x/1", "https://x/2"];
  for (const [i, { what, keys, details, values = ["a", "b", "c"] }] of cases.entries()) {
    const id = taskId(i);
    await t.step(`v1's matrix and detail: ${what}`, async () => {
      const matrix = JSON.parse((await readText(await openTaskMatrix(sql, id)))!);
      assert.deepEqual(Object.entries(matrix.coordinates_by_indices), keys.map((key, n) => [key, urls[n]]));
      const text = (await readText(await openTaskDetail(sql, id)))!;
      const { results: { raw } } = JSON.parse(text);
      assert.deepEqual(Object.values(raw).map((entry) => (entry as { url: string }).url), urls);
      const name = what === "the fields v0 to v5" ? "v0" : "variable_indices";
      const subtasks = text.slice(text.indexOf('"dramatiq_tasks":['));
      for (const value of details) {
        assert.ok(subtasks.includes(`"${name}":${value},`), `${value} in ${subtasks}`);
      }
      if (name === "v0") {
        for (const value of details) assert.ok(text.includes(`,"v0":${value},"v1":null,`), text);
      }
    });
    await t.step(`v2's slice, planes and export: ${what}`, async () => {
      const slice = await call(api, admin, "GET", `/tasks/${id}/slice?x=v0`);
      assert.equal(slice.status, 200, slice.text);
      // deno-lint-ignore no-explicit-any -- only one field is used
      assert.deepEqual(slice.body.rows[0].map((cell: any) => cell.url), urls, slice.text);
      const planes = await fetch(`${api.origin}/api/v2/tasks/${id}/planes?f=status`, {
        headers: { authorization: `Bearer ${admin.access}` },
      });
      assert.deepEqual([...new Uint8Array(await planes.arrayBuffer())], [3, 3, 3]);
      const rows = await call(api, admin, "GET", `/tasks/${id}/export?format=ndjson`);
      const lines = rows.text.trimEnd().split("\n").map((line) => JSON.parse(line));
      assert.deepEqual(lines.map(({ image }) => image), urls);
      assert.deepEqual(lines.map(({ axes }) => axes[0].value), values, rows.text);
    });
  }
});

Deno.test("v2's statistics read indices at the limits of their column", async () => {
  await using api = await startApi();
  const { sql } = api.database;
  const { admin } = await addPeople(api);
  const extreme: WidthCase = {
    what: "",
    places: list(one("2147483647"), one("-2147483648"), one('{"$numberLong":"2147483648"}')),
    keys: [],
    details: [],
  };
  await using dump = await makeDump({
    tasks: taskLine(undefined, 0),
    dramatiq_tasks: subtaskLines(extreme, 0),
  });
  await load(sql, await openSource(dump.path), { progress: silentProgress });
  const planes = await call(api, admin, "GET", `/tasks/${taskId(0)}/planes`);
  assert.equal(planes.status, 200, planes.text);
  const bytes = await readIndices(sql, taskId(0));
  const numbers = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const byCell = new Map(
    [0, 1, 2].map((i) => [numbers.getInt16(14 * i) + 32768, numbers.getInt16(14 * i + 2)]),
  );
  assert.deepEqual([0, 1, 2].map((cell) => byCell.get(cell)), [32767, 0, 0]);
});
