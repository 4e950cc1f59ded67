/** Waits until the system is idle after the last fault, and lists everything that is not. */
import type { Pool } from "../../db/pg/connect.ts";
import { operator, resumeTask } from "../../jobs/moves/control.ts";
import { silentLog } from "../../log.ts";
import type { IdleState } from "./facts.ts";
import { sendToRedis } from "./faults/redis.ts";
import { readField } from "../../redis/stream.ts";
import { pause, retry } from "./servers.ts";
import type { Rig } from "./rig.ts";

const queues = ["high", "standard", "lumina"];
const streamKey = (queue: string) => `{contactsheet}:stream:${queue}`;
const group = "workers";

/** Resumes tasks that the canary held while the image API was disturbed, as an operator would. */
async function resumeHeldTasks({ sql }: Rig): Promise<void> {
  const heldTasks = await sql<{ id: string }[]>`
    select id from tasks where hold = 'canary' and completed_at is null`;
  for (const { id } of heldTasks) await resumeTask({ sql, log: silentLog }, { taskId: id, userId: operator });
}

/** Skips waits that dead processes left behind, as if their time had passed. */
async function skipWaits(rig: Rig): Promise<void> {
  await resumeHeldTasks(rig);
  await rig.sql`
    update outbox
    set due_at = now()
    where closed_at is null and due_at < now() + interval '1 hour'`;
  for (const queue of queues) {
    const [pending] = await sendToRedis(rig, [["XPENDING", streamKey(queue), group, "-", "+", "200"]]) as [
      [string, string][] | null,
    ];
    await sendToRedis(
      rig,
      (pending ?? []).map(([entry, consumer]) => [
        ...["XCLAIM", streamKey(queue), group, consumer, "0", entry],
        ...["IDLE", "60000", "JUSTID"],
      ]),
    );
  }
}

async function findUnsettledRows(sql: Pool): Promise<string[]> {
  const [row] = await sql<{ tasks: number; pending: number; processing: number; notices: number }[]>`
    select
      (select count(*) from tasks where completed_at is null or cancelling)::int as tasks,
      (select count(*) from subtasks where status = 'pending')::int as pending,
      (select count(*) from subtasks where status = 'processing')::int as processing,
      (select count(*) from outbox where closed_at is null)::int as notices`;
  const { tasks, pending, processing, notices } = row!;
  const unsettled: string[] = [];
  if (tasks + pending + processing > 0) {
    unsettled.push(`${tasks} tasks are open, ${pending} cells are pending, ${processing} are processing`);
  }
  if (notices > 0) unsettled.push(`${notices} notices are not delivered`);
  return unsettled;
}

/**
 * Removes entries that a deleted consumer had read. No other consumer ever receives them, and the leader feeds their
 * cells again.
 */
async function trimOrphanedEntries(rig: Rig): Promise<void> {
  for (const queue of queues) {
    const [groups] = await sendToRedis(rig, [["XINFO", "GROUPS", streamKey(queue)]]) as [unknown[][] | null];
    for (const fields of groups ?? []) {
      const read = (name: string) => readField(fields, name);
      if (Number(read("pending")) > 0) continue;
      const [ms, sequence] = String(read("last-delivered-id")).split("-");
      await sendToRedis(rig, [["XTRIM", streamKey(queue), "MINID", `${ms}-${Number(sequence) + 1}`]]);
    }
  }
}

async function findUnsettledRedis(rig: Rig): Promise<string[]> {
  const lengths = await sendToRedis(rig, queues.map((queue) => ["XLEN", streamKey(queue)]));
  return queues.flatMap((queue, i) =>
    Number(lengths[i]) > 0 ? [`stream ${queue} still holds ${lengths[i]} entries`] : []
  );
}

async function findBusyWorkers({ workers }: Rig): Promise<string[]> {
  const all = await Promise.all(workers.map(async (worker) => {
    const busy = worker.ready ? await worker.readMetric("contactsheet_slots_busy") : undefined;
    if (busy === undefined) return [`worker ${worker.number} does not answer`];
    return busy > 0 ? [`worker ${worker.number} has ${busy} slots in use`] : [];
  }));
  return all.flat();
}

/** Reports whether fewer or more workers than expected have a current heartbeat. */
async function findMissingWorkers({ sql, workers }: Rig): Promise<string[]> {
  const [row] = await sql<{ living: number }[]>`
    select count(*)::int as living from workers where heartbeat_at > now() - interval '5 s'`;
  return row!.living === workers.length
    ? []
    : [`${row!.living} of ${workers.length} workers have a current heartbeat`];
}

async function findUnsettled(rig: Rig): Promise<string[]> {
  try {
    const rows = await findUnsettledRows(rig.sql);
    if (rows.length > 0) return rows;
    return [
      ...await findUnsettledRedis(rig),
      ...await findBusyWorkers(rig),
      ...await findMissingWorkers(rig),
    ];
  } catch (error) {
    return [`reading the state of the system: ${error}`];
  }
}

async function readPossibleDuplicates({ workers }: Rig): Promise<Map<number, number>> {
  const counted = new Map<number, number>();
  for (const worker of workers) {
    const count = await worker.readMetric("contactsheet_possible_double_generations_total");
    if (worker.pid !== undefined && count !== undefined) counted.set(worker.pid, count);
  }
  return counted;
}

async function countMoves(sql: Pool): Promise<number> {
  const [row] = await sql<{ moves: number }[]>`select count(*)::int as moves from chaos.moves`;
  return row!.moves;
}

/** Maximum total wait in milliseconds, whether or not rows still change. */
const totalMsMax = 900_000;
const pollMs = 150;

/**
 * Waits until the system is idle, or until no row has changed for `ms`.
 *
 * @param ms longest wait for the next change, counted in polls of 150 ms, so that an overloaded machine gets more time
 * @param consumersDeleted whether a fault deleted consumers together with the entries that they had read
 */
export async function waitForIdle(rig: Rig, ms: number, consumersDeleted: boolean): Promise<IdleState> {
  const started = performance.now();
  let polls = 0;
  let moves = -1;
  let skippedAt = -Infinity;
  for (;;) {
    const unsettled = await findUnsettled(rig);
    const now = performance.now();
    const count = await countMoves(rig.sql).catch(() => moves);
    polls = count === moves ? polls + 1 : 0;
    moves = count;
    if (unsettled.length === 0 || polls * pollMs > ms || now > started + totalMsMax) {
      const [epochMarked] = await retry(() => sendToRedis(rig, [["EXISTS", "{contactsheet}:epoch"]], true));
      return {
        unsettled,
        epochMarked: Number(epochMarked) === 1,
        possibleDuplicates: await readPossibleDuplicates(rig),
      };
    }
    if (now - skippedAt > 1_000) {
      skippedAt = now;
      await skipWaits(rig).catch(() => {});
      if (consumersDeleted) await trimOrphanedEntries(rig);
    }
    await pause(pollMs);
  }
}
