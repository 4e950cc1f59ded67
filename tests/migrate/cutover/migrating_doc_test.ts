/** Runs every shell block of docs/migrating.md, in its order, against both systems, and looks for the output it shows. */
import assert from "node:assert/strict";
import { type Document, MongoClient } from "mongodb";
import { startMongo } from "../../../dev/servers/mongo.ts";
import { startOldBackend } from "../../../dev/servers/old_backend.ts";
import { findFreePort } from "../../../dev/servers/ports.ts";
import { noSettings } from "../../../dev/servers/programs.ts";
import { startRedis } from "../../../dev/servers/redis.ts";
import { signToken } from "../../../migrate/data/cutover/token.ts";
import { collapse, readBlocks } from "../../docs/support/blocks.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { waitFor } from "../../support/wait.ts";
import { databaseName } from "../support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { mongod } from "../support/sources.ts";
import { waitFollowing } from "./rig.ts";

const root = new URL("../../../", import.meta.url);
const page = await Deno.readTextFile(new URL("docs/migrating.md", root));
const decoder = new TextDecoder();
const secret = "0123456789abcdef0123456789abcdef";
const owner = "owner@example.com";
/** Commands that run until they are stopped. Each is a process group, since `deno task` starts the program. */
const service = /^deno task (start|worker)$|data sync(?!.*--once)|data back (?!.*--(once|verify))/;

/** A MongoDB with accounts: the old backend's, and one with the roles that the page demands. */
async function startAccounts() {
  const mongo = await startMongo(mongod!, { replicaSet: true, root: { user: "root", password: "secret" } });
  const urlOf = (user: string) =>
    `${mongo.url.replace("mongodb://", `mongodb://${user}:secret@`)}&authSource=admin`;
  const client = new MongoClient(urlOf("root"));
  const write = { role: "readWrite", db: databaseName };
  const roles = [write, { role: "read", db: "local" }, { role: "restore", db: "admin" }];
  await client.db("admin").command({ createUser: "old", pwd: "secret", roles: [write] });
  await client.db("admin").command({ createUser: "contactsheet", pwd: "secret", roles });
  const db = client.db(databaseName);
  const tasks = Array.from({ length: 20 }, () => makeTask(owner));
  await db.collection("users").insertOne(makeUser(owner) as Document);
  await db.collection("tasks").insertMany(tasks as Document[]);
  const subtasks = tasks.flatMap(({ id }) => [0, 1, 2].map((i) => makeSubtask(id, i)));
  await db.collection("dramatiq_tasks").insertMany(subtasks as Document[]);
  await client.close();
  return { urlOf, [Symbol.asyncDispose]: () => mongo[Symbol.asyncDispose]() };
}

/** Sends a signal to a service, unless it has ended by itself. */
function endGroup({ pid }: Deno.ChildProcess, signal: Deno.Signal): void {
  try {
    Deno.kill(-pid, signal);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** Asks the API the same question often, so that enough answers are compared. */
async function readOften({ sql }: TestDatabase, origin: string): Promise<void> {
  const authorization = `Bearer ${await signToken({ sub: "1", email: owner }, secret, 600)}`;
  await waitFor("100 compared answers", async () => {
    for (let i = 0; i < 20; i++) {
      const response = await fetch(`${origin}/api/v1/users/me`, { headers: { authorization } });
      assert.equal(response.status, 200, await response.text());
    }
    const [row] = await sql<{ n: number }[]>`
      select coalesce(sum(compared), 0)::float8 as n from migration.shadow_answers`;
    return row!.n >= 100;
  }, 60_000);
}

Deno.test({
  name:
    "the commands of docs/migrating.md migrate a living installation, go back, and print the lines that it shows",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const accounts = stack.use(await startAccounts());
    const database = stack.use(await createDatabase({ template: "template0" }));
    const spare = stack.use(await createDatabase({ template: "template0" }));
    const redis = stack.use(await startRedis());
    const mongoUrl = accounts.urlOf("old");
    const old = stack.use(
      await startOldBackend({ mongoUrl, database: databaseName, secret, executor: { slots: 0 } }),
    );
    const archive = await Deno.makeTempDir({ prefix: "contactsheet-archive-" });
    stack.defer(() => Deno.remove(archive, { recursive: true }));
    const port = findFreePort();
    const env = Object.assign({}, noSettings, {
      DATABASE_URL: database.url,
      MONGODB_URL: accounts.urlOf("contactsheet"),
      DB_NAME: databaseName,
      REDIS_URL: redis.url,
      SECRET_KEY: secret,
      LEGACY_API_URL: old.origin,
      IMAGE_API_URL: "http://127.0.0.1:1",
      NIETA_XTOKEN: "t",
      SHADOW_PERCENT: "100",
      HOST: "127.0.0.1",
      PORT: String(port),
      ADMIN_PORT: "0",
      ARCHIVE: archive,
      SPARE_URL: spare.url,
      NO_COLOR: "1",
      PATH: `${Deno.execPath().replace(/\/[^/]*$/, "")}:${Deno.env.get("PATH")}`,
    });
    const spawn = (command: string) =>
      new Deno.Command("sh", {
        args: ["-c", service.test(command) ? `exec setsid ${command}` : command],
        cwd: root.pathname,
        env,
        stdin: "null",
        stdout: service.test(command) ? "null" : "piped",
        stderr: service.test(command) ? "null" : "piped",
      }).spawn();
    const services: Deno.ChildProcess[] = [];
    stack.defer(async () => {
      for (const child of services.toReversed()) {
        endGroup(child, "SIGKILL");
        await child.status;
      }
    });

    /** Waits until what was started before is ready for a command, as a person would. */
    const prepare = async (command: string) => {
      if (/data (status|verify|rehearse|cutover)/.test(command)) await waitFollowing(database);
      if (/traffic canary/.test(command)) await readOften(database, `http://127.0.0.1:${port}`);
      if (/rollback|back .*--verify/.test(command)) {
        await waitFor("the way back", async () => {
          const [row] = await database.sql`
            select from migration.backs where (select count(*) from migration.changes) = 0`;
          return row !== undefined;
        }, 60_000);
      }
      // Nobody waits for a minute here.
      if (/rehearse|cutover/.test(command)) {
        await database.sql`update migration.follows set behind_at = now() - interval '2 minutes'`;
      }
      if (/traffic shadow/.test(command)) {
        await waitFor("API and worker", async () => {
          const [row] = await database.sql`
            select from migration.front_processes, workers where heartbeat_at > now() - interval '10 s'`;
          return row !== undefined;
        }, 60_000);
      }
    };

    const run = async (command: string): Promise<string> => {
      await prepare(command);
      const wanted = Number(/# exit (\d+)$/.exec(command)?.[1] ?? 0);
      const { code, stdout, stderr } = await spawn(command).output();
      assert.equal(code, wanted, `${command}: ${decoder.decode(stderr)}${decoder.decode(stdout)}`);
      return decoder.decode(stdout) + decoder.decode(stderr);
    };

    for (const { commands, outputLines, section } of readBlocks(page)) {
      // Both services of the data end by themselves when the other system is put in charge.
      if (section.startsWith("12.")) endGroup(services.at(-1)!, "SIGINT");
      let output = "";
      for (const command of commands) {
        const isOk = await t.step(`${section}: ${command}`, async () => {
          if (!service.test(command)) return void (output += await run(command));
          services.push(spawn(command));
        });
        assert.ok(isOk, command);
      }
      for (const line of outputLines) {
        assert.ok(collapse(output).includes(collapse(line)), `'${line}' is not in:\n${output}`);
      }
    }
  },
});
