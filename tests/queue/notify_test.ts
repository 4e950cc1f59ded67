/** Notices: each address receives them once, failed deliveries are repeated, and work is not delayed. */
import assert from "node:assert/strict";
import { callHttp } from "../../http.ts";
import { sendNotices } from "../../jobs/tell/notify.ts";
import { silentLog } from "../../log.ts";
import { openRows, type Rows, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

/** A webhook that records notices. */
interface Hook extends AsyncDisposable {
  url: string;
  texts: string[];
  /** Status of its answers. */
  status: number;
}

function startHook(status = 200): Hook {
  const state = { texts: [] as string[], status };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const body = await request.json();
    if (state.status === 200) state.texts.push(body.content.text);
    return new Response("{}", { status: state.status });
  });
  return Object.assign(state, {
    url: `http://127.0.0.1:${server.addr.port}/hook?key=secret`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  });
}

const send = (rows: Rows, urls: string[]) =>
  sendNotices({ sql: rows.sql, log: silentLog, http: callHttp, urls });

const readOutbox = (rows: Rows) =>
  rows.sql<{ kind: string; tries: number; closed: boolean; error: string | null; delivered: string[] }[]>`
    select kind, tries, closed_at is not null as closed, error, delivered from outbox order by id`;

const makeDue = (rows: Rows) => rows.sql`update outbox set due_at = now() - interval '1 s'`;

Deno.test("a task has notices at its start and its end, with id, submitter and counts", async () => {
  await using hook = startHook();
  await using rig = await startRig({ env: { NOTIFY_URLS: hook.url } });
  await rig.startWorker({ random: () => 0 });
  const task = await rig.submit(["ok", "@@create:451"]);
  await waitForEnd(rig.sql, task);
  await waitFor("both notices", () => hook.texts.length === 2);
  for (const text of hook.texts) assert.ok(text.includes(task) && text.includes(rig.user.email), text);
  assert.match(hook.texts[0]!, /已提交[\s\S]*变量组合数量: 2/);
  assert.match(hook.texts[1]!, /部分完成[\s\S]*成功数: 1\/2[\s\S]*失败数: 1\/2/);
});

Deno.test("an address that rejects a notice gets it again, the others only once", async () => {
  await using rows = await openRows();
  await using good = startHook();
  await using bad = startHook(500);
  await rows.submit(["p"]);
  const urls = [good.url, bad.url];
  assert.equal(await send(rows, urls), 1);
  assert.equal(await send(rows, urls), 0);
  const [waiting] = await readOutbox(rows);
  assert.deepEqual([waiting!.closed, waiting!.tries, waiting!.error], [false, 1, "HTTP 500"]);
  bad.status = 200;
  await makeDue(rows);
  assert.equal(await send(rows, urls), 1);
  assert.deepEqual([good.texts.length, bad.texts.length], [1, 1]);
  const [closed] = await readOutbox(rows);
  assert.deepEqual([closed!.closed, closed!.delivered.length, closed!.error], [true, 2, null]);
  assert.ok(!closed!.delivered.some((hash) => hash.includes("secret")));
});

Deno.test("delivery to an address that always fails ends after twelve tries", async () => {
  await using rows = await openRows();
  await rows.submit(["p"]);
  for (let tries = 0; tries < 12; tries++) {
    await makeDue(rows);
    await send(rows, ["http://127.0.0.1:1/hook"]);
  }
  const [given] = await readOutbox(rows);
  assert.deepEqual([given!.closed, given!.tries, given!.error], [true, 12, "unreachable"]);
});

Deno.test("two concurrent senders send a notice once", async () => {
  await using rows = await openRows();
  await using hook = startHook();
  await rows.submit(["p"]);
  await Promise.all([send(rows, [hook.url]), send(rows, [hook.url])]);
  assert.equal(hook.texts.length, 1);
});

Deno.test("without addresses, notices are closed", async () => {
  await using rows = await openRows();
  await rows.submit(["p"]);
  await send(rows, []);
  assert.deepEqual((await readOutbox(rows)).map(({ closed }) => closed), [true]);
});

Deno.test("an address that never answers delays neither work, nor the leader, nor other addresses", async () => {
  await using good = startHook();
  const silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const connections: Deno.Conn[] = [];
  const accepting = (async () => {
    for await (const connection of silent) connections.push(connection);
  })().catch(() => {});
  const urls = [`http://127.0.0.1:${silent.addr.port}/hook`, good.url];
  await using rig = await startRig({ env: { NOTIFY_URLS: urls.join(",") } });
  await rig.startWorker({ slots: 2 });
  for (let round = 1; round <= 3; round++) {
    const task = await rig.submit([`p${round}`]);
    await waitForEnd(rig.sql, task);
    // If notices were sent in sequence, each would wait for the silent address.
    await waitFor(
      "both notices",
      () => good.texts.filter((text) => text.includes(task)).length === 2,
    );
  }
  const [lead] = await rig.sql`select term::int, lease_until > now() as held from leaders`;
  assert.deepEqual({ ...lead }, { term: 1, held: true });
  const waiting = await rig.sql`select from outbox where closed_at is null`;
  assert.equal(waiting.length, 6);
  silent.close();
  for (const connection of connections) connection.close();
  await accepting;
});
