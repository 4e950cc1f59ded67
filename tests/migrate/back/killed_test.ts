/** Kills the way back with SIGKILL at every failpoint and checks that the next run writes everything that is missing. */
import assert from "node:assert/strict";
import type { Document } from "mongodb";
import type { Pool } from "../../../db/pg/connect.ts";
import { enableCapture } from "../../../migrate/data/back/capture.ts";
import { backFailpoints, type Failpoint } from "../../../migrate/data/tools/failpoint.ts";
import { createDatabase } from "../../support/database.ts";
import { waitFor } from "../../support/wait.ts";
import { compareSides, listRowless } from "../support/back.ts";
import { databaseName, type Followed, startFollowed, syncOnce } from "../support/followed.ts";
import { kill } from "../support/kill.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";

const users = 4;
const cells = 30;

/** Inserts documents, follows them once, and begins to capture. */
async function prepare(sql: Pool, followed: Followed): Promise<void> {
  const { db } = followed;
  const people = Array.from({ length: users }, (_, i) => makeUser(`${i}@example.com`));
  const tasks = people.map(({ email }) =>
    Object.assign(makeTask(email), { processed_images: 0, progress: 0 })
  );
  await db.collection("users").createIndex({ email: 1 }, { unique: true });
  await db.collection("users").insertMany(people as Document[]);
  await db.collection("tasks").insertMany(tasks as Document[]);
  const subtasks = tasks.flatMap(({ id }) => Array.from({ length: cells }, (_, i) => makeSubtask(id, i)));
  await db.collection("dramatiq_tasks").insertMany(subtasks as Document[]);
  await syncOnce(sql, followed);
  await enableCapture(sql);
}

/** Changes, inserts and deletes rows of all tables, and exchanges e-mails. */
async function change(sql: Pool, round: number): Promise<void> {
  await sql.begin(async (tx) => {
    const [a, b] = await tx<{ id: string; email: string }[]>`
      select id, email from users where email in ('0@example.com', '1@example.com') order by id`;
    await tx`update users set email = 'moving' where id = ${a!.id}`;
    await tx`update users set email = ${a!.email} where id = ${b!.id}`;
    await tx`update users set email = ${b!.email} where id = ${a!.id}`;
    await tx`insert into users (email, hashed_password) values (${`new${round}@example.com`}, 'x')`;
    const [task] = await tx<{ id: string }[]>`
      insert into tasks (task_name, username, tags, variables, settings, subtasks_total)
      values (${`task ${round}`}, '0@example.com', '[]', '{}', '{}', 3) returning id`;
    await tx`insert into subtasks (parent_task_id, seed) select ${task!.id}, n from generate_series(1, 3) n`;
    await tx`update subtasks set retry_count = ${round}, error = ${`round ${round}`}`;
    await tx`update tasks set subtasks_completed = least(subtasks_completed + 1, subtasks_total), task_name = task_name || '.'`;
    // What the round before made is deleted again.
    await tx`delete from tasks where task_name like ${`task ${round - 1}.%`}`;
    await tx`delete from users where email = ${`new${round - 1}@example.com`}`;
  });
}

Deno.test({
  name: "the way back that is killed at any failpoint loses nothing, and the next run writes what is missing",
  ignore: !mongod,
  async fn() {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql, url } = database;
    await prepare(sql, followed);
    const target = followed.mongo.url.replace("/?", `/${databaseName}?`);
    const args = ["back", "--quiet", "--once", "--to", target];
    // This one is reached only with a refused document.
    const others: Failpoint[] = ["back.refused_kept"];
    const points = backFailpoints.filter((point) => !others.includes(point));
    assert.ok(points.length >= 20);
    for (const [round, point] of points.entries()) {
      await change(sql, round + 1);
      await kill({ point, pass: 1 }, database, args);
      // The lease of a killed process ends after seconds.
      await sql`update leaders set lease_until = now() - interval '1 s' where role = 'back'`;
      // Two exchanges of e-mails without a run between them are none.
      if (round % 3 === 0 && points[round + 1] !== "back.emails_released") continue;
      const { code, err } = await runMigrate(url, "data", ...args);
      assert.equal(code, 0, `${point}: ${err}`);
      assert.equal((await sql`select from migration.changes`).length, 0, point);
    }
    const { code, err } = await runMigrate(url, "data", ...args);
    assert.equal(code, 0, err);
    const verdict = await compareSides(sql, followed);
    assert.deepEqual(verdict.mismatches, []);
    assert.equal(verdict.documents, verdict.rows);
    assert.equal((await listRowless(sql)).size, 0);
  },
});

Deno.test({
  name: "the way back that is killed after a refusal keeps the refused change",
  ignore: !mongod,
  async fn() {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql, url } = database;
    await prepare(sql, followed);
    await sql`update tasks set task_name = repeat('x', 17000000) where username = '1@example.com'`;
    await sql`update tasks set task_name = 'renamed' where username = '0@example.com'`;
    const target = followed.mongo.url.replace("/?", `/${databaseName}?`);
    const args = ["back", "--quiet", "--once", "--to", target];
    await kill({ point: "back.refused_kept", pass: 1 }, database, args);
    await sql`update leaders set lease_until = now() - interval '1 s' where role = 'back'`;
    const { code, err } = await runMigrate(url, "data", ...args);
    assert.equal(code, 7, err);
    assert.equal((await sql`select from migration.changes`).length, 1);
    await sql`update tasks set task_name = 'short' where username = '1@example.com'`;
    assert.equal((await runMigrate(url, "data", ...args)).code, 0);
    assert.equal((await compareSides(sql, followed)).verdict, "equal");
  },
});

Deno.test({
  name: "the way back that is stopped by SIGTERM ends with exit 0, and continues later",
  ignore: !mongod,
  async fn() {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql, url } = database;
    await prepare(sql, followed);
    const { spawnMigrate } = await import("../support/program.ts");
    const target = followed.mongo.url.replace("/?", `/${databaseName}?`);
    const child = spawnMigrate(url, "data", "back", "--to", target, "--json");
    await change(sql, 1);
    await waitFor(
      "the changes to be written",
      async () => (await sql`select from migration.changes`).length === 0,
      60_000,
    );
    child.kill("SIGTERM");
    const { code, stdout } = await child.output();
    assert.equal(code, 0);
    assert.equal(JSON.parse(new TextDecoder().decode(stdout)).stopped, true);
    await change(sql, 2);
    assert.equal((await runMigrate(url, "data", "back", "--once", "--quiet", "--to", target)).code, 0);
    assert.equal((await compareSides(sql, followed)).verdict, "equal");
  },
});
