/** Worker, sync and way back that are killed under load and started again, as a service manager does. */
import { MongoClient } from "mongodb";
import { startImageApi } from "../../dev/servers/image_api.ts";
import { findMongoBinary } from "../../dev/servers/mongo.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { type Spawned, spawnProgram } from "../../dev/servers/spawn.ts";
import { printError } from "../../process.ts";
import { writeDump } from "../load/dump.ts";
import { fillMongo } from "../load/forms.ts";
import { axisLengths, readProgress, sleep, submit, waitUntil } from "../queue/harness.ts";
import { atMost, type Report } from "../report.ts";
import { createTarget, type Target } from "../sync/target.ts";
import { reportAnswers, startRequests, timeUntil } from "./kills.ts";
import { isReady, type Rig, startApi } from "./rig.ts";

/** A program that is killed. */
interface Part {
  what: string;
  /** Starts the program and resolves when its process has begun. */
  start(admin: number): Promise<Spawned>;
  /** Gives the program work while it is dead. */
  giveWork(): Promise<void>;
  /** Reports whether that work is done. */
  isDone(): Promise<boolean>;
}

async function killProgram(report: Report, rig: Rig, { what, start, giveWork, isDone }: Part): Promise<void> {
  const api = await startApi(rig.env);
  const admin = findFreePort();
  const first = await start(admin);
  try {
    await waitUntil(`readiness of ${what}`, () => isReady({ admin }), { ms: 60_000 });
  } catch (error) {
    throw new Error(first.output().slice(-2000), { cause: error });
  }
  using load = startRequests(rig, api);
  await sleep(1_000);
  Deno.kill(first.pid, "SIGKILL");
  const flips = await timeUntil("readiness to end", async () => !await isReady({ admin }));
  await giveWork();
  const startedAt = performance.now();
  await using _second = await start(admin);
  await timeUntil("readiness", () => isReady({ admin }));
  const recovers = (performance.now() - startedAt) / 1000;
  await timeUntil("the work given meanwhile", isDone);
  const works = (performance.now() - startedAt) / 1000;
  const samples = await load.stop();
  await api.process.end("SIGTERM");
  report({ what: `${what} killed: not ready after`, value: flips, unit: "s", goal: atMost(flips, 2, "s") });
  report({
    what: `${what} killed: ready after its next start`,
    value: recovers,
    unit: "s",
    goal: atMost(recovers, 5, "s"),
  });
  report({ what: `${what} killed: work given meanwhile is done after`, value: works, unit: "s" });
  reportAnswers(report, `${what} killed`, samples, false);
}

async function killWorker(report: Report, rig: Rig, target: Target): Promise<void> {
  await using redis = await startRedis();
  await using images = await startImageApi({ delayMs: 20 });
  const [user] = await target.sql<{ id: string; email: string }[]>`
    insert into users (email, hashed_password) values ('worker@example.com', 'x') returning id, email`;
  const env = {
    ...rig.env,
    DATABASE_URL: target.url,
    REDIS_URL: redis.url,
    IMAGE_API_URL: images.url,
    LUMINA_API_URL: images.luminaUrl,
    NIETA_XTOKEN: "t",
    LOG_LEVEL: "info",
  };
  let task = "";
  await killProgram(report, rig, {
    what: "worker",
    start: (admin) => spawnProgram("worker", { ...env, ADMIN_PORT: String(admin) }),
    giveWork: async () => {
      task = await submit({ ...target, user: user! }, axisLengths(100));
    },
    isDone: async () => (await readProgress(target.sql, task)).done > 0,
  });
}

/** Kills the sync, and then the way back, which follows changes in the other direction. */
async function killFollowers(report: Report, rig: Rig, target: Target, binary: string): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  try {
    writeDump(folder, 2_000);
    await using mongo = await fillMongo(binary, folder);
    await using client = await new MongoClient(mongo.url).connect();
    const users = client.db().collection("users");
    const probe = await users.findOne({ email: { $type: "string" } });
    const email = String(probe!.email);
    const env = { ...rig.env, DATABASE_URL: target.url, LOG_LEVEL: "info" };
    const run = (args: string[], port = 0) =>
      spawnProgram("migrate", { ...env, ADMIN_PORT: String(port) }, /./, ["data", ...args]);
    const follow = ["--from", mongo.url, "--accept-short-oplog"];
    await killProgram(report, rig, {
      what: "sync",
      start: (admin) => run(["sync", ...follow], admin),
      giveWork: async () =>
        void await users.updateOne({ _id: probe!._id }, { $set: { fullname: "changed there" } }),
      isDone: async () => (await target.sql`select from users where fullname = 'changed there'`).length === 1,
    });
    for (const args of [["sync", ...follow, "--once"], ["capture", "on"]]) {
      const code = await (await run(args)).ended;
      if (code !== 0) throw new Error(`data ${args[0]} ended with ${code}`);
    }
    await killProgram(report, rig, {
      what: "back",
      start: (admin) => run(["back", "--to", mongo.url], admin),
      giveWork: async () =>
        void await target.sql`update users set fullname = 'changed here' where email = ${email}`,
      isDone: async () => (await users.findOne({ _id: probe!._id }))?.fullname === "changed here",
    });
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Kills the worker, the sync and the way back in turn. Without a mongod only the worker. */
export async function measureKilledPrograms(report: Report, rig: Rig): Promise<void> {
  const server = { url: rig.urlOf };
  {
    await using target = await createTarget(server);
    await killWorker(report, rig, target);
  }
  const binary = await findMongoBinary(printError);
  if (binary === undefined) {
    printError("no mongod: sync and back are not killed");
    return;
  }
  await using target = await createTarget(server);
  await killFollowers(report, rig, target, binary);
}
