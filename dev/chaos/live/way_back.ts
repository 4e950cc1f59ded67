/** The second half of a run: this system changes rows, and the way back writes them to MongoDB under the same faults. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { enableCapture } from "../../../migrate/data/back/capture.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { documentKey, legacyIdOf } from "../../../migrate/data/documents/ids.ts";
import { collections } from "../../../migrate/data/documents/source.ts";
import { idOf } from "../../../migrate/data/sources/mongo_follow.ts";
import { compareSides } from "../../../tests/migrate/support/back.ts";
import { readAll } from "../../../tests/migrate/support/followed.ts";
import { createRandom } from "../random.ts";
import { pause, retry } from "../servers.ts";
import { injections } from "./faults.ts";
import type { LiveFault } from "./plan.ts";
import { Supervised, type World } from "./world.ts";

/** Faults that concern the way back as well; those that need the sync are left out. */
const usable: LiveFault[] = [
  "terminate_sessions",
  "restart_postgres",
  "cut_postgres",
  "hold_postgres",
  "mute_postgres",
  "kill_sync",
  "kill_mongo",
];

/** Changes rows as workers and users of this system do. @returns keys of the changed documents */
async function changeRows({ sql }: World): Promise<Set<string>> {
  const changed = await sql<{ collection: string; id: string }[]>`
    with settled as (
      update subtasks
      set status = 'completed', completed_at = now(), updated_at = now(), image_url = 'https://x/new.webp',
        result = '{"url":"https://x/new.webp","width":1024,"height":1024,"seed":1,"created_at":"2026-01-02T11:04:05.678000+08:00"}'
      where (parent_task_id, id) in (
        select parent_task_id, id from subtasks where status in ('pending', 'processing') order by id limit 20
      )
      returning 'dramatiq_tasks' as collection, legacy_id as id
    ), renamed as (
      update tasks set task_name = task_name || '!', updated_at = now()
      where id in (select id from tasks order by id limit 5)
      returning 'tasks', legacy_id
    ), joined as (
      insert into users (email, hashed_password) values ('born-here@example.com', '$2b$04$x')
      returning 'users', legacy_id
    )
    select * from settled union all select * from renamed union all select * from joined`;
  return new Set(changed.map(({ collection, id }) => `${collection}/${id}`));
}

/**
 * Checks the way back. @throws Error or AssertionError when a rule is broken
 */
export async function checkWayBack(world: World): Promise<void> {
  const { root, sql, db, env, sync, mongo, plan } = world;
  await sync.stop();
  const before = new Map<string, Uint8Array>();
  for (const collection of collections) {
    for (const bytes of await readAll(db, collection)) {
      before.set(`${collection}/${documentKey(idOf(bytes))}`, bytes);
    }
  }
  await enableCapture(sql);
  const changed = await changeRows(world);
  const back = new Supervised(root, ["data", "back", "--to", "mongodb"], env);
  back.start();
  const random = createRandom(plan.seed).fork("way back");
  const faulted = Object.assign({}, world, { sync: back });
  for (let count = random.between(0, 2); count > 0; count--) {
    await pause(random.between(100, 1000));
    await injections[random.pick(usable)](faulted, random);
  }
  try {
    await retry(async () => {
      const [row] = await sql`select count(*)::int as n from migration.changes`;
      if (row!.n > 0) {
        throw new Error(`${row!.n} changes are not written back: ${back.lines.slice(-5).join(" / ")}`);
      }
    }, 60_000);
  } finally {
    await back.stop();
  }
  const { mismatches } = await compareSides(sql, { mongo: { url: mongo.url } as never }, db.databaseName);
  assert.deepEqual(mismatches.slice(0, 3), [], "both sides after the way back");
  await checkUnchanged(world, before, changed);
}

/** A document that this system did not change must have the same bytes as before. */
async function checkUnchanged(
  { db }: World,
  before: ReadonlyMap<string, Uint8Array>,
  changed: ReadonlySet<string>,
) {
  for (const collection of collections) {
    for (const bytes of await readAll(db, collection)) {
      const id = documentKey(idOf(bytes));
      const old = before.get(`${collection}/${id}`);
      if (changed.has(`${collection}/${legacyIdOf(collection, idOf(bytes))}`)) continue;
      assert.ok(old, `${collection} ${id} was not there before and was not changed here`);
      if (Buffer.compare(old, bytes) !== 0) {
        // A task's counters follow from its subtasks.
        const fields = readBson(bytes).keys;
        assert.ok(
          collection === "tasks" && fields.includes("processed_images"),
          `${collection} ${id} has other bytes`,
        );
      }
    }
  }
}
