/** The whole move by a script: from the first look at an empty database to the end of the way back. */
import assert from "node:assert/strict";
import type { Db } from "mongodb";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { readAccount, startLoad } from "../../../dev/load/load.ts";
import { isCaptureEnabled } from "../../../migrate/data/back/capture.ts";
import { stageNames } from "../../../migrate/data/move/context.ts";
import { waitFor } from "../../support/wait.ts";
import { makeSubtask, makeTask } from "../support/legacy_documents.ts";
import { mongod } from "../support/sources.ts";
import { startMoveRig } from "./rig.ts";

const accepts = ["disk_headroom", "redis_reachable", "worker_present", "oplog_headroom"]
  .flatMap((name) => ["--accept", name]);
const script = [
  ...["--yes", "--json", "--unfinished", "keep", "--drain", "1s", "--max-pause", "20s", "--by", "ann"],
  ...["--soak", "1s", "--watch", "1s", "--wait", "4m", ...accepts],
];

const namesOf = (stages: { name: string; state: string }[], state: string) =>
  stages.filter((stage) => stage.state === state).map(({ name }) => name);

/** Makes tasks with their subtasks, and changes others, until its disposal. */
function keepWriting(db: Db): AsyncDisposable {
  let isStopped = false;
  const running = (async () => {
    while (!isStopped) {
      const task = makeTask("owner@example.com");
      await db.collection("tasks").insertOne(task);
      await db.collection<Record<string, unknown>>("dramatiq_tasks").insertOne(makeSubtask(task.id));
      await db.collection("tasks").updateMany({}, { $set: { updated_at: new Date() } });
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      isStopped = true;
      await running;
    },
  };
}

Deno.test({
  name: "a script moves everything from the first look to the finish, and may end in between",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startMoveRig();
    const { sql } = rig.database;
    const folder = await Deno.makeTempDir();

    await t.step("up to the schema: the backup is taken as soon as there are tables", async () => {
      // The old backend works on meanwhile: assessment and backup see one moment.
      await using _writer = keepWriting(rig.followed.db);
      await using move = rig.move([...script, "--until", "schema", "--backup-to", folder]);
      const { code, text } = await move.ended;
      assert.equal(code, 0, text);
      const report = JSON.parse(text.trim().split("\n").at(-1)!);
      assert.deepEqual(namesOf(report.stages, "done"), ["assess", "backup", "schema"]);
      assert.equal(report.next, "sync");
      assert.equal(report.next_command, "deno task migrate data sync --from mongodb");
      const databases = await sql`select from pg_database where datname like 'contactsheet_restore_%'`;
      assert.equal(databases.length, 0, "the database of the restored backup is dropped");
    });

    const api = await rig.startApi();
    const { db } = rig.followed;
    await using sync = rig.start("data", "sync", "--from", "mongodb", "--accept-short-oplog", "--quiet");
    const { tokens, origin } = api;
    const origins = [origin];
    await using load = await startLoad({ clients: 4, db, tokens, origins, patienceMs: 60_000 });

    await t.step("the rest, while people work", async () => {
      await using move = rig.move(script);
      // The lag must be small for a minute.
      await waitFor("the sync to follow", async () => {
        const rows = await sql`
          update migration.follows set behind_at = now() - interval '2 minutes'
          where state = 'following' and lag_ms < 1000 and copied_at is not null
          returning 1`;
        return rows.length > 0;
      });
      await waitFor("the cut-over", async () => (await readTraffic(sql)).phase === "new", 240_000);
      assert.equal((await sync.ended).code, 0);
      await using back = rig.start("data", "back", "--to", "mongodb", "--quiet");
      await move.expect(/stop 'back' now/);
      assert.equal((await back.stop()).code, 0);
      const { code, text } = await move.ended;
      assert.equal(code, 0, text);
      const report = JSON.parse(text.trim().split("\n").at(-1)!);
      assert.deepEqual(namesOf(report.stages, "done"), [...stageNames]);
      assert.equal(report.finished, true);
      assert.equal(report.next_command, null);
      const decided: string[] = report.decided.map(({ by, what }: Record<string, string>) =>
        `${by}: ${what}`
      );
      assert.ok(
        decided.some((line) => /^ann: phase canary 100 % \(move: canary-100\)/.test(line)),
        decided.join("\n"),
      );
      assert.ok(
        decided.some((line) => /^ann: cutover: done, paused for \d+ ms/.test(line)),
        decided.join("\n"),
      );
    });

    await load.stop();
    const { failures, violations, acknowledged } = readAccount(load.clients);
    assert.ok(acknowledged > 0);
    assert.deepEqual(failures, []);
    assert.deepEqual(violations, []);
    assert.equal(await isCaptureEnabled(sql), false);

    await t.step("the report of a finished move", async () => {
      const { code, out } = await rig.run("data", "move", "--status");
      assert.equal(code, 0);
      assert.match(out, /✓ finish {6}the way back is given up/);
      assert.match(out, /the move is finished/);
    });
    await Deno.remove(folder, { recursive: true });
  },
});
