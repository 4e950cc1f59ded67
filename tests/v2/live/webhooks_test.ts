/** Webhooks: signed, in their order, once, again until they arrive, and only where the operator lets them. */
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

interface Got {
  path: string;
  headers: Headers;
  text: string;
}

/** A receiver that answers as it is told by path; 200 unless told. */
function startReceiver(
  answer: (path: string, tries: number) => Response | Promise<Response> = () => new Response(),
) {
  const got: Got[] = [];
  const tries = new Map<string, number>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const path = new URL(request.url).pathname;
    got.push({ path, headers: request.headers, text: await request.text() });
    tries.set(path, (tries.get(path) ?? 0) + 1);
    return await answer(path, tries.get(path)!);
  });
  const origin = `http://127.0.0.1:${server.addr.port}`;
  return { got, origin, [Symbol.asyncDispose]: () => server.shutdown() };
}

async function stage(hosts: string[]) {
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
  const tell = (kind: string) => sql`insert into outbox (task_id, kind) values (${task}, ${kind})`;
  const readLog = async (id: string) =>
    (await call(api, people.user, "GET", `/tasks/${task}/webhooks/${id}/deliveries`)).body.items;
  /** Time passes: what waits for its next try is due. */
  const later = () => sql`update deliveries set due_at = now() - interval '1 s' where closed_at is null`;
  return {
    api,
    ...people,
    task,
    sql,
    sender,
    add,
    tell,
    readLog,
    later,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

Deno.test("an event of the task is sent to who wants it, signed, and the log says that it arrived", async () => {
  await using receiver = startReceiver();
  await using at = await stage([receiver.origin]);
  const wants = await at.add(`${receiver.origin}/a?x=1`, { events: ["completed"] });
  await at.add(`${receiver.origin}/b`, { events: ["held"] });
  await at.tell("completed");
  await at.sender().drain();
  assert.deepEqual(receiver.got.map(({ path }) => path), ["/a"]);
  const { headers, text } = receiver.got[0]!;
  const [, seconds, signature] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(
    headers.get("x-contactsheet-signature")!,
  )!;
  assert.equal(signature, createHmac("sha256", wants.secret).update(`${seconds}.${text}`).digest("hex"));
  const body = JSON.parse(text);
  assert.deepEqual([body.event, body.delivery], ["completed", headers.get("x-contactsheet-delivery")]);
  assert.deepEqual(
    [body.task.id, body.task.name, body.task.status, body.task.total, body.task.completed],
    [at.task, "a matrix", "completed", 6, 6],
  );
  const [entry] = await at.readLog(wants.id);
  assert.deepEqual([entry.state, entry.tries, entry.status, entry.error, entry.next_try_at], [
    "arrived",
    1,
    200,
    null,
    null,
  ]);
});

Deno.test("what fails is sent again under the same id, and what follows of that webhook waits for it", async () => {
  await using receiver = startReceiver((_, tries) => new Response(null, { status: tries < 3 ? 500 : 204 }));
  await using at = await stage([receiver.origin]);
  const { id } = await at.add(`${receiver.origin}/a`, { events: ["submitted", "held", "completed"] });
  for (const kind of ["held", "completed"]) await at.tell(kind);
  const sender = at.sender();
  await sender.drain();
  const [second, first] = await at.readLog(id);
  assert.deepEqual([first.state, first.tries, first.status, first.error], ["waiting", 1, 500, "HTTP 500"]);
  assert.deepEqual([second.state, second.tries], ["waiting", 0]);
  await at.later();
  await sender.drain();
  await at.later();
  await sender.drain();
  assert.deepEqual(receiver.got.map(({ text }) => JSON.parse(text).event), [
    "held",
    "held",
    "held",
    "completed",
  ]);
  assert.equal(new Set(receiver.got.map(({ headers }) => headers.get("x-contactsheet-delivery"))).size, 2);
  assert.deepEqual((await at.readLog(id)).map(({ state }: { state: string }) => state), [
    "arrived",
    "arrived",
  ]);
});

Deno.test("a receiver that does not answer delays nobody else, nor who asks for more to be sent", async () => {
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  await using receiver = startReceiver(async (path) => {
    if (path === "/slow") await released;
    return new Response();
  });
  await using at = await stage([receiver.origin]);
  const slow = await at.add(`${receiver.origin}/slow`);
  const quick = await at.add(`${receiver.origin}/quick`);
  await at.tell("held");
  const sender = at.sender();
  assert.equal(await sender.kick(), 2);
  while ((await at.readLog(quick.id))[0].state !== "arrived") {
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.equal((await at.readLog(slow.id))[0].state, "waiting");
  assert.equal(await sender.kick(), 0);
  release();
  await sender.drain();
  assert.equal((await at.readLog(slow.id))[0].state, "arrived");
});

Deno.test("several senders send each delivery once; one whose sender died is sent again", async () => {
  await using receiver = startReceiver();
  await using at = await stage([receiver.origin]);
  await at.sql`
    insert into webhooks (task_id, url, secret, events, created_by)
    select ${at.task}, ${receiver.origin} || '/' || i, 's', '{held,completed}', ${at.user.id} from generate_series(1, 30) i`;
  for (const kind of ["held", "completed"]) await at.tell(kind);
  await Promise.all([at.sender(), at.sender(), at.sender()].map((sender) => sender.drain()));
  await at.sender().drain();
  const ids = receiver.got.map(({ headers }) => headers.get("x-contactsheet-delivery"));
  assert.equal(ids.length, 60);
  assert.equal(new Set(ids).size, 60);
  await at.sql`update deliveries set closed_at = null, status = null where id = ${ids[0]!}::bigint`;
  await at.sender().drain();
  assert.equal(receiver.got.length, 60, "not while it may still be under way");
  await at.later();
  await at.sender().drain();
  assert.equal(receiver.got[60]!.headers.get("x-contactsheet-delivery"), ids[0]);
});

Deno.test("twelve tries, then it is given up; 410 ends it at once; redirects are not followed", async () => {
  await using receiver = startReceiver((path) =>
    path === "/gone"
      ? new Response(null, { status: 410 })
      : path === "/moved"
      ? new Response(null, { status: 302, headers: { location: "/elsewhere" } })
      : new Response(null, { status: 503 })
  );
  await using at = await stage([receiver.origin]);
  const down = await at.add(`${receiver.origin}/down`);
  const gone = await at.add(`${receiver.origin}/gone`);
  const moved = await at.add(`${receiver.origin}/moved`);
  await at.tell("held");
  const sender = at.sender();
  const waits: number[] = [];
  for (let i = 0; i < 14; i++) {
    await sender.drain();
    const [entry] = await at.readLog(down.id);
    if (entry.next_try_at) waits.push(Math.round((Date.parse(entry.next_try_at) - Date.now()) / 1000));
    await at.later();
  }
  const [given] = await at.readLog(down.id);
  assert.deepEqual([given.state, given.tries, given.error], ["given_up", 12, "HTTP 503"]);
  assert.ok(waits.every((wait, i) => i === 0 || wait > waits[i - 1]!), waits.join());
  assert.deepEqual(
    (await at.readLog(gone.id)).map(({ state, tries }: Record<string, unknown>) => [state, tries]),
    [["given_up", 1]],
  );
  assert.equal((await at.readLog(moved.id))[0].error, "redirects are not followed");
  assert.ok(receiver.got.every(({ path }) => path !== "/elsewhere"));
});

Deno.test("only listed hosts, by https unless listed with http; bad wishes are refused by field", async () => {
  await using at = await stage(["hooks.example.com", "http://10.0.0.5:9000"]);
  const ask = (body: unknown) => call(at.api, at.user, "POST", `/tasks/${at.task}/webhooks`, body);
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
  for (
    const [wish, field] of [
      [{ url, events: [] }, "events"],
      [{ url, events: ["exploded"] }, "events"],
      [{ url, secret: "short" }, "secret"],
      [{ url, secret: `${"x".repeat(16)}\n` }, "secret"],
      [{ url, more: 1 }, "more"],
      [{}, "url"],
    ] as const
  ) {
    const { status, text } = await ask(wish);
    assert.equal(status, 422, text);
    assert.match(text, new RegExp(field));
  }
  assert.equal((await ask({ url })).body.url, "https://hooks.example.com/a%20b");
  assert.equal((await ask({ url: "http://10.0.0.5:9000/x" })).status, 201);
  await using closed = await stage([]);
  assert.equal(
    (await call(closed.api, closed.user, "POST", `/tasks/${closed.task}/webhooks`, { url })).status,
    422,
  );
});

Deno.test("the secret is told once, by key again; the list has none; ten a task; only the owner and admins", async () => {
  await using at = await stage(["hooks.example.com"]);
  const { api, user, other, manager, guest, admin, task } = at;
  const path = `/tasks/${task}/webhooks`;
  const url = "https://hooks.example.com/a";
  const once = () => call(api, user, "POST", path, { url }, { "idempotency-key": "k" });
  const first = await once();
  const second = await once();
  assert.match(first.body.secret, /^whsec_[\w-]{43}$/);
  assert.deepEqual(second.body, first.body);
  const [{ body: stored }] = await at.sql`select body from idempotency_keys` as unknown as [{ body: string }];
  assert.ok(!stored.includes("whsec_"));
  const given = await at.add(url, { secret: "my own secret!!!".replaceAll(" ", "_") });
  assert.equal(given.secret, "my_own_secret!!!");
  const listed = await call(api, user, "GET", path);
  assert.equal(listed.body.items.length, 2);
  assert.doesNotMatch(listed.text, /secret/);
  for (const person of [other, manager, guest]) {
    for (
      const [method, to, body] of [
        ["POST", path, { url }],
        ["GET", path],
        ["GET", `${path}/${given.id}/deliveries`],
        ["POST", `${path}/${given.id}/test`],
        ["DELETE", `${path}/${given.id}`],
      ] as [string, string, unknown?][]
    ) assert.equal((await call(api, person, method, to, body)).status, 403, `${method} ${to}`);
  }
  const elsewhere = await addMatrix(api, user);
  for (const id of [crypto.randomUUID(), "x"]) {
    assert.equal((await call(api, user, "DELETE", `${path}/${id}`)).status, 404);
    assert.equal((await call(api, user, "GET", `${path}/${id}/deliveries`)).status, 404);
  }
  assert.equal((await call(api, user, "DELETE", `/tasks/${elsewhere}/webhooks/${given.id}`)).status, 404);
  assert.equal((await call(api, admin, "DELETE", `${path}/${given.id}`)).status, 204);
  for (let i = 0; i < 9; i++) await at.add(url);
  assert.equal((await call(api, user, "POST", path, { url })).status, 409);
  assert.ok(api.lines.every((line) => !JSON.stringify(line).includes("whsec_")));
});

Deno.test("a test is sent as events are; a few wait at most; the log is in pages, and read by its cursor", async () => {
  await using receiver = startReceiver();
  await using at = await stage([receiver.origin]);
  const { id } = await at.add(`${receiver.origin}/t`);
  const path = `/tasks/${at.task}/webhooks/${id}`;
  const statuses = [];
  for (let i = 0; i < 6; i++) statuses.push((await call(at.api, at.user, "POST", `${path}/test`)).status);
  assert.deepEqual(statuses, [202, 202, 202, 202, 202, 409]);
  await at.sender().drain();
  assert.deepEqual(receiver.got.map(({ text }) => JSON.parse(text).event), Array(5).fill("test"));
  const first = await call(at.api, at.user, "GET", `${path}/deliveries?limit=3`);
  const second = await call(at.api, at.user, "GET", `${path}/deliveries?limit=3&cursor=${first.body.next}`);
  const ids = [...first.body.items, ...second.body.items].map(({ id }) => Number(id));
  assert.deepEqual(ids, ids.toSorted((a, b) => b - a));
  assert.equal(ids.length, 5);
  assert.equal((await call(at.api, at.user, "GET", `${path}/deliveries?cursor=x`)).status, 422);
});

Deno.test("a name is looked up once, judged, and connected to by its address; the certificate must be the name's", async () => {
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

Deno.test("answers that are none, and none at all, are failures", async () => {
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

Deno.test("a worker sends them, while it leads", async () => {
  await using receiver = startReceiver();
  await using rig = await startRig({ env: { WEBHOOK_HOSTS: receiver.origin } });
  const id = await rig.submit(["ok", "ok again"]);
  await rig.sql`
    insert into webhooks (task_id, url, secret, events, created_by)
    values (${id}, ${receiver.origin}, 's', '{completed}', gen_random_uuid())`;
  await rig.startWorker({ random: () => 0 });
  await waitFor("the webhook", () => receiver.got.length === 1);
  assert.equal(JSON.parse(receiver.got[0]!.text).task.completed, 2);
});

Deno.test("addresses inside are told from those out in the world", () => {
  const inside = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
  ];
  inside.push(
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:8.8.8.8",
    "fc00::1",
  );
  inside.push(
    "fe80::1",
    "ff02::1",
    "64:ff9b::7f00:1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "3fff::1",
    "localhost",
    "",
  );
  for (const address of inside) assert.equal(isPublicAddress(address), false, address);
  const outside = [
    "1.1.1.1",
    "172.32.0.1",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "2a00:1450:4001:81b::200e",
  ];
  for (const address of outside) assert.equal(isPublicAddress(address), true, address);
});

Deno.test("WEBHOOK_HOSTS: entries that are no hosts are named at the start", () => {
  const good = { DATABASE_URL: "postgres://u:p@h/d", SECRET_KEY: "0123456789abcdef0123456789abcdef" };
  const wrong = ["https://h/path", "ftp://h", "a b", "h?x"];
  for (const entry of wrong) {
    assert.throws(
      () => parseConfig({ ...good, WEBHOOK_HOSTS: `ok.example,${entry}` }, "api"),
      /some are wrong/,
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
