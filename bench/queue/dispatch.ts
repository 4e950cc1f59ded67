/** The time from a submission to its first POST, for single cells and for 50,000 cells at once, with an idle worker. */
import type { RedisAddress } from "../../redis/connect.ts";
import { startGateway } from "../../tests/support/upstash_gateway.ts";
import { atLeast, atMost, median, quantile, rangeOf, type Report } from "../report.ts";
import { axisLengths, type Harness, sleep, submit, waitUntil, withWorker } from "./harness.ts";
import { createNoOpImageApi } from "../peers/no_op.ts";
import { timeBareInsert } from "./machine.ts";

/** Measures the times from the commit of a one-cell task to its POST, in ms, after ten rounds of warm-up. */
async function timeDispatch(harness: Harness, address: RedisAddress, rounds: number): Promise<number[]> {
  const warmUps = 10;
  const times: number[] = [];
  let posted = Promise.withResolvers<number>();
  const http = createNoOpImageApi(() => posted.resolve(performance.now()));
  await using database = await harness.createDatabase();
  await withWorker(database, address, { slots: 10, http }, async () => {
    for (let round = 0; round < rounds + warmUps; round++) {
      posted = Promise.withResolvers();
      await sleep(30 + Math.random() * 60);
      await submit(database, [1]);
      const committed = performance.now();
      times.push(Math.max(0, await posted.promise - committed));
    }
  });
  return times.slice(warmUps);
}

/** Reports dispatch times over TCP and over REST. */
export async function measureDispatch(
  harness: Harness,
  report: Report,
  { rounds }: { rounds: number },
): Promise<void> {
  await harness.flushRedis();
  const tcp = await timeDispatch(harness, { url: harness.redis.url }, rounds);
  const tcpP50 = quantile(tcp, 0.5);
  const tcpP99 = quantile(tcp, 0.99);
  report({ what: "idle → POST over TCP, p50", value: tcpP50, unit: "ms", goal: atMost(tcpP50, 5, "ms") });
  report({ what: "idle → POST over TCP, p99", value: tcpP99, unit: "ms", goal: atMost(tcpP99, 25, "ms") });
  await harness.flushRedis();
  await using gateway = await startGateway(harness.redis.url);
  const rest = await timeDispatch(harness, { restUrl: gateway.url, restToken: gateway.token }, rounds);
  const restP99 = quantile(rest, 0.99);
  report({ what: "idle → POST over REST with LISTEN, p50", value: quantile(rest, 0.5), unit: "ms" });
  report({
    what: "idle → POST over REST with LISTEN, p99",
    value: restP99,
    unit: "ms",
    goal: atMost(restP99, 300, "ms"),
  });
}

/** Reports the duration of a large submit and the time from its commit to the first POST, with an idle worker. */
export async function measureSubmit(
  harness: Harness,
  report: Report,
  { cells, rounds }: { cells: number; rounds: number },
): Promise<void> {
  const submits: number[] = [];
  const firsts: number[] = [];
  const ratios: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await harness.flushRedis();
    await using database = await harness.createDatabase();
    await database.sql`checkpoint`;
    let postedAt = 0;
    let task = "";
    const http = createNoOpImageApi(() => postedAt ||= performance.now());
    await withWorker(database, { url: harness.redis.url }, { slots: 10, http }, async () => {
      await sleep(300);
      const started = performance.now();
      task = await submit(database, axisLengths(cells));
      const committed = performance.now();
      await waitUntil("the first POST", () => postedAt > 0, { everyMs: 1 });
      submits.push(committed - started);
      firsts.push(Math.max(0, postedAt - committed));
    });
    ratios.push(await timeBareInsert(database.sql, task) / submits.at(-1)!);
  }
  const submitMs = median(submits);
  const firstMs = median(firsts);
  const size = cells.toLocaleString("en");
  report({
    what: `submit of ${size} cells with all rows durable`,
    value: submitMs,
    unit: "ms",
    spread: rangeOf(submits),
    goal: atMost(submitMs, 1_500, "ms"),
  });
  const ratio = median(ratios);
  report({
    what: `submit of ${size} cells, speed as a multiple of a bare INSERT … SELECT of the same rows`,
    value: ratio,
    unit: "×",
    spread: rangeOf(ratios),
    goal: atLeast(ratio, 1, "×"),
  });
  report({
    what: "first POST after that commit",
    value: firstMs,
    unit: "ms",
    spread: rangeOf(firsts),
    goal: atMost(firstMs, 100, "ms"),
  });
}
