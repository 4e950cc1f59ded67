/** Reads from a real streaming replica: nobody misses their own writes, the primary is relieved, and it may die. */
import assert from "node:assert/strict";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startReplicated } from "../../dev/servers/replica.ts";
import { originOf, type Spawned, spawnProgram } from "../../dev/servers/spawn.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import type { TestApi } from "../support/api.ts";
import { createDatabase } from "../support/database.ts";
import { waitFor } from "../support/wait.ts";
import { addMatrix, addPeople, call, type V2Person } from "../v2/support/api.ts";

const secret = "0123456789abcdef0123456789abcdef";
const database = "shots";

const settingsOf = (url: string, readUrl: string) => ({
  DATABASE_URL: url,
  DATABASE_READ_URL: readUrl,
  SECRET_KEY: secret,
  REDIS_URL: "redis://127.0.0.1:9",
  RATE_LIMIT: "1000000",
  LOG_LEVEL: "warning",
  HOST: "127.0.0.1",
  PORT: "0",
});

/** An API process with its private port. */
interface Api {
  process: Spawned;
  origin: string;
  admin: number;
}

async function startApi(env: Record<string, string>): Promise<Api> {
  const admin = findFreePort();
  const process = await spawnProgram("api", { ...env, ADMIN_PORT: String(admin) });
  return { process, origin: originOf(process), admin };
}

async function readText({ admin }: Api, path: string): Promise<string> {
  return await (await fetch(`http://127.0.0.1:${admin}${path}`)).text();
}

const waitForReplica = (api: Api, wanted: RegExp) =>
  waitFor("the state of the replica", async () => wanted.test(await readText(api, "/ready")), 30_000);

/** Rows that statements of the API have read on a server, of the tables that its reads use. */
async function countRowsRead(sql: Pool): Promise<number> {
  await sql`select pg_stat_force_next_flush()`;
  const [row] = await sql<{ n: number }[]>`
    select sum(seq_tup_read + coalesce(idx_tup_fetch, 0))::float8 as n from pg_stat_user_tables`;
  return row!.n;
}

interface Load {
  writes: number;
  stale: string[];
  failed: string[];
}

/** Rates cells over one process, and reads what was rated over the other one, until it is stopped. */
async function writeAndRead(
  apis: Api[],
  person: V2Person,
  task: string,
  first: number,
  until: () => boolean,
) {
  const load: Load = { writes: 0, stale: [], failed: [] };
  for (let round = 0; !until(); round++) {
    const cell = first + round % 10;
    const stars = 1 + round % 5;
    const [writer, reader] = [apis[round % 2]!, apis[(round + 1) % 2]!];
    const path = `/tasks/${task}/cells/${cell}/rating`;
    const written = await call(writer, person, "PUT", path, { stars });
    if (written.status >= 300) {
      load.failed.push(`PUT ${written.status} ${written.text}`);
      continue;
    }
    load.writes++;
    const read = await call(reader, person, "GET", path);
    if (read.status !== 200) load.failed.push(`GET ${read.status} ${read.text}`);
    else if (read.body.stars !== stars) load.stale.push(`cell ${cell}: ${read.body.stars}, wanted ${stars}`);
  }
  return load;
}

async function setUp() {
  const stack = new AsyncDisposableStack();
  const servers = stack.use(await startReplicated(database));
  const sql = connect(servers.url(database), { max: 4, silentMsMax: 60_000 });
  stack.defer(() => sql.end({ timeout: 1 }));
  await migrateUp(sql);
  const fixture = {
    database: { sql },
    config: { SECRET_KEY: secret },
    tokens: createTokens(secret, 60),
  } as TestApi;
  const { user, admin, manager, other } = await addPeople(fixture);
  const task = await addMatrix(fixture, user, { prompts: 60, ratios: 5 });
  return { stack, servers, sql, people: [user, admin, manager, other], task };
}

Deno.test("under load over two processes no own write is missed, with the replica used, killed and returned", async () => {
  const { stack, servers, people, task } = await setUp();
  await using _stack = stack;
  const env = settingsOf(servers.url(database), servers.replicaUrl(database));
  const apis = await Promise.all([startApi(env), startApi(env)]);
  for (const { process } of apis) stack.use(process);
  for (const api of apis) await waitForReplica(api, /"replica":"ok"/);
  let isOver = false;
  const loads = people.map((person, index) => writeAndRead(apis, person, task, index * 10, () => isOver));
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  await pause(4_000);
  await servers.killReplica();
  for (const api of apis) await waitForReplica(api, /"replica":"degraded/);
  assert.match(await readText(apis[0]!, "/ready"), /"status":"ready"/);
  await pause(2_000);
  await servers.startReplica();
  for (const api of apis) await waitForReplica(api, /"replica":"ok"/);
  await pause(3_000);
  isOver = true;
  const results = await Promise.all(loads);
  assert.deepEqual(results.flatMap(({ stale }) => stale), []);
  assert.deepEqual(results.flatMap(({ failed }) => failed), []);
  const writes = results.reduce((sum, result) => sum + result.writes, 0);
  assert.ok(writes > 100, `${writes} writes`);
  const metrics = await readText(apis[0]!, "/metrics");
  for (const server of ["replica", "primary"]) {
    assert.match(metrics, new RegExp(`^contactsheet_reads_total\\{server="${server}"\\} [1-9]`, "m"));
  }
});

Deno.test("the replica answers lists, details, matrices, statistics and exports; the primary reads at least 80 % less", async () => {
  const { stack, servers, sql, people: [user], task } = await setUp();
  await using _stack = stack;
  const token = await createTokens(secret, 60).sign({ sub: user!.id, email: user!.email });
  const paths = [
    "/api/v1/tasks",
    `/api/v1/tasks/${task}`,
    `/api/v1/tasks/${task}/matrix`,
    "/api/v2/tasks",
    `/api/v2/tasks/${task}`,
    `/api/v2/tasks/${task}/cells/3`,
    `/api/v2/tasks/${task}/stats?axis=v0`,
    `/api/v2/tasks/${task}/planes`,
    `/api/v2/tasks/${task}/export?format=ndjson`,
  ];
  const readAll = async (readUrl: string) => {
    const api = await startApi(settingsOf(servers.url(database), readUrl));
    if (readUrl !== "") await waitForReplica(api, /"replica":"ok"/);
    const before = await countRowsRead(sql);
    const texts: string[] = [];
    for (let round = 0; round < 10; round++) {
      for (const path of paths) {
        const authorization = `Bearer ${path.startsWith("/api/v1") ? token : user!.access}`;
        const response = await fetch(api.origin + path, { headers: { authorization } });
        const text = await response.text();
        assert.equal(response.status, 200, `${path}: ${text}`);
        if (round === 0) texts.push(text);
      }
    }
    // Backends report what they have read when they end.
    assert.equal(await api.process.end("SIGTERM"), 0);
    const rows = await waitFor("the counts", async () => {
      const [row] = await sql`
        select count(*)::int as n from pg_stat_activity where application_name like 'contactsheet api%'`;
      return row!.n === 0 && await countRowsRead(sql) - before;
    });
    return { texts, rows };
  };
  const alone = await readAll("");
  const relieved = await readAll(servers.replicaUrl(database));
  assert.deepEqual(relieved.texts, alone.texts);
  assert.ok(relieved.rows < 0.2 * alone.rows, `${relieved.rows} rows with a replica, ${alone.rows} without`);
});

Deno.test("a replica that lags is left out, and one that catches up is used again", async () => {
  const { stack, servers, sql, people: [user], task } = await setUp();
  await using _stack = stack;
  const replica = connect(servers.replicaUrl("postgres"), { max: 1 });
  stack.defer(() => replica.end({ timeout: 0 }));
  const api = await startApi(settingsOf(servers.url(database), servers.replicaUrl(database)));
  stack.use(api.process);
  await waitForReplica(api, /"replica":"ok"/);
  await replica`select pg_wal_replay_pause()`;
  await sql`update users set fullname = 'written while the replica stands still' where id = ${user!.id}`;
  const read = await call(api, user, "GET", "/users/me");
  assert.equal(read.body.fullname, "written while the replica stands still");
  assert.match(await readText(api, "/ready"), /"replica":"degraded: it lags more than 200 ms behind"/);
  assert.match(await readText(api, "/metrics"), /^contactsheet_replica_used 0$/m);
  const cells = await call(api, user, "GET", `/tasks/${task}/cells/3`);
  assert.equal(cells.status, 200);
  await replica`select pg_wal_replay_resume()`;
  await waitForReplica(api, /"replica":"ok"/);
});

Deno.test("a replica that is none is refused at the start, and one that is away is not", async () => {
  const { stack, servers } = await setUp();
  await using _stack = stack;
  await using elsewhere = await createDatabase();
  const url = servers.url(database);
  const wrong: [string, RegExp][] = [
    [url, /exit code 76[\s\S]*no standby, but a primary/],
    [elsewhere.url, /exit code 76[\s\S]*another cluster than DATABASE_URL/],
    [servers.replicaUrl("postgres"), /exit code 76[\s\S]*database is another one/],
    [servers.replicaUrl("missing"), /exit code 77[\s\S]*DATABASE_READ_URL/],
    ["mysql://x", /exit code 78[\s\S]*DATABASE_READ_URL: wanted a URL/],
  ];
  for (const [readUrl, wanted] of wrong) {
    await assert.rejects(spawnProgram("api", settingsOf(url, readUrl)), wanted);
  }
  await servers.killReplica();
  const api = await startApi(settingsOf(url, servers.replicaUrl(database)));
  stack.use(api.process);
  assert.match(await readText(api, "/ready"), /"status":"ready".*"replica":"degraded/);
});
