/** What a second API process, and more workers, add on this machine. */
import { runLoad } from "../http/load.ts";
import { axisLengths, type Harness, readProgress, sleep, startHarness, submit } from "../queue/harness.ts";
import { startPeer } from "../queue/throughput.ts";
import { atLeast, median, type Report } from "../report.ts";
import { startApi, startRig } from "./rig.ts";

/** Requests that need no database, and requests that do. */
const requests = {
  "without PostgreSQL (401)": { path: "/api/v1/tasks", status: 401, hasToken: false },
  "a list from PostgreSQL": { path: "/api/v1/tasks", status: 200, hasToken: true },
};

/** Compares one and two processes. The goal applies where two cores are free of PostgreSQL and of the generator. */
export async function measureProcesses(
  report: Report,
  { rounds, seconds }: { rounds: number; seconds: number },
): Promise<void> {
  await using rig = await startRig();
  const one = await startApi({ ...rig.env, API_PROCESSES: "1" });
  const two = await startApi({ ...rig.env, API_PROCESSES: "2" });
  const cores = navigator.hardwareConcurrency;
  for (const [what, { path, status, hasToken }] of Object.entries(requests)) {
    const lines = ["Host: x", ...(hasToken ? [`Authorization: Bearer ${rig.token}`] : [])].join("\r\n");
    const input = {
      request: `GET ${path} HTTP/1.1\r\n${lines}\r\n\r\n`,
      connections: 16,
      requestsMax: 1e9,
      status,
    };
    const ratios: number[] = [];
    const rates = { one: [] as number[], two: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      const rateOf = async ({ port }: { port: number }) => {
        const { requests, seconds: took } = await runLoad({ ...input, port, seconds });
        return requests / took;
      };
      const single = await rateOf(one);
      const double = await rateOf(two);
      rates.one.push(single);
      rates.two.push(double);
      ratios.push(double / single);
    }
    const value = median(ratios);
    report({ what: `one API process, ${what}`, value: median(rates.one), unit: "/s" });
    report({ what: `two API processes, ${what}`, value: median(rates.two), unit: "/s" });
    report({
      what: `two processes compared with one, ${what}`,
      value,
      unit: "×",
      // Load generator, PostgreSQL and two processes need four cores.
      ...(cores >= 4 ? { goal: atLeast(value, 1.6, "×") } : {
        note: `no goal: this machine has ${cores} cores, which the load generator and PostgreSQL use too`,
      }),
    });
  }
  for (const { process } of [one, two]) await process.end("SIGTERM");
}

/** Draws the cells of a task with several workers. @returns cells per second */
async function runWorkers(harness: Harness, count: number, cells: number): Promise<number> {
  await harness.flushRedis();
  await using database = await harness.createDatabase();
  const task = await submit(database, axisLengths(cells));
  await using stack = new AsyncDisposableStack();
  const options = { slots: 100, writes: "all" as const };
  const workers = [];
  for (let index = 0; index < count; index++) {
    workers.push(stack.use(await startPeer(harness, database, task, "contactsheet", options)));
  }
  await Promise.all(workers.map((worker) => worker.start()));
  let first: { at: number; done: number } | undefined;
  for (;;) {
    const { done, ended } = await readProgress(database.sql, task);
    if (!first && done > 0) first = { at: performance.now(), done };
    if (ended) return (done - first!.done) / ((performance.now() - first!.at) / 1000);
    await sleep(10);
  }
}

/** Measures 1, 2 and 4 worker processes with an image API that answers at once. */
export async function measureWorkers(report: Report, { cells }: { cells: number }): Promise<void> {
  await using harness = await startHarness();
  const alone = await runWorkers(harness, 1, cells);
  report({ what: "1 worker", value: alone, unit: "cells/s" });
  for (const count of [2, 4]) {
    const rate = await runWorkers(harness, count, cells);
    const ratio = rate / alone;
    report({ what: `${count} workers`, value: rate, unit: "cells/s" });
    report({
      what: `${count} workers compared with one`,
      value: ratio,
      unit: "×",
      ...(count === 2 ? { goal: atLeast(ratio, 1.6, "×") } : {}),
    });
  }
}
