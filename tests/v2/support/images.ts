/** Shares, re-runs, and migrated tasks. */
import assert from "node:assert/strict";
import { claimSubtasks, settleSubtasks } from "../../../db/queue/subtasks.ts";
import { insertWorker } from "../../../db/queue/workers.ts";
import { rerunCell } from "../../../jobs/moves/control.ts";
import { silentLog } from "../../../log.ts";
import { createToken, hashToken, shareTokenPrefix } from "../../../routes/v2/kit/secrets.ts";
import type { TestApi } from "../../support/api.ts";
import type { Person } from "../../support/people.ts";
import { seedSubtasks, seedTask } from "../../support/task_rows.ts";

type Api = Pick<TestApi, "database">;

/** Inserts a share of a task and returns its token. */
export async function addShare(
  { database: { sql } }: Api,
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

/** Requests a re-run of a cell, which has no image until {@link redraw}. */
export async function rerun({ database: { sql } }: Api, owner: Person, taskId: string, cell: number) {
  assert.equal(await rerunCell({ sql, log: silentLog }, { taskId, userId: owner.id, cell }), "rerun");
}

/** Completes all pending cells of a task, as a worker does. */
export async function redraw({ database: { sql } }: Api, taskId: string): Promise<void> {
  const worker = crypto.randomUUID();
  await insertWorker(sql, { id: worker, host: "h", pid: 1, queues: ["standard"] });
  const refs = await sql<{ task_id: string; id: string }[]>`
    select parent_task_id as task_id, id from subtasks where parent_task_id = ${taskId} and status = 'pending'`;
  const claimed = await claimSubtasks(sql, worker, refs);
  assert.equal(claimed.length, refs.length);
  await settleSubtasks(
    sql,
    claimed.map((claim) => {
      const url = `https://images.example/${claim.cell}-${claim.attempt}.png`;
      return { ...claim, status: "completed", result: `{"url":"${url}"}`, image_url: url, error: null };
    }),
  );
}

/** Inserts a migrated task: its cells have no numbers yet, and the last has a result without an image. */
export async function addMigratedTask({ database: { sql } }: Api, owner: Person): Promise<string> {
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
