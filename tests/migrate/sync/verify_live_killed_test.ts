/** Kills `verify --live` with SIGKILL at every failpoint, one run after the other, and checks the result of the last. */
import assert from "node:assert/strict";
import { liveFailpoints } from "../../../migrate/data/tools/failpoint.ts";
import { createDatabase } from "../../support/database.ts";
import { databaseName, makeEdgeCases, startFollowed, startSync } from "../support/followed.ts";
import { type Kill, kill } from "../support/kill.ts";
import { makeSubtask, makeTask } from "../support/legacy_documents.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";

Deno.test({
  name:
    "verify --live continues after kills at every failpoint, compares each document once and finds the same",
  ignore: !mongod,
  fn: async () => {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql, url } = database;
    const { db } = followed;
    const task = makeTask("a@example.com");
    await followed.insert(await makeEdgeCases());
    await db.collection("tasks").insertOne(task);
    await db.collection("dramatiq_tasks").insertMany(
      Array.from({ length: 5000 }, (_, i) => makeSubtask(task.id, i)),
    );
    await using sync = startSync(sql, followed);
    await sync.settle();
    await sql`update subtasks set seed = seed + 1 where seed in (1, 2500, 4900) and parent_task_id = ${task.id}`;
    await sql`insert into users (email, hashed_password, generation) values ('extra@example.com', '', 'U')`;
    const args = [
      "verify",
      "--live",
      "--quiet",
      "--from",
      followed.mongo.url.replace("/?", `/${databaseName}?`),
    ];
    const late: Kill = { point: "live.committed", pass: 2 };
    const kills = liveFailpoints.map((point): Kill => ({ point, pass: 1 }));
    kills.splice(liveFailpoints.indexOf("live.due_listed"), 0, late, late);
    // The last kill comes after the verification has ended.
    kills.splice(liveFailpoints.indexOf("live.finished") + 2, 1);
    for (const each of kills) await kill(each, database, args);
    const { code, out } = await runMigrate(url, "data", ...args, "--json");
    assert.equal(code, 4);
    const { mismatches, documents, resumed } = JSON.parse(out);
    const kinds = mismatches.map(({ kind, path }: { kind: string; path: string }) => `${kind} ${path}`)
      .sort();
    assert.deepEqual(kinds, ["changed seed", "changed seed", "changed seed", "extra_row "]);
    const counts = await Promise.all(
      ["users", "tasks", "dramatiq_tasks"].map((name) => db.collection(name).countDocuments()),
    );
    assert.equal(documents, counts.reduce((sum, count) => sum + count, 0));
    assert.notEqual(resumed, null);
    await kill({ point: "live.finished", pass: 1 }, database, args);
    const [stored] = await sql`
      select count(*)::int as verifications, count(*) filter (where verdict = 'different')::int as ended
      from migration.live_verifications`;
    assert.deepEqual({ ...stored }, { verifications: 2, ended: 2 });
  },
});
