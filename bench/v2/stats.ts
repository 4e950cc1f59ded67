/** Statistics of 50,000 cells × 3 raters over HTTP: how long they take, and how long others wait meanwhile. */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { insertSession } from "../../db/people/sessions.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { createAccessTokens } from "../../routes/v2/kit/access.ts";

const secret = "a key of the bench that has 32 bytes";
const task = "00000000-0000-4000-8000-00000005747a";
const other = "00000000-0000-4000-8000-00000005747b";
const email = "stats@bench.example";

export interface StatsRow {
  what: string;
  /** Milliseconds: of the very first request, the median, the 95th percentile. */
  first: number;
  p50: number;
  p95: number;
  /** Milliseconds of the server's own time that a request takes; 0 where the system does not say. */
  cpu: number;
  /** Milliseconds that a request for the process' health waited at most meanwhile. */
  lag: number;
  /** Wanted of p95. */
  goal?: number;
}

/** A matrix of 100 prompts × 50 elements × 10 ratios, all drawn, each image rated by three; 20,000 votes. */
export async function fillStats(sql: Pool): Promise<void> {
  await sql`insert into users (email, hashed_password) values (${email}, 'none') on conflict do nothing`;
  const values = (count: number, text: string) => ({
    name: text,
    values: Array.from({ length: count }, (_, i) => ({ value: `${text} ${i}` })),
  });
  const variables = { v0: values(100, "prompt"), v1: values(50, "element"), v2: values(10, "ratio") };
  for (const id of [task, other]) {
    await sql`
      insert into tasks (id, task_name, username, tags, variables, settings, status, total_images, completed_at,
        subtasks_total, subtasks_completed)
      values (${id}, 'stats', ${email}, '[]', ${
      JSON.stringify(variables)
    }::text::json, '{}', 'completed', 50000, now(), 50000,
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
      '00000000-0000-4000-8000-000000000001'
    from subtasks l
    join subtasks r on r.parent_task_id = l.parent_task_id and r.cell = l.cell - l.cell % 500 + (l.cell + 130) % 500
    where l.parent_task_id = ${task} and l.cell % 5 < 2`;
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

const at = (values: number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(share * values.length))]!;

/** Asks for the process' health again and again until told to stop. @returns the longest wait */
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

async function time(origin: string, token: string, path: string): Promise<number> {
  const started = performance.now();
  const response = await fetch(`${origin}/api/v2${path}`, { headers: { authorization: `Bearer ${token}` } });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${path}: ${response.status} ${text.slice(0, 300)}`);
  return performance.now() - started;
}

const asked: { what: string; path: string; goal?: number }[] = [
  { what: "stats, failures alone", path: `/tasks/${task}/stats?axis=v1&measure=fail` },
  { what: "stats, all measures", path: `/tasks/${task}/stats?axis=v1`, goal: 400 },
  { what: "stats, mean", path: `/tasks/${task}/stats?axis=v1&measure=mean`, goal: 400 },
  { what: "stats by ratio", path: `/tasks/${task}/stats?axis=v1&by=v2&measure=mean` },
  { what: "stats of ratios by prompt", path: `/tasks/${task}/stats?axis=v2&by=v0` },
  { what: "agreement", path: `/tasks/${task}/agreement`, goal: 400 },
  { what: "compare", path: `/compare?tasks=${task},${other}` },
];

/** Milliseconds of CPU that a process has had; the system counts hundredths of a second. */
function readCpu(pid: number): number {
  try {
    const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]!.split(" ");
    return 10 * (Number(fields[11]) + Number(fields[12]));
  } catch {
    return 0;
  }
}

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
 * Measures the statistics against a server of its own. Nothing of an answer is kept by the server, so that each request
 * is cold but for PostgreSQL's buffers.
 *
 * @param url of a migrated database that `fillStats` has filled
 */
export async function measureStats(url: string, rounds = 20): Promise<StatsRow[]> {
  const sql = connect(url, { max: 1 });
  const token = await signIn(sql);
  await sql.end();
  await using server = await startServer(url);
  const rows: StatsRow[] = [];
  for (const { path, ...named } of asked) {
    const first = await time(server.origin, token, path);
    const before = readCpu(server.pid);
    for (let round = 0; round < 5; round++) await time(server.origin, token, path);
    const cpu = (readCpu(server.pid) - before) / 5;
    const stop = new AbortController();
    const lag = watchLag(server.origin, stop.signal);
    const times: number[] = [];
    for (let round = 0; round < rounds; round++) times.push(await time(server.origin, token, path));
    stop.abort();
    rows.push({ ...named, first, p50: at(times, 0.5), p95: at(times, 0.95), cpu, lag: await lag });
  }
  return rows;
}
