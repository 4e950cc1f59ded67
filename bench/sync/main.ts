/**
 * `deno task bench sync`: measures how a changing MongoDB is copied and followed. MongoDB's own write rate and the copy
 * at rest are measured beside it. `--help` lists the options.
 */
import { Command } from "commander";
import { type Db, MongoClient, type ObjectId } from "mongodb";
import { findMongoBinary } from "../../dev/servers/mongo.ts";
import { parseOptions } from "../../dev/command_line.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { AppError } from "../../errors.ts";
import { runMain } from "../../process.ts";
import { writeDump } from "../load/dump.ts";
import { fillMongo } from "../load/forms.ts";
import type { Server } from "../load/run.ts";
import { parseCount } from "../options.ts";
import { atLeast, atMost, openReport, quantile, type Report } from "../report.ts";
import { createTarget, startMigrate, type Target } from "./target.ts";
import { readIds, startWriter, writeAll } from "./writer.ts";

/** What every part of the bench uses. */
interface Bench {
  server: Server;
  url: string;
  db: Db;
  ids: ObjectId[];
  report: Report;
  seconds: number;
}

const once = (url: string) => ["sync", "--once", "--accept-short-oplog", "--from", url] as const;

async function waitUntil(check: () => Promise<boolean>): Promise<void> {
  while (!await check()) await new Promise((resolve) => setTimeout(resolve, 20));
}

const isFollowing = async ({ sql }: Target) =>
  (await sql`select from migration.follows where state = 'following'`).length === 1;

/** Compares the copy under writes with the load of the same documents at rest. */
async function measureCopy({ server, url, ids, report }: Bench): Promise<void> {
  let atRest = 0;
  {
    await using target = await createTarget(server);
    await using load = await startMigrate(target, "load", "--from", url);
    atRest = await load.end();
  }
  await using target = await createTarget(server);
  await using _writer = await startWriter(url, ids, 500);
  const started = performance.now();
  await using sync = await startMigrate(target, "sync", "--accept-short-oplog", "--from", url);
  await waitUntil(() => isFollowing(target));
  const live = (performance.now() - started) / 1000;
  const rate = (seconds: number) => Math.round(ids.length / seconds);
  report({ what: "copy at rest (data load from the same MongoDB)", value: rate(atRest), unit: "doc/s" });
  report({ what: "copy while 500 writes/s arrive", value: rate(live), unit: "doc/s" });
  const ratio = atRest / live;
  report({
    what: "copy under writes, compared with at rest",
    value: ratio,
    unit: "×",
    goal: atLeast(ratio, 0.8, "×"),
  });
  const peak = sync.peakMib();
  report({ what: "memory while copying", value: peak, unit: "MiB", goal: atMost(peak, 256, "MiB") });
}

/** Applies a backlog of changes of different documents. */
async function measureApply({ url, db, ids, report }: Bench, target: Target): Promise<void> {
  const seconds = await writeAll(db, ids);
  report({ what: "MongoDB itself: updates of subtasks in bulk", value: ids.length / seconds, unit: "doc/s" });
  const [before] = await target.sql`select documents::float8 as n from migration.follows`;
  const started = performance.now();
  await using sync = await startMigrate(target, ...once(url));
  let first = 0;
  await waitUntil(async () => {
    const [row] = await target.sql`select documents::float8 as n from migration.follows`;
    if (row!.n > before!.n && first === 0) first = performance.now();
    return row!.n - before!.n >= ids.length;
  });
  const rate = ids.length / ((performance.now() - first) / 1000);
  report({
    what: "apply: changed subtasks",
    value: rate,
    unit: "doc/s",
    goal: atLeast(rate, 10_000, "doc/s"),
  });
  report({ what: "apply: start of the process until its first batch", value: first - started, unit: "ms" });
  await sync.end();
  const peak = sync.peakMib();
  report({ what: "memory while applying", value: peak, unit: "MiB", goal: atMost(peak, 256, "MiB") });
}

/** Measures how long a change takes to its row, at a rate of changes. */
async function measureLag({ url, db, ids, report, seconds }: Bench, target: Target): Promise<void> {
  await using sync = await startMigrate(target, "sync", "--from", url);
  await using _writer = await startWriter(url, ids, 2000);
  const [probe] = await db.collection("users").find({ email: { $type: "string" } }).limit(1).toArray();
  const lags: number[] = [];
  const until = performance.now() + seconds * 1000;
  // A slow machine measures longer, until it has one lag.
  for (let number = 0; performance.now() < until || lags.length === 0; number++) {
    const name = `probe ${number}`;
    const { modifiedCount } = await db.collection("users").updateOne({ _id: probe!._id }, {
      $set: { fullname: name },
    });
    const written = performance.now();
    if (modifiedCount !== 1) throw new Error("the probe was not written");
    await waitUntil(async () => (await target.sql`select from users where fullname = ${name}`).length === 1);
    // The first changes wait for the start of the process.
    if (number > 2) lags.push(performance.now() - written);
  }
  const [p50, p99] = [quantile(lags, 0.5), quantile(lags, 0.99)];
  const note = `${lags.length} probes`;
  report({ what: "lag at 2,000 changes/s, p50", value: p50, unit: "ms", note });
  report({ what: "lag at 2,000 changes/s, p99", value: p99, unit: "ms", goal: atMost(p99, 500, "ms") });
  const peak = sync.peakMib();
  report({ what: "memory while following", value: peak, unit: "MiB", goal: atMost(peak, 256, "MiB") });
}

/** Heals a gap in which one document in a hundred has changed. */
async function measureGap({ url, db, ids, report }: Bench, target: Target): Promise<void> {
  const changed = ids.filter((_, i) => i % 100 === 0);
  await writeAll(db, changed);
  await using sync = await startMigrate(target, ...once(url), "--restart");
  const seconds = await sync.end();
  const [gap] = await target.sql`
    select compared::float8 as compared, applied::float8 as applied
    from migration.gaps where healed_at is not null order by id desc limit 1`;
  const share = 100 * gap!.applied / gap!.compared;
  report({ what: "gap: compared documents", value: gap!.compared / seconds, unit: "doc/s" });
  report({
    what: "gap: documents read in full when 1 % have changed",
    value: share,
    unit: "%",
    goal: atMost(share, 2, "%"),
  });
}

const parts: Record<string, (bench: Bench, target: Target) => Promise<void>> = {
  apply: measureApply,
  lag: measureLag,
  gap: measureGap,
};

const command = new Command("deno task bench sync")
  .description("Measures how a changing MongoDB is copied and followed.")
  .option("--subtasks <n>", "number of subtasks", parseCount, 200_000)
  .option("--seconds <n>", "duration of the measurement of the lag", parseCount, 30)
  .option("--quick", "20,000 subtasks, 5 seconds")
  .option("--json", "print one line of JSON");

async function main(): Promise<number> {
  const options = parseOptions<{ subtasks: number; seconds: number; quick?: true; json?: true }>(
    command,
    Deno.args,
  );
  if (!options) return 0;
  const subtasks = options.quick ? 20_000 : options.subtasks;
  const binary = await findMongoBinary();
  if (!binary) {
    throw new AppError("source_missing", "bench sync: no mongod was found and none could be downloaded");
  }
  const report = openReport(options.json ?? false);
  const started = performance.now();
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  // The cluster needs its own folder, which the server's account can enter.
  const cluster = await Deno.makeTempDir({ prefix: "contactsheet-bench-pg-" });
  try {
    await using server = await startPostgres({ folder: cluster, keep: false });
    writeDump(`${folder}/dump`, subtasks);
    await using mongo = await fillMongo(binary, `${folder}/dump`);
    await using client = await new MongoClient(mongo.url).connect();
    const db = client.db();
    const bench: Bench = {
      server,
      url: mongo.url,
      db,
      ids: await readIds(db),
      report: report.add,
      seconds: options.quick ? 5 : options.seconds,
    };
    await measureCopy(bench);
    await using target = await createTarget(server);
    await using copy = await startMigrate(target, ...once(mongo.url));
    await copy.end();
    for (const part of Object.values(parts)) await part(bench, target);
    report.end((performance.now() - started) / 1000);
    return 0;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) await runMain(main);
