/** REDIS_URL with certificates and sockets: the API and the worker under their own permissions (deno.json). */
import assert from "node:assert/strict";
import { findFreePort } from "../../dev/servers/ports.ts";
import { type CleanCopy, makeCleanCopy } from "../docs/support/clean_copy.ts";
import { createDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";
import { startTlsRedis, tlsFile, type TlsRedis } from "./support/tls_redis.ts";

/** A folder in which the programs may connect to sockets. Only root can create it. */
const socketFolder = "/run/redis";
const programs = ["start", "worker"] as const;

const accepted: [what: string, url: (redis: TlsRedis) => string][] = [
  [
    "TLS with an authority in certs/",
    ({ tlsPort }) => `rediss://localhost:${tlsPort}?ssl_ca_certs=certs/ca.pem`,
  ],
  ["TLS with any certificate", ({ tlsPort }) => `rediss://localhost:${tlsPort}?ssl_cert_reqs=none`],
  ...(Deno.uid() === 0
    ? [["a Unix socket", ({ socket }) => `unix://${socket}?db=1`] satisfies (typeof accepted)[number]]
    : []),
];

const refused: [what: string, url: (redis: TlsRedis) => string, reason: RegExp][] = [
  [
    "an unknown authority",
    ({ tlsPort }) => `rediss://localhost:${tlsPort}`,
    /name its authority with ssl_ca_certs/,
  ],
  [
    "a certificate in another folder",
    ({ tlsPort }) => `rediss://localhost:${tlsPort}?ssl_ca_certs=${tlsFile("ca.pem")}`,
    /ca\.pem' is none \(this program may read certificates in 'certs'/,
  ],
  [
    "a Unix socket in another folder",
    () => "unix:///tmp/r.sock",
    /may only connect to sockets in '\/run\/redis'/,
  ],
];

interface Started {
  port: number;
  output: () => string;
  end: () => Promise<number>;
}

function start(copy: CleanCopy, program: string, databaseUrl: string, redisUrl: string): Started {
  const port = findFreePort();
  const running = copy.start(`deno task --quiet ${program}`, {
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
    SECRET_KEY: "0123456789abcdef0123456789abcdef",
    IMAGE_API_URL: "http://127.0.0.1:9",
    NIETA_XTOKEN: "t",
    PORT: "0",
    ADMIN_PORT: String(port),
  });
  return { port, output: running.output, end: () => running.end("SIGTERM") };
}

/** Reads what a program says about Redis when it is ready; undefined before. */
async function readReadiness({ port }: Started): Promise<string | undefined> {
  const answer = await fetch(`http://127.0.0.1:${port}/ready`).catch(() => undefined);
  const text = await answer?.text();
  return answer?.status === 200 ? text : undefined;
}

Deno.test("the API and the worker connect to Redis with the permissions of their tasks", async (t) => {
  await using copy = await makeCleanCopy();
  await Deno.mkdir(`${copy.path}/certs`, { recursive: true });
  await copy.write("certs/ca.pem", await Deno.readTextFile(tlsFile("ca.pem")));
  await using stack = new AsyncDisposableStack();
  if (Deno.uid() === 0) await Deno.mkdir(socketFolder, { recursive: true });
  const redis = await startTlsRedis(stack, Deno.uid() === 0 ? socketFolder : undefined);
  await using database = await createDatabase();
  for (const program of programs) {
    for (const [what, url] of accepted) {
      await t.step(`${program}: ${what}`, async () => {
        const started = start(copy, program, database.url, url(redis));
        const text = await waitFor("the program", () => readReadiness(started), 60_000);
        assert.doesNotMatch(started.output(), /warning|error/, started.output());
        assert.match(text, program === "worker" ? /"redis_writes":"ok"/ : /"redis":"ok"/);
        assert.equal(await started.end(), 0);
      });
    }
    for (const [what, url, reason] of refused) {
      await t.step(`${program}: ${what} is named`, async () => {
        const started = start(copy, program, database.url, url(redis));
        await waitFor("the reason", () => reason.test(started.output()), 60_000);
        await started.end();
      });
    }
  }
});
