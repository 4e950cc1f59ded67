/** Statistics of 50,000 cells with 3 raters over HTTP: their latency, and the latency of other requests meanwhile. */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { saveRatings } from "../../db/judging/ratings.ts";
import { insertSession } from "../../db/people/sessions.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { createAccessTokens } from "../../routes/v2/kit/access_tokens.ts";
import { importTasks } from "../imported.ts";
import { readCpuMs } from "./api.ts";
import { addRatings } from "./export.ts";

const secret = "a key of the bench that has 32 bytes";
const task = "00000000-0000-4000-8000-00000005747a";
const other = "00000000-0000-4000-8000-00000005747b";
const imported = "00000000-0000-4000-8000-00000005747c";
const email = "stats@bench.example";
const rater = "00000000-0000-4000-8000-000000000001";

/** The results of one request. */
export interface StatsRow {
  what: string;
  /** Milliseconds of the first request, the median and the 95th percentile. */
  first: number;
  p50: number;
  p95: number;
  /** CPU time of the server per request in milliseconds; NaN if the system does not report it. */
  cpu: number;
  /** Longest latency of a concurrent `/health` request in milliseconds. */
  lag: number;
  /** Maximum p95 in milliseconds. */
  goal?: number;
}

/**
 * Inserts two tasks of 100 prompts × 50 elements × 10 ratios, all completed and rated by three, and 20,000 votes. Imports
 * and rates a third one of the same size.
 */
export async function fillStats(sql: Pool, url: string): Promise<void> {
  await sql`insert into users (email, hashed_password) values (${email}, 'none') on conflict do nothing`;
  const values = (count: number, text: string) => ({
    name: text,
    values: Array.from({ length: count }, (_, i) => ({ value: `${text} ${i}` })),
  });
  const variables = { v0: values(100, "prompt"), v1: values(50, "element"), v2: values(10, "ratio") };
  const variablesJson = JSON.stringify(variables);
  for (const id of [task, other]) {
    await sql`
      insert into tasks (id, task_name, username, tags, variables, settings, status, total_images, completed_at,
        subtasks_total, subtasks_completed)
      values (${id}, 'stats', ${email}, '[]', ${variablesJson}::text::json, '{}', 'completed', 50000, now(), 50000,
        50000)`;
    await sql`
      insert into subtasks (parent_task_id, legacy_id, cell, variable_indices, variable_types_map, status, result,
        prompts, ratio, seed, image_url, attempt, rating_n, rating_sum, completed_at)
      select ${id}, lpad(to_hex(hashtext(${id})::bit(24)::int), 12, '0') || lpad(to_hex(n), 12, '0'), n,
        array[n / 500, n / 10 % 50, n % 10, null, null, null],
        '{"v0":"prompt","v1":"element","v2":"ratio"}', 'completed',
        ('{"url":"https://img.example.com/' || md5(n::text) || '.webp","width":1024,"height":1024}')::json,
        json_build_array(json_build_object('type', 'freetext', 'weight', 1, 'value', repeat('masterpiece, ', 30))),
        '3:5', n, 'https://img.example.com/' || md5(n::text) || '.webp', 1, 3, 9, now()
      from generate_series(0, 49999) as n`;
    await sql`
      insert into ratings (task_id, subtask_id, version, rater_id, stars)
      select s.parent_task_id, s.id, 1, ('00000000-0000-4000-8000-00000000000' || r)::uuid,
        greatest(1, least(5, 3 + (hashint4(s.cell / 500) & 1) + r - 2 + (hashint4(s.cell * 7 + r) & 3) - 1))
      from subtasks s, generate_series(1, 3) as r
      where s.parent_task_id = ${id}`;
  }
  await sql`
    insert into votes (task_id, left_id, left_version, right_id, right_version, outcome, rater_id)
    select l.parent_task_id, l.id, 1, r.id, 1, (array['left', 'right', 'tie'])[1 + (hashint4(l.cell) & 2147483647) % 3],
      ${rater}
    from subtasks l
    join subtasks r on r.parent_task_id = l.parent_task_id and r.cell = l.cell - l.cell % 500 + (l.cell + 130) % 500
    where l.parent_task_id = ${task} and l.cell % 5 < 2`;
  await importTasks(url, [{ id: imported, name: "stats", form: "float seeds", lengths: [100, 50, 10] }]);
  await addRatings(sql, imported, 3);
  await sql`vacuum analyze`;
}

async function signIn(sql: Pool): Promise<string> {
  const [user] = await sql<{ id: string }[]>`select id from users where email = ${email}`;
  const session = await insertSession(sql, {
    userId: user!.id,
    tokenHash: crypto.getRandomValues(new Uint8Array(32)),
    lifeSeconds: 3600,
    client: "bench",
  });
  return await createAccessTokens(secret, 3600).sign({
    userId: user!.id,
    sessionId: session.id,
    version: session.version,
  });
}

const quantile = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))]!;

/** Sends `/health` requests until the signal is aborted. @returns the longest latency in milliseconds */
async function watchLag(origin: string, signal: AbortSignal): Promise<number> {
  let longest = 0;
  while (!signal.aborted) {
    const started = performance.now();
    await (await fetch(`${origin}/health`)).body?.cancel();
    longest = Math.max(longest, performance.now() - started);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  return longest;
}

/** Changes a rating of each task, so that every answer has to be computed again. */
async function rateAgain(sql: Pool, change: number): Promise<void> {
  for (const task_id of [task, other, imported]) {
    const rated = { task_id, cell: change * 7 % 50_000, rater_id: rater, stars: 1 + change % 5 };
    await saveRatings(sql, [{ ...rated, skipped: null, blind: false, took_ms: null }]);
  }
}

/** Sends a request. @returns its latency in milliseconds */
async function timeRequest(origin: string, token: string, path: string): Promise<number> {
  const started = performance.now();
  const response = await fetch(`${origin}/api/v2${path}`, { headers: { authorization: `Bearer ${token}` } });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
  return performance.now() - started;
}

interface StatsRequest {
  what: string;
  path: string;
  goal?: number;
  /** The task stays as it is, so that the server may keep its answer. Otherwise it changes before each request. */
  isAgain?: true;
}

const requests: StatsRequest[] = [
  { what: "stats, failures only", path: `/tasks/${task}/stats?axis=v1&measure=fail` },
  { what: "stats, all measures", path: `/tasks/${task}/stats?axis=v1`, goal: 400 },
  { what: "stats, mean", path: `/tasks/${task}/stats?axis=v1&measure=mean`, goal: 400 },
  { what: "stats by ratio", path: `/tasks/${task}/stats?axis=v1&by=v2&measure=mean` },
  { what: "stats of ratios by prompt", path: `/tasks/${task}/stats?axis=v2&by=v0`, goal: 300 },
  {
    what: "stats of ratios by prompt, again",
    path: `/tasks/${task}/stats?axis=v2&by=v0`,
    goal: 20,
    isAgain: true,
  },
  { what: "stats of ratios by prompt, imported", path: `/tasks/${imported}/stats?axis=v2&by=v0`, goal: 300 },
  {
    what: "stats of ratios by prompt, imported, again",
    path: `/tasks/${imported}/stats?axis=v2&by=v0`,
    goal: 20,
    isAgain: true,
  },
  { what: "agreement", path: `/tasks/${task}/agreement`, goal: 400 },
  { what: "compare", path: `/compare?tasks=${task},${other}` },
];

async function startServer(url: string): Promise<AsyncDisposable & { origin: string; pid: number }> {
  const port = findFreePort();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("../http/server.ts", import.meta.url).pathname, "ours", String(port)],
    env: { DATABASE_URL: url, SECRET_KEY: secret, RATE_LIMIT: "1000000" },
    stdout: "null",
    stderr: "null",
  }).spawn();
  const origin = `http://127.0.0.1:${port}`;
  for (let tries = 0;; tries++) {
    try {
      await (await fetch(`${origin}/health`)).body?.cancel();
      break;
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    origin,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

/**
 * Measures the statistics on a new server.
 *
 * @param url URL of a migrated database that `fillStats` has filled
 */
export async function measureStats(url: string, rounds = 20): Promise<StatsRow[]> {
  const sql = connect(url, { max: 1 });
  const token = await signIn(sql);
  await using server = await startServer(url);
  const rows: StatsRow[] = [];
  let changes = 0;
  for (const { path, isAgain = false, ...named } of requests) {
    const time = async () => {
      if (!isAgain) {
        await rateAgain(sql, changes++);
      }
      return await timeRequest(server.origin, token, path);
    };
    const first = await time();
    const before = readCpuMs(server.pid);
    for (let round = 0; round < 5; round++) await time();
    const cpu = (readCpuMs(server.pid) - before) / 5;
    const stop = new AbortController();
    const lag = watchLag(server.origin, stop.signal);
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await time());
    stop.abort();
    rows.push({
      ...named,
      first,
      p50: quantile(times, 0.5),
      p95: quantile(times, 0.95),
      cpu,
      lag: await lag,
    });
  }
  await sql.end();
  return rows;
}
