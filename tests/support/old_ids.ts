/** Documents of the old backend whose ids are no UUIDs and no ObjectIds. */
import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openJsonLines } from "../../migrate/data/sources/json_lines.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { makeDump } from "../migrate/support/program.ts";

export const email = "owner@example.com";
const time = { $date: "2025-05-13T07:40:46.622Z" };
export const oid = (n: number) => `67ecb4d2a1b2c3d4e5f2${String(n).padStart(4, "0")}`;

export const upperId = "ABCDEF00-0000-4000-8000-00000000000A";
export const sameId = "abcdef00-0000-4000-8000-00000000000b";

/** Tasks: the id in the document, and the one that v1 answers; undefined for the UUID of the row. */
export const taskIds: [name: string, fields: Record<string, unknown>, shown: string | undefined][] = [
  ["a word", { id: "task-0042" }, "task-0042"],
  ["a UUID", { id: sameId }, sameId],
  ["a UUID in capital letters", { id: upperId }, upperId],
  ["a slash", { id: "2025/05/a" }, "2025/05/a"],
  ["a space and a percent sign", { id: "100% a b%2Fc" }, "100% a b%2Fc"],
  ["letters of other scripts", { id: "任务 №1 🐱" }, "任务 №1 🐱"],
  ["quotes and a backslash", { id: `it's "a" \\ b` }, `it's "a" \\ b`],
  ["a question mark and a number sign", { id: "a?b#c&d=e+f" }, "a?b#c&d=e+f"],
  ["control characters", { id: "a\tb\u0001" }, "a\tb\u0001"],
  ["a NUL", { id: "a\u0000b" }, "a\u0000b"],
  ["24 hex digits", { id: "0123456789abcdef01234567" }, "0123456789abcdef01234567"],
  ["digits", { id: "42" }, "42"],
  ["5,000 letters", { id: "long-".repeat(1000) }, "long-".repeat(1000)],
  ["a task_uuid that is a word", { task_uuid: "old-1", all_subtasks_completed: true }, "old-1"],
  ["a task_uuid that is another word", { task_uuid: "old 2/3" }, "old 2/3"],
  ["a number", { id: 43 }, undefined],
  ["an empty text", { id: "" }, undefined],
  ["no id", {}, undefined],
];

/** Users: the `_id`, and the id that v1 answers. */
export const userIds: [name: string, _id: unknown, shown: string][] = [
  ["an ObjectId", { $oid: oid(9001) }, oid(9001)],
  ["a word", "alice", "alice"],
  ["a slash, a space and a percent sign", "a/b c%2F%", "a/b c%2F%"],
  ["24 hex digits as a text", "0123456789abcdef01234567", "0123456789abcdef01234567"],
  ["a UUID as a text", sameId, sameId],
  ["an int32", 7, "7"],
  ["an int64", { $numberLong: "8" }, "8"],
  ["a large int64", { $numberLong: "9007199254740993" }, "9007199254740993"],
];

/** Subtasks of the first task: `_id` and `id` in the document, as v1 answers them. */
export const subtaskIds: [_id: unknown, id: string, shown: [string, string]][] = [
  [{ $oid: oid(5001) }, "11111111-0000-4000-8000-000000000001", [
    oid(5001),
    "11111111-0000-4000-8000-000000000001",
  ]],
  [{ $oid: oid(5002) }, "cell 1/2 100%", [oid(5002), "cell 1/2 100%"]],
  ["sub-3", "11111111-0000-4000-8000-00000000000C", ["sub-3", "11111111-0000-4000-8000-00000000000C"]],
  [{ $numberLong: "4" }, `q"\\4`, ["4", `q"\\4`]],
  ["nul\u0000", "nul\u0000id", ["nul\u0000", "nul\u0000id"]],
];

const common = { created_at: time, updated_at: time, status: "completed" };
const task = (n: number, fields: Record<string, unknown>) => ({
  _id: { $oid: oid(n) },
  ...fields,
  task_name: `task ${n}`,
  username: email,
  tags: [],
  variables: {},
  settings: {},
  ...common,
  total_images: 1,
});
const subtask = (_id: unknown, id: unknown, parent_task_id: unknown, place: number) => ({
  _id,
  id,
  parent_task_id,
  variable_indices: [place, null, null, null, null, null],
  variable_types_map: {},
  type_to_variable: {},
  ...common,
  result: { url: `https://x/${place}` },
  error: null,
  retry_count: 0,
  prompts: [],
  ratio: "1:1",
  seed: 1,
  use_polish: false,
});

const nameOf = ({ id, task_uuid }: Record<string, unknown>) => id ?? task_uuid;
const lines = (documents: unknown[]) => documents.map((one) => `${JSON.stringify(one)}\n`).join("");

/** Writes a dump with these documents. All tasks belong to the first user, an admin. */
const makeOldDump = () =>
  makeDump({
    users: lines(userIds.map(([name, _id], n) => ({
      _id,
      email: emailOf(n),
      hashed_password: "",
      fullname: name,
      roles: n === 0 ? ["admin"] : ["user"],
      is_active: true,
      created_at: time,
      updated_at: time,
    }))),
    tasks: lines(taskIds.map(([, fields], n) => task(n, fields))),
    dramatiq_tasks: lines([
      ...subtaskIds.map(([_id, id], n) => subtask(_id, id, "task-0042", n)),
      ...taskIds.slice(1).map(([, fields], n) =>
        subtask(
          { $oid: oid(6000 + n) },
          crypto.randomUUID(),
          typeof nameOf(fields) === "string" && nameOf(fields) !== "" ? nameOf(fields) : oid(n + 1),
          0,
        )
      ),
    ]),
  });

/** Loads the dump. Every document becomes a row. */
export async function loadOldIds(sql: Pool): Promise<void> {
  await using folder = await makeOldDump();
  await load(sql, await openJsonLines(folder.path), { progress: silentProgress });
  const rejected = await sql`select collection, document_id, reason from migration.quarantine`;
  assert.deepEqual([...rejected], []);
}

/** Returns the UUID of the n-th task. */
export async function readUuid(sql: Pool, n: number): Promise<string> {
  const [row] = await sql<{ id: string }[]>`select id from tasks where task_name = ${`task ${n}`}`;
  return row!.id;
}

/** Returns the e-mail of the n-th user. */
export const emailOf = (n: number): string => n === 0 ? email : `user${n}@example.com`;
