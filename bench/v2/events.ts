/**
 * Live events: the time from a commit until every viewer has received the event, and the memory of the viewers.
 * `deno run -A bench/v2/events.ts --clients 200 --seconds 15 --cells 50000`
 */
import { saveRatings } from "../../db/judging/ratings.ts";
import { print, runMain } from "../../process.ts";
import { addBenchTask, type BenchApi, readNumber, startBenchApi } from "./api.ts";

const clientsPerUser = 20;

/** Opens an event stream and reports the id of the last event of each received chunk. */
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

const quantile = (sorted: number[], share: number) =>
  Math.round(sorted[Math.floor(share * (sorted.length - 1))]!);

/** Measures `clients` that watch a task of `cells` cells while it is rated ten times a second. */
export async function benchEvents(
  api: BenchApi,
  { clients, seconds, cells }: { clients: number; seconds: number; cells: number },
) {
  const users = await Promise.all(
    Array.from({ length: Math.ceil(clients / clientsPerUser) }, () => api.addUser()),
  );
  const task = await addBenchTask(api.sql, users[0]!, cells);
  const url = `${api.origin}/api/v2/tasks/${task}/events`;
  const before = api.memory();
  const stop = new AbortController();
  const waits: number[] = [];
  const committed: { revision: number; at: number }[] = [];
  for (let i = 0; i < clients; i++) {
    let received = 0;
    await watch(url, users[i % users.length]!.token, stop.signal, (id) => {
      const now = performance.now();
      for (; received < committed.length && committed[received]!.revision <= id; received++) {
        waits.push(now - committed[received]!.at);
      }
    });
  }
  const memory: number[] = [];
  let changes = 0;
  for (const end = performance.now() + seconds * 1000; performance.now() < end; changes++) {
    const rating = { task_id: task, rater_id: users[0]!.id, skipped: null, blind: false, took_ms: null };
    await saveRatings(api.sql, [{ ...rating, cell: changes % cells, stars: 1 + changes % 5 }]);
    const [row] = await api.sql<{ revision: number }[]>`
      select revision::int from tasks where id = ${task}`;
    committed.push({ revision: row!.revision, at: performance.now() });
    if (changes % 10 === 0) memory.push(Math.round(api.memory()));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  stop.abort();
  const sorted = waits.toSorted((a, b) => a - b);
  return {
    clients,
    cells,
    changes,
    received: waits.length,
    lost: changes * clients - waits.length,
    p50_ms: quantile(sorted, 0.5),
    p95_ms: quantile(sorted, 0.95),
    max_ms: quantile(sorted, 1),
    rss_mib: { before: Math.round(before), first: memory[0], last: memory.at(-1), most: Math.max(...memory) },
  };
}

async function main(): Promise<void> {
  await using api = await startBenchApi();
  const options = {
    clients: readNumber("clients", 200),
    seconds: readNumber("seconds", 15),
    cells: readNumber("cells", 50_000),
  };
  print(JSON.stringify(await benchEvents(api, options)));
}

if (import.meta.main) await runMain(main);
