/** Locks of sessions that vanished without closing their connection. */
import assert from "node:assert/strict";
import { connect } from "../../db/pg/connect.ts";
import { transact } from "../../db/pg/transaction.ts";
import { acquireSlots, insertWorker } from "../../db/queue/workers.ts";
import { insertQueueSlots } from "../../db/queue/slots.ts";
import { startProxy } from "../../dev/chaos/proxy.ts";
import { openRows } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const portOf = (url: string) => Number(new URL(url).port);

Deno.test("a worker that vanishes while it acquires slots blocks the others only for seconds", async () => {
  await using rows = await openRows();
  await using proxy = startProxy(portOf(rows.url));
  const url = rows.url.replace(`:${portOf(rows.url)}/`, `:${proxy.port}/`);
  const vanished = connect(url, { max: 1, name: "vanished", silentMsMax: 200 });
  await insertQueueSlots(rows.sql, [{ queue: "standard", slots: 4 }]);
  for (const id of ["a", "b"]) {
    await insertWorker(rows.sql, { id, host: "h", pid: 1, queues: ["standard"] });
  }
  let calls = 0;
  const lost = acquireSlots(vanished, "a", () => {
    // The second call runs under the lock.
    if (++calls === 2) proxy.orphan();
    return { standard: 2 };
  });
  await assert.rejects(lost, { code: "CONNECTION_CLOSED" });
  const acquire = () => acquireSlots(rows.sql, "b", () => ({ standard: 2 }));
  await assert.rejects(acquire, { code: "55P03" });
  await waitFor("the lock to be released", () => acquire().catch(() => undefined));
  const slots = await rows.sql`select id, slots from workers order by id`;
  assert.deepEqual([...slots], [{ id: "a", slots: {} }, { id: "b", slots: { standard: 2 } }]);
  await vanished.end({ timeout: 1 });
});

Deno.test("a statement after the end of its transaction is rejected and not executed on its own", async () => {
  await using rows = await openRows();
  const sql = connect(rows.url, { max: 1, silentMsMax: 5_000 });
  const ended = Promise.withResolvers<void>();
  const late = Promise.withResolvers<unknown>();
  const moved = transact(sql, async (tx) => {
    const [row] = await tx<{ pid: number }[]>`select pg_backend_pid() as pid`;
    await rows.sql`select pg_terminate_backend(${row!.pid})`;
    await ended.promise;
    await sql`select 1`.catch(() => {});
    try {
      await tx`insert into workers (id, host, pid, queues) values ('late', 'h', 1, '{}')`;
      late.resolve("executed");
    } catch (error) {
      late.resolve(error);
    }
  });
  await assert.rejects(moved);
  ended.resolve();
  assert.match(String(await late.promise), /the transaction has ended/);
  assert.equal((await rows.sql`select from workers`).length, 0);
  await sql.end({ timeout: 1 });
});
