/**
 * Live events: from a commit to the eyes of all who watch, and what watching costs in memory.
 * `deno run -A bench/v2/events.ts --clients 200 --seconds 15 --cells 50000`
 */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { saveRatings } from "../../db/judging/ratings.ts";
import { insertSession } from "../../db/people/sessions.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { submitTask } from "../../jobs/moves/submit.ts";
import { type Json, type JsonObject, parseJson } from "../../json.ts";
import { silentLog } from "../../log.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { print, runMain } from "../../process.ts";
import { createAccessTokens } from "../../routes/v2/kit/access.ts";

const secret = "a key of the bench that has 32 bytes";
const clientsOfUser = 20;

export function flag(name: string, standard: number): number {
  const at = Deno.args.indexOf(`--${name}`);
  return at < 0 ? standard : Number(Deno.args[at + 1]);
}

export interface BenchApi extends AsyncDisposable {
  origin: string;
  /** Of its database. */
  url: string;
  sql: Pool;
  pid: number;
  /** Resident MiB of the API's process. */
  memory(): number;
  /** A user with a token. */
  addUser(): Promise<{ id: string; email: string; token: string }>;
}

async function waitForPort(port: number): Promise<void> {
  for (let tries = 0;; tries++) {
    try {
      return (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    } catch (error) {
      if (tries > 400) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

/** The API as it runs, over a PostgreSQL of its own. */
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

/** A task of about `cells` cells that all have an image. */
export async function addBenchTask(
  sql: Pool,
  user: { id: string; email: string },
  cells: number,
): Promise<string> {
  const prompts = Math.ceil(cells / 100);
  const text = "a portrait of a woman in a garden, evening light, film grain, 85 mm";
  const tags = parseJson(
    '[{"type":"prompt","isVariable":true,"name":"prompt"},{"type":"seed","isVariable":true,"name":"seed"}]',
  ) as Json[];
  const variables = parseJson(JSON.stringify({
    v0: {
      name: "prompt",
      values: Array.from({ length: prompts }, (_, i) => ({ value: `${text}, no ${i}` })),
    },
    v1: { name: "seed", values: Array.from({ length: 100 }, (_, i) => ({ value: String(1000 + i) })) },
  })) as JsonObject;
  const order = { user, taskName: "a bench", tags, variables, settings: new Map() };
  const { id } = await submitTask({ sql, log: silentLog }, order);
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

async function watch(
  url: string,
  token: string,
  signal: AbortSignal,
  onId: (id: number) => void,
): Promise<void> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` }, signal });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  const read = async () => {
    for await (const text of response.body!.pipeThrough(new TextDecoderStream())) {
      const ids = [...text.matchAll(/^id: (\d+)$/gm)];
      if (ids.length > 0) onId(Number(ids.at(-1)![1]));
    }
  };
  void read().catch(() => {});
}

const at = (sorted: number[], share: number) => Math.round(sorted[Math.floor(share * (sorted.length - 1))]!);

/** Measures `clients` watching a task of `cells` while it is rated ten times a second. */
export async function benchEvents(
  api: BenchApi,
  { clients, seconds, cells }: { clients: number; seconds: number; cells: number },
) {
  const users = await Promise.all(
    Array.from({ length: Math.ceil(clients / clientsOfUser) }, () => api.addUser()),
  );
  const task = await addBenchTask(api.sql, users[0]!, cells);
  const url = `${api.origin}/api/v2/tasks/${task}/events`;
  const before = api.memory();
  const stop = new AbortController();
  const waits: number[] = [];
  const committed: { revision: number; at: number }[] = [];
  for (let i = 0; i < clients; i++) {
    let seen = 0;
    await watch(url, users[i % users.length]!.token, stop.signal, (id) => {
      const now = performance.now();
      for (; seen < committed.length && committed[seen]!.revision <= id; seen++) {
        waits.push(now - committed[seen]!.at);
      }
    });
  }
  const memory: number[] = [];
  let made = 0;
  for (const end = performance.now() + seconds * 1000; performance.now() < end; made++) {
    const wish = { task_id: task, rater_id: users[0]!.id, skipped: null, blind: false, took_ms: null };
    await saveRatings(api.sql, [{ ...wish, cell: made % cells, stars: 1 + made % 5 }]);
    const [row] = await api.sql<{ revision: number }[]>`
      select revision::int from tasks where id = ${task}`;
    committed.push({ revision: row!.revision, at: performance.now() });
    if (made % 10 === 0) memory.push(Math.round(api.memory()));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  stop.abort();
  const sorted = waits.toSorted((a, b) => a - b);
  return {
    clients,
    cells,
    changes: made,
    seen: waits.length,
    lost: made * clients - waits.length,
    p50_ms: at(sorted, 0.5),
    p95_ms: at(sorted, 0.95),
    max_ms: at(sorted, 1),
    rss_mib: { before: Math.round(before), first: memory[0], last: memory.at(-1), most: Math.max(...memory) },
  };
}

async function main(): Promise<void> {
  await using api = await startBenchApi();
  const options = {
    clients: flag("clients", 200),
    seconds: flag("seconds", 15),
    cells: flag("cells", 50_000),
  };
  print(JSON.stringify(await benchEvents(api, options)));
}

if (import.meta.main) await runMain(main);
