/**
 * v1's list and detail of each task of each dump, compared with each other. The recorded calls of the old backend
 * fix three differences: its detail counts the subtasks and derives the status from them, and its list shows
 * `total_images` for a completed task and the stored numbers for a failed or cancelled one. Everything else agrees.
 */
import assert from "node:assert/strict";
import type { Pool } from "../../db/pg/connect.ts";
import { openTaskDetail } from "../../db/v1/detail.ts";
import { listTasks } from "../../db/v1/tasks.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { generations, makeDump, makeEdgeCaseDump } from "../migrate/support/program.ts";
import { createDatabase } from "../support/database.ts";
import { readText } from "../support/task_rows.ts";

interface Shown {
  id: string;
  status: string;
  total_images: number;
  processed_images: number;
  progress: number;
}

interface Detail extends Shown {
  results: unknown;
  dramatiq_tasks: { status?: string }[];
}

/** The numbers that a document stored; null if it stored none. */
interface Stored {
  processed: number | null;
  progress: number | null;
}

const numbersOf = ({ status, processed_images, progress }: Shown) => ({ status, processed_images, progress });

/** Returns what the list shows where a recording differs from the detail. */
function toListed(detail: Detail, { status, total_images }: Shown, stored: Stored) {
  if (status === "completed") return { status, processed_images: total_images, progress: 100 };
  if (status === "failed" || status === "cancelled") {
    return { status, processed_images: stored.processed ?? 0, progress: stored.progress ?? 0 };
  }
  return { status, processed_images: detail.processed_images, progress: detail.progress };
}

/** Checks one task. Returns whether list and detail differ in the recorded ways. */
function checkTask(listed: Shown, detail: Detail, stored: Stored): boolean {
  const cells = detail.dramatiq_tasks.map(({ status }) => status);
  const count = (status: string) => cells.filter((one) => one === status).length;
  const [completed, failed] = [count("completed"), count("failed")];
  if (cells.length === 0) {
    assert.deepEqual(numbersOf(detail), numbersOf(listed), listed.id);
    assert.equal(detail.results, null);
    return false;
  }
  const isOver = completed! + failed! === cells.length;
  const derived = completed! > 0 ? "completed" : "failed";
  assert.deepEqual(numbersOf(detail), {
    status: isOver ? derived : listed.status,
    processed_images: completed! + failed!,
    progress: Math.floor(100 * (completed! + failed!) / cells.length),
  }, listed.id);
  assert.deepEqual(numbersOf(listed), toListed(detail, listed, stored), listed.id);
  return JSON.stringify(numbersOf(detail)) !== JSON.stringify(numbersOf(listed));
}

/** Checks all tasks of a database. Returns the number of tasks, and of those that differ in the recorded ways. */
async function checkAll(sql: Pool): Promise<{ tasks: number; differ: number }> {
  const { tasks }: { tasks: Shown[] } = JSON.parse(await listTasks(sql, { page: 1, pageSize: 100 }));
  const rows = await sql<({ id: string } & Stored)[]>`
    select id, (extra ->> 'processed_images')::float8 as processed, (extra ->> 'progress')::float8 as progress
    from tasks
    where not is_deleted`;
  assert.equal(tasks.length, rows.length);
  let differ = 0;
  for (const row of rows) {
    const detail: Detail = JSON.parse((await readText(await openTaskDetail(sql, row.id)))!);
    const listed = tasks.find(({ id }) => id === detail.id)!;
    if (checkTask(listed, detail, row)) differ++;
  }
  return { tasks: tasks.length, differ };
}

async function checkDump(path: string): Promise<{ tasks: number; differ: number }> {
  await using database = await createDatabase();
  await load(database.sql, await openSource(path), { progress: silentProgress });
  return await checkAll(database.sql);
}

const data = (name: string) => new URL(`../data/${name}`, import.meta.url).pathname;

Deno.test("list and detail of each task of the recorded dump differ only where the recordings do", async () => {
  const { tasks, differ } = await checkDump(data("current"));
  assert.deepEqual([tasks, differ], [27, 7]);
});

Deno.test("list and detail agree on each task of the dump of all generations", async () => {
  assert.ok((await checkDump(generations)).tasks > 20);
});

for (const form of ["odd", "odd-canonical"] as const) {
  Deno.test(`list and detail agree on each task of the edge cases, form ${form}`, async () => {
    await using folder = await makeEdgeCaseDump(form);
    assert.ok((await checkDump(folder.path)).tasks > 20);
  });
}

Deno.test("list and detail agree on each task of the edge cases as BSON", async () => {
  assert.ok((await checkDump(data("odd-bson"))).tasks > 20);
});

const statuses = ["pending", "processing", "completed", "failed", "cancelled"];
const identities: Record<string, unknown>[] = [{}, { id: true }, { task_uuid: true }];
const storedNumbers: Record<string, unknown>[] = [
  {},
  { processed_images: 4, progress: 44 },
  { processed_images: 9, progress: 100 },
  { processed_images: { $numberDouble: "4.0" }, progress: { $numberDouble: "44.0" } },
  { processed_images: null, progress: "44" },
];

Deno.test("list and detail agree on tasks without subtasks, of each status and generation", async () => {
  const documents = identities.flatMap((identity) =>
    statuses.flatMap((status) => storedNumbers.map((stored) => ({ identity, status, stored })))
  );
  await using folder = await makeDump({
    tasks: documents.map(({ identity, status, stored }, n) =>
      JSON.stringify({
        _id: { $oid: `67ecb4d2a1b2c3d4e5f2${String(n).padStart(4, "0")}` },
        ...Object.fromEntries(Object.keys(identity).map((name) => [name, crypto.randomUUID()])),
        task_name: `task ${n}`,
        username: "",
        tags: [],
        variables: {},
        settings: {},
        status,
        total_images: 9,
        ...stored,
        created_at: { $date: "2025-05-13T07:40:46.622Z" },
        updated_at: { $date: "2025-05-13T07:40:46.622Z" },
      }) + "\n"
    ).join(""),
  });
  await using database = await createDatabase();
  await load(database.sql, await openSource(folder.path), { progress: silentProgress });
  assert.deepEqual(await checkAll(database.sql), { tasks: documents.length, differ: 0 });
});

Deno.test("a completed task without subtasks shows all its images in list and detail", async () => {
  await using folder = await makeDump({
    tasks: JSON.stringify({
      _id: { $oid: "67ecb4d2a1b2c3d4e5f20001" },
      id: "11111111-0000-4000-8000-000000000001",
      task_name: "gone",
      username: "",
      status: "completed",
      total_images: 9,
      processed_images: 9,
    }),
  });
  await using database = await createDatabase();
  await load(database.sql, await openSource(folder.path), { progress: silentProgress });
  const { tasks } = JSON.parse(await listTasks(database.sql, { page: 1, pageSize: 1 }));
  const detail = JSON.parse((await readText(await openTaskDetail(database.sql, tasks[0].id)))!);
  for (const shown of [tasks[0], detail]) {
    assert.deepEqual(numbersOf(shown), { status: "completed", processed_images: 9, progress: 100 });
  }
});
