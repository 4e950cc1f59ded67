/** The way back to the old backend: its checks, its kills, and what stays. */
import assert from "node:assert/strict";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { abortCutover, continueCutover } from "../../../migrate/data/cutover/continue.ts";
import { findRunningCutover } from "../../../migrate/data/cutover/journal.ts";
import { rollBack } from "../../../migrate/data/cutover/rollback.ts";
import { readRollbackGate } from "../../../migrate/data/cutover/rollback_gate.ts";
import { rollbackFailpoints } from "../../../migrate/data/tools/failpoint.ts";
import { waitFor } from "../../support/wait.ts";
import { mongod } from "../support/sources.ts";
import { assertInCharge, keep, readDeleted, startBack, startRig, switchOver } from "./rig.ts";

const after = ["return.committed", "return.done", "rollback.ended"];

Deno.test({
  name: "a rollback that is killed at any failpoint leaves one system in charge, and loses no write",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startRig({ tasks: 60 });
    const { sql, tasks } = rig;
    await switchOver(rig);
    let back = await startBack(rig);
    const acknowledged: string[] = [];
    for (const [round, point] of rollbackFailpoints.entries()) {
      await t.step(point, async () => {
        assert.equal(await rig.remove(tasks[round]!), 200);
        acknowledged.push(tasks[round]!);
        await waitFor(
          "the change to be written",
          async () => (await sql`select from migration.changes`).length === 0,
          20_000,
        );
        await using running = rig.start(["data", "rollback", "--yes", "--json", "--max-pause", "20s"], point);
        const { signal, err, out } = await running.ended;
        assert.equal(signal, "SIGKILL", `${err}${out}`);
        await using context = await rig.context();
        if (after.includes(point)) {
          assert.equal((await readTraffic(sql)).phase, "old");
          if (await findRunningCutover(sql)) {
            await assert.rejects(() => abortCutover(context), /the rollback was made/);
            assert.equal((await continueCutover(context)).did, "ended");
          }
          await assertInCharge(rig, "old");
          assert.equal((await back.ended).code, 0);
          await switchOver(rig);
          back = await startBack(rig);
          return;
        }
        if (await findRunningCutover(sql)) await abortCutover(context);
        await waitFor("this system to be in charge", async () => (await readTraffic(sql)).phase === "new");
        await assertInCharge(rig, "new");
      });
    }
    const { here, there } = await readDeleted(rig);
    assert.deepEqual(here, acknowledged.toSorted());
    await back.stop();
    assert.deepEqual(there, acknowledged.toSorted());
  },
});

Deno.test({
  name: "a rollback is refused for each reason by its name, and counts what stays",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startRig({ tasks: 3 });
    const { sql } = rig;
    await using context = await rig.context();
    const open = async () => {
      const { checks } = await readRollbackGate(context, keep());
      return checks.filter(({ state }) => state === "not_ready").map(({ name }) => name);
    };
    await t.step("the old backend is in charge", async () => {
      assert.deepEqual(await open(), ["phase_new", "capture_on", "back_running"]);
      await assert.rejects(() => rollBack(context, keep()), /phase_new/);
    });
    await switchOver(rig);
    await t.step("the way back does not run", async () => assert.deepEqual(await open(), ["back_running"]));
    await using _back = await startBack(rig);
    await t.step("ready", async () => assert.deepEqual(await open(), []));
    await t.step("changes are not written", async () => {
      await sql`
        insert into migration.changes (collection, row_id, at)
        values ('users', gen_random_uuid(), now() - interval '1 minute')`;
      // The process may have written it already.
      assert.ok((await open()).every((name) => name === "back_lag"));
    });
    await t.step("the way back was stopped", async () => {
      await sql`update migration.backs set state = 'stopped', stop_reason = 'refused'`;
      assert.ok((await open()).includes("back_not_stopped"));
      await sql`update migration.backs set state = 'running', stop_reason = null`;
    });
    await t.step("another MongoDB is named", async () => {
      const [row] = await sql`select target_identity as identity from migration.backs`;
      await sql`update migration.backs set target_identity = 'other'`;
      assert.ok((await open()).includes("source_identity"));
      await sql`update migration.backs set target_identity = ${row!.identity}`;
    });
    await t.step("--dry-run counts, and moves nothing", async () => {
      const { code, out, err } = await rig.data("rollback", "--dry-run", "--json");
      assert.equal(code, 0, err);
      assert.deepEqual(JSON.parse(out).remaining, { ratings: 0, votes: 0, evaluations: 0, shares: 0 });
      await assertInCharge(rig, "new");
    });
    await t.step("the old backend is down", async () => {
      await rig.old[Symbol.asyncDispose]();
      assert.deepEqual(await open(), ["old_backend_up"]);
    });
  },
});
