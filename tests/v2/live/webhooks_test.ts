/** Webhooks: signatures, order, retries, permitted hosts and permissions. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { startRig } from "../../support/queue_rig.ts";
import { waitFor } from "../../support/wait.ts";
import { addMatrix, call } from "../support/api.ts";
import { setUpWebhooks, startReceiver } from "../support/webhooks.ts";

Deno.test("an event is sent, signed, to the webhooks that subscribe to it, and logged as arrived", async () => {
  await using receiver = startReceiver();
  await using fixture = await setUpWebhooks([receiver.origin]);
  const wants = await fixture.add(`${receiver.origin}/a?x=1`, { events: ["completed"] });
  await fixture.add(`${receiver.origin}/b`, { events: ["held"] });
  await fixture.addEvent("completed");
  await fixture.sender().drain();
  assert.deepEqual(receiver.received.map(({ path }) => path), ["/a"]);
  const { headers, text } = receiver.received[0]!;
  const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(
    headers.get("x-contactsheet-signature")!,
  )!;
  assert.equal(signature, createHmac("sha256", wants.secret).update(`${seconds}.${text}`).digest("hex"));
  const body = JSON.parse(text);
  assert.deepEqual([body.event, body.delivery], ["completed", headers.get("x-contactsheet-delivery")]);
  assert.deepEqual(
    [body.task.id, body.task.name, body.task.status, body.task.total, body.task.completed],
    [fixture.task, "a matrix", "completed", 6, 6],
  );
  const [entry] = await fixture.readLog(wants.id);
  assert.deepEqual([entry.state, entry.tries, entry.status, entry.error, entry.next_try_at], [
    "arrived",
    1,
    200,
    null,
    null,
  ]);
});

Deno.test("a failed delivery is sent again with the same id, and later ones of the webhook wait for it", async () => {
  await using receiver = startReceiver((_, tries) => new Response(null, { status: tries < 3 ? 500 : 204 }));
  await using fixture = await setUpWebhooks([receiver.origin]);
  const { id } = await fixture.add(`${receiver.origin}/a`, { events: ["submitted", "held", "completed"] });
  for (const kind of ["held", "completed"]) await fixture.addEvent(kind);
  const sender = fixture.sender();
  await sender.drain();
  const [second, first] = await fixture.readLog(id);
  assert.deepEqual([first.state, first.tries, first.status, first.error], ["waiting", 1, 500, "HTTP 500"]);
  assert.deepEqual([second.state, second.tries], ["waiting", 0]);
  await fixture.makeDue();
  await sender.drain();
  await fixture.makeDue();
  await sender.drain();
  assert.deepEqual(receiver.received.map(({ text }) => JSON.parse(text).event), [
    "held",
    "held",
    "held",
    "completed",
  ]);
  assert.equal(
    new Set(receiver.received.map(({ headers }) => headers.get("x-contactsheet-delivery"))).size,
    2,
  );
  assert.deepEqual((await fixture.readLog(id)).map(({ state }: { state: string }) => state), [
    "arrived",
    "arrived",
  ]);
});

Deno.test("a receiver that does not respond delays neither other deliveries nor the caller", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using receiver = startReceiver(async (path) => {
    if (path === "/slow") await released;
    return new Response();
  });
  await using fixture = await setUpWebhooks([receiver.origin]);
  const slow = await fixture.add(`${receiver.origin}/slow`);
  const quick = await fixture.add(`${receiver.origin}/quick`);
  await fixture.addEvent("held");
  const sender = fixture.sender();
  assert.equal(await sender.startDue(), 2);
  await waitFor("the quick delivery", async () => (await fixture.readLog(quick.id))[0].state === "arrived");
  assert.equal((await fixture.readLog(slow.id))[0].state, "waiting");
  assert.equal(await sender.startDue(), 0);
  release();
  await sender.drain();
  assert.equal((await fixture.readLog(slow.id))[0].state, "arrived");
});

Deno.test("several senders send each delivery once, and a delivery is sent again if its sender died", async () => {
  await using receiver = startReceiver();
  await using fixture = await setUpWebhooks([receiver.origin]);
  await fixture.sql`
    insert into webhooks (task_id, url, secret, events, created_by)
    select ${fixture.task}, ${receiver.origin} || '/' || i, 's', '{held,completed}', ${fixture.user.id} from generate_series(1, 30) i`;
  for (const kind of ["held", "completed"]) await fixture.addEvent(kind);
  await Promise.all([fixture.sender(), fixture.sender(), fixture.sender()].map((sender) => sender.drain()));
  await fixture.sender().drain();
  const ids = receiver.received.map(({ headers }) => headers.get("x-contactsheet-delivery"));
  assert.equal(ids.length, 60);
  assert.equal(new Set(ids).size, 60);
  await fixture.sql`update deliveries set closed_at = null, status = null where id = ${ids[0]!}::bigint`;
  await fixture.sender().drain();
  assert.equal(receiver.received.length, 60, "not while it may still be in progress");
  await fixture.makeDue();
  await fixture.sender().drain();
  assert.equal(receiver.received[60]!.headers.get("x-contactsheet-delivery"), ids[0]);
});

Deno.test("a delivery is given up after twelve tries or a 410, and redirects are not followed", async () => {
  await using receiver = startReceiver((path) =>
    path === "/gone"
      ? new Response(null, { status: 410 })
      : path === "/moved"
      ? new Response(null, { status: 302, headers: { location: "/elsewhere" } })
      : new Response(null, { status: 503 })
  );
  await using fixture = await setUpWebhooks([receiver.origin]);
  const down = await fixture.add(`${receiver.origin}/down`);
  const gone = await fixture.add(`${receiver.origin}/gone`);
  const moved = await fixture.add(`${receiver.origin}/moved`);
  await fixture.addEvent("held");
  const sender = fixture.sender();
  const waits: number[] = [];
  for (let i = 0; i < 14; i++) {
    await sender.drain();
    const [entry] = await fixture.readLog(down.id);
    if (entry.next_try_at) waits.push(Math.round((Date.parse(entry.next_try_at) - Date.now()) / 1000));
    await fixture.makeDue();
  }
  const [given] = await fixture.readLog(down.id);
  assert.deepEqual([given.state, given.tries, given.error], ["given_up", 12, "HTTP 503"]);
  assert.ok(waits.every((wait, i) => i === 0 || wait > waits[i - 1]!), waits.join());
  assert.deepEqual(
    (await fixture.readLog(gone.id)).map(({ state, tries }: Record<string, unknown>) => [state, tries]),
    [["given_up", 1]],
  );
  assert.equal((await fixture.readLog(moved.id))[0].error, "redirects are not followed");
  assert.ok(receiver.received.every(({ path }) => path !== "/elsewhere"));
});

Deno.test("only URLs on permitted hosts are accepted, with https unless the entry has http", async () => {
  await using fixture = await setUpWebhooks(["hooks.example.com", "http://10.0.0.5:9000"]);
  const ask = (body: unknown) =>
    call(fixture.api, fixture.user, "POST", `/tasks/${fixture.task}/webhooks`, body);
  const refused = [
    "http://hooks.example.com/a",
    "https://hooks.example.com:8443/a",
    "https://hooks.example.com.evil.example/",
    "https://evil.example/hooks.example.com",
    "https://user:pw@hooks.example.com/",
    "https://hooks.example.com/#x",
    "https://hooks.example.com@evil.example/",
    "https://10.0.0.5:9000/",
    "http://10.0.0.5/",
    "http://169.254.169.254/latest",
    "http://2130706433/",
    "http://[::ffff:127.0.0.1]/",
    "file:///etc/passwd",
    "gopher://hooks.example.com/",
    "javascript:alert(1)",
    "//hooks.example.com/a",
    "hooks.example.com/a",
    "",
    "https://hooks.example.com/\0",
    "https://hooks.example.com/ x",
    "https://hooks.example.com/\r\nX: y",
    `https://hooks.example.com/${"x".repeat(2000)}`,
  ];
  for (const url of refused) {
    const { status, text } = await ask({ url });
    assert.equal(status, 422, `${url}: ${text}`);
    assert.match(text, /body\.url/);
  }
  const url = "https://HOOKS.example.com/a b".replace(" ", "%20");
  assert.equal((await ask({ url })).body.url, "https://hooks.example.com/a%20b");
  assert.equal((await ask({ url: "http://10.0.0.5:9000/x" })).status, 201);
  await using closed = await setUpWebhooks([]);
  assert.equal(
    (await call(closed.api, closed.user, "POST", `/tasks/${closed.task}/webhooks`, { url })).status,
    422,
  );
});

Deno.test("an invalid webhook is refused with the name of the field", async () => {
  await using fixture = await setUpWebhooks(["hooks.example.com"]);
  const url = "https://hooks.example.com/a";
  const cases: [unknown, string][] = [
    [{ url, events: [] }, "events"],
    [{ url, events: ["exploded"] }, "events"],
    [{ url, secret: "short" }, "secret"],
    [{ url, secret: `${"x".repeat(16)}\n` }, "secret"],
    [{ url, more: 1 }, "more"],
    [{}, "url"],
  ];
  for (const [input, field] of cases) {
    const path = `/tasks/${fixture.task}/webhooks`;
    const { status, text } = await call(fixture.api, fixture.user, "POST", path, input);
    assert.equal(status, 422, text);
    assert.match(text, new RegExp(field));
  }
});

Deno.test("the secret is returned only on creation and its repetition by key, and is not logged", async () => {
  await using fixture = await setUpWebhooks(["hooks.example.com"]);
  const { api, user, task } = fixture;
  const path = `/tasks/${task}/webhooks`;
  const url = "https://hooks.example.com/a";
  const post = () => call(api, user, "POST", path, { url }, { "idempotency-key": "k" });
  const first = await post();
  const second = await post();
  assert.match(first.body.secret, /^whsec_[\w-]{43}$/);
  assert.deepEqual(second.body, first.body);
  const [{ body: stored }] = await fixture.sql`select body from idempotency_keys` as unknown as [
    { body: string },
  ];
  assert.ok(!stored.includes("whsec_"));
  const given = await fixture.add(url, { secret: "my own secret!!!".replaceAll(" ", "_") });
  assert.equal(given.secret, "my_own_secret!!!");
  const listed = await call(api, user, "GET", path);
  assert.equal(listed.body.items.length, 2);
  assert.doesNotMatch(listed.text, /secret/);
  assert.ok(api.lines.every((line) => !JSON.stringify(line).includes("whsec_")));
});

Deno.test("only the owner and admins manage webhooks, at most ten per task", async () => {
  await using fixture = await setUpWebhooks(["hooks.example.com"]);
  const { api, user, other, manager, guest, admin, task } = fixture;
  const path = `/tasks/${task}/webhooks`;
  const url = "https://hooks.example.com/a";
  const { id: webhook } = await fixture.add(url);
  for (const person of [other, manager, guest]) {
    for (
      const [method, to, body] of [
        ["POST", path, { url }],
        ["GET", path],
        ["GET", `${path}/${webhook}/deliveries`],
        ["POST", `${path}/${webhook}/test`],
        ["DELETE", `${path}/${webhook}`],
      ] as [string, string, unknown?][]
    ) assert.equal((await call(api, person, method, to, body)).status, 403, `${method} ${to}`);
  }
  const elsewhere = await addMatrix(api, user);
  for (const id of [crypto.randomUUID(), "x"]) {
    assert.equal((await call(api, user, "DELETE", `${path}/${id}`)).status, 404);
    assert.equal((await call(api, user, "GET", `${path}/${id}/deliveries`)).status, 404);
  }
  assert.equal((await call(api, user, "DELETE", `/tasks/${elsewhere}/webhooks/${webhook}`)).status, 404);
  assert.equal((await call(api, admin, "DELETE", `${path}/${webhook}`)).status, 204);
  for (let i = 0; i < 10; i++) await fixture.add(url);
  assert.equal((await call(api, user, "POST", path, { url })).status, 409);
});

Deno.test("a test is sent like an event, at most five may wait, and the log has pages", async () => {
  await using receiver = startReceiver();
  await using fixture = await setUpWebhooks([receiver.origin]);
  const { id } = await fixture.add(`${receiver.origin}/t`);
  const path = `/tasks/${fixture.task}/webhooks/${id}`;
  const statuses = [];
  for (let i = 0; i < 6; i++) {
    statuses.push((await call(fixture.api, fixture.user, "POST", `${path}/test`)).status);
  }
  assert.deepEqual(statuses, [202, 202, 202, 202, 202, 409]);
  await fixture.sender().drain();
  assert.deepEqual(receiver.received.map(({ text }) => JSON.parse(text).event), Array(5).fill("test"));
  const first = await call(fixture.api, fixture.user, "GET", `${path}/deliveries?limit=3`);
  const second = await call(
    fixture.api,
    fixture.user,
    "GET",
    `${path}/deliveries?limit=3&cursor=${first.body.next}`,
  );
  const ids = [...first.body.items, ...second.body.items].map(({ id }) => Number(id));
  assert.deepEqual(ids, ids.toSorted((a, b) => b - a));
  assert.equal(ids.length, 5);
  assert.equal((await call(fixture.api, fixture.user, "GET", `${path}/deliveries?cursor=x`)).status, 422);
});

Deno.test("the leader sends deliveries", async () => {
  await using receiver = startReceiver();
  await using rig = await startRig({ env: { WEBHOOK_HOSTS: receiver.origin } });
  const id = await rig.submit(["ok", "ok again"]);
  await rig.sql`
    insert into webhooks (task_id, url, secret, events, created_by)
    values (${id}, ${receiver.origin}, 's', '{completed}', gen_random_uuid())`;
  await rig.startWorker({ random: () => 0 });
  await waitFor("the webhook", () => receiver.received.length === 1);
  assert.equal(JSON.parse(receiver.received[0]!.text).task.completed, 2);
});
