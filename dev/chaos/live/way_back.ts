/** The second half of a run: this system changes rows, and the way back writes them to MongoDB under the same faults. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { enableCapture } from "../../../migrate/data/back/capture.ts";
import { findBack } from "../../../migrate/data/back/state.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { documentKey, legacyIdOf } from "../../../migrate/data/documents/ids.ts";
import { collections } from "../../../migrate/data/documents/source.ts";
import { idOf } from "../../../migrate/data/sources/mongo_follow.ts";
import { compareSides } from "../../../tests/migrate/support/back.ts";
import { readAll } from "../../../tests/migrate/support/followed.ts";
import { createRandom } from "../random.ts";
import { pause, retry } from "../servers.ts";
import { injections } from "./faults.ts";
import { Moves } from "./moves.ts";
import { Supervised, type World } from "./world.ts";

/** Changes rows until the signal is aborted, and a few times more. */
async function move(moves: Moves, signal: AbortSignal): Promise<void> {
  for (let left = 5; left > 0; left -= signal.aborted ? 1 : 0) {
    // PostgreSQL may be away.
    await moves.step().catch(() => {});
    await pause(30);
  }
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
  const random = createRandom(plan.seed).fork("way back");
  const moves = new Moves(sql, random.fork("moves"));
  const back = new Supervised(["data", "back", "--to", "mongodb"], { root, env });
  back.start();
  const faulted = Object.assign({}, world, { sync: back });
  const done = new AbortController();
  const moving = move(moves, done.signal);
  try {
    await retry(async () => {
      if (!await findBack(sql)) throw new Error("the way back has not begun");
    });
    for (const kind of plan.backFaults) {
      await pause(random.between(100, 1500));
      await injections[kind](faulted, random);
    }
    await pause(1000);
  } finally {
    done.abort();
    await moving;
  }
  await retry(() => moves.addNew());
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
  await checkUnchanged(world, before, moves.changed);
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
