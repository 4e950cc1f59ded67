/**
 * Exports of 50,000 cells: time to the first and the last byte, and memory.
 * `deno run -A bench/v2/export.ts --cells 50000 --raters 3 --rounds 3`
 */
import type { Pool } from "../../db/pg/connect.ts";
import { importTasks } from "../imported.ts";
import { print, runMain } from "../../process.ts";
import { addBenchTask, type BenchApi, readNumber, startBenchApi } from "./api.ts";

/** Inserts a rating per cell and rater, and updates the cells' sums. */
export async function addRatings(sql: Pool, task: string, raters: number): Promise<void> {
  for (let rater = 0; rater < raters; rater++) {
    await sql`
      insert into ratings (task_id, subtask_id, version, rater_id, stars)
      select parent_task_id, id, attempt, md5(${`rater ${rater}`})::uuid,
        1 + ((hashtext(id::text) & 1048575) + ${rater}::int) % 5
      from subtasks where parent_task_id = ${task}`;
  }
  await sql`
    update subtasks s
    set rating_n = r.n, rating_sum = r.sum, rating = round(r.sum::numeric / r.n)
    from (select subtask_id, count(*) as n, sum(stars) as sum from ratings where task_id = ${task} group by 1) r
    where s.parent_task_id = ${task} and s.id = r.subtask_id`;
  await sql`vacuum analyze subtasks`;
  await sql`vacuum analyze ratings`;
}

/** Reads one export and samples the API's memory meanwhile. */
async function readExport(
  api: BenchApi,
  url: string,
  token: string,
): Promise<Omit<ExportRow, "format" | "cells" | "raters">> {
  const before = api.memory();
  let peak = before;
  const sampling = setInterval(() => peak = Math.max(peak, api.memory()), 10);
  const started = performance.now();
  const response = await fetch(url, {
    headers: { authorization: `Bearer ${token}`, "accept-encoding": "identity" },
  });
  if (response.status !== 200) throw new Error(`${response.status} ${await response.text()}`);
  let first = 0;
  let bytes = 0;
  for await (const chunk of response.body!) {
    first ||= performance.now() - started;
    bytes += chunk.length;
  }
  const total = performance.now() - started;
  clearInterval(sampling);
  return {
    first_ms: Math.round(first),
    all_ms: Math.round(total),
    mb: Math.round(bytes / 1e5) / 10,
    rss_mib: [Math.round(before), Math.round(peak)],
  };
}

/** Where the cells come from. */
export type Origin = "own" | "imported";

/** The result of one export. */
export interface ExportRow {
  format: string;
  cells: number;
  raters: number;
  first_ms: number;
  all_ms: number;
  mb: number;
  /** Resident memory before and the highest meanwhile. */
  rss_mib: [before: number, most: number];
}

/** Creates or imports a completed task. @returns its id */
async function addTask(api: BenchApi, user: { id: string; email: string }, cells: number, origin: Origin) {
  if (origin === "own") return await addBenchTask(api.sql, user, cells);
  const id = crypto.randomUUID();
  const lengths: [number, number, number] = [cells / 500, 50, 10];
  await importTasks(api.url, [{ id, name: "imported", form: "float seeds", lengths }]);
  return id;
}

/** Measures each format `rounds` times on one task of rated cells. */
export async function benchExport(
  api: BenchApi,
  { cells, raters, rounds, origin = "own" }: {
    cells: number;
    raters: number;
    rounds: number;
    origin?: Origin;
  },
): Promise<ExportRow[]> {
  const user = await api.addUser();
  const task = await addTask(api, user, cells, origin);
  await addRatings(api.sql, task, raters);
  const results: ExportRow[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const format of ["csv", "ndjson", "html"]) {
      const url = `${api.origin}/api/v2/tasks/${task}/export?format=${format}`;
      results.push({ format, cells, raters, ...await readExport(api, url, user.token) });
    }
  }
  return results;
}

async function main(): Promise<void> {
  await using api = await startBenchApi();
  const options = {
    cells: readNumber("cells", 50_000),
    raters: readNumber("raters", 3),
    rounds: readNumber("rounds", 3),
  };
  for (const result of await benchExport(api, options)) print(JSON.stringify(result));
}

if (import.meta.main) await runMain(main);
