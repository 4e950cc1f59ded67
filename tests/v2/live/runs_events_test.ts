/** The event stream over all runs. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../../support/api.ts";
import { join } from "../../support/cells.ts";
import { addMatrix, addPeople, call, type V2Person } from "../support/api.ts";
import { Listener, type ReceivedEvent } from "../support/events.ts";

async function listenToRuns({ origin }: TestApi, who: V2Person): Promise<Listener> {
  const abort = new AbortController();
  const response = await fetch(`${origin}/api/v2/tasks/events`, {
    headers: { authorization: `Bearer ${who.access}` },
    signal: abort.signal,
  });
  assert.equal(response.status, 200);
  return new Listener(response, abort);
}

// deno-lint-ignore no-explicit-any -- the runs of an event, whose fields each test checks
const runOf = ({ data }: ReceivedEvent, id: string): any =>
  data.runs?.find((run: { id: string }) => run.id === id);

Deno.test("the stream over all runs starts with every run and continues with those that change", async () => {
  await using api = await startApi();
  const { user, other, guest } = await addPeople(api);
  const { sql } = api.database;
  const ended = await addMatrix(api, user);
  const open = await addMatrix(api, other, { drawn: 2 });
  await using stream = await listenToRuns(api, guest);
  const first = await stream.until(({ event }) => event === "runs");
  assert.equal(first.data.all, true);
  assert.deepEqual(
    [
      runOf(first, ended).cells.completed,
      runOf(first, open).cells.completed,
      runOf(first, open).cells.pending,
    ],
    [6, 2, 4],
  );
  assert.deepEqual([runOf(first, ended).eta, runOf(first, ended).raters], [null, []]);
  const { eta, per_minute } = runOf(first, open);
  assert.ok(per_minute > 0);
  assert.ok(eta.seconds_low > 0 && (eta.seconds_high === null || eta.seconds_high >= eta.seconds_low));

  await join(sql);
  await sql`
    update subtasks set status = 'processing', worker_id = 'a', started_at = now(), lease_id = 1
    where parent_task_id = ${open} and cell = 3`;
  const running = await stream.until((event) => runOf(event, open)?.cells.processing === 1);
  assert.deepEqual([running.data.all, runOf(running, ended)], [false, undefined]);

  await call(api, user, "POST", `/tasks/${open}/pause`);
  assert.equal((await call(api, other, "POST", `/tasks/${open}/pause`)).status, 200);
  await stream.until((event) => runOf(event, open)?.hold === "pause");

  assert.equal(
    (await call(api, other, "PUT", `/tasks/${ended}/cells/1/rating`, { stars: 4 })).status,
    200,
  );
  const rated = await stream.until((event) => runOf(event, ended)?.raters.length === 1);
  assert.deepEqual(runOf(rated, ended).raters, [{ name: "other", ratings: 1 }]);

  const created = await addMatrix(api, user, { drawn: 0 });
  assert.equal(runOf(await stream.until((event) => runOf(event, created)), created).status, "processing");
  assert.equal((await call(api, user, "DELETE", `/tasks/${created}`)).status, 204);
  await stream.until(({ data }) => data.deleted?.includes(created));
});

Deno.test("the stream over all runs ends when the session ends, and a share cannot open it", async () => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  await using stream = await listenToRuns(api, user);
  await stream.until(({ event }) => event === "runs");
  const share = await call(api, user, "POST", `/tasks/${task}/shares`, { mode: "read" });
  assert.equal((await call(api, share.body.token, "GET", "/tasks/events")).status, 403);
  assert.equal((await call(api, user, "POST", "/auth/logout")).status, 204);
  const bye = await stream.until(({ event }) => event === "bye");
  assert.equal(bye.data.reason, "revoked");
  await stream.untilEnd();
});
