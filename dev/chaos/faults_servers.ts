/** Faults of the servers: restarts, wiped and damaged streams, terminated sessions, locks. */
import { createClient } from "redis";
import { readField } from "../../redis/stream.ts";
import { pause, type Rig } from "./rig.ts";
import { retry, type StopMode } from "./servers.ts";

const queues = ["high", "standard", "lumina"];
const streamKey = (queue: string) => `{contactsheet}:stream:${queue}`;
const group = "workers";

/**
 * Sends commands to Redis without a proxy. The answer of a rejected command is null, and so is every answer if Redis
 * is down.
 *
 * @param required whether to throw if Redis is down
 */
export async function sendToRedis(rig: Rig, commands: string[][], required = false): Promise<unknown[]> {
  const client = createClient({
    url: rig.redis.url,
    RESP: 2,
    socket: { connectTimeout: 3_000, reconnectStrategy: false },
  });
  client.on("error", () => {});
  try {
    await client.connect();
    const answers: unknown[] = [];
    for (const command of commands) answers.push(await client.sendCommand(command).catch(() => null));
    return answers;
  } catch (error) {
    if (required) throw error;
    return commands.map(() => null);
  } finally {
    try {
      client.destroy();
    } catch {
      // The connection was never opened.
    }
  }
}

/** Wipes Redis. */
export const flush = (rig: Rig) => sendToRedis(rig, [["FLUSHALL"]]);

/** Wipes Redis and adds one late entry in the same transaction, so that the stream exists without its entries. */
export async function flushWithStray(rig: Rig): Promise<void> {
  const [entries] = await sendToRedis(rig, [["XRANGE", streamKey("standard"), "-", "+", "COUNT", "1"]]) as [
    [string, string[]][] | null,
  ];
  const fields = entries?.[0]?.[1] ?? ["refs", ""];
  await sendToRedis(rig, [["MULTI"], ["FLUSHALL"], ["XADD", streamKey("standard"), "*", ...fields], [
    "EXEC",
  ]]);
}

/** Kills Redis and starts it again, empty, after `downMs`. */
export async function restartRedis(rig: Rig, downMs: number): Promise<void> {
  await rig.redis.kill();
  await pause(downMs);
  await rig.redis.startIfDown();
}

/** Deletes all streams. */
export const deleteStreams = (rig: Rig) => sendToRedis(rig, queues.map((queue) => ["DEL", streamKey(queue)]));

/** Destroys the consumer groups of all streams. */
export const destroyGroups = (rig: Rig) =>
  sendToRedis(rig, queues.map((queue) => ["XGROUP", "DESTROY", streamKey(queue), group]));

/** Replaces the streams by strings. Workers may delete the strings; the rig deletes the rest after `ms`. */
export async function replaceStreamsByStrings(rig: Rig, ms: number): Promise<void> {
  await sendToRedis(rig, queues.map((queue) => ["SET", streamKey(queue), "not a stream"]));
  await pause(ms);
  for (const queue of queues) {
    const [type] = await sendToRedis(rig, [["TYPE", streamKey(queue)]]);
    if (type === "string") await sendToRedis(rig, [["DEL", streamKey(queue)]]);
  }
}

/** Adds every entry a second time, and adds entries for 60 cells in any state. */
export async function duplicateEntries(rig: Rig): Promise<void> {
  for (const queue of queues) {
    const [entries] = await sendToRedis(rig, [["XRANGE", streamKey(queue), "-", "+"]]) as [
      [string, string[]][] | null,
    ];
    await sendToRedis(rig, (entries ?? []).map(([, fields]) => ["XADD", streamKey(queue), "*", ...fields]));
  }
  const cells = await rig.sql<{ ref: string; queue: string }[]>`
    select parent_task_id || '/' || id as ref, queue
    from subtasks
    order by random()
    limit 60`
    .catch(() => []);
  await sendToRedis(rig, cells.map(({ ref, queue }) => ["XADD", streamKey(queue), "*", "refs", ref]));
}

/** Deletes all consumers together with the entries that they have read. */
export async function deleteConsumers(rig: Rig): Promise<void> {
  for (const queue of queues) {
    const [consumers] = await sendToRedis(rig, [["XINFO", "CONSUMERS", streamKey(queue), group]]) as [
      string[][] | null,
    ];
    const names = (consumers ?? []).map((fields) => String(readField(fields, "name")));
    await sendToRedis(rig, names.map((name) => ["XGROUP", "DELCONSUMER", streamKey(queue), group, name]));
  }
}

/** Removes all entries from all streams. */
export const trimStreams = (rig: Rig) =>
  sendToRedis(rig, queues.map((queue) => ["XTRIM", streamKey(queue), "MAXLEN", "0"]));

/** Makes Redis reject writes for lack of memory for `ms`. Deletions still succeed. */
export async function fillRedis(rig: Rig, ms: number): Promise<void> {
  await sendToRedis(rig, [["CONFIG", "SET", "maxmemory", "1"]]);
  await pause(ms);
  await sendToRedis(rig, [["CONFIG", "SET", "maxmemory", "0"]]);
}

/** Stops PostgreSQL and starts it again after `downMs`. */
export async function restartPostgres(rig: Rig, mode: StopMode, downMs: number): Promise<void> {
  await rig.postgres.stop(mode);
  await pause(downMs);
  await retry(() => rig.postgres.startIfDown());
}

/** Terminates the sessions of all workers several times. */
export async function terminateSessions(rig: Rig, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await rig.sql`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where datname = current_database() and application_name like 'contactsheet worker%'`.catch(() => {});
    await pause(150);
  }
}

/** Locks the rows of all tasks for `ms`, as an administrator's session might. */
export async function lockTasks(rig: Rig, ms: number): Promise<void> {
  await rig.sql.begin(async (sql) => {
    await sql`select id from tasks for update`;
    await pause(ms);
  }).catch(() => {});
}

/** Makes the database read-only for `ms`, as after a full disk or a failover to a standby. */
export async function makeReadOnly(rig: Rig, ms: number): Promise<void> {
  const set = (value: string) =>
    retry(async () => {
      await rig.sql.unsafe(`alter database ${rig.database} set default_transaction_read_only = ${value}`);
    });
  await set("on");
  await terminateSessions(rig, 1);
  await pause(ms);
  // The rig's own session may have started while the default was read-only.
  await retry(() => rig.sql.unsafe("set default_transaction_read_only = off"));
  await set("off");
  await terminateSessions(rig, 1);
}
