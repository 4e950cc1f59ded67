/** From a submission to the first POST: an idle worker, single cells; then 50,000 cells at once. */
import type { RedisPlace } from "../../redis/connect.ts";
import { startGateway } from "../../tests/support/upstash_gateway.ts";
import { atMost, median, rank, type Report, spreadOf } from "./report.ts";
import { axesOf, playNoOp, sleep, type Stand, submit, until, withWorker } from "./stand.ts";

/** Times from the commit of a one-cell task to its POST, in ms; the first few warm up. */
async function timeDispatch(stand: Stand, place: RedisPlace, rounds: number): Promise<number[]> {
  const warmUps = 10;
  const times: number[] = [];
  let posted = Promise.withResolvers<number>();
  const http = playNoOp(() => posted.resolve(performance.now()));
  await using base = await stand.openBase();
  await withWorker(base, place, { slots: 10, http }, async () => {
    for (let round = 0; round < rounds + warmUps; round++) {
      posted = Promise.withResolvers();
      await sleep(30 + Math.random() * 60);
      await submit(base, [1]);
      const committed = performance.now();
      times.push(Math.max(0, await posted.promise - committed));
    }
  });
  return times.slice(warmUps);
}

/** Reports dispatch over both transports. */
export async function measureDispatch(
  stand: Stand,
  report: Report,
  { rounds }: { rounds: number },
): Promise<void> {
  await stand.flushRedis();
  const tcp = await timeDispatch(stand, { url: stand.redis.url }, rounds);
  const half = rank(tcp, 0.5);
  const most = rank(tcp, 0.99);
  report({ what: "idle → POST over TCP, p50", value: half, unit: "ms", goal: atMost(half, 5, "ms") });
  report({ what: "idle → POST over TCP, p99", value: most, unit: "ms", goal: atMost(most, 25, "ms") });
  await stand.flushRedis();
  await using gateway = await startGateway(stand.redis.url);
  const rest = await timeDispatch(stand, { restUrl: gateway.url, restToken: gateway.token }, rounds);
  const late = rank(rest, 0.99);
  report({ what: "idle → POST over REST with LISTEN, p50", value: rank(rest, 0.5), unit: "ms" });
  report({
    what: "idle → POST over REST with LISTEN, p99",
    value: late,
    unit: "ms",
    goal: atMost(late, 300, "ms"),
  });
}

/** Reports how long a big submit takes beside an idle worker, and how soon after it the first POST goes out. */
export async function measureSubmit(
  stand: Stand,
  report: Report,
  { cells, rounds }: { cells: number; rounds: number },
): Promise<void> {
  const submits: number[] = [];
  const firsts: number[] = [];
  for (let round = 0; round < rounds; round++) {
    await stand.flushRedis();
    await using base = await stand.openBase();
    let postedAt = 0;
    const http = playNoOp(() => postedAt ||= performance.now());
    await withWorker(base, { url: stand.redis.url }, { slots: 10, http }, async () => {
      await sleep(300);
      const started = performance.now();
      await submit(base, axesOf(cells));
      const committed = performance.now();
      await until("the first POST", () => postedAt > 0, { everyMs: 1 });
      submits.push(committed - started);
      firsts.push(Math.max(0, postedAt - committed));
    });
  }
  const took = median(submits);
  const first = median(firsts);
  const size = cells.toLocaleString("en");
  report({
    what: `submit of ${size} cells, answered with all rows durable`,
    value: took,
    unit: "ms",
    spread: spreadOf(submits),
    goal: atMost(took, 1_500, "ms"),
  });
  report({
    what: `first POST after that commit`,
    value: first,
    unit: "ms",
    spread: spreadOf(firsts),
    goal: atMost(first, 100, "ms"),
  });
}
