/** The switch with a proxy of the operator in place of the front: told by a hook, by a person, and through failures. */
import assert from "node:assert/strict";
import { isFenceUp } from "../../../db/traffic/fence.ts";
import { findRunningCutover, listCutovers, listSteps } from "../../../migrate/data/cutover/journal.ts";
import { waitFor } from "../../support/wait.ts";
import { compareSides } from "../support/back.ts";
import { mongod } from "../support/sources.ts";
import {
  assertInCharge,
  makeReady,
  readDeleted,
  type Rig,
  startBack,
  startRig,
  waitFollowing,
} from "./rig.ts";

/** A small proxy: it refuses writes while they are held, and waits until none is under way. */
function startProxy({ old, api }: Rig) {
  const state = { to: old.origin, isHeld: false, inFlight: 0, actions: [] as string[], broken: "" };
  const follow = async (action: string) => {
    state.actions.push(action);
    if (action === state.broken) return new Response(null, { status: 500 });
    state.isHeld = action === "hold";
    if (action === "new") state.to = api.origin;
    if (action === "old") state.to = old.origin;
    if (action === "hold") await waitFor("the writes to end", () => state.inFlight === 0);
    return new Response();
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/hook") return await follow((await request.json()).action);
    if (state.isHeld) return new Response(null, { status: 503, headers: { "retry-after": "1" } });
    state.inFlight++;
    try {
      return await fetch(`${state.to}${pathname}`, { method: request.method, headers: request.headers });
    } finally {
      state.inFlight--;
    }
  });
  const origin = `http://127.0.0.1:${server.addr.port}`;
  return Object.assign(state, {
    origin,
    hook: `${origin}/hook`,
    /** Returns the messages received since the last call. */
    takeActions: () => state.actions.splice(0),
    [Symbol.asyncDispose]: () => server.shutdown(),
  });
}

/** Deletes tasks one after the other through the proxy. */
function startLoad(rig: Rig, origin: string) {
  const acknowledged: string[] = [];
  const statuses = new Set<number>();
  let isStopped = false;
  const running = (async () => {
    for (const id of rig.tasks) {
      if (isStopped) return;
      const status = await rig.remove(id, origin);
      statuses.add(status);
      if (status === 200) acknowledged.push(id);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  })();
  const stop = async () => {
    isStopped = true;
    await running;
  };
  return { acknowledged, statuses, stop, [Symbol.asyncDispose]: stop };
}

const startSyncProcess = async (rig: Rig) => {
  const sync = rig.start(["data", "sync", "--from", "mongodb", "--accept-short-oplog", "--quiet"]);
  await waitFollowing(rig);
  await makeReady(rig);
  return sync;
};

Deno.test({
  name:
    "an own proxy follows a rehearsal, a cut-over and a rollback, told by a hook or a person, and no write is lost",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startRig({ tasks: 1500, front: false });
    const { sql } = rig;
    await using proxy = startProxy(rig);
    await using sync = await startSyncProcess(rig);
    await using load = startLoad(rig, proxy.origin);
    const hook = ["--proxy-hook", proxy.hook, "--json"];
    const cutover = ["cutover", "--yes", "--unfinished", "keep"];

    await t.step("combinations that make no sense are refused", async () => {
      const cases: [string[], number, RegExp][] = [
        [[...cutover, "--own-proxy", "--proxy-hook", proxy.hook], 64, /wanted one of them/],
        [[...cutover, "--proxy-hook", "ftp://x"], 64, /--proxy-hook 'ftp:\/\/x': wanted http/],
        [["cutover", "--abort", "--own-proxy"], 64, /do as was decided before/],
        [cutover, 1, /process_present: 0 API processes with a front; .*--own-proxy/],
      ];
      for (const [args, exit, wanted] of cases) {
        const { code, err } = await rig.data(...args);
        assert.equal(code, exit, err);
        assert.match(err, wanted);
      }
      await sql`
        insert into migration.front_processes (id, host, pid, product, key_digest, acknowledged, seen_at)
        values ('x', 'host', 1, '1', 'x', 9, now() + interval '1 h')`;
      const both = await rig.data(...cutover, ...hook);
      assert.match(both.err, /process_present: 1 API process with a front, and your own proxy/);
      await sql`delete from migration.front_processes`;
      assert.deepEqual(proxy.takeActions(), []);
    });
    await t.step("a rehearsal holds the writes and lets them go on", async () => {
      const { code, err } = await rig.data("rehearse", "--unfinished", "keep", ...hook);
      assert.equal(code, 0, err);
      assert.deepEqual(proxy.takeActions(), ["hold", "resume"]);
      await assertInCharge(rig, "old");
    });
    await t.step("a hook that fails at the hold: nothing has changed", async () => {
      proxy.broken = "hold";
      const { code, err } = await rig.data(...cutover, ...hook);
      proxy.broken = "";
      assert.equal(code, 1, err);
      assert.match(err, /hook '.*' with action 'hold': it answered 500; wanted 2xx/);
      assert.deepEqual(proxy.takeActions(), ["hold", "resume"]);
      await assertInCharge(rig, "old");
    });
    await t.step("a person who does not confirm: nothing has changed", async () => {
      for (const input of ["no\n", ""]) {
        await using running = rig.start(["data", ...cutover, "--own-proxy"], undefined, input);
        const { code, err } = await running.ended;
        assert.equal(code, 1, err);
        assert.match(err, /Type 'yes' when that is done/);
        assert.match(err, /it was not confirmed/);
        assert.match(err, /if it does not do so yet, let your proxy pass writes on to the same system/);
        await assertInCharge(rig, "old");
      }
    });
    await t.step("a hook that fails after the switch: --continue goes on", async () => {
      proxy.broken = "new";
      const { code, err } = await rig.data(...cutover, ...hook);
      assert.equal(code, 1, err);
      assert.match(err, /The switch was made, and this system is in charge: .*--continue/);
      const refused = await rig.data("cutover", "--abort");
      assert.match(refused.err, /the switch was made, and this system is in charge/);
      proxy.broken = "";
      assert.deepEqual(proxy.takeActions(), ["hold", "new"]);
      const continued = await rig.data("cutover", "--continue");
      assert.equal(continued.code, 0, continued.err);
      assert.deepEqual(proxy.takeActions(), ["new"]);
      assert.equal(proxy.to, rig.api.origin);
      assert.equal((await sync.ended).code, 0);
      await assertInCharge(rig, "new");
      const [last] = await listCutovers(sql, 1);
      const steps = (await listSteps(sql, last!.id)).map(({ step, outcome }) => `${step} ${outcome}`);
      assert.deepEqual(steps.slice(-4), ["switch done", "point failed", "point done", "start done"]);
    });
    await t.step("a rollback points it at the old backend; a kill before that is taken up", async () => {
      await using back = await startBack(rig);
      await using killed = rig.start(["data", "rollback", "--yes", ...hook], "point.begun");
      const { signal, err } = await killed.ended;
      assert.equal(signal, "SIGKILL", err);
      assert.equal(proxy.isHeld, true);
      assert.equal(await isFenceUp(sql), true);
      const continued = await rig.data("cutover", "--continue");
      assert.equal(continued.code, 0, continued.err);
      assert.deepEqual(proxy.takeActions(), ["hold", "old"]);
      await assertInCharge(rig, "old");
      assert.equal((await back.ended).code, 0);
    });
    await t.step("a person switches it, and a kill after the hold is undone", async () => {
      await using sync = await startSyncProcess(rig);
      await using killed = rig.start(["data", ...cutover, ...hook], "proxy.asked");
      assert.equal((await killed.ended).signal, "SIGKILL");
      const aborted = await rig.data("cutover", "--abort");
      assert.equal(aborted.code, 0, aborted.err);
      assert.deepEqual(proxy.takeActions(), ["hold", "resume"]);
      assert.equal(await findRunningCutover(sql), undefined);
      await assertInCharge(rig, "old");
      // The person answers at once, so the proxy is switched before.
      await load.stop();
      await using attended = rig.start(["data", ...cutover, "--own-proxy"], undefined, "yes\nyes\n");
      const { code, out, err } = await attended.ended;
      assert.equal(code, 0, err);
      assert.match(
        err,
        /now let your proxy refuse or hold all writes[\s\S]*now let your proxy send all requests to this system/,
      );
      assert.match(out, /this system is in charge/);
      await assertInCharge(rig, "new");
      // It ends soon after the switch. Killed before, it would leave a lease that the way back has to wait for.
      assert.equal((await sync.ended).code, 0);
    });
    assert.deepEqual([...load.statuses].filter((status) => status !== 200 && status !== 503), []);
    const { here } = await readDeleted(rig);
    assert.ok(load.acknowledged.length > 50);
    assert.deepEqual(load.acknowledged.filter((id) => !here.includes(id)), []);
    assert.equal((await rig.data("back", "--to", "mongodb", "--once", "--quiet")).code, 0);
    assert.equal((await compareSides(sql, rig.followed)).verdict, "equal");
  },
});
