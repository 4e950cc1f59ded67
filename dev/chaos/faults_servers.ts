/** What befalls the servers: restarts, wiped and spoilt streams, sessions cut off. */
import { createClient } from "redis";
import { pause, type Stage } from "./stage.ts";
import { insist, type StopMode } from "./servers.ts";

const queues = ["high", "standard", "lumina"];
const keyOf = (queue: string) => `{contactsheet}:stream:${queue}`;
const group = "workers";

/**
 * Sends commands to Redis past all proxies; what it refuses is null, and so is everything where it is down.
 *
 * @param must throws where it is down
 */
export async function askRedis(stage: Stage, commands: string[][], must = false): Promise<unknown[]> {
  const client = createClient({
    url: stage.redis.url,
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
    if (must) throw error;
    return commands.map(() => null);
  } finally {
    try {
      client.destroy();
    } catch {
      // It never opened.
    }
  }
}

export const flush = (stage: Stage) => askRedis(stage, [["FLUSHALL"]]);

/** Wiped, and at once a late entry arrives: the stream is there, but not what was in it. */
export async function flushWithStray(stage: Stage): Promise<void> {
  const [entries] = await askRedis(stage, [["XRANGE", keyOf("standard"), "-", "+", "COUNT", "1"]]) as [
    [string, string[]][] | null,
  ];
  const fields = entries?.[0]?.[1] ?? ["refs", ""];
  await askRedis(stage, [["MULTI"], ["FLUSHALL"], ["XADD", keyOf("standard"), "*", ...fields], ["EXEC"]]);
}

export async function restartRedis(stage: Stage, downMs: number): Promise<void> {
  await stage.redis.strike();
  await pause(downMs);
  await stage.redis.startAgain();
}

export const deleteStreams = (stage: Stage) => askRedis(stage, queues.map((queue) => ["DEL", keyOf(queue)]));

export const destroyGroups = (stage: Stage) =>
  askRedis(stage, queues.map((queue) => ["XGROUP", "DESTROY", keyOf(queue), group]));

/** The streams' keys hold texts; whoever finds that may delete them, the rig does so in the end. */
export async function spoilKeys(stage: Stage, ms: number): Promise<void> {
  await askRedis(stage, queues.map((queue) => ["SET", keyOf(queue), "not a stream"]));
  await pause(ms);
  for (const queue of queues) {
    const [type] = await askRedis(stage, [["TYPE", keyOf(queue)]]);
    if (type === "string") await askRedis(stage, [["DEL", keyOf(queue)]]);
  }
}

/** All that is in the streams once more, and pointers to cells in every state. */
export async function duplicateEntries(stage: Stage): Promise<void> {
  for (const queue of queues) {
    const [entries] = await askRedis(stage, [["XRANGE", keyOf(queue), "-", "+"]]) as [
      [string, string[]][] | null,
    ];
    await askRedis(stage, (entries ?? []).map(([, fields]) => ["XADD", keyOf(queue), "*", ...fields]));
  }
  const cells = await stage.sql<{ ref: string; queue: string }[]>`
    select parent_task_id || '/' || id as ref, queue from subtasks order by random() limit 60`.catch(
    () => [],
  );
  await askRedis(stage, cells.map(({ ref, queue }) => ["XADD", keyOf(queue), "*", "refs", ref]));
}

/** Consumers vanish with what they had read. */
export async function deleteConsumers(stage: Stage): Promise<void> {
  for (const queue of queues) {
    const [consumers] = await askRedis(stage, [["XINFO", "CONSUMERS", keyOf(queue), group]]) as [
      string[][] | null,
    ];
    const names = (consumers ?? []).map((fields) => String(fields[fields.indexOf("name") + 1]));
    await askRedis(stage, names.map((name) => ["XGROUP", "DELCONSUMER", keyOf(queue), group, name]));
  }
}

export const trimStreams = (stage: Stage) =>
  askRedis(stage, queues.map((queue) => ["XTRIM", keyOf(queue), "MAXLEN", "0"]));

/** Writes are refused, deletions pass. */
export async function fillRedis(stage: Stage, ms: number): Promise<void> {
  await askRedis(stage, [["CONFIG", "SET", "maxmemory", "1"]]);
  await pause(ms);
  await askRedis(stage, [["CONFIG", "SET", "maxmemory", "0"]]);
}

export async function restartPostgres(stage: Stage, mode: StopMode, downMs: number): Promise<void> {
  await stage.postgres.strike(mode);
  await pause(downMs);
  await insist(() => stage.postgres.startAgain());
}

/** Every session but the rig's own, again and again. */
export async function cutBackends(stage: Stage, times: number): Promise<void> {
  for (let i = 0; i < times; i++) {
    await stage.sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name like 'contactsheet worker%'`.catch(() => {});
    await pause(150);
  }
}

/** An admin's session sits on the tasks. */
export async function lockTasks(stage: Stage, ms: number): Promise<void> {
  await stage.sql.begin(async (sql) => {
    await sql`select id from tasks for update`;
    await pause(ms);
  }).catch(() => {});
}

/** The disk is full, or a standby answers: nothing can be written. */
export async function makeReadOnly(stage: Stage, ms: number): Promise<void> {
  const set = (value: string) =>
    insist(async () => {
      await stage.sql.unsafe(`alter database ${stage.database} set default_transaction_read_only = ${value}`);
    });
  await set("on");
  await cutBackends(stage, 1);
  await pause(ms);
  // The rig's own session may have been opened meanwhile.
  await insist(() => stage.sql.unsafe("set default_transaction_read_only = off"));
  await set("off");
  await cutBackends(stage, 1);
}
