/** Runs every shell block of docs/following.md against a living MongoDB, and looks for the output that the page shows. */
import assert from "node:assert/strict";
import { collapse, readBlocks } from "../docs/support/blocks.ts";
import { createDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";
import { databaseName, startFollowed } from "./support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "./support/legacy_documents.ts";
import { mongod } from "./support/sources.ts";

const root = new URL("../../", import.meta.url);
const page = await Deno.readTextFile(new URL("docs/following.md", root));

/** Returns a port that nothing listens on. */
function findPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

Deno.test({
  name: "the commands of docs/following.md follow a living MongoDB and print the lines that it shows",
  ignore: !mongod,
  fn: async (t) => {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { db, mongo } = followed;
    const task = makeTask("a@example.com");
    await db.collection("users").insertMany([
      makeUser("a@example.com"),
      Object.assign(makeUser(""), { email: 5 }) as never,
    ]);
    await db.collection("tasks").insertOne(task);
    await db.collection("dramatiq_tasks").insertMany([
      ...[0, 1].map((i) => makeSubtask(task.id, i)),
      makeSubtask(crypto.randomUUID()),
    ]);
    const port = findPort();
    const env = {
      DATABASE_URL: database.url,
      MONGODB_URL: mongo.url,
      DB_NAME: databaseName,
      ADMIN_PORT: String(port),
      NO_COLOR: "1",
      PATH: `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}`,
    };
    const spawn = (command: string) =>
      new Deno.Command("sh", {
        args: ["-c", `exec ${command}`],
        cwd: root.pathname,
        env,
        stdin: "null",
        stdout: "piped",
        stderr: "piped",
      }).spawn();
    const decoder = new TextDecoder();
    let sync: Deno.ChildProcess | undefined;
    const readMetrics = async () => {
      const response = await fetch(`http://127.0.0.1:${port}/metrics`);
      return await response.text();
    };
    const startSync = async (command: string) => {
      sync = spawn(command);
      await waitFor("the sync to report", async () => {
        const text = await readMetrics().catch(() => "");
        return /^contactsheet_sync_quarantined 1$/m.test(text);
      }, 60_000);
      const text = await readMetrics();
      for (const name of ["lag_seconds 0", "waiting 1", "open_gaps 0", "retries_total 0"]) {
        assert.ok(text.includes(`\ncontactsheet_sync_${name}\n`), `${name} in ${text}`);
      }
      assert.match(text, /^contactsheet_sync_headroom_seconds [1-9]/m);
      assert.match(text, /^contactsheet_memory_bytes [1-9]/m);
      const ready = await fetch(`http://127.0.0.1:${port}/ready`);
      assert.deepEqual(await ready.json(), { status: "ready", database: "ok", schema: "ok", mongodb: "ok" });
    };
    const stopSync = async () => {
      const [{ pid }] = await database.sql`
        select split_part(holder, ':', 2)::int as pid from leaders where role = 'sync'` as unknown as [
        { pid: number },
      ];
      Deno.kill(pid, "SIGINT");
      const { code, stdout, stderr } = await sync!.output();
      sync = undefined;
      assert.equal(code, 0, decoder.decode(stderr));
      assert.match(decoder.decode(stdout), /^stopped on request; run the same command again to continue/);
    };
    try {
      for (const { commands, outputLines, section } of readBlocks(page)) {
        if (section.startsWith("6.") && sync) await t.step("stop sync", stopSync);
        let output = "";
        for (const command of commands) {
          await t.step(command, async () => {
            if (/data sync(?!.*--once)/.test(command)) return await startSync(command);
            const { code, stdout, stderr } = await spawn(command).output();
            output += decoder.decode(stdout);
            assert.equal(code, 0, decoder.decode(stderr) + output);
          });
        }
        for (const line of outputLines) {
          assert.ok(collapse(output).includes(collapse(line)), `'${line}' is not in:\n${output}`);
        }
      }
    } finally {
      if (sync) await stopSync();
    }
  },
});
