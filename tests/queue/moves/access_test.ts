/** Permission to change a task: every way to ask gives the same answer. */
import assert from "node:assert/strict";
import { type Actor, findChangeableTask, type TaskActor } from "../../../db/people/task_access.ts";
import { insertShare, revokeShare } from "../../../db/people/shares.ts";
import { deleteWebhook, insertWebhook } from "../../../db/queue/webhooks.ts";
import { withLockedTask } from "../../../db/queue/control.ts";
import { cancelTask, deleteTask } from "../../../jobs/moves/cancel.ts";
import { operator, pauseTask } from "../../../jobs/moves/control.ts";
import { silentLog } from "../../../log.ts";
import { openRows, type Rows } from "../../support/queue_rig.ts";

async function insertStranger({ sql }: Rows): Promise<{ id: string; email: string }> {
  const [row] = await sql<{ id: string; email: string }[]>`
    insert into users (email, hashed_password) values ('stranger@x', 'x') returning id, email`;
  return row!;
}

Deno.test("owner, admin and operator may change a task, others may not, by id and by e-mail", async () => {
  await using rows = await openRows();
  const id = await rows.submit(["p"]);
  const { user } = rows;
  const stranger = await insertStranger(rows);
  const cases: [name: string, actor: TaskActor, isAllowed: boolean][] = [
    ["operator", null, true],
    ["owner by id", { userId: user.id }, true],
    ["owner by e-mail", { email: user.email, isAdmin: false }, true],
    ["admin", { email: stranger.email, isAdmin: true }, true],
    ["stranger by id", { userId: stranger.id }, false],
    ["stranger by e-mail", { email: stranger.email, isAdmin: false }, false],
    ["unknown user", { userId: crypto.randomUUID() }, false],
    ["text that is no id", { userId: "x" }, false],
  ];
  for (const [name, actor, isAllowed] of cases) {
    const found = await findChangeableTask(rows.sql, { id, actor });
    assert.deepEqual(
      typeof found === "string" ? found : { ...found },
      isAllowed ? { id } : "forbidden",
      name,
    );
    const locked = await withLockedTask(rows.sql, { id, actor }, () => Promise.resolve("locked"));
    assert.equal(locked, isAllowed ? "locked" : "forbidden", name);
    for (const unknown of ["", "nope", "\0", crypto.randomUUID()]) {
      assert.equal(await findChangeableTask(rows.sql, { id: unknown, actor }), "not_found", name);
    }
  }
});

Deno.test("a deleted task is found only on request", async () => {
  await using rows = await openRows();
  const id = await rows.submit(["p"]);
  const deps = { sql: rows.sql, log: silentLog };
  const request = { taskId: id, userId: rows.user.id };
  assert.equal(await deleteTask(deps, request), "deleted");
  assert.equal(await pauseTask(deps, { taskId: id, userId: operator }), "not_found");
  assert.equal(await cancelTask(deps, request), "already_ended");
  assert.equal(await deleteTask(deps, { taskId: id, userId: (await insertStranger(rows)).id }), "forbidden");
});

Deno.test("shares and webhooks of a task follow the same rule", async () => {
  await using rows = await openRows();
  const { sql, user } = rows;
  const taskId = await rows.submit(["p"]);
  const stranger = await insertStranger(rows);
  const owner: Actor = { ...user, isAdmin: false };
  const other: Actor = { ...stranger, isAdmin: false };
  const shareId = crypto.randomUUID();
  await insertShare(sql, {
    id: shareId,
    taskId,
    tokenHash: new Uint8Array(32),
    label: "",
    mode: "read",
    blind: false,
    createdBy: user.id,
    lifeSeconds: 60,
  }, 10);
  const webhook = await insertWebhook(sql, {
    taskId,
    url: "https://x.example/",
    secret: "s",
    events: ["completed"],
    createdBy: user.id,
  }, 10);
  const webhookId = webhook!.id;
  assert.equal(await revokeShare(sql, { taskId, shareId, actor: other }), false);
  assert.equal(await deleteWebhook(sql, { taskId, webhookId, actor: other }), false);
  assert.equal(await revokeShare(sql, { taskId, shareId, actor: owner }), true);
  assert.equal(await deleteWebhook(sql, { taskId, webhookId, actor: { ...other, isAdmin: true } }), true);
});
