/** The nginx of docs/migrating.md follows a cut-over and a rollback under load, and no acknowledged write is lost. */
import assert from "node:assert/strict";
import { findFreePort } from "../../../dev/servers/ports.ts";
import { cutOver } from "../../../migrate/data/cutover/cutover.ts";
import { rollBack } from "../../../migrate/data/cutover/rollback.ts";
import { findTool, needs } from "../../deploy/support/tools.ts";
import { waitFor } from "../../support/wait.ts";
import { startSync } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";
import { assertInCharge, keep, makeReady, readDeleted, type Rig, startBack, startRig } from "./rig.ts";

const page = await Deno.readTextFile(new URL("../../../docs/migrating.md", import.meta.url));
const decoder = new TextDecoder();

const nginxPath = findTool("nginx");
const { ignore: isMissing } = needs("nginx");

/** Lists the workers of an nginx by the time of their start. */
async function listWorkers(master: number): Promise<string[]> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "pid=", "--ppid", String(master)] })
    .output();
  return decoder.decode(stdout).trim().split(/\s+/).filter((pid) => pid !== "");
}

/** Starts the page's nginx, and a hook that writes its state file and reloads it. */
async function startNginx(rig: Rig) {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-nginx-" });
  const port = findFreePort();
  const server = /^```nginx\n([\s\S]*?)^```$/m.exec(page)![1]!
    .replace("OLD_ADDRESS", new URL(rig.old.origin).host)
    .replace("NEW_ADDRESS", new URL(rig.api.origin).host)
    .replace("LISTEN_ADDRESS", `127.0.0.1:${port}`)
    .replace("STATE_FILE", `${folder}/state.conf`);
  const main = `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log;\nevents {}\nhttp {\n` +
    `access_log off; client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy;\n` +
    `fastcgi_temp_path ${folder}/f; uwsgi_temp_path ${folder}/u; scgi_temp_path ${folder}/s;\n${server}}\n`;
  await Deno.writeTextFile(`${folder}/nginx.conf`, main);
  const state = { system: "old", held: 0, actions: [] as string[] };
  const write = () =>
    Deno.writeTextFile(`${folder}/state.conf`, `set $system ${state.system}; set $held ${state.held};\n`);
  await write();
  const child = new Deno.Command(nginxPath!, { args: ["-p", folder, "-c", `${folder}/nginx.conf`] }).spawn();
  const origin = `http://127.0.0.1:${port}`;
  const isUp = () =>
    fetch(`${origin}/`).then((answer) => answer.body?.cancel().then(() => true), () => false);
  await waitFor("nginx", isUp, 20_000);
  const hook = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { action } = await request.json();
    state.actions.push(action);
    state.held = action === "hold" ? 1 : 0;
    if (action === "new" || action === "old") state.system = action;
    await write();
    const before = new Set(await listWorkers(child.pid));
    Deno.kill(child.pid, "SIGHUP");
    // Workers of the state before end when their requests have ended.
    await waitFor("the new workers alone", async () => {
      const workers = await listWorkers(child.pid);
      return workers.length > 0 && workers.every((pid) => !before.has(pid));
    }, 9_000);
    return new Response();
  });
  return {
    origin,
    actions: state.actions,
    hook: `http://127.0.0.1:${hook.addr.port}`,
    async [Symbol.asyncDispose]() {
      await hook.shutdown();
      child.kill("SIGTERM");
      await child.status;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

Deno.test({
  name: "the nginx of docs/migrating.md follows a cut-over and a rollback under load, and no write is lost",
  ignore: !mongod || isMissing,
  async fn() {
    await using rig = await startRig({ tasks: 600, front: false });
    await using nginx = await startNginx(rig);
    const statuses = new Set<number>();
    let isStopped = false;
    const load = (async () => {
      for (const id of rig.tasks) {
        if (isStopped) return;
        statuses.add(await rig.remove(id, nginx.origin));
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    })();
    const options = keep({ proxy: { way: "hook", url: nginx.hook }, pauseMsMax: 30_000 });
    {
      await using _sync = startSync(rig.sql, rig.followed);
      await makeReady(rig);
      await using context = await rig.context();
      await cutOver(context, options);
    }
    await assertInCharge(rig, "new");
    const here = rig.removed.length;
    await waitFor("writes to this system", () => rig.removed.length > here + 5);
    await using back = await startBack(rig);
    await using context = await rig.context();
    await rollBack(context, options);
    await assertInCharge(rig, "old");
    assert.equal((await back.ended).code, 0);
    const there = rig.removed.length;
    await waitFor("writes to the old backend", () => rig.removed.length > there + 5);
    isStopped = true;
    await load;
    assert.deepEqual(nginx.actions, ["hold", "new", "hold", "old"]);
    assert.deepEqual([...statuses].filter((status) => status !== 200 && status !== 503), []);
    assert.deepEqual((await readDeleted(rig)).there, rig.removed.toSorted());
  },
});
