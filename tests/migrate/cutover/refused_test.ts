/** What an operator may do wrong: each is refused by a message that says what to do, and nothing has moved. */
import assert from "node:assert/strict";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { withCutoverLock } from "../../../migrate/data/cutover/journal.ts";
import { startFollowed, syncOnce } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";
import { assertInCharge, environment, spawn, startRig } from "./rig.ts";

const cutover = ["data", "cutover", "--yes", "--unfinished", "keep"];

Deno.test({
  name:
    "a cut-over without sync, by two people, with another key, MongoDB or old backend is refused, and nothing moves",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startRig({ tasks: 2 });
    const { sql } = rig;
    const before = await readTraffic(sql);
    const refused = async (
      args: string[],
      { exit, says, env = {} }: { exit: number; says: RegExp[]; env?: Record<string, string> },
    ) => {
      await using running = spawn(Object.assign(environment(rig), env), args);
      const { code, err } = await running.ended;
      assert.equal(code, exit, err);
      for (const wanted of says) assert.match(err, wanted);
      assert.deepEqual(await readTraffic(sql), before);
      assert.equal((await sql`select from migration.cutovers`).length, 0);
    };

    await t.step("without a sync", () =>
      refused(cutover, {
        exit: 1,
        says: [
          /not ready, and nothing has changed/,
          /sync_begun: no source is followed; start 'deno task migrate data sync --from mongodb'/,
        ],
      }));
    await t.step("a rollback before a cut-over", () =>
      refused(["data", "rollback", "--yes"], {
        exit: 1,
        says: [/phase_new: 'old'; the old backend is in charge already/],
      }));
    await syncOnce(sql, rig.followed);
    await t.step(
      "with a sync that has stopped",
      () => refused(cutover, { exit: 1, says: [/sync_running: no process; start/] }),
    );
    await t.step("with another SECRET_KEY", () =>
      refused(cutover, {
        exit: 1,
        env: { SECRET_KEY: "another-secret-key-another-secret-key" },
        says: [
          /key_accepted: the old backend answers 401 to a token signed with it; set SECRET_KEY to that of the old/,
          /process_key: not so: .*; give these processes, or this command, the SECRET_KEY of the old backend/,
        ],
      }));
    await t.step("from a machine that has not the same settings", () =>
      refused(cutover, {
        exit: 1,
        env: { LEGACY_API_URL: "" },
        says: [/old_backend_named: LEGACY_API_URL is not set; set LEGACY_API_URL here as well/],
      }));
    await t.step("from a machine that does not reach the old backend", () =>
      refused(cutover, {
        exit: 1,
        env: { LEGACY_API_URL: "http://127.0.0.1:9" },
        says: [/old_backend_up: it is unreachable .*; start the old backend, or correct LEGACY_API_URL/],
      }));
    await t.step("with another MongoDB", async () => {
      await using other = await startFollowed();
      await refused(cutover, {
        exit: 1,
        env: { MONGODB_URL: other.mongo.url },
        says: [/source_identity: found '.*', followed '.*'; name the MongoDB that is followed/],
      });
    });
    await t.step("by two people at once", async () => {
      const args = ["data", "rehearse", "--unfinished", "keep"];
      await withCutoverLock(sql, "cutting over", async () => {
        await refused(cutover, { exit: 75, says: [/cutting over: another cut-over or rollback is running/] });
        await refused(args, { exit: 75, says: [/rehearsing: another cut-over or rollback is running/] });
        await refused(["data", "rollback", "--yes"], {
          exit: 75,
          says: [/going back: another cut-over or rollback is running/],
        });
      });
    });
    await t.step(
      "without a yes",
      () => refused(["data", "cutover"], { exit: 64, says: [/Answer yes, or add --yes/] }),
    );
    await t.step("with flags that are wrong", async () => {
      const wrong: [string[], RegExp][] = [
        [["--unfinished", "later"], /later/],
        [["--drain", "ten"], /--drain 'ten': wanted a duration such as 500ms, 30s, 10m or 1h/],
        [["--freeze-hook", "x", "--freeze-confirmed"], /wanted one of them/],
        [["--freeze-hook", "ftp://x"], /--freeze-hook 'ftp:\/\/x': wanted http/],
        [["--abort", "--continue"], /--abort and --continue: wanted one of them/],
      ];
      for (const [flags, says] of wrong) await refused([...cutover, ...flags], { exit: 64, says: [says] });
    });
    await t.step("nothing to abort or to continue", async () => {
      for (const flag of ["--abort", "--continue"]) {
        await refused(["data", "cutover", flag], { exit: 1, says: [/no cut-over or rollback is open/] });
      }
    });
    await assertInCharge(rig, "old");
  },
});
