/** Redis answers reads and refuses entries, or refuses everything: workers draw from the rows without delay. */
import assert from "node:assert/strict";
import { openRedis } from "../../redis/connect.ts";
import { RedisHealth } from "../../redis/health.ts";
import { Streams } from "../../redis/stream.ts";
import { type Rig, type RunningWorker, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

/** Time within which a new task must be drawn. */
const drawnMs = 3_000;

/** A wait between polls that outlasts the test: only a wake-up ends it, as after any idle time. */
const endless = { min: 3_600_000, max: 3_600_000 };

interface Refusal {
  what: string;
  cause: string;
  refuse: (run: (...command: string[]) => Promise<unknown>) => Promise<unknown>;
  accept: (run: (...command: string[]) => Promise<unknown>) => Promise<unknown>;
}

type Run = Parameters<Refusal["refuse"]>[0];

async function readSnapshotPath(run: Run): Promise<string> {
  const [, folder] = await run("CONFIG", "GET", "dir") as string[];
  const [, name] = await run("CONFIG", "GET", "dbfilename") as string[];
  return `${folder}/${name}`;
}

/** Makes Redis save a snapshot until its status is `status`. */
async function saveSnapshot(run: Run, status: "ok" | "err"): Promise<void> {
  await run("BGSAVE");
  await waitFor("the snapshot", async () => {
    const info = String(await run("INFO", "persistence"));
    return /^rdb_bgsave_in_progress:0/m.test(info) && info.includes(`rdb_last_bgsave_status:${status}`);
  });
}

const refusals: Refusal[] = [
  {
    what: "its memory is full",
    cause: "full",
    refuse: async (run) => {
      await run("CONFIG", "SET", "maxmemory-policy", "noeviction");
      await run("CONFIG", "SET", "maxmemory", "1");
    },
    accept: (run) => run("CONFIG", "SET", "maxmemory", "0"),
  },
  {
    what: "its user may not add entries",
    cause: "not_permitted",
    refuse: (run) => run("ACL", "SETUSER", "default", "-xadd"),
    accept: (run) => run("ACL", "SETUSER", "default", "+xadd"),
  },
  {
    what: "it cannot save its snapshots",
    cause: "not_saving",
    refuse: async (run) => {
      // A folder with the name of the snapshot's file keeps the file from being renamed, also for root.
      await Deno.mkdir(await readSnapshotPath(run));
      await run("CONFIG", "SET", "save", "3600 1", "stop-writes-on-bgsave-error", "yes");
      await saveSnapshot(run, "err");
    },
    accept: async (run) => {
      await Deno.remove(await readSnapshotPath(run));
      await saveSnapshot(run, "ok");
      await run("CONFIG", "SET", "save", "");
    },
  },
  {
    what: "it has too few replicas",
    cause: "read_only",
    refuse: (run) => run("CONFIG", "SET", "min-replicas-to-write", "1"),
    accept: (run) => run("CONFIG", "SET", "min-replicas-to-write", "0"),
  },
];

const readFailures = async ({ metrics }: RunningWorker): Promise<string[]> =>
  (await metrics.redisFailing.get()).values.map(({ labels }) => `${labels.use} ${labels.cause}`);

async function drawWithin(rig: Rig, name: string): Promise<number> {
  const submittedAt = performance.now();
  await waitForEnd(rig.sql, await rig.submit([name]), 60_000);
  return performance.now() - submittedAt;
}

async function runOn(rig: Rig, command: string[]): Promise<unknown> {
  await using direct = openRedis({ url: rig.redis.url });
  return await direct.redis.exec(command as [string, ...string[]]);
}

for (const transport of ["tcp", "rest"] as const) {
  for (const { what, cause, refuse, accept } of refusals) {
    Deno.test(`over ${transport}, all workers draw from the rows while Redis answers reads and ${what}`, async () => {
      await using rig = await startRig({ transport });
      const run = (...command: string[]) => runOn(rig, command);
      // The first worker leads. Only the second one serves the queue.
      const leader = await rig.startWorker({ queues: ["lumina"] });
      const follower = await rig.startWorker({ queues: ["standard"], slots: 2 });
      await drawWithin(rig, "before");
      await refuse(run);
      await waitFor("the refusal", async () => {
        await using direct = openRedis(rig.redisAddress);
        return await new Streams(direct).probe().then(() => false, () => true);
      });
      assert.ok(await drawWithin(rig, "at first") < drawnMs);
      assert.ok(await drawWithin(rig, "later") < drawnMs);
      for (const worker of [leader, follower]) {
        await waitFor("the cause in the metrics", async () => {
          return (await readFailures(worker)).includes(`feed ${cause}`);
        });
      }
      await accept(run);
      for (const worker of [leader, follower]) {
        await waitFor("workers to use Redis", async () => (await readFailures(worker)).length === 0);
      }
      assert.ok(await drawWithin(rig, "afterwards") < drawnMs);
      assert.equal(rig.api.posts.length, 4);
    });
  }
}

const dropRefusals: Refusal[] = [
  { ...refusals[0]!, cause: "feed full" },
  {
    what: "its user may not delete entries",
    cause: "drops not_permitted",
    refuse: async (run) => {
      await run("ACL", "SETUSER", "default", "-xdel");
      // Only Redis 8.2 has this command.
      await run("ACL", "SETUSER", "default", "-xackdel").catch(() => {});
    },
    accept: async (run) => {
      await run("ACL", "SETUSER", "default", "+xdel");
      await run("ACL", "SETUSER", "default", "+xackdel").catch(() => {});
    },
  },
];
for (const transport of ["tcp", "rest"] as const) {
  for (const { what, cause, refuse, accept } of dropRefusals) {
    Deno.test(`over ${transport}, messages that stay do not stop the queue while ${what}`, async () => {
      await using rig = await startRig({ transport });
      const run = (...command: string[]) => runOn(rig, command);
      const worker = await rig.startWorker({ queues: ["standard"], slots: 2 });
      const prompts = (name: string) => Array.from({ length: 40 }, (_, i) => `${name} ${i}`);
      // Entries lie in the stream when the refusal begins: more than two windows follow.
      const before = await rig.submit(prompts("before"));
      await waitFor("the first images", () => rig.api.posts.length > 2);
      await refuse(run);
      const later = await rig.submit(prompts("later"));
      const hasFailed = waitFor("the cause", async () => (await readFailures(worker)).includes(cause));
      for (const task of [before, later]) await waitForEnd(rig.sql, task, 9_000);
      await hasFailed;
      await accept(run);
      await waitFor("the worker to use Redis", async () => (await readFailures(worker)).length === 0);
      await drawWithin(rig, "afterwards");
      await waitFor("an empty stream", async () => await run("XLEN", "{contactsheet}:stream:standard") === 0);
      assert.equal(rig.api.posts.length, 81);
    });
  }
}

/** Upstash's answers to commands beyond the quota. */
const quotaAnswers: [string, string][] = [
  ["a day's requests", "ERR max daily request limit exceeded. Limit: 10000, Usage: 10001."],
  ["a month's requests", "ERR max requests limit exceeded. Limit: 500000, Usage: 500001."],
];
for (const [what, error] of quotaAnswers) {
  Deno.test(`however long they were idle, workers draw at once although the quota is used up: ${what}`, async () => {
    await using rig = await startRig({ transport: "rest" });
    const leader = await rig.startWorker({ queues: ["lumina"], pollMs: endless });
    const follower = await rig.startWorker({ queues: ["standard"], slots: 2, pollMs: endless });
    await drawWithin(rig, "before");
    rig.gateway!.failWith = { status: 400, error };
    assert.ok(await drawWithin(rig, "first") < drawnMs);
    for (const worker of [leader, follower]) {
      await waitFor("the cause in the metrics", async () => {
        return (await readFailures(worker)).includes("feed quota");
      });
    }
    rig.gateway!.failWith = undefined;
    await waitFor("workers to use Redis", async () => {
      return (await Promise.all([leader, follower].map(readFailures))).flat().length === 0;
    });
    assert.ok(await drawWithin(rig, "second") < drawnMs);
  });
}

Deno.test("a follower forgets the leader's failure when nobody reports it any more", () => {
  const changes: string[] = [];
  const health = new RedisHealth((use, cause) => changes.push(`${use} ${cause?.fault ?? "works"}`));
  health.feedFailed("OOM command not allowed");
  health.answered();
  assert.deepEqual([health.isAway, health.mayRead, health.mayFeed], [true, false, false]);
  health.failed(new Error("NOPERM this user has no permissions to run the 'xreadgroup' command"));
  health.fed();
  assert.deepEqual([health.isAway, health.mayRead], [true, false]);
  health.answered();
  assert.deepEqual([health.isAway, health.mayRead, health.mayFeed], [false, true, true]);
  health.dropFailed(new Error("NOPERM this user has no permissions to run the 'xdel' command"));
  health.answered();
  assert.deepEqual([health.isAway, health.mayRead, health.mayFeed], [true, false, true]);
  health.dropped();
  assert.deepEqual([health.isAway, health.mayRead], [false, true]);
  changes.splice(-2);
  assert.deepEqual(changes, ["feed full", "reads not_permitted", "feed works", "reads works"]);
});
