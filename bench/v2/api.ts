/** The API of the v2 benches: a real process over its own PostgreSQL, with users and completed tasks. */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { insertSession } from "../../db/people/sessions.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../json.ts";
import { silentLog } from "../../log.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { createAccessTokens } from "../../routes/v2/kit/access_tokens.ts";

const secret = "a key of the bench that has 32 bytes";
/** Reads the number after `--name` on the command line. */
export function readNumber(name: string, defaultValue: number): number {
  const index = Deno.args.indexOf(`--${name}`);
  return index < 0 ? defaultValue : Number(Deno.args[index + 1]);
}

/** A running API with its database. */
export interface BenchApi extends AsyncDisposable {
  origin: string;
  /** URL of its database. */
  url: string;
  sql: Pool;
  pid: number;
  /** Returns the resident memory of the process in MiB. */
  memory(): number;
  /** Inserts a user with a session. */
  addUser(): Promise<{ id: string; email: string; token: string }>;
}

/** Waits until a port of loopback accepts connections. */
export async function waitForPort(port: number): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      return (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch (error) {
      if (tries > 400) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** Returns the CPU time of a process so far in milliseconds, or NaN if the system does not report it. */
export function readCpuMs(pid: number): number {
  try {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
    // The system counts hundredths of a second.
    return (Number(fields[11]) + Number(fields[12])) * 10;
  } catch {
    return NaN;
  }
}

/** Starts PostgreSQL and the API as `deno task start` runs it. */
export async function startBenchApi(): Promise<BenchApi> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  const server = await startPostgres({ folder, keep: false });
  const admin = connect(server.url("postgres"), { max: 1 });
  await admin`create database bench`;
  await admin.end();
  const sql = connect(server.url("bench"), { max: 2 });
  await migrateUp(sql);
  const port = findFreePort();
  const root = new URL("../../", import.meta.url);
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "-P=api",
      "--config",
      new URL("deno.json", root).pathname,
      "main.ts",
    ],
    cwd: root,
    env: {
      DATABASE_URL: server.url("bench"),
      SECRET_KEY: secret,
      HOST: "127.0.0.1",
      PORT: String(port),
      REDIS_URL: "redis://127.0.0.1:9",
      RATE_LIMIT: "1000000",
      LOG_LEVEL: "error",
    },
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  await waitForPort(port);
  const access = createAccessTokens(secret);
  return {
    origin: `http://127.0.0.1:${port}`,
    url: server.url("bench"),
    sql,
    pid: child.pid,
    memory: () =>
      Number(/VmRSS:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${child.pid}/status`))?.[1] ?? 0) / 1024,
    async addUser() {
      const email = `${crypto.randomUUID()}@example.com`;
      const [user] = await sql<{ id: string }[]>`
        insert into users (email, hashed_password) values (${email}, '') returning id`;
      const hash = crypto.getRandomValues(new Uint8Array(32));
      const session = await insertSession(sql, {
        userId: user!.id,
        tokenHash: hash,
        lifeSeconds: 3600,
        client: "bench",
      });
      const token = await access.sign({
        userId: user!.id,
        sessionId: session.id,
        version: session.version,
      });
      return { id: user!.id, email, token };
    },
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
      await sql.end();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Inserts a task of about `cells` cells, all completed with an image. */
export async function addBenchTask(
  sql: Pool,
  user: { id: string; email: string },
  cells: number,
): Promise<string> {
  const prompts = Math.ceil(cells / 100);
  const prompt = "a portrait of a woman in a garden, evening light, film grain, 85 mm";
  const tags = parseJson(
    '[{"type":"prompt","isVariable":true,"name":"prompt"},{"type":"seed","isVariable":true,"name":"seed"}]',
  ) as Json[];
  const variables = parseJson(JSON.stringify({
    v0: {
      name: "prompt",
      values: Array.from({ length: prompts }, (_, i) => ({ value: `${prompt}, no ${i}` })),
    },
    v1: { name: "seed", values: Array.from({ length: 100 }, (_, i) => ({ value: String(1000 + i) })) },
  })) as JsonObject;
  const input = { user, taskName: "a bench", tags, variables, settings: new Map() };
  const { id } = await submitTask({ sql, log: silentLog }, input);
  await sql`
    update subtasks
    set status = 'completed', completed_at = now(), started_at = now(), attempt = 1,
      image_url = 'https://images.example.com/artifacts/2025/05/' || id || '.webp'
    where parent_task_id = ${id}`;
  await sql`
    update tasks
    set subtasks_completed = subtasks_total, status = 'completed', completed_at = now(), started_at = now(),
      all_subtasks_completed = true
    where id = ${id}`;
  await sql`vacuum analyze subtasks`;
  return id;
}
