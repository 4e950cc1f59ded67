/** REDIS_URL in the forms in which hosters hand it out, against real servers. */
import assert from "node:assert/strict";
import { parseConfig } from "../../config.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { AppError } from "../../errors.ts";
import { parseRedisUrl, type RedisUrl } from "../../redis/address.ts";
import { openRedis } from "../../redis/connect.ts";
import { startTlsRedis, tlsFile, type TlsRedis } from "./support/tls_redis.ts";

const parsed: [url: string, read: Partial<RedisUrl>][] = [
  ["redis://h", { socket: { host: "h" } }],
  ["redis://h:6380/", { socket: { host: "h", port: 6380 } }],
  ["redis://h/3", { socket: { host: "h" }, database: 3 }],
  ["redis://h?db=4", { socket: { host: "h" }, database: 4 }],
  ["redis://h/3?db=4", { socket: { host: "h" }, database: 3 }],
  ["redis://default@h", { socket: { host: "h" }, username: "default" }],
  ["redis://:p%40ss@h", { socket: { host: "h" }, password: "p@ss" }],
  ["redis://u:100%@h", { socket: { host: "h" }, username: "u", password: "100%" }],
  ["redis://[2001:db8::1]:6379", { socket: { host: "2001:db8::1", port: 6379 } }],
  ["redis://h?family=6", { socket: { host: "h", family: 6 } }],
  ["rediss://u:p@h:25061", { socket: { host: "h", port: 25061, tls: true }, username: "u", password: "p" }],
  ["rediss://h?ssl_cert_reqs=none", { socket: { host: "h", tls: true, rejectUnauthorized: false } }],
  ["rediss://h?ssl_cert_reqs=CERT_NONE", { socket: { host: "h", tls: true, rejectUnauthorized: false } }],
  ["rediss://h?ssl_cert_reqs=required", { socket: { host: "h", tls: true } }],
  ["valkeys://h", { socket: { host: "h", tls: true } }],
  ["valkey://h", { socket: { host: "h" } }],
  ["unix:///run/redis/r.sock", { socket: { path: "/run/redis/r.sock", tls: false } }],
  ["unix://u:p@/r.sock?db=2", {
    socket: { path: "/r.sock", tls: false },
    username: "u",
    password: "p",
    database: 2,
  }],
  ["redis://h?protocol=3&pool_size=5&protocol=2", {
    socket: { host: "h" },
    ignored: ["protocol", "pool_size"],
  }],
];
for (const [url, read] of parsed) {
  Deno.test(`'${url}' is read as written`, () => {
    assert.deepEqual(parseRedisUrl(url), Object.assign({ ignored: [] }, read));
  });
}

const refused: [url: string, wanted: RegExp][] = [
  ["redis://h/first", /a database number, such as 0, instead of 'first'/],
  ["redis://h?db=-1", /a database number/],
  ["redis://u:p/w@h", /percent-encoded/],
  ["redis://", /a URL/],
  ["http://h", /starts with redis:\/\//],
  ["unix://r.sock", /absolute path/],
  ["rediss://h?ssl_ca_certs=no/such/file.pem", /ssl_ca_certs to name a readable file/],
];
for (const [url, wanted] of refused) {
  Deno.test(`'${url}' is refused with the reason`, () => {
    assert.throws(() => openRedis({ url }), (error: AppError) => {
      assert.equal(error.code, "invalid_config");
      assert.match(error.fields?.[0]?.wanted ?? "", wanted);
      return true;
    });
  });
}

Deno.test("the settings accept every scheme that is read", () => {
  const good = { DATABASE_URL: "postgres://h/d", IMAGE_API_URL: "http://h", NIETA_XTOKEN: "t" };
  for (const [url] of parsed) {
    assert.equal(parseConfig(Object.assign({ REDIS_URL: url }, good), "worker").REDIS_URL, url);
  }
});

/** Starts a server with a user that has no password and a user that has one. */
async function startServer(stack: AsyncDisposableStack): Promise<TlsRedis> {
  const server = await startTlsRedis(stack);
  await using direct = openRedis({ url: `redis://127.0.0.1:${server.port}` });
  await direct.redis.exec(["ACL", "SETUSER", "open", "on", "nopass", "~*", "+@all"]);
  await direct.redis.exec(["ACL", "SETUSER", "shut", "on", ">p@ss/w#rd%", "~*", "+@all"]);
  return server;
}

Deno.test("each form connects", async (t) => {
  await using stack = new AsyncDisposableStack();
  const { port, tlsPort, socket } = await startServer(stack);
  const password = encodeURIComponent("p@ss/w#rd%");
  const ca = `ssl_ca_certs=${encodeURIComponent(tlsFile("ca.pem"))}`;
  const [plain, tls] = [`127.0.0.1:${port}`, `localhost:${tlsPort}`];
  const answers: [what: string, url: string, answer: RegExp][] = [
    ["a user without a password", `redis://open@${plain}`, /user=open/],
    ["a user with a password", `redis://shut:${password}@${plain}`, /user=shut/],
    ["a database in the path", `redis://${plain}/2`, / db=2 /],
    ["a database as a parameter", `redis://${plain}?db=5&protocol=3`, / db=5 /],
    ["IPv6", `redis://[::1]:${port}`, /addr=\[::1\]/],
    ["a Unix socket", `unix://${socket}?db=1`, / db=1 /],
    ["a Unix socket with a user", `unix://shut:${password}@${socket}`, /user=shut/],
    ["TLS with its own authority", `rediss://shut:${password}@${tls}?${ca}`, /user=shut/],
    ["TLS with any certificate", `rediss://${tls}/3?ssl_cert_reqs=none`, / db=3 /],
  ];
  for (const [what, url, answer] of answers) {
    await t.step(what, async () => {
      await using connection = openRedis({ url });
      await connection.check();
      assert.match(String(await connection.redis.exec(["CLIENT", "INFO"])), answer);
    });
  }
  const failures: [what: string, url: string, message: RegExp][] = [
    ["an unknown certificate", `rediss://${tls}`, /certificate is not accepted.*ssl_ca_certs=PATH/],
    ["a wrong password", `redis://shut:secret@${plain}`, /refuses the user, password or token.*WRONGPASS/],
    ["a missing database", `redis://${plain}/99`, /DB index is out of range/],
    [
      "TLS where the server has none",
      `rediss://${plain}`,
      /TLS within 1000 ms.*redis:\/\/ instead of rediss/,
    ],
    ["no TLS where the server demands it", `redis://127.0.0.1:${tlsPort}`, /rediss:\/\/ instead of redis:/],
    ["a closed port", `rediss://127.0.0.1:${findFreePort()}`, /ECONNREFUSED/],
  ];
  for (const [what, url, message] of failures) {
    await t.step(`${what} is named`, async () => {
      await using connection = openRedis({ url });
      await assert.rejects(connection.check(), (error: AppError) => {
        assert.equal(error.code, "redis_unreachable");
        assert.match(error.message, message);
        assert.doesNotMatch(error.message, /secret/);
        return true;
      });
    });
  }
});
