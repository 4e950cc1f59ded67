/** Restarts of PostgreSQL: workers keep their results and write them once it is reachable. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import type { TestDatabase } from "../support/database.ts";
import { readSubtasks, readTask, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

/** A PostgreSQL server that can be stopped and restarted. */
interface Server extends AsyncDisposable {
  database: TestDatabase;
  stop(signal: Deno.Signal): Promise<void>;
  restart(): Promise<void>;
}

/** Starts a durable server with a migrated database. */
async function startServer(): Promise<Server> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-restart-" });
  const port = findFreePort();
  let server = await startPostgres({ folder, port, keep: true });
  const url = server.url("postgres");
  const sql = connect(url, { max: 4 });
  await migrateUp(sql);
  return {
    database: { url, sql, [Symbol.asyncDispose]: () => sql.end({ timeout: 1 }) },
    async stop(signal) {
      const pid = Number((await Deno.readTextFile(`${folder}/postmaster.pid`)).split("\n")[0]);
      Deno.kill(pid, signal);
      await waitFor("the end of PostgreSQL", () => {
        try {
          Deno.kill(pid, "SIGCONT");
          return false;
        } catch {
          return true;
        }
      });
    },
    async restart() {
      server = await startPostgres({ folder, port, keep: true });
    },
    async [Symbol.asyncDispose]() {
      await server.stop();
      await Deno.remove(folder, { recursive: true });
    },
  };
}

const shutdowns: [string, Deno.Signal][] = [["a fast", "SIGINT"], ["an immediate", "SIGQUIT"]];
for (const [mode, signal] of shutdowns) {
  Deno.test(`after ${mode} shutdown of PostgreSQL, nothing is lost or paid for twice`, async () => {
    await using server = await startServer();
    await using rig = await startRig({ delayMs: 1_000, database: server.database });
    await rig.startWorker({ slots: 6 });
    await rig.startWorker({ slots: 6 });
    const task = await rig.submit(Array.from({ length: 30 }, (_, i) => `p${i}`));
    await waitFor("remote jobs to be saved", async () => {
      const saved = (await readSubtasks(rig.sql, task)).filter(({ remote_id }) => remote_id !== null);
      return saved.length === 12;
    });
    await server.stop(signal);
    // Running jobs end while nothing can be written.
    const stoppedAt = performance.now();
    await waitFor("jobs to be done", () => performance.now() - stoppedAt > 2_000);
    await server.restart();
    const restartedAt = performance.now();
    await waitFor("new work", () => rig.api.posts.length > 12);
    const resumedMs = performance.now() - restartedAt;
    assert.ok(resumedMs < 100_000, `resumed after ${resumedMs} ms; about 1 s is usual`);
    await waitForEnd(rig.sql, task);
    const state = await readTask(rig.sql, task);
    assert.deepEqual([state.status, state.subtasks_completed, state.subtasks_failed], ["completed", 30, 0]);
    assert.deepEqual(state.notices, ["submitted", "completed"]);
    const subtasks = await readSubtasks(rig.sql, task);
    assert.ok(subtasks.every(({ attempt, retry_count }) => attempt === 1 && retry_count === 0));
    assert.deepEqual([rig.api.posts.length, new Set(rig.api.posts.map(({ body }) => body)).size], [30, 30]);
  });
}
