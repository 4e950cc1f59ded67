/** Doctor, `why`, `/ready` and the metrics name the cause when Redis refuses writes. */
import assert from "node:assert/strict";
import { acquireLeaderLease } from "../../db/queue/workers.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { type ReportedFinding, runDoctor } from "../../jobs/doctor/doctor.ts";
import { whyCell } from "../../jobs/doctor/why.ts";
import { silentLog } from "../../log.ts";
import { openRedis } from "../../redis/connect.ts";
import { Streams } from "../../redis/stream.ts";
import { join } from "../support/cells.ts";
import { type Rig, startRig } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

type Run = (...command: [string, ...string[]]) => Promise<unknown>;

async function withRun<T>(rig: Rig, work: (run: Run) => Promise<T>): Promise<T> {
  await using direct = openRedis({ url: rig.redis.url });
  return await work((...command) => direct.redis.exec(command));
}

const fill = (run: Run) => run("CONFIG", "SET", "maxmemory", "1");

const causes: [what: string, check: string, text: RegExp, refuse: (run: Run) => Promise<unknown>][] = [
  ["a full memory", "writes", /cannot add entries: Redis refuses writes: its memory is full \(OOM/, fill],
  [
    "a user that may not add entries",
    "writes",
    /cannot add entries: Redis refuses a command that its user may not run \(.*xadd/,
    (run) => run("ACL", "SETUSER", "default", "-xadd"),
  ],
  [
    "a user that may not read the groups",
    "streams",
    /streams cannot be read: Redis refuses a command that its user may not run \(.*xinfo/,
    (run) => run("ACL", "SETUSER", "default", "-xinfo"),
  ],
  [
    "a replica",
    "writes",
    /cannot add entries: Redis refuses writes: it is a replica/,
    (run) => run("REPLICAOF", "127.0.0.1", "1"),
  ],
];
for (const [what, check, text, refuse] of causes) {
  Deno.test(`the doctor's only fault of Redis is ${what}`, async () => {
    await using rig = await startRig();
    await join(rig.sql);
    await rig.sql`update workers set slots = '{"standard": 1}'`;
    await acquireLeaderLease(rig.sql, "queue", "a", 60_000);
    await using redis = openRedis(rig.redisAddress);
    await new Streams(redis).markEpoch(["standard", "high", "lumina"], "m");
    await withRun(rig, refuse);
    const { findings } = await runDoctor({ sql: rig.sql, redis, log: silentLog, settleMs: 0 });
    const ofRedis = ["streams", "writes", "epoch", "eviction"];
    const faults = findings.filter(({ check, fault }: ReportedFinding) => fault && ofRedis.includes(check));
    assert.deepEqual(faults.map((one) => one.check), [check]);
    assert.match(faults[0]!.text, text);
    assert.ok(faults[0]!.advice.length > 20);
  });
}

Deno.test("why says that cells are claimed from PostgreSQL while Redis refuses entries", async () => {
  await using rig = await startRig();
  await join(rig.sql);
  await rig.sql`update workers set slots = '{"standard": 1}'`;
  await acquireLeaderLease(rig.sql, "queue", "a", 60_000);
  const task = await rig.submit(["p", "q"]);
  await using redis = openRedis(rig.redisAddress);
  const streams = new Streams(redis);
  const explain =
    async () => (await Promise.all([0, 1].map((cell) => whyCell(rig.sql, task, cell, streams))));
  for (const why of await explain()) assert.doesNotMatch(why!.text, /Redis/);
  await withRun(rig, fill);
  for (const why of await explain()) {
    assert.match(why!.text, /claim from PostgreSQL, because Redis refuses writes: its memory is full/);
  }
  assert.equal(await redis.redis.exists("{contactsheet}:probe"), 0);
});

/** Starts a program with its normal permissions and a port for operators. @returns the URL of that port */
async function startProgram(
  rig: Rig,
  stack: AsyncDisposableStack,
  program: "api" | "worker",
): Promise<string> {
  const port = findFreePort();
  const project = new URL("../../", import.meta.url);
  const entry = new URL(program === "api" ? "main.ts" : "jobs/main.ts", project).pathname;
  const own = { ADMIN_PORT: String(port), PORT: "0", SECRET_KEY: "0123456789abcdef0123456789abcdef" };
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", `-P=${program}`, entry],
    cwd: project,
    env: Object.assign({}, rig.env, own),
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  stack.defer(async () => {
    child.kill("SIGKILL");
    await child.status;
  });
  const url = `http://127.0.0.1:${port}`;
  await waitFor(`the ${program}`, () => fetch(`${url}/live`).then((one) => one.text(), () => undefined));
  return url;
}

Deno.test("/ready and the metrics of API and worker name why Redis refuses writes", async () => {
  await using rig = await startRig();
  await using stack = new AsyncDisposableStack();
  const names = { api: "redis", worker: "redis_writes" };
  for (const program of ["api", "worker"] as const) {
    const url = await startProgram(rig, stack, program);
    const readReady = async () => {
      const response = await fetch(`${url}/ready`);
      return { status: response.status, body: await response.json() as Record<string, string> };
    };
    assert.equal((await readReady()).body[names[program]], "ok");
    await withRun(rig, fill);
    const { status, body } = await readReady();
    assert.equal(status, 200);
    assert.match(body[names[program]]!, /degraded: .*refuses writes: its memory is full/);
    if (program === "worker") {
      await rig.submit(["p"]);
      await waitFor("the cause in the metrics", async () => {
        const metrics = await (await fetch(`${url}/metrics`)).text();
        return /^contactsheet_redis_failing\{use="(?:feed|reads)",cause="full"\} 1$/m.test(metrics);
      });
    }
    await withRun(rig, (run) => run("CONFIG", "SET", "maxmemory", "0"));
    assert.equal((await readReady()).body[names[program]], "ok");
  }
});
