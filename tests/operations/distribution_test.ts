/**
 * Every statement on a partitioned table reads the partitions of its tasks only, or is a named fan-out. The plans of
 * statements that were executed show it: v2 by generated requests to each of its routes, v1, and the queue.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { connect } from "../../db/pg/connect.ts";
import { countCauses, listDeadLetters, listDeadLetterTasks } from "../../db/queue/attempts.ts";
import { readQueueCapacity } from "../../db/queue/cells.ts";
import { findLostCells } from "../../db/queue/doctor.ts";
import { findDrawnFingerprints } from "../../db/queue/pace.ts";
import { listWorkers } from "../../db/queue/system.ts";
import { withdrawSlots } from "../../db/queue/workers.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { taskTables } from "../../migrate/partition/tables.ts";
import { createTemplate } from "../run.ts";
import { startApi } from "../support/api.ts";
import { join } from "../support/cells.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type Executed, planParameters, PlanReader } from "../support/plans.ts";
import { startRig, waitForEnd } from "../support/queue_rig.ts";
import { addMatrix, addPeople, call } from "../v2/support/api.ts";
import { Contract, type Document } from "../v2/support/contract.ts";
import { fanOuts } from "./support/fan_outs.ts";

/** More partitions than tasks in a database, so that a statement that reads all of them does not carry the key. */
const partitions = 8;

/** Sends generated requests to each route of v2, and some to v1. */
async function driveApi(database: TestDatabase): Promise<void> {
  await using api = await startApi({ database, level: "error", env: { RATE_LIMIT: "1000000" } });
  const people = await addPeople(api);
  const tasks = [await addMatrix(api, people.user), await addMatrix(api, people.user, { drawn: 4 })];
  await database.sql`
    update subtasks set status = 'failed', completed_at = now(), error = 'HTTP 500'
    where parent_task_id = ${tasks[1]!} and cell = 5`;
  for (const cell of [0, 1]) {
    await call(api, people.user, "PUT", `/tasks/${tasks[0]}/cells/${cell}/rating`, { stars: 4 });
    await call(api, people.user, "POST", `/tasks/${tasks[0]}/cells/${cell}/evaluations`, { text: "sharp" });
    await call(api, people.user, "PUT", `/tasks/${tasks[0]}/cells/${cell}/favourite`);
    await call(api, people.user, "PUT", `/tasks/${tasks[0]}/cells/${cell}/tags/best`);
  }
  const contract = new Contract(await (await fetch(`${api.origin}/api/v2/openapi.json`)).json() as Document);
  const known = { id: tasks, cell: ["0", "1", "5"], q: ["standard"] };
  const isOwn = (path: string) => /\/tasks|\/compare|\/system/.test(path);
  for (const route of contract.routes.filter(({ path }) => isOwn(path))) {
    // Tasks that were created would be more than partitions.
    const creates = route.method === "POST" && /\/(tasks|clone)$/.test(route.path);
    const samples = fc.sample(contract.requests(route, known), { numRuns: creates ? 1 : 6, seed: 16 });
    for (const { path, body } of samples) {
      await call(api, people.admin, route.method, path.replace("/api/v2", ""), body);
    }
  }
  const token = { authorization: `Bearer ${people.user.token}` };
  for (const path of ["", `/${tasks[0]}`, `/${tasks[0]}/matrix`, `/${tasks[0]}/status`]) {
    await (await fetch(`${api.origin}/api/v1/tasks${path}`, { headers: token })).text();
  }
}

/** Draws, cancels and repeats tasks with two workers, one of which dies. */
async function driveQueue(database: TestDatabase): Promise<void> {
  await using rig = await startRig({ database, delayMs: 50 });
  const worker = await rig.startWorker();
  const task = await rig.submit(["a", "b"], [1, 2, 3]);
  await waitForEnd(rig.sql, task);
  await worker.stop();
  await rig.startWorker();
  await waitForEnd(rig.sql, await rig.submit(["c"], [1, 2]));
}

/** Runs what operators ask about all tasks, on statistics of many tasks, so that a few tasks are not read one by one. */
async function driveFleet({ sql }: TestDatabase): Promise<void> {
  await join(sql);
  await sql`update pg_class set relpages = 1, reltuples = 100000 where oid = 'tasks'::regclass`;
  await listWorkers(sql, 60_000);
  await readQueueCapacity(sql, "standard", 60_000);
  await findLostCells(sql, { deadAfterMs: 60_000, overdueMs: 60_000 });
  await listDeadLetters(sql, {}, { limit: 10 });
  await countCauses(sql, {});
  await listDeadLetterTasks(sql, {}, 10);
  await sql`update workers set heartbeat_at = now() - interval '1 minute'`;
  await withdrawSlots(sql);
  await findDrawnFingerprints(sql, [crypto.randomUUID(), crypto.randomUUID()]);
}

async function readLog(folder: string): Promise<PlanReader> {
  const reader = new PlanReader();
  const log = await Deno.open(`${folder}/log/server.log`);
  for await (const piece of log.readable.pipeThrough(new TextDecoderStream())) reader.add(piece);
  reader.end();
  return reader;
}

/** Gives partitions with rows the statistics of large ones, so that reading them all is not the cheapest plan. */
async function pretendLarge(url: string): Promise<void> {
  const template = connect(url, { max: 1 });
  await template`
    update pg_class set relpages = 1, reltuples = 100000
    where oid in (
      select inhrelid from pg_inherits where inhparent = any(${
    taskTables.map(({ name }) => name)
  }::text[]::regclass[])
    )`;
  await template.end();
}

const readsAll = ({ partitions: read }: Executed) => Math.max(...read.values()) >= partitions;

Deno.test("every statement on a task table carries the task, or is a named fan-out", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-plans-" });
  await using server = await startPostgres({ folder, keep: false, durable: false, logFile: planParameters });
  await createTemplate(server.url, partitions);
  await pretendLarge(server.url("template_contactsheet"));
  {
    await using forApi = await createDatabase({ server: server.url("postgres") });
    await driveApi(forApi);
    await driveFleet(forApi);
    const forQueue = await createDatabase({ server: server.url("postgres") });
    await driveQueue(forQueue);
  }
  const { statements, plans } = await readLog(folder);
  const keyed = new Set(statements.filter((one) => !readsAll(one)).map(({ text }) => text));
  const all = new Set(statements.filter(readsAll).map(({ text }) => text));
  await t.step("the run has executed most statements", () => {
    assert.ok(plans > 1000 && keyed.size > 100, `${plans} plans, ${keyed.size} statements with the key`);
  });
  await t.step("no statement reads all partitions that is not on the list", () => {
    const unlisted = [...all].filter((text) => !fanOuts.some(({ part }) => text.includes(part)));
    assert.deepEqual(unlisted, []);
  });
  await t.step(
    "each entry of the list is a statement that reads all partitions, of the file that it names",
    async () => {
      for (const { name, part, file } of fanOuts) {
        assert.ok([...all].some((text) => text.includes(part)), `${name}: no statement has '${part}'`);
        const source = await Deno.readTextFile(new URL(`../../${file}`, import.meta.url));
        const isOwn = part.startsWith("DELETE") || source.replaceAll(/\s+/g, " ").includes(part);
        assert.ok(isOwn, `${name}: ${file} has '${part}'`);
      }
    },
  );
});
