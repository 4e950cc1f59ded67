/** The client's address: which hop counts, its forms, and the network that limits count by. */
import assert from "node:assert/strict";
import { clientAddress, networkOf, normalizeAddress } from "../../routes/common/address.ts";
import { startApi, type TestApi } from "../support/api.ts";

const peer = "9.9.9.9";
const hops: [header: string | undefined, trusted: number, address: string][] = [
  [undefined, 0, peer],
  ["1.1.1.1", 0, peer],
  ["1.1.1.1", 1, "1.1.1.1"],
  ["forged, 1.1.1.1", 1, "1.1.1.1"],
  ["forged, 1.1.1.1, 10.0.0.2", 2, "1.1.1.1"],
  ["forged, 1.1.1.1:80, 10.0.0.2:81", 2, "1.1.1.1"],
  ["1.1.1.1", 2, "1.1.1.1"],
  [" , ", 1, peer],
  [undefined, 1, peer],
  ["unknown", 1, peer],
  ["1.1.1.1, _hidden", 1, peer],
  ["1.1.1.1:port", 1, peer],
];
for (const [header, trusted, address] of hops) {
  Deno.test(`clientAddress() of '${header}' behind ${trusted} proxies is ${address}`, () => {
    const headers = new Headers(header === undefined ? {} : { "x-forwarded-for": header });
    assert.equal(clientAddress(headers, peer, trusted), address);
  });
}

Deno.test("the address of the connection is canonical too", () => {
  assert.equal(clientAddress(new Headers(), "::ffff:203.0.113.7", 0), "203.0.113.7");
  assert.equal(clientAddress(new Headers(), "2001:DB8:0::1", 1), "2001:db8::1");
  assert.equal(clientAddress(new Headers(), "", 1), "");
});

const forms: [canonical: string | undefined, texts: string[]][] = [
  ["203.0.113.7", [
    "203.0.113.7",
    "203.0.113.7:1",
    "203.0.113.7:65535",
    "::ffff:203.0.113.7",
    "::FFFF:cb00:7107",
    "0:0:0:0:0:ffff:203.0.113.7",
    "[::ffff:203.0.113.7]",
    "[::ffff:203.0.113.7]:443",
  ]],
  ["2001:db8::1", [
    "2001:db8::1",
    "2001:DB8::1",
    "2001:db8:0:0:0:0:0:1",
    "2001:0db8:0000:0000:0000:0000:0000:0001",
    "2001:db8:0::0.0.0.1",
    "[2001:db8::1]",
    "[2001:DB8::1]:443",
    "[2001:db8::1%eth0]:443",
  ]],
  ["fe80::1", ["fe80::1", "fe80::1%eth0", "fe80::1%25eth0"]],
  [undefined, [
    "",
    "unknown",
    "203.0.113",
    "203.0.113.256",
    "203.0.113.07",
    "0xcb.0.113.7",
    "203.0.113.7:",
    "203.0.113.7:x",
    "203.0.113.7:123456",
    "[203.0.113.7",
    "2001:db8::1]:443",
    "[2001:db8::1]x",
    "2001:db8::1::2",
    "1:2:3:4:5:6:7:8:9",
  ]],
];
for (const [canonical, texts] of forms) {
  Deno.test(`normalizeAddress() returns ${canonical} for ${texts.length} texts`, () => {
    for (const text of texts) assert.equal(normalizeAddress(text), canonical, text);
  });
}

Deno.test("an IPv4 address is a network of its own, and an IPv6 address belongs to its /64", () => {
  for (
    const [address, network] of [
      ["203.0.113.7", "203.0.113.7"],
      ["2001:db8:1:2::", "2001:db8:1:2::/64"],
      ["2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"],
      ["2001:db8:1:3::1", "2001:db8:1:3::/64"],
      ["", ""],
    ] as const
  ) assert.equal(networkOf(address), network);
});

const never = { burst: 6, perSecond: 0.001 };
const free = { burst: 1e6, perSecond: 1e6 };
const startThrottled = () =>
  startApi({ env: { TRUSTED_PROXIES: "1" }, limits: { address: never, email: free, overall: free } });

async function guess({ origin }: TestApi, version: "v1" | "v2", i: number, hop: string): Promise<number> {
  const email = `nobody${i}@example.com`;
  const headers = { "x-forwarded-for": hop };
  const response = await fetch(`${origin}/api/${version}/auth/login`, {
    method: "POST",
    ...(version === "v1" ? { headers, body: new URLSearchParams({ username: email, password: "guess" }) } : {
      headers: { "x-forwarded-for": hop, "content-type": "application/json" },
      body: JSON.stringify({ email, password: "guess" }),
    }),
  });
  await response.body?.cancel();
  return response.status;
}

const evasions: [what: string, hop: (i: number) => string, logged: (i: number) => string, other: string][] = [
  ["ports", (i) => `203.0.113.7:${5000 + i}`, () => "203.0.113.7", "203.0.113.8:5000"],
  [
    "mapped addresses and ports",
    (i) => [`203.0.113.7`, `[::ffff:203.0.113.7]:${i}`, "::FFFF:cb00:7107"][i % 3]!,
    () => "203.0.113.7",
    "::ffff:203.0.113.8",
  ],
  [
    "spellings",
    (i) => ["2001:db8::7", "2001:DB8:0:0::7", `[2001:db8::0007]:${i}`][i % 3]!,
    () => "2001:db8::7",
    "2001:db8:0:1::7",
  ],
  [
    "addresses of one /64",
    (i) => `2001:db8:1:2::${i + 1}`,
    (i) => `2001:db8:1:2::${i + 1}`,
    "2001:db8:1:3::1",
  ],
  ["words that are no address", (i) => `host${i}`, () => "127.0.0.1", "203.0.113.7"],
];
for (const version of ["v1", "v2"] as const) {
  for (const [what, hop, logged, other] of evasions) {
    Deno.test(`${version}: guesses are throttled in spite of changing ${what}, and the log has the address`, async () => {
      await using api = await startThrottled();
      const statuses: number[] = [];
      for (let i = 0; i < 9; i++) statuses.push(await guess(api, version, i, hop(i)));
      assert.deepEqual(statuses, [401, 401, 401, 401, 401, 401, 429, 429, 429]);
      assert.equal(await guess(api, version, 9, other), 401);
      const addresses = api.lines.filter(({ msg }) => msg === "request").map(({ address }) => address);
      assert.deepEqual(addresses.slice(0, 9), statuses.map((_, i) => logged(i)));
    });
  }
}
