/** Kills the cut-over at every failpoint. Afterwards exactly one system is in charge, by itself or by one command. */
import assert from "node:assert/strict";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { abortCutover, continueCutover } from "../../../migrate/data/cutover/continue.ts";
import { findRunningCutover } from "../../../migrate/data/cutover/journal.ts";
import { isWriteBlocked } from "../../../migrate/data/sources/write_block.ts";
import { type Failpoint, switchFailpoints, undoFailpoints } from "../../../migrate/data/tools/failpoint.ts";
import { waitFor } from "../../support/wait.ts";
import { mongod } from "../support/sources.ts";
import {
  assertInCharge,
  makeReady,
  readDeleted,
  type Rig,
  type Running,
  startRig,
  waitFollowing,
} from "./rig.ts";

const syncArgs = ["data", "sync", "--from", "mongodb", "--accept-short-oplog", "--quiet"];
const cutoverArgs = [
  "data",
  "cutover",
  "--yes",
  "--json",
  "--unfinished",
  "keep",
  "--max-pause",
  "20s",
  "--drain",
  "1s",
];

/** Failpoints after the commit of the switch: this system is in charge. */
const after: readonly Failpoint[] = [
  "switch.committed",
  "switch.done",
  "start.begun",
  "start.admitted",
  "start.done",
];

/** Runs a command until it is killed at a failpoint. */
async function killAt(rig: Rig, point: string, args: string[] = cutoverArgs): Promise<void> {
  await using running = rig.start(args, point);
  const { signal, err, out } = await running.ended;
  assert.equal(signal, "SIGKILL", `it was not killed at ${point}: ${err}${out}`);
}

/** Puts the old backend in charge again, without a way back: nothing was written here. */
async function reset(rig: Rig): Promise<void> {
  const { sql } = rig;
  await sql.begin(async (tx) => {
    await tx`call migration.set_capture(false)`;
    await tx`delete from migration.changes`;
    await tx`update migration.follows set state = 'following', behind_at = now() - interval '2 minutes'`;
    await tx`
      update migration.traffic
      set phase = 'old', phase_before = null, hold_until = null, version = version + 1`;
    await tx`notify contactsheet_traffic`;
  });
  await waitFor("the acknowledgement", async () => {
    const [row] = await sql`
      select from migration.traffic t
      where not exists (select from migration.front_processes p where p.acknowledged < t.version)`;
    return row !== undefined;
  });
}

const ready = (rig: Rig) => rig.sql`update migration.follows set behind_at = now() - interval '2 minutes'`;

async function withContext<T>(
  rig: Rig,
  work: (context: Awaited<ReturnType<Rig["context"]>>) => Promise<T>,
): Promise<T> {
  await using context = await rig.context();
  return await work(context);
}

/** Starts a rig that is ready to be cut over, with its sync. */
async function prepare(stack: AsyncDisposableStack): Promise<{ rig: Rig; sync: Running }> {
  const rig = stack.use(await startRig({ tasks: 100 }));
  const sync = stack.use(rig.start(syncArgs));
  await makeReady(rig);
  return { rig, sync };
}

Deno.test({
  name: "a cut-over that is killed at any failpoint before the switch leaves the old backend in charge",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const { rig } = await prepare(stack);
    const points = switchFailpoints.filter((point) => !after.includes(point) && point !== "cutover.ended");
    assert.ok(points.length >= 25, `${points.length}`);
    for (const [round, point] of points.entries()) {
      await t.step(point, async () => {
        await ready(rig);
        await killAt(rig, point);
        const isOpen = await findRunningCutover(rig.sql) !== undefined;
        if (round % 4 === 1) {
          // Nobody does anything: the hold ends by itself, and the sync unblocks MongoDB.
          await waitFor("the old backend to be in charge", async () => {
            const { phase } = await readTraffic(rig.sql);
            return phase === "old" && !await isWriteBlocked(rig.followed.db.client);
          }, 20_000);
          assert.equal(await rig.remove(rig.tasks[round]!), 200);
        }
        if (isOpen) {
          if (round % 8 === 1) {
            const again = await rig.run(...cutoverArgs);
            assert.match(again.err, /cutover --abort/, "a new one is refused");
          }
          await withContext(rig, abortCutover);
        }
        await assertInCharge(rig, "old");
        assert.equal(await findRunningCutover(rig.sql), undefined);
        assert.equal(await rig.remove(rig.tasks[50 + round]!), 200);
      });
    }
    const { there } = await readDeleted(rig);
    assert.deepEqual(there, rig.removed.toSorted(), "every acknowledged write is in MongoDB");
  },
});

Deno.test({
  name: "a cut-over that is killed after the switch leaves this system in charge, and --continue ends it",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const { rig, sync } = await prepare(stack);
    let running = sync;
    for (const point of after) {
      await t.step(point, async () => {
        await ready(rig);
        await killAt(rig, point);
        assert.equal((await readTraffic(rig.sql)).phase, "new");
        await assert.rejects(() => withContext(rig, abortCutover), /the switch was made/);
        const continued = await withContext(rig, continueCutover);
        assert.equal(continued.did, "ended");
        await assertInCharge(rig, "new");
        assert.equal(await isWriteBlocked(rig.followed.db.client), false, "the way back may write");
        assert.equal((await running.ended).code, 0);
        await reset(rig);
        running = stack.use(rig.start(syncArgs));
        await waitFollowing(rig);
      });
    }
  },
});

Deno.test({
  name: "--continue after a kill before the switch cuts over, as decided before",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const { rig, sync } = await prepare(stack);
    let running = sync;
    for (const point of ["hold.in_force", "freeze.requested", "recheck.done", "switch.before_commit"]) {
      await t.step(point, async () => {
        await ready(rig);
        await killAt(rig, point);
        await withContext(rig, async (context) => {
          await ready(rig);
          const continued = await continueCutover(context);
          assert.equal(continued.did, "cutover");
        });
        await assertInCharge(rig, "new");
        assert.equal((await running.ended).code, 0);
        await reset(rig);
        running = stack.use(rig.start(syncArgs));
        await waitFollowing(rig);
      });
    }
  },
});

Deno.test({
  name: "an abort that is killed can be repeated",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const { rig } = await prepare(stack);
    for (const point of undoFailpoints) {
      await t.step(point, async () => {
        await ready(rig);
        await killAt(rig, "freeze.done");
        await killAt(rig, point, ["data", "cutover", "--abort"]);
        if (await findRunningCutover(rig.sql)) await withContext(rig, abortCutover);
        await assertInCharge(rig, "old");
      });
    }
  },
});

Deno.test({
  name: "a cut-over that stands still while it holds writes loses the hold, and undoes what it did",
  ignore: !mongod,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const { rig } = await prepare(stack);
    // The cut-over waits for this process, which never ends its write.
    await rig.sql`
      insert into migration.front_processes
        (id, host, pid, product, key_digest, acknowledged, writes_in_flight, seen_at)
      select 'stuck', 'host', 1, product, key_digest, 1000000, 1, now() + interval '1 h'
      from migration.front_processes limit 1`;
    await using running = rig.start(cutoverArgs);
    await waitFor("the hold", async () => (await readTraffic(rig.sql)).phase === "holding", 30_000);
    running.child.kill("SIGSTOP");
    await waitFor("the hold to expire", async () => (await readTraffic(rig.sql)).phase === "old", 20_000);
    await waitFor(
      "the sync to unblock MongoDB",
      async () => !await isWriteBlocked(rig.followed.db.client),
      10_000,
    );
    assert.equal(await rig.remove(rig.tasks[0]!), 200);
    running.child.kill("SIGCONT");
    const { code, err } = await running.ended;
    assert.equal(code, 75, err);
    assert.match(err, /the hold is over/);
    await assertInCharge(rig, "old");
  },
});
