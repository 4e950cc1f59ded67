/** Webhooks: signatures, order, retries, permitted hosts, and the connection of the sender. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { parseConfig, readWebhookUrl } from "../../../config.ts";
import { isPublicAddress } from "../../../jobs/tell/webhooks_address.ts";
import { postPinned } from "../../../jobs/tell/webhooks_post.ts";
import { WebhookSender } from "../../../jobs/tell/webhooks.ts";
import { silentLog } from "../../../log.ts";
import { startApi } from "../../support/api.ts";
import { startRig } from "../../support/queue_rig.ts";
import { waitFor } from "../../support/wait.ts";
import { addMatrix, addPeople, call } from "../support/api.ts";

interface ReceivedRequest {
  path: string;
  headers: Headers;
  text: string;
}

/** Starts a receiver; by default it responds with 200. */
function startReceiver(
  answer: (path: string, tries: number) => Response | Promise<Response> = () => new Response(),
) {
  const received: ReceivedRequest[] = [];
  const tries = new Map<string, number>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = new URL(request.url).pathname;
    received.push({ path, headers: request.headers, text: await request.text() });
    tries.set(path, (tries.get(path) ?? 0) + 1);
    return await answer(path, tries.get(path)!);
  });
  const origin = `http://127.0.0.1:${server.addr.port}`;
  return { received, origin, [Symbol.asyncDispose]: () => server.shutdown() };
}

async function setUp(hosts: string[]) {
  const api = await startApi({ env: { WEBHOOK_HOSTS: hosts.join(",") } });
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  const { sql } = api.database;
  const sender = () =>
    new WebhookSender({ sql, log: silentLog, hosts, random: () => 0.5, timeoutMs: 20_000 });
  const add = async (url: string, more: Record<string, unknown> = {}) => {
    const answer = await call(api, people.user, "POST", `/tasks/${task}/webhooks`, { url, ...more });
    assert.equal(answer.status, 201, answer.text);
    return answer.body as { id: string; secret: string; url: string; events: string[] };
  };
  const addEvent = (kind: string) => sql`insert into outbox (task_id, kind) values (${task}, ${kind})`;
  const readLog = async (id: string) =>
    (await call(api, people.user, "GET", `/tasks/${task}/webhooks/${id}/deliveries`)).body.items;
  /** Makes all waiting deliveries due. */
  const makeDue = () => sql`update deliveries set due_at = now() - interval '1 s' where closed_at is null`;
  return {
    api,
    ...people,
    task,
    sql,
    sender,
    add,
    addEvent,
    readLog,
    makeDue,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

Deno.test("an event is sent, signed, to the webhooks that subscribe to it, and logged as arrived", async () => {
  await using receiver = startReceiver();
  await using fixture = await setUp([receiver.origin]);
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

Deno.test("a failed delivery is sent again with the same id, and makeDue ones of the webhook wait for it", async () => {
  await using receiver = startReceiver((_, tries) => new Response(null, { status: tries < 3 ? 500 : 204 }));
  await using fixture = await setUp([receiver.origin]);
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
  await using fixture = await setUp([receiver.origin]);
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
  await using fixture = await setUp([receiver.origin]);
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
  await using fixture = await setUp([receiver.origin]);
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
  await using fixture = await setUp(["hooks.example.com", "http://10.0.0.5:9000"]);
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
  await using closed = await setUp([]);
  assert.equal(
    (await call(closed.api, closed.user, "POST", `/tasks/${closed.task}/webhooks`, { url })).status,
    422,
  );
});

Deno.test("an invalid webhook is refused with the name of the field", async () => {
  await using fixture = await setUp(["hooks.example.com"]);
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
  await using fixture = await setUp(["hooks.example.com"]);
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
  await using fixture = await setUp(["hooks.example.com"]);
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
  await using fixture = await setUp([receiver.origin]);
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

Deno.test("a host name is resolved once, its address is checked and used, and its certificate is verified", async () => {
  const read = (name: string) =>
    Deno.readTextFile(new URL(`../../data/webhooks/${name}.pem`, import.meta.url));
  const authority = await read("ca");
  const cert = await read("cert");
  const key = await read("key");
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen() {} },
    (request) => new Response(request.headers.get("host"), { status: 202 }),
  );
  const { port } = server.addr;
  let asked = 0;
  const net = (addresses: string[]) => ({
    caCerts: [authority],
    resolve: () => {
      asked++;
      return Promise.resolve(addresses);
    },
  });
  const post = (name: string, trusted: boolean, addresses: string[]) =>
    postPinned(
      { url: new URL(`https://${name}:${port}/`), trusted, headers: {}, body: "{}", timeoutMs: 20_000 },
      net(addresses),
    );
  assert.deepEqual(await post("hooks.example.com", true, ["127.0.0.1"]), { status: 202 });
  assert.equal(asked, 1);
  assert.match(
    JSON.stringify(await post("other.example.com", true, ["127.0.0.1"])),
    /unreachable: InvalidData/,
  );
  for (const addresses of [["127.0.0.1"], ["93.184.216.34", "127.0.0.1"], ["::ffff:10.0.0.1"]]) {
    assert.deepEqual(await post("hooks.example.com", false, addresses), {
      error: "the name leads into a private network",
    });
  }
  assert.deepEqual(await post("hooks.example.com", true, []), { error: "no address of that name" });
  await server.shutdown();
});

Deno.test("an invalid response and a timeout are failures", async () => {
  const said = [
    "garbage\r\n\r\n",
    "",
    "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/1.1 2",
    "x".repeat(20_000),
  ];
  const wanted = [/not an answer/, /closed without/, /"status":200/, /closed without/, /not an answer/];
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const serving = (async () => {
    for (const text of [...said, undefined]) {
      const conn = await listener.accept();
      await conn.read(new Uint8Array(4096));
      if (text === undefined) {
        await conn.read(new Uint8Array(1)).catch(() => {});
        conn.close();
        continue;
      }
      await conn.write(new TextEncoder().encode(text)).catch(() => {});
      conn.close();
    }
  })();
  const post = (timeoutMs: number) =>
    postPinned({
      url: new URL(`http://127.0.0.1:${port}/`),
      trusted: true,
      headers: {},
      body: "{}",
      timeoutMs,
    });
  for (const pattern of wanted) assert.match(JSON.stringify(await post(20_000)), pattern);
  assert.deepEqual(await post(300), { error: "no answer within 0.3 s" });
  await serving;
  listener.close();
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

const addresses: [range: string, isPublic: boolean, addresses: string[]][] = [
  ["public IPv4", true, ["1.1.1.1", "172.32.0.1", "93.184.216.34"]],
  ["public IPv6", true, ["2606:4700:4700::1111", "2a00:1450:4001:81b::200e"]],
  ["unspecified", false, ["0.0.0.0", "0.1.2.3", "::"]],
  ["loopback", false, ["127.0.0.1", "::1"]],
  ["private", false, ["10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fec0::1"]],
  ["shared", false, ["100.64.0.1"]],
  ["link-local", false, ["169.254.169.254", "fe80::1", "fe80::1%eth0"]],
  ["multicast and broadcast", false, ["224.0.0.1", "255.255.255.255", "ff02::1"]],
  ["reserved IPv4", false, ["192.0.0.1", "192.88.99.1", "198.18.0.1", "240.0.0.1"]],
  ["documentation", false, ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"]],
  ["AS112", false, ["192.31.196.1", "192.175.48.1", "2001:4:112::1", "2620:4f:8000::1"]],
  ["multicast tunnels", false, ["192.52.193.1", "2001:3::1"]],
  ["IPv6 that carries IPv4", false, [
    "::ffff:8.8.8.8",
    "::ffff:127.0.0.1",
    "::7f00:1",
    "64:ff9b::7f00:1",
    "64:ff9b:1::1",
    "2001::1",
    "2002:7f00:1::",
  ]],
  ["discard, benchmarks and segment routing", false, ["100::1", "2001:2::1", "5f00::1"]],
  ["unassigned IPv6", false, ["4000::1", "2001:1ff::1"]],
  ["IPv4 in other notations", false, ["127.1", "0x7f.0.0.1", "010.0.0.1", "2130706433", "8.8.8.8."]],
  ["no addresses", false, ["localhost", "", "1.2.3", "256.1.1.1", "1::2::3"]],
];
for (const [range, isPublic, texts] of addresses) {
  Deno.test(`webhook addresses: ${range}: ${isPublic ? "public" : "not public"}`, () => {
    for (const text of texts) assert.equal(isPublicAddress(text), isPublic, text);
  });
}

Deno.test("parseConfig() refuses WEBHOOK_HOSTS with entries that are not hosts", () => {
  const good = { DATABASE_URL: "postgres://u:p@h/d", SECRET_KEY: "0123456789abcdef0123456789abcdef" };
  const wrong = ["https://h/path", "ftp://h", "a b", "h?x"];
  for (const entry of wrong) {
    assert.throws(
      () => parseConfig({ ...good, WEBHOOK_HOSTS: `ok.example,${entry}` }, "api"),
      /some values are invalid/,
      entry,
    );
  }
  const { WEBHOOK_HOSTS: hosts } = parseConfig({
    ...good,
    WEBHOOK_HOSTS: "a.example, B.example:8443, http://[::1]:9",
  }, "api");
  for (const url of ["https://a.example/x", "https://b.example:8443/", "http://[::1]:9/"]) {
    assert.notEqual(typeof readWebhookUrl(hosts, url), "string", url);
  }
});
