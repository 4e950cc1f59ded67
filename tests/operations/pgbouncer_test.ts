/** A real PgBouncer before PostgreSQL: API and worker in transaction mode, and the modes that are refused. */
import assert from "node:assert/strict";
import { pinnedSettings } from "../../db/pg/session.ts";
import { findPgBouncer, type PoolMode, startPgBouncer } from "../../dev/servers/pgbouncer.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { originOf, spawnProgram } from "../../dev/servers/spawn.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { readSubtasks, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const secret = "0123456789abcdef0123456789abcdef";
const name = (url: string) => new URL(url).pathname.slice(1);
const startBefore = (database: TestDatabase, mode: PoolMode, lines: string[] = []) =>
  startPgBouncer({ server: database.url, mode, lines });

/** `.ci/run` installs PgBouncer from Debian's package. */
const ignore = findPgBouncer() === undefined;

Deno.test({
  name: "API and worker behind PgBouncer submit, draw, cancel and list; notifications use the direct address",
  ignore,
  async fn() {
    await using rig = await startRig({ delayMs: (body) => body.includes("slow") ? 60_000 : 50 });
    await using bouncer = await startPgBouncer({ server: rig.url, mode: "transaction" });
    const env = {
      ...rig.env,
      DATABASE_URL: bouncer.url(name(rig.url)),
      DATABASE_DIRECT_URL: rig.url,
      SECRET_KEY: secret,
      HOST: "127.0.0.1",
      PORT: "0",
    };
    const admin = findFreePort();
    await using worker = await spawnProgram("worker", { ...env, ADMIN_PORT: String(admin) });
    await using api = await spawnProgram("api", env);
    const task = await rig.submit(["one", "two", "three"], [1, 2, 3, 4]);
    await waitForEnd(rig.sql, task);
    const cells = await readSubtasks(rig.sql, task);
    assert.equal(cells.length, 12);
    assert.ok(cells.every(({ status }) => status === "completed"));

    const token = await createTokens(secret, 60).sign({ sub: rig.user.id, email: rig.user.email });
    const headers = { authorization: `Bearer ${token}` };
    const read = async (path: string) => {
      const response = await fetch(originOf(api) + path, { headers });
      const text = await response.text();
      assert.equal(response.status, 200, text);
      return text;
    };
    const paths = [
      "/api/v1/tasks",
      `/api/v1/tasks/${task}`,
      `/api/v1/tasks/${task}/matrix`,
      "/api/v1/users/me",
    ];
    const texts = await Promise.all(
      Array.from({ length: 200 }, (_, index) => read(paths[index % paths.length]!)),
    );
    assert.equal(new Set(texts).size, paths.length);

    const slow = await rig.submit(["slow"], [1]);
    await waitFor("the attempt", () => rig.api.posts.length === 13, 20_000);
    const cancelled = await fetch(`${originOf(api)}/api/v1/tasks/${slow}/cancel`, {
      method: "POST",
      headers,
    });
    assert.equal(cancelled.status, 200, await cancelled.text());
    await waitFor("the free slot", async () => {
      const metrics = await (await fetch(`http://127.0.0.1:${admin}/metrics`)).text();
      return /^contactsheet_slots_busy\{queue="standard"\} 0$/m.test(metrics);
    }, 10_000);

    const listening = await rig.sql`
      select client_port from pg_stat_activity where datname = current_database() and query like 'listen %'`;
    assert.ok(listening.length > 0);
    assert.equal(await worker.end("SIGTERM"), 0);
    assert.equal(await api.end("SIGTERM"), 0);
    assert.doesNotMatch(api.output() + worker.output(), /"level":"error"/);
  },
});

interface Wrong {
  what: string;
  mode: PoolMode;
  lines?: string[];
  env: (through: (parameters?: string) => string, direct: string) => Record<string, string>;
  exit: number;
  wanted: RegExp;
  prepare?: (database: TestDatabase) => Promise<unknown>;
}

const ignoredByPooler = `ignore_startup_parameters = ${
  [...Object.keys(pinnedSettings(true)), "application_name"].join(",")
}`;

const wrongs: Wrong[] = [
  {
    what: "statement mode",
    mode: "statement",
    env: (through, direct) => ({ DATABASE_URL: through(), DATABASE_DIRECT_URL: direct }),
    exit: 76,
    wanted: /statement mode.*set pool_mode = transaction/,
  },
  {
    what: "transaction mode without pgbouncer=true",
    mode: "transaction",
    env: (through) => ({ DATABASE_URL: through("") }),
    exit: 77,
    wanted: /PgBouncer answers there.*pgbouncer=true.*DATABASE_DIRECT_URL/,
  },
  {
    what: "transaction mode without pgbouncer=true, where PgBouncer drops unknown parameters",
    mode: "transaction",
    lines: [ignoredByPooler],
    env: (through) => ({ DATABASE_URL: through("") }),
    exit: 76,
    wanted: /DATABASE_URL leads to a pooler in transaction mode.*add 'pgbouncer=true'/,
  },
  {
    what: "a direct address that is the pooler's",
    mode: "transaction",
    lines: [ignoredByPooler],
    env: (through) => ({ DATABASE_URL: through(), DATABASE_DIRECT_URL: through("") }),
    exit: 76,
    wanted: /DATABASE_DIRECT_URL leads to a pooler in transaction mode.*PostgreSQL's own address/,
  },
  {
    what: "no direct address",
    mode: "transaction",
    env: (through) => ({ DATABASE_URL: through() }),
    exit: 78,
    wanted: /DATABASE_DIRECT_URL: wanted the address of PostgreSQL itself/,
  },
  {
    what: "sessions with another form of values",
    mode: "transaction",
    env: (through, direct) => ({ DATABASE_URL: through(), DATABASE_DIRECT_URL: direct }),
    prepare: ({ sql, url }) => sql`alter database ${sql(name(url))} set bytea_output = 'escape'`,
    exit: 76,
    wanted: /bytea_output is 'escape'.*alter role contactsheet set bytea_output = 'hex'/,
  },
];

for (const { what, mode, lines, env, exit, wanted, prepare } of wrongs) {
  Deno.test({
    name: `API and worker refuse ${what} and say what to do`,
    ignore,
    async fn() {
      await using database = await createDatabase();
      await prepare?.(database);
      await using bouncer = await startBefore(database, mode, lines);
      const through = (parameters?: string) => bouncer.url(name(database.url), parameters);
      const settings = {
        ...env(through, database.url),
        SECRET_KEY: secret,
        IMAGE_API_URL: "http://127.0.0.1:9",
        NIETA_XTOKEN: "t",
        PORT: "0",
      };
      for (const program of ["api", "worker"] as const) {
        const failure = new RegExp(`exit code ${exit}[\\s\\S]*${wanted.source}`);
        await assert.rejects(spawnProgram(program, settings), failure, program);
      }
    },
  });
}

Deno.test({
  name: "the migrator uses the direct address",
  ignore,
  async fn() {
    await using database = await createDatabase();
    await using bouncer = await startBefore(database, "transaction");
    const env = { DATABASE_URL: bouncer.url(name(database.url)), DATABASE_DIRECT_URL: database.url };
    await using migrate = await spawnProgram("migrate", env, /0014_switch/, ["status"]);
    assert.equal(await migrate.ended, 0);
  },
});
