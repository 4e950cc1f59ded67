/** Event streams: completeness, resumption, visibility, limits and cleanup. */
import assert from "node:assert/strict";
import { connect } from "../../../db/pg/connect.ts";
import { EventHub } from "../../../routes/v2/live/hub.ts";
import { EventClient, eventText } from "../../../routes/v2/live/event_client.ts";
import { silentLog } from "../../../log.ts";
import { createAccessTokens } from "../../../routes/v2/kit/access_tokens.ts";
import { listen, type Listener, type ReceivedEvent } from "../support/events.ts";
import { waitFor } from "../../support/wait.ts";
import { secret, startApi, type TestApi } from "../../support/api.ts";
import { addMatrix, addPeople, call, type V2Person } from "../support/api.ts";

async function setUp() {
  const api = await startApi();
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  return { api, ...people, task, [Symbol.asyncDispose]: () => api[Symbol.asyncDispose]() };
}

async function rate(api: TestApi, who: V2Person | string, task: string, cell: number, stars: number) {
  const answer = await call(api, who, "PUT", `/tasks/${task}/cells/${cell}/rating`, { stars });
  assert.equal(answer.status, 200, answer.text);
}

const is = (event: string) => (received: ReceivedEvent) => received.event === event;
/** Waits for an event with this number of ratings of a cell, from position `from` on. */
const untilRated = (listener: Listener, cell: number, n: number | null, from = 0) =>
  listener.until(
    ({ event, data }) =>
      event === "cells" &&
      data.cells.some((changed: Record<string, unknown>) => changed.cell === cell && changed.n === n),
    from,
  );

async function readRevision({ database: { sql } }: TestApi, task: string): Promise<number> {
  const [row] = await sql`select revision::int from tasks where id = ${task}`;
  return row!.revision;
}

Deno.test("a new stream starts with the progress and continues with changes and their revision", async () => {
  await using fixture = await setUp();
  await using stream = await listen(fixture.api, fixture.guest, fixture.task);
  const progress = await stream.until(is("progress"));
  assert.deepEqual(progress.data, {
    status: "completed",
    total: 6,
    pending: 0,
    running: 0,
    completed: 6,
    failed: 0,
    cancelled: 0,
    hold: null,
    rate: null,
  });
  assert.equal(progress.id, String(await readRevision(fixture.api, fixture.task)));
  assert.equal((await stream.until(is("end"))).data.status, "completed");
  await rate(fixture.api, fixture.user, fixture.task, 2, 4);
  await rate(fixture.api, fixture.other, fixture.task, 2, 5);
  const received = await untilRated(stream, 2, 2);
  assert.deepEqual(received.data.cells, [
    { cell: 2, status: "completed", version: 1, image: "https://images.example/2.png", mean: 4.5, n: 2 },
  ]);
  assert.equal(received.id, String(await readRevision(fixture.api, fixture.task)));
  assert.match(stream.text, /^retry: \d+\n\n/);
  assert.equal(stream.response.headers.get("cache-control"), "no-store, no-transform");
});

Deno.test("a Last-Event-ID replays exactly the later changes", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  await rate(api, user, task, 0, 1);
  const since = String(await readRevision(api, task));
  await rate(api, user, task, 3, 2);
  await rate(api, user, task, 5, 3);
  const requests: [Record<string, string>, string][] = [
    [{ "last-event-id": since }, ""],
    [{}, `?since=${since}`],
    [{ "last-event-id": since }, "?since=1"],
  ];
  for (const [headers, query] of requests) {
    await using stream = await listen(api, user, task, headers, query);
    await stream.until(is("end"));
    assert.deepEqual([...stream.cells().keys()].sort(), [3, 5]);
  }
});

Deno.test("an invalid or newer id causes a resync, followed by changes", async () => {
  await using fixture = await setUp();
  const { api, user, task } = fixture;
  await rate(api, user, task, 0, 1);
  for (const id of ["junk", "-1", "1e3", "999999", "99999999999999999999", "' or 1=1--"]) {
    await using stream = await listen(api, user, task, { "last-event-id": id });
    const { data } = await stream.until(is("resync"));
    assert.equal(data.revision, await readRevision(api, task), id);
    await stream.until(is("end"));
    assert.equal(stream.cells().size, 0);
    await rate(api, user, task, 1, 1);
    await untilRated(stream, 1, 1);
  }
});

Deno.test("an id before more than 10,000 changes causes a resync, and fewer changes come in batches of 500", async () => {
  await using fixture = await setUp();
  const { api, user } = fixture;
  const large = await addMatrix(api, user, { prompts: 101, ratios: 100 });
  await api.database.sql`update subtasks set revision = 2 where parent_task_id = ${large}`;
  await api.database.sql`update subtasks set revision = 3 where parent_task_id = ${large} and cell < 1200`;
  await api.database.sql`update tasks set revision = 3 where id = ${large}`;
  await using old = await listen(api, user, large, { "last-event-id": "1" });
  await old.until(is("resync"));
  await using newer = await listen(api, user, large, { "last-event-id": "2" });
  await newer.until(is("end"));
  assert.equal(newer.cells().size, 1200);
  const batches = newer.events.filter(is("cells"));
  assert.deepEqual(batches.map(({ data, id }) => [data.cells.length, id]), [
    [500, undefined],
    [500, undefined],
    [200, "3"],
  ]);
});

Deno.test("in a blind task only the owner and raters of an image receive others' ratings", async () => {
  await using fixture = await setUp();
  const { api, user, other, manager, task } = fixture;
  await api.database.sql`update tasks set blind = true where id = ${task}`;
  const made = await call(api, user, "POST", `/tasks/${task}/shares`, { mode: "rate" });
  await using owner = await listen(api, user, task);
  await using rater = await listen(api, other, task);
  await using link = await listen(api, made.body.token, task);
  await Promise.all([owner, rater, link].map((stream) => stream.until(is("end"))));
  await rate(api, manager, task, 2, 5);
  await untilRated(owner, 2, 1);
  await untilRated(rater, 2, null);
  await untilRated(link, 2, null);
  await rate(api, other, task, 2, 2);
  assert.equal((await untilRated(rater, 2, 2)).data.cells[0].mean, 3.5);
  await rate(api, user, task, 2, 2);
  await untilRated(owner, 2, 3);
  await untilRated(rater, 2, 3);
  for (const { data } of link.events.filter(is("cells"))) {
    for (const { mean, n } of data.cells) assert.deepEqual([mean, n], [null, null]);
  }
  // Nobody has rated the new image.
  await api.database
    .sql`update subtasks set attempt = 2, revision = 100 where parent_task_id = ${task} and cell = 2`;
  await api.database.sql`update tasks set revision = 100 where id = ${task}`;
  await rater.until(({ event, data }) =>
    event === "cells" && data.cells[0].version === 2 && data.cells[0].n === null
  );
});

Deno.test("a change of blindness resynchronises the clients whose view changes", async () => {
  await using fixture = await setUp();
  const { api, user, other, task } = fixture;
  await using owner = await listen(api, user, task);
  await using reader = await listen(api, other, task);
  await Promise.all([owner, reader].map((stream) => stream.until(is("end"))));
  for (const blind of [true, false]) {
    const from = reader.events.length;
    await api.database.sql`update tasks set blind = ${blind}, revision = revision + 1 where id = ${task}`;
    await reader.until(is("resync"), from);
  }
  await rate(api, user, task, 1, 3);
  await untilRated(owner, 1, 1);
  assert.equal(owner.events.filter(is("resync")).length, 0);
});

Deno.test("a stream reports progress, claims and the end of a run, and continues with a retry", async () => {
  await using fixture = await setUp();
  const { api, user } = fixture;
  const { sql } = api.database;
  const task = await addMatrix(api, user, { drawn: 2 });
  await sql`insert into workers (id, host, pid, queues) values ('w', 'h', 1, '{}')`;
  await using stream = await listen(api, user, task);
  await stream.until(({ data }) => data.pending === 4);
  await sql`
    update subtasks set status = 'processing', worker_id = 'w', lease_id = 1, started_at = now()
    where parent_task_id = ${task} and cell = 2`;
  await stream.until(({ data }) => data.running === 1 && data.pending === 3);
  await sql.begin(async (sql) => {
    const [{ revision }] = await sql`
      update tasks set status = 'completed', completed_at = now(), subtasks_completed = 6, revision = revision + 1
      where id = ${task} returning revision` as unknown as [{ revision: string }];
    await sql`
      update subtasks set status = 'completed', completed_at = now(), worker_id = null, lease_id = null, image_url = 'https://i/x',
        revision = ${revision}
      where parent_task_id = ${task} and cell >= 2`;
  });
  assert.equal((await stream.until(is("end"))).data.completed, 6);
  assert.deepEqual([...stream.cells().keys()].sort(), [2, 3, 4, 5]);
  const from = stream.events.length;
  await sql`
    update tasks set status = 'processing', completed_at = null, subtasks_completed = 5, revision = revision + 1
    where id = ${task}`;
  await stream.until(({ data }) => data.status === "processing" && data.pending === 1, from);
  await sql`update tasks set is_deleted = true where id = ${task}`;
  assert.equal((await stream.until(is("bye"))).data.reason, "deleted");
  await stream.untilEnd();
});

Deno.test("a stream ends with its token, session or share", async () => {
  await using fixture = await setUp();
  const { api, user, other, task } = fixture;
  const { sql } = api.database;
  const [session] = await sql`select id from sessions where user_id = ${user.id}`;
  const brief = await createAccessTokens(secret, 2).sign({
    userId: user.id,
    sessionId: session!.id,
    version: 0,
  });
  const made = await call(api, user, "POST", `/tasks/${task}/shares`, { mode: "read" });
  await using expiring = await listen(api, brief, task);
  await using signedOut = await listen(api, other, task);
  await using link = await listen(api, made.body.token, task);
  await using staying = await listen(api, user, task);
  await sql`update sessions set ended_at = now(), end_reason = 'signed out' where user_id = ${other.id}`;
  await call(api, user, "DELETE", `/tasks/${task}/shares/${made.body.id}`);
  assert.equal((await expiring.until(is("bye"))).data.reason, "expired");
  assert.equal((await signedOut.until(is("bye"))).data.reason, "revoked");
  assert.equal((await link.until(is("bye"))).data.reason, "revoked");
  await Promise.all([expiring, signedOut, link].map((stream) => stream.untilEnd()));
  assert.equal(staying.ended, false);
});

Deno.test("a user has at most twenty streams, more get 429, and closing one frees a place", async () => {
  await using fixture = await setUp();
  const { api, user, other, task } = fixture;
  const open = await Promise.all(Array.from({ length: 20 }, () => listen(api, user, task)));
  const more = await call(api, user, "GET", `/tasks/${task}/events`);
  assert.equal(more.status, 429, more.text);
  assert.equal(more.headers.get("retry-after"), "10");
  await using _ = await listen(api, other, task);
  await Promise.all(open.map((stream) => stream[Symbol.asyncDispose]()));
  await waitFor("a free stream", async () => {
    const answer = await fetch(`${api.origin}/api/v2/tasks/${task}/events`, {
      headers: { authorization: `Bearer ${user.access}` },
    });
    await answer.body?.cancel();
    return answer.status === 200;
  });
});

Deno.test("a stream requires authentication and an existing task", async () => {
  await using fixture = await setUp();
  const { api, user, disabled, task } = fixture;
  assert.equal((await call(api, undefined, "GET", `/tasks/${task}/events`)).status, 401);
  assert.equal((await call(api, disabled, "GET", `/tasks/${task}/events`)).status, 401);
  for (const id of [crypto.randomUUID(), "x"]) {
    assert.equal((await call(api, user, "GET", `/tasks/${id}/events`)).status, 404);
  }
});

Deno.test("a slow client loses its queue beyond the limit and is resynchronised", async () => {
  let gone = 0;
  const client = new EventClient(() => [eventText("resync", { revision: 9 }, 9)], () => gone++);
  for (let i = 0; i < 9; i++) client.push(new Uint8Array(1024 * 1024));
  client.push(eventText("cells", {}, 8));
  const reader = client.stream.getReader();
  const next = async () => new TextDecoder().decode((await reader.read()).value);
  assert.match(await next(), /^event: resync\nid: 9/);
  client.push(eventText("cells", {}, 10));
  assert.match(await next(), /^event: cells\nid: 10/);
  await reader.cancel();
  client.push(eventText("cells", {}, 11));
  assert.equal(gone, 1);
});

Deno.test("the hub counts streams, limits them and releases them when they end", async () => {
  await using fixture = await setUp();
  const sql = connect(fixture.api.database.url, { max: 1 });
  const closing = new AbortController();
  const hub = new EventHub({ sql, log: silentLog, closing: closing.signal });
  const credential = { kind: "share" as const, id: crypto.randomUUID() };
  const viewer = { id: "me", credential, expiresAt: null, hidesRatings: () => false, since: undefined };
  const gone = new AbortController();
  const open = () =>
    hub.open(fixture.task, viewer, { streamsMax: 3, gone: gone.signal }) as ReadableStream<Uint8Array>;
  const readers = [open(), open(), open()].map((stream) => stream.getReader());
  assert.equal(hub.open(fixture.task, viewer, { streamsMax: 3, gone: gone.signal }), "too_many");
  await Promise.all(readers.map((reader) => reader.read()));
  assert.equal(hub.size, 3);
  await readers[0]!.cancel();
  assert.equal(hub.size, 2);
  gone.abort();
  assert.equal(hub.size, 0);
  const last = hub.open(fixture.task, viewer, { streamsMax: 3, gone: new AbortController().signal });
  closing.abort();
  const text = await new Response(last as ReadableStream).text();
  assert.match(text, /event: bye\ndata: \{"reason":"draining"\}/);
  assert.equal(hub.open(fixture.task, viewer, { streamsMax: 3, gone: gone.signal }), "draining");
  await sql.end();
});
