/** What becomes of images under v2: shares to look at them, cells drawn again, tasks that were brought over. */
import assert from "node:assert/strict";
import { claimSubtasks, settleSubtasks } from "../../../db/queue/subtasks.ts";
import { insertWorker } from "../../../db/queue/workers.ts";
import { rerunCell } from "../../../jobs/moves/control.ts";
import { silentLog } from "../../../log.ts";
import { createToken, hashToken, shareTokenPrefix } from "../../../routes/v2/kit/secrets.ts";
import type { TestApi } from "../../support/api.ts";
import type { Person } from "../../support/people.ts";
import { seedSubtasks, seedTask } from "../../support/task_rows.ts";

type Place = Pick<TestApi, "database">;

/** A link to a task; its token. */
export async function addShare(
  { database: { sql } }: Place,
  owner: Person,
  task: string,
  { mode = "rate", blind = false }: { mode?: "read" | "rate"; blind?: boolean } = {},
): Promise<string> {
  const token = createToken(shareTokenPrefix);
  await sql`
    insert into shares (task_id, token_hash, mode, blind, created_by, expires_at)
    values (${task}, ${await hashToken(token)}, ${mode}, ${blind}, ${owner.id}, now() + interval '1 hour')`;
  return token;
}

/** Asks for another image of a cell; it has none until {@link redraw}. */
export async function rerun({ database: { sql } }: Place, owner: Person, taskId: string, cell: number) {
  assert.equal(await rerunCell({ sql, log: silentLog }, { taskId, userId: owner.id, cell }), "rerun");
}

/** Draws every cell of a task that waits, as a worker does. */
export async function redraw({ database: { sql } }: Place, taskId: string): Promise<void> {
  const worker = crypto.randomUUID();
  await insertWorker(sql, { id: worker, host: "h", pid: 1, queues: ["standard"] });
  const refs = await sql<{ task_id: string; id: string }[]>`
    select parent_task_id as task_id, id from subtasks where parent_task_id = ${taskId} and status = 'pending'`;
  const claimed = await claimSubtasks(sql, worker, refs);
  assert.equal(claimed.length, refs.length);
  await settleSubtasks(
    sql,
    claimed.map((held) => {
      const url = `https://images.example/${held.cell}-${held.attempt}.png`;
      return { ...held, status: "completed", result: `{"url":"${url}"}`, image_url: url, error: null };
    }),
  );
}

/** A task as it comes over: its cells have no places yet; the last has a result without an image. */
export async function addBroughtOver({ database: { sql } }: Place, owner: Person): Promise<string> {
  const id = await seedTask(sql, { username: owner.email, status: "completed", generation: "T4" });
  const image = (n: number) => `https://images.example/old-${n}.png`;
  await seedSubtasks(sql, id, [
    ...[0, 1, 2].map((n) => ({
      status: "completed",
      generation: "S4",
      image_url: image(n),
      result: `{"url":"${image(n)}"}`,
    })),
    { status: "completed", generation: "S4", result: "{}" },
  ]);
  return id;
}
