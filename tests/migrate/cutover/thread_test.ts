/** The switch and the way back, for real: processes of sync, cut-over, back and rollback, and an API process under load. */
import assert from "node:assert/strict";
import { readAccount, startLoad } from "../../../dev/load/load.ts";
import { checkEntries, readDocuments, readRows } from "../../../dev/load/entries.ts";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { waitFor } from "../../support/wait.ts";
import { compareSides } from "../support/back.ts";
import { mongod } from "../support/sources.ts";
import { assertInCharge, makeReady, startRig, waitFollowing } from "./rig.ts";

const common = ["--max-pause", "20s", "--json"];

Deno.test({
  name:
    "rehearsal, cut-over under load, rollback under load and a second cut-over lose no acknowledged write",
  ignore: !mongod,
  async fn() {
    await using rig = await startRig();
    const { sql, api, followed: { db } } = rig;
    await using sync = rig.start(["data", "sync", "--from", "mongodb", "--accept-short-oplog", "--quiet"]);
    await makeReady(rig);
    const { tokens, origin } = api;
    // Under a test runner, the API's password workers take seconds to start. A held write is refused after 5 s.
    const patienceMs = 60_000;
    await using load = await startLoad({ clients: 8, db, tokens, origins: [origin], patienceMs });

    const rehearsed = await rig.data("rehearse", "--unfinished", "keep", ...common);
    assert.equal(rehearsed.code, 0, rehearsed.err);
    assert.ok(JSON.parse(rehearsed.out).pause_ms > 0);
    await assertInCharge(rig, "old");
    assert.ok(readAccount(load.clients).acknowledged > 0, "the old backend has answered writes");

    const first = await rig.data("cutover", "--yes", "--unfinished", "keep", ...common);
    assert.equal(first.code, 0, first.err);
    const result = JSON.parse(first.out);
    assert.ok(result.pause_predicted_ms > 0);
    assert.ok(result.pause_ms < 5000, `paused for ${result.pause_ms} ms`);
    await assertInCharge(rig, "new");
    const ended = await sync.ended;
    assert.equal(ended.code, 0, ended.err);

    const refused = await rig.data("sync", "--from", "mongodb", "--once", "--quiet");
    assert.match(refused.err, /this system is in charge/);
    const back = rig.start(["data", "back", "--to", "mongodb", "--quiet"]);
    await using _back = back;
    await waitFor("the way back", async () => {
      const [row] = await sql`select from leaders where role = 'back' and lease_until > now()`;
      return row !== undefined;
    }, 30_000);

    const returned = await rig.data("rollback", "--yes", ...common);
    assert.equal(returned.code, 0, returned.err);
    await assertInCharge(rig, "old");
    const backEnded = await back.ended;
    assert.equal(backEnded.code, 0, backEnded.err);
    assert.equal((await readTraffic(sql)).phase, "old");

    await using again = rig.start(["data", "sync", "--from", "mongodb", "--quiet"]);
    await waitFollowing(rig);
    await makeReady(rig);
    const second = await rig.data("cutover", "--yes", "--unfinished", "keep", ...common);
    assert.equal(second.code, 0, second.err);
    await assertInCharge(rig, "new");
    // The way back must not begin before the sync has ended.
    assert.equal((await again.ended).code, 0);
    await load.stop();

    const { failures, violations, entries } = readAccount(load.clients);
    assert.deepEqual(failures, [], "no request failed");
    assert.deepEqual(violations, [], "clients read what they wrote");
    assert.deepEqual(checkEntries(await readRows(sql), entries, "here"), []);
    const last = await rig.data("back", "--to", "mongodb", "--once", "--quiet");
    assert.equal(last.code, 0, last.err);
    assert.deepEqual(checkEntries(await readDocuments(db), entries, "MongoDB"), []);
    assert.equal((await compareSides(sql, rig.followed)).verdict, "equal");
  },
});
