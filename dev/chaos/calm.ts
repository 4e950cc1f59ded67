/** Waits until everything is at rest after the last fault, and says what is not. */
import type { Pool } from "../../db/pg/connect.ts";
import { operator, resumeTask } from "../../jobs/moves/control.ts";
import { silentLog } from "../../log.ts";
import type { Calm } from "./facts.ts";
import { askRedis } from "./faults_servers.ts";
import { insist } from "./servers.ts";
import { pause, type Stage } from "./stage.ts";

const queues = ["high", "standard", "lumina"];
const keyOf = (queue: string) => `{contactsheet}:stream:${queue}`;
const group = "workers";

/** Lets tasks go on that held themselves while the image API was disturbed, as an operator would who has mended it. */
async function liftHolds({ sql }: Stage): Promise<void> {
  const held = await sql<
    { id: string }[]
  >`select id from tasks where hold = 'canary' and completed_at is null`;
  for (const { id } of held) await resumeTask({ sql, log: silentLog }, { taskId: id, userId: operator });
}

/** Waiting that belongs to dead processes is cut short, as if the time had passed. */
async function hasten(stage: Stage): Promise<void> {
  await liftHolds(stage);
  await stage
    .sql`update outbox set due_at = now() where closed_at is null and due_at < now() + interval '1 hour'`;
  for (const queue of queues) {
    const [pending] = await askRedis(stage, [["XPENDING", keyOf(queue), group, "-", "+", "200"]]) as [
      [string, string][] | null,
    ];
    await askRedis(
      stage,
      (pending ?? []).map(([entry, consumer]) => [
        ...["XCLAIM", keyOf(queue), group, consumer, "0", entry],
        ...["IDLE", "60000", "JUSTID"],
      ]),
    );
  }
}

async function findRestlessRows(sql: Pool): Promise<string[]> {
  const [row] = await sql<{ tasks: number; pending: number; processing: number; notices: number }[]>`
    select
      (select count(*) from tasks where completed_at is null or cancelling)::int as tasks,
      (select count(*) from subtasks where status = 'pending')::int as pending,
      (select count(*) from subtasks where status = 'processing')::int as processing,
      (select count(*) from outbox where closed_at is null)::int as notices`;
  const { tasks, pending, processing, notices } = row!;
  const said: string[] = [];
  if (tasks + pending + processing > 0) {
    said.push(`${tasks} tasks are open, ${pending} cells pending, ${processing} processing`);
  }
  if (notices > 0) said.push(`${notices} notices are not delivered`);
  return said;
}

/**
 * Entries that a consumer had read when it was deleted are nobody's: they wait for no one, and nobody is told of them.
 * What they point to is fed again.
 */
async function dropForgotten(stage: Stage): Promise<void> {
  for (const queue of queues) {
    const [groups] = await askRedis(stage, [["XINFO", "GROUPS", keyOf(queue)]]) as [unknown[][] | null];
    for (const fields of groups ?? []) {
      const read = (name: string) => fields[fields.indexOf(name) + 1];
      if (Number(read("pending")) > 0) continue;
      const [ms, place] = String(read("last-delivered-id")).split("-");
      await askRedis(stage, [["XTRIM", keyOf(queue), "MINID", `${ms}-${Number(place) + 1}`]]);
    }
  }
}

async function findRestlessRedis(stage: Stage): Promise<string[]> {
  const lengths = await askRedis(stage, queues.map((queue) => ["XLEN", keyOf(queue)]));
  return queues.flatMap((queue, i) =>
    Number(lengths[i]) > 0 ? [`stream ${queue} still holds ${lengths[i]}`] : []
  );
}

async function findRestlessWorkers({ places }: Stage): Promise<string[]> {
  const all = await Promise.all(places.map(async (place) => {
    const busy = place.ready ? await place.readMetric("contactsheet_slots_busy") : undefined;
    if (busy === undefined) return [`worker ${place.number} does not answer`];
    return busy > 0 ? [`worker ${place.number} has ${busy} slots in use`] : [];
  }));
  return all.flat();
}

/** Workers that the rows know of, beat, and are as many as there are. */
async function findSilentWorkers({ sql, places }: Stage): Promise<string[]> {
  const [row] = await sql<{ living: number }[]>`
    select count(*)::int as living from workers where heartbeat_at > now() - interval '5 s'`;
  return row!.living === places.length
    ? []
    : [`${row!.living} of ${places.length} workers give signs of life`];
}

async function findRestless(stage: Stage): Promise<string[]> {
  try {
    const rows = await findRestlessRows(stage.sql);
    if (rows.length > 0) return rows;
    return [
      ...await findRestlessRedis(stage),
      ...await findRestlessWorkers(stage),
      ...await findSilentWorkers(stage),
    ];
  } catch (error) {
    return [`asking how things stand: ${error}`];
  }
}

async function readDoubles({ places }: Stage): Promise<Map<number, number>> {
  const counted = new Map<number, number>();
  for (const place of places) {
    const count = await place.readMetric("contactsheet_possible_double_generations_total");
    if (place.pid !== undefined && count !== undefined) counted.set(place.pid, count);
  }
  return counted;
}

async function countMoves(sql: Pool): Promise<number> {
  const [row] = await sql<{ moves: number }[]>`select count(*)::int as moves from chaos.moves`;
  return row!.moves;
}

/** However much goes on. */
const wholeMsMax = 900_000;
const lookEveryMs = 150;

/**
 * @param ms to wait at most for the next thing to happen; counted in looks, of which a machine with too much to do fits
 * in fewer: nothing is the queue's fault there
 * @param forgetful consumers were deleted with what they had read
 */
export async function waitForCalm(stage: Stage, ms: number, forgetful: boolean): Promise<Calm> {
  const started = performance.now();
  let looks = 0;
  let moves = -1;
  let hastenedAt = -Infinity;
  for (;;) {
    const restless = await findRestless(stage);
    const now = performance.now();
    const seen = await countMoves(stage.sql).catch(() => moves);
    looks = seen === moves ? looks + 1 : 0;
    moves = seen;
    if (restless.length === 0 || looks * lookEveryMs > ms || now > started + wholeMsMax) {
      const [marked] = await insist(() => askRedis(stage, [["EXISTS", "{contactsheet}:epoch"]], true));
      return { restless, marked: Number(marked) === 1, doubles: await readDoubles(stage) };
    }
    if (now - hastenedAt > 1_000) {
      hastenedAt = now;
      await hasten(stage).catch(() => {});
      if (forgetful) await dropForgotten(stage);
    }
    await pause(lookEveryMs);
  }
}
