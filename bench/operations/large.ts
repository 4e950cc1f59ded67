/** A database with many subtasks: backup and drill, and what the steps of the schema block. */
import { connect } from "../../db/pg/connect.ts";
import { findPostgresTools } from "../../dev/servers/pg_tools.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { restoreBackup } from "../../migrate/backup/restore.ts";
import { takeBackup } from "../../migrate/backup/take.ts";
import { migrateDown, migrateUp, readSteps } from "../../migrate/schema/runner.ts";
import { printError } from "../../process.ts";
import { sleep } from "../queue/harness.ts";
import { atMost, type Report } from "../report.ts";
import { type Rig, startRig } from "./rig.ts";

const million = 1_000_000;

/** Backs up and restores. The goal is for a million subtasks. */
async function measureRestore(report: Report, rig: Rig, subtasks: number): Promise<void> {
  const tools = await findPostgresTools(printError);
  if (!tools) throw new Error("no pg_dump for the embedded PostgreSQL: install postgresql-client-18");
  const to = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  await using fresh = await startPostgres({ folder, keep: false });
  const admin = connect(fresh.url("postgres"), { max: 1 });
  await admin`create database restored`;
  await admin.end();
  const shared = { bin: tools.bin, signal: new AbortController().signal, onNote: () => {} };
  const taken = await takeBackup({ url: rig.url, to, ...shared });
  const from = performance.now();
  const restored = await restoreBackup({ folder: taken.folder, url: fresh.url("restored"), ...shared });
  const seconds = (performance.now() - from) / 1000;
  await Deno.remove(to, { recursive: true });
  const size = `${subtasks} subtasks, ${Math.round(taken.manifest.dump.bytes / 1e6)} MB`;
  report({ what: `backup, ${size}`, value: taken.manifest.seconds, unit: "s" });
  report({
    what: `drill: check, restore and compare, ${size}`,
    value: seconds,
    unit: "s",
    ...(subtasks >= million ? { goal: atMost(seconds, 300, "s") } : {}),
    note: `restore ${restored.seconds.restore} s, compare ${restored.seconds.compare} s`,
  });
  const value = restored.differences.length;
  report({ what: "differences after the restore", value, unit: "", goal: atMost(value, 0, "") });
}

/** Statements of users that every step must let through. They use only what the first step creates. */
async function watchStatements(rig: Rig, signal: AbortSignal, onWait: (ms: number) => void): Promise<void> {
  const sql = connect(rig.url, { max: 3, name: "bench statements", silentMsMax: 600_000 });
  const [task] = await sql<{ id: string }[]>`select id from tasks limit 1`;
  const statements = [
    () => sql`select count(*) from (select 1 from subtasks where parent_task_id = ${task!.id} limit 10) as s`,
    () => sql`update users set fullname = fullname where email = 'bench@example.com'`,
    () => sql`update tasks set task_name = task_name where id = ${task!.id}`,
  ];
  const repeat = async (run: () => PromiseLike<unknown>) => {
    while (!signal.aborted) {
      const from = performance.now();
      await run();
      onWait(performance.now() - from);
      await sleep(20);
    }
  };
  await Promise.all(statements.map(repeat));
  await sql.end({ timeout: 1 });
}

/** Runs every step but the first down and up again, and reports the longest wait of a statement during each. */
async function measureSteps(report: Report, rig: Rig): Promise<void> {
  const stop = new AbortController();
  let longest = 0;
  const watching = watchStatements(rig, stop.signal, (ms) => longest = Math.max(longest, ms));
  const waits: { name: string; ms: number }[] = [];
  const run = async (name: string, work: () => Promise<unknown>) => {
    longest = 0;
    await work();
    await sleep(60);
    waits.push({ name, ms: longest });
  };
  const steps = await readSteps();
  for (const { number, name } of steps.slice(1).reverse()) {
    await run(`${name} down`, () => migrateDown(rig.sql, number - 1));
  }
  for (const { number, name } of steps.slice(1)) {
    await run(`${name} up`, () => migrateUp(rig.sql, { to: number }));
  }
  stop.abort();
  await watching;
  const worst = waits.toSorted((a, b) => b.ms - a.ms);
  const value = worst[0]!.ms;
  report({
    what: "longest wait of a statement during a step of the schema",
    value,
    unit: "ms",
    goal: atMost(value, 500, "ms"),
    note: worst.slice(0, 5).map(({ name, ms }) => `${name} ${Math.round(ms)} ms`).join(", "),
  });
}

export async function measureLarge(
  report: Report,
  { subtasks, parts }: { subtasks: number; parts: ("restore" | "steps")[] },
): Promise<void> {
  printError(`inserting ${subtasks} subtasks`);
  await using rig = await startRig(subtasks);
  if (parts.includes("restore")) await measureRestore(report, rig, subtasks);
  if (parts.includes("steps")) await measureSteps(report, rig);
}
