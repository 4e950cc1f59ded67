/** A person at the terminal: questions and answers, leaving and going on, a rollback that opens stages again. */
import assert from "node:assert/strict";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { saveBackup } from "../../../migrate/data/cutover/decisions.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { verifyLive } from "../../../migrate/data/verify/live.ts";
import { waitFor } from "../../support/wait.ts";
import { databaseName } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";
import { type MoveRig, type RunningMove, startMoveRig } from "./rig.ts";

const person = ["--soak", "1s", "--watch", "1s", "--drain", "1s", "--max-pause", "20s", "--by", "bob"];

/** Answers yes to the stages, one after the other. */
async function agree(move: RunningMove, ...stages: string[]): Promise<void> {
  for (const stage of stages) {
    await move.expect(new RegExp(`▸ ${stage}: [^]*Go on\\?[^]*q = leave: `));
    await move.type("");
  }
}

/** Answers a question about a check. */
async function decide(move: RunningMove, name: string, answer: string): Promise<void> {
  await move.expect(new RegExp(`${name}[^]*q = leave: `));
  await move.type(answer);
}

async function verifyNow({ database, followed }: MoveRig): Promise<void> {
  await using source = await openFollowed(followed.mongo.url, databaseName);
  assert.equal((await verifyLive(database.sql, source, { progress: silentProgress })).verdict, "equal");
}

const steady = ({ database: { sql } }: MoveRig) =>
  waitFor("the sync to follow", async () => {
    const rows = await sql`
      update migration.follows set behind_at = now() - interval '2 minutes'
      where state = 'following' and lag_ms < 1000 and copied_at is not null
        and exists (select from leaders where role = 'sync' and lease_until > now())
      returning 1`;
    return rows.length > 0;
  });

Deno.test({
  name: "a person is led to the cut-over, leaves and goes on, and rolls back",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startMoveRig({ migrated: true });
    const { sql } = rig.database;
    await rig.startApi();
    const syncArgs = ["data", "sync", "--from", "mongodb", "--accept-short-oplog", "--quiet"] as const;
    await using sync = rig.start(...syncArgs);
    await saveBackup(sql, "/backup", "bob");
    await steady(rig);

    await t.step("stages that others have done are done, and a wrong answer is asked again", async () => {
      await verifyNow(rig);
      await using move = rig.move([...person, "--accept", "backup_restored"]);
      await move.expect(/✓ assess {6}not needed: the copy is complete/);
      await agree(move, "backup");
      await move.expect(/▸ shadow: [^]*q = leave: /);
      await move.type("perhaps");
      await move.expect(/'perhaps' is none of y, q/);
      await move.type("q");
      const { code, text } = await move.ended;
      assert.equal(code, 0, text);
      assert.match(text, /left: run the same command again to go on/);
      assert.equal((await readTraffic(sql)).phase, "old");
    });

    await t.step("it goes on where it was left, and asks what only a person can know", async () => {
      await steady(rig);
      await using move = rig.move([...person, "--accept", "shadow_compared"]);
      await agree(move, "shadow", "canary-1", "canary-5", "canary-25", "canary-100", "rehearse");
      await decide(move, "The old backend has 10 unfinished tasks", "k");
      await decide(move, "disk_headroom", "y");
      await move.expect(/waiting for:[^]*worker_present: not served[^]*start 'deno task worker'/);
      const accepted = await rig.run(
        ...["data", "cutover", "--check", "--unfinished", "keep", "--drain", "1s"],
        ...["--accept", "worker_present", "--accept", "redis_reachable"],
      );
      assert.equal(accepted.code, 0, accepted.err);
      await move.expect(/rehearsal \d+: everything is as before/);
      await agree(move, "cutover");
      await move.expect(/cut-over \d+ is done: this system is in charge/);
      assert.equal((await sync.ended).code, 0);
      await agree(move, "watch");
      await move.expect(/back_running: no process; start 'deno task migrate data back --to mongodb'/);
      await using back = rig.start("data", "back", "--to", "mongodb", "--quiet");
      await move.expect(/Give up the way back\?[^]*q = leave: /);
      await move.type("r");
      const { code, text } = await move.ended;
      assert.equal(code, 0, text);
      assert.match(text, /rollback \d+ is done: the old backend is in charge/);
      assert.equal((await back.ended).code, 0);
    });

    await t.step("after the rollback its stages are open again", async () => {
      const { out, err } = await rig.run("data", "move", "--status", "--json");
      const { stages, phase, next_command, decided } = JSON.parse(out || err);
      assert.equal(phase, "old");
      const open = stages.filter(({ state }: { state: string }) => state === "open").map((
        { name }: { name: string },
      ) => name);
      assert.ok(["sync", "shadow", "rehearse", "cutover"].every((name) => open.includes(name)), open.join());
      assert.equal(next_command, "deno task migrate data sync --from mongodb");
      assert.match(decided[0].what, /rollback/);
      assert.equal(decided[0].by, "bob");
    });

    await t.step("what a killed cut-over has left is mended first", async () => {
      await using _sync = rig.start(...syncArgs);
      await steady(rig);
      await sql`insert into migration.cutovers (kind, started_by) values ('cutover', 'somebody')`;
      await using move = rig.move(person);
      await move.expect(/cutover \d+, whose process was killed, is undone: everything is as before/);
      await move.expect(/q = leave: /);
      await move.type("q");
      assert.equal((await move.ended).code, 0);
    });
  },
});
