/**
 * The connection of the webhook sender: name resolution, addresses, certificates, invalid responses, and
 * permitted hosts.
 */
import assert from "node:assert/strict";
import { parseConfig } from "../../../config.ts";
import { readWebhookUrl } from "../../../webhook_url.ts";
import { isPublicAddress } from "../../../jobs/tell/webhooks_address.ts";
import { postPinned } from "../../../jobs/tell/webhooks_post.ts";

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
  assert.deepEqual(await post("hooks.example.com", true, ["127.0.0.2", "127.0.0.1"]), { status: 202 });
  assert.equal(asked, 2);
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

/** Starts a receiver on one loopback address that counts its connections. */
function startCounting(hostname: string, port = 0) {
  const listener = Deno.listen({ hostname, port });
  const open: Deno.Conn[] = [];
  let accepted = 0;
  const serving = (async () => {
    for await (const conn of listener) {
      accepted++;
      open.push(conn);
      await conn.read(new Uint8Array(4096)).catch(() => {});
      await conn.write(new TextEncoder().encode("HTTP/1.1 200 OK\r\n\r\n")).catch(() => {});
    }
  })();
  return {
    port: (listener.addr as Deno.NetAddr).port,
    accepted: () => accepted,
    async [Symbol.asyncDispose]() {
      listener.close();
      await serving;
      for (const conn of open) conn.close();
    },
  };
}

/** Listens on an address that accepts no further connection and refuses none: its backlog is full. */
async function openBlackHole(hostname: string) {
  const listener = Deno.listen({ hostname, port: 0, tcpBacklog: 0 });
  const { port } = listener.addr as Deno.NetAddr;
  const waiting = await Deno.connect({ hostname, port });
  return {
    port,
    [Symbol.dispose]() {
      waiting.close();
      listener.close();
    },
  };
}

/** Posts to a name that resolves to `addresses`. */
function postTo(addresses: string[], port: number, more: { trusted?: boolean; timeoutMs?: number } = {}) {
  const { trusted = true, timeoutMs = 20_000 } = more;
  const url = new URL(`http://hooks.example.com:${port}/`);
  return postPinned({ url, trusted, headers: {}, body: "{}", timeoutMs }, {
    resolve: () => Promise.resolve(addresses),
  });
}

Deno.test("each address of a host is tried in turn until one accepts; an address that accepts ends the search", async () => {
  await using second = startCounting("127.0.0.2");
  const { port } = second;
  await using third = startCounting("127.0.0.3", port);
  assert.deepEqual(await postTo(["127.0.0.1", "127.0.0.2", "127.0.0.3"], port), { status: 200 });
  assert.deepEqual([second.accepted(), third.accepted()], [1, 0]);
  assert.deepEqual(await postTo(["::1", "127.0.0.1", "127.0.0.1", "127.0.0.3"], port), { status: 200 });
  assert.deepEqual([second.accepted(), third.accepted()], [1, 1]);
  assert.deepEqual(await postTo(["127.0.0.1", "127.0.0.4"], port), {
    error: "unreachable at 2 addresses: ConnectionRefused",
  });
  assert.deepEqual(await postTo(["127.0.0.1"], port), { error: "unreachable: ConnectionRefused" });
});

Deno.test("an address that stays silent delays the next one for a moment only", async () => {
  using blackHole = await openBlackHole("127.0.0.5");
  const { port } = blackHole;
  await using second = startCounting("127.0.0.2", port);
  const started = performance.now();
  assert.deepEqual(await postTo(["127.0.0.5", "127.0.0.2"], port), { status: 200 });
  assert.ok(performance.now() - started < 10_000, "well before the time limit");
  assert.equal(second.accepted(), 1);
  assert.deepEqual(await postTo(["127.0.0.5"], port, { timeoutMs: 600 }), {
    error: "no answer within 0.6 s",
  });
});

Deno.test("no address of a name is tried unless all of them are permitted", async () => {
  await using receiver = startCounting("127.0.0.2");
  const { port } = receiver;
  for (const addresses of [["93.184.216.34", "127.0.0.2"], ["127.0.0.2", "93.184.216.34"]]) {
    assert.deepEqual(await postTo(addresses, port, { trusted: false }), {
      error: "the name leads into a private network",
    });
  }
  assert.equal(receiver.accepted(), 0);
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
