/** The fence: after a rollback PostgreSQL refuses what a process sends that stood still during it. */
import assert from "node:assert/strict";
import { connect } from "../../../db/pg/connect.ts";
import { isFenceUp } from "../../../db/traffic/fence.ts";
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { decideUnfinished } from "../../../migrate/data/ledger/unfinished.ts";
import { waitFor } from "../../support/wait.ts";
import { mongod } from "../support/sources.ts";
import { startSync } from "../support/followed.ts";
import { assertInCharge, readDeleted, type Rig, startBack, startRig, switchOver } from "./rig.ts";

const apiPath = new URL("../../../main.ts", import.meta.url).pathname;
const decoder = new TextDecoder();

/** An API process of its own before both systems. */
async function startApiProcess({ database, old, config }: Rig) {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-prompt", "--no-check", apiPath],
    env: {
      DATABASE_URL: database.url,
      LEGACY_API_URL: old.origin,
      SECRET_KEY: config.SECRET_KEY,
      SHORT_SECRET_KEY: "allow",
      REDIS_URL: "redis://127.0.0.1:1",
      PORT: "0",
      ADMIN_PORT: "0",
      HOST: "127.0.0.1",
      LOG_LEVEL: "error",
    },
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  let text = "";
  while (!text.includes("listening")) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`the API process ended: ${text}`);
    text += decoder.decode(value);
  }
  const line = text.split("\n").find((one) => one.includes("listening"))!;
  return {
    origin: JSON.parse(line).listening as string,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await reader.cancel();
      await child.status;
    },
  };
}

const codeOf = (work: Promise<unknown>) => work.then(() => "done", (error) => error.code as string);

Deno.test({
  name: "an API process that stands still during the rollback writes nothing when it wakes, and answers 503",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startRig({ tasks: 6 });
    const { sql, tasks, token } = rig;
    await switchOver(rig);
    await using _back = await startBack(rig);
    await using api = await startApiProcess(rig);
    const remove = (id: string) =>
      fetch(`${api.origin}/api/v1/tasks/${id}`, {
        method: "DELETE",
        headers: { authorization: `Bearer ${token}` },
      });
    const usual = await remove(tasks[0]!);
    assert.equal(usual.status, 200);
    await usual.body?.cancel();

    // The process has checked the phase and waits for the answer to its look-up of the user when it is stopped.
    const locker = connect(rig.database.url, { max: 1 });
    const lock = Promise.withResolvers<void>();
    const isLocked = Promise.withResolvers<void>();
    const locking = locker.begin(async (tx) => {
      await tx`lock table users in access exclusive mode`;
      isLocked.resolve();
      await lock.promise;
    });
    await isLocked.promise;
    const asleep = remove(tasks[1]!);
    await waitFor("the look-up of the user", async () => {
      const [row] = await sql`
        select from pg_stat_activity where wait_event_type = 'Lock' and query like '%users%' and pid <> pg_backend_pid()`;
      return row !== undefined;
    }, 20_000);
    Deno.kill(api.pid, "SIGSTOP");
    try {
      lock.resolve();
      await locking;
      await locker.end();
      await waitFor(
        "the stopped process to count as gone",
        async () => (await listFrontProcesses(sql)).every(({ pid }) => pid !== api.pid),
        20_000,
      );
      const { code, err } = await rig.data("rollback", "--yes", "--json", "--max-pause", "20s");
      assert.equal(code, 0, err);
      await assertInCharge(rig, "old");
    } finally {
      Deno.kill(api.pid, "SIGCONT");
    }
    const late = await asleep;
    assert.equal(late.status, 503, await late.text());
    assert.deepEqual((await readDeleted(rig)).here, [tasks[0]], "nothing was written after the rollback");
    assert.equal(await isFenceUp(sql), true);

    await t.step(
      "every statement of a session that does not write what comes from MongoDB is refused",
      async () => {
        for (
          const statement of [
            "update users set fullname = 'x'",
            "delete from subtasks",
            "update subtasks set error = 'x'",
            "update tasks set is_deleted = true",
            "insert into users (email, hashed_password) values ('x@example.com', '')",
          ]
        ) assert.equal(await codeOf(sql.unsafe(statement)), "57F01", statement);
      },
    );
    await t.step("work that v2 may do at any time is not", async () => {
      assert.equal(await codeOf(sql`update tasks set revision = revision + 1`), "done");
      assert.equal(await codeOf(sql`update subtasks set rating_n = 1, rating_sum = 4, rating = 4`), "done");
      assert.equal(await codeOf(sql`update subtasks set status = 'pending' where false`), "done");
    });
    await t.step("unfinished work of the old backend is not given to workers", async () => {
      await assert.rejects(() => decideUnfinished(sql, "resume"), /the old backend is in charge/);
    });
    await t.step("the sync writes, and the next cut-over lowers the fence", async () => {
      {
        await using sync = startSync(sql, rig.followed);
        const tasksThere = rig.followed.db.collection("tasks");
        await tasksThere.updateOne({ id: tasks[2]! }, { $set: { is_deleted: true, updated_at: new Date() } });
        await sync.settle();
        assert.deepEqual((await readDeleted(rig)).here, [tasks[0]!, tasks[2]!].sort());
      }
      await switchOver(rig);
      assert.equal(await isFenceUp(sql), false);
      assert.equal(await rig.remove(tasks[3]!), 200);
    });
  },
});

Deno.test({
  name:
    "a transaction that began before the fence is refused; one that has written keeps the rollback from ending",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startRig({ tasks: 4 });
    const { sql } = rig;
    await switchOver(rig);
    await using _back = await startBack(rig);
    const [task] = await sql<{ id: string }[]>`select id from tasks order by id limit 1`;
    const rollback = () => rig.data("rollback", "--yes", "--json", "--max-pause", "20s");
    const session = await sql.reserve();
    await t.step("one that has written is named, and nothing has moved", async () => {
      await session`begin`;
      await session`update tasks set tags = tags where id = ${task!.id}`;
      const { code, err } = await rollback();
      assert.equal(code, 75, err);
      assert.match(err, /a transaction that writes does not end: session \d+ .*everything is as before/);
      await assertInCharge(rig, "new");
      await session`rollback`;
    });
    await t.step("one that has only read is refused when it writes", async () => {
      await session`begin isolation level repeatable read`;
      await session`select from tasks`;
      const { code, err } = await rollback();
      assert.equal(code, 0, err);
      const refused = await codeOf(session`update tasks set is_deleted = true where id = ${task!.id}`);
      assert.equal(refused, "57F01");
      await session`rollback`;
      session.release();
      assert.equal((await readTraffic(sql)).phase, "old");
    });
    await t.step("a change of the phase by force moves the fence", async () => {
      const force = ["traffic", "--force", "--reason", "test"];
      assert.equal((await rig.run(...force, "new")).code, 0);
      assert.equal(await isFenceUp(sql), false);
      assert.equal((await rig.run(...force, "old")).code, 0);
      assert.equal(await isFenceUp(sql), true);
    });
  },
});
