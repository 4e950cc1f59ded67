/** What the front costs: proxied reads against the old backend alone, a large answer, and phase `new`. */
import type { Document } from "mongodb";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startSystems, type Systems, waitHealthy } from "../../dev/chaos/switch/systems.ts";
import { Supervised } from "../../dev/chaos/live/world.ts";
import { completed, makeSubtask, makeTask, makeUser } from "../../tests/migrate/support/legacy_documents.ts";
import { runLoad } from "../http/load.ts";
import { readCpuMs, readMemory } from "../process.ts";
import { atLeast, atMost, median, rangeOf } from "../report.ts";
import { type Bench, forcePhase, openBenchSystems, portOf, signToken, toGet } from "./bench.ts";

const email = "bench@example.com";
const connections = 4;
const warmUpSeconds = 1;
const rounds = 5;
/** Room for the buffers of a stream and the garbage collector. */
const growthMibMax = 64;

/** Fills MongoDB with a user, some tasks, and a large one. @returns the id of the large one */
async function fill({ db }: Systems, subtasks: number): Promise<string> {
  await db.collection("users").insertOne(makeUser(email) as Document);
  const small = Array.from({ length: 50 }, () => makeTask(email));
  await db.collection("tasks").insertMany(small as Document[]);
  const cells = small.flatMap(({ id }) => Array.from({ length: 12 }, (_, i) => makeSubtask(id, i)));
  await db.collection("dramatiq_tasks").insertMany(cells as Document[]);
  const large = makeTask(email);
  await db.collection("tasks").insertOne(large as Document);
  for (let at = 0; at < subtasks; at += 5000) {
    const part = Array.from(
      { length: Math.min(5000, subtasks - at) },
      (_, i) =>
        Object.assign(makeSubtask(large.id, at + i), completed(`https://img.example.com/${at + i}.webp`)),
    );
    await db.collection("dramatiq_tasks").insertMany(part as Document[]);
  }
  return large.id;
}

/** Requests per second and p50 at each of two ports, and how many requests the second one answered. */
interface Compared {
  rates: [number, number][];
  p50s: [number, number][];
  answered: number;
}

/** Measures the same request at two ports in turns. */
async function compare(a: number, b: number, request: string, seconds: number): Promise<Compared> {
  const results: Compared = { rates: [], p50s: [], answered: 0 };
  const load = async (port: number, seconds: number) =>
    await runLoad({ port, request, connections, seconds, requestsMax: 1e9, status: 200 });
  await load(a, warmUpSeconds);
  results.answered += (await load(b, warmUpSeconds)).requests;
  for (let round = 0; round < rounds; round++) {
    // Each goes first in half of the rounds.
    const order = round % 2 === 0 ? [a, b] : [b, a];
    const measured = new Map<number, Awaited<ReturnType<typeof load>>>();
    for (const port of order) measured.set(port, await load(port, seconds));
    const [first, second] = [measured.get(a)!, measured.get(b)!];
    results.rates.push([first.requests / first.seconds, second.requests / second.seconds]);
    results.p50s.push([first.p50, second.p50]);
    results.answered += second.requests;
  }
  return results;
}

async function measureProxy(
  { report, seconds }: Bench,
  { oldOrigin, origins, apis }: Systems,
): Promise<void> {
  const pid = apis[0]!.pid!;
  const token = await signToken(email);
  const requests = { "GET /users/me": "/api/v1/users/me", "GET /tasks": "/api/v1/tasks?page=1&page_size=10" };
  for (const [what, path] of Object.entries(requests)) {
    const cpuBefore = readCpuMs(pid);
    const { rates, p50s, answered } = await compare(
      portOf(oldOrigin),
      portOf(origins[0]!),
      toGet(path, token),
      seconds,
    );
    const ratios = rates.map(([alone, proxied]) => proxied / alone);
    const added = p50s.map(([alone, proxied]) => proxied - alone);
    const ratio = median(ratios);
    report({ what: `${what}: old backend alone`, value: median(rates.map(([rate]) => rate)), unit: "req/s" });
    report({
      what: `${what}: through the front, compared with that`,
      value: ratio,
      unit: "×",
      spread: rangeOf(ratios),
      goal: atLeast(ratio, 0.8, "×"),
    });
    report({
      what: `${what}: added p50`,
      value: median(added),
      unit: "ms",
      spread: rangeOf(added),
      goal: atMost(median(added), 1, "ms"),
    });
    report({
      what: `${what}: CPU time of the API process for each`,
      value: (readCpuMs(pid) - cpuBefore) / answered,
      unit: "ms",
    });
  }
}

/** Reads an answer without keeping it. @returns its bytes */
async function drain(url: string): Promise<number> {
  const response = await fetch(url);
  if (response.status !== 200) throw new Error(`${url} answered ${response.status}`);
  let bytes = 0;
  for await (const chunk of response.body!) bytes += chunk.length;
  return bytes;
}

async function measureDetail(
  { report, subtasks }: Bench,
  { origins, apis }: Systems,
  task: string,
): Promise<void> {
  const url = `${origins[0]}/api/v1/tasks/${task}`;
  const pid = apis[0]!.pid!;
  let bytes = await drain(`${origins[0]}/health`);
  const [before] = readMemory(pid);
  let peak = before;
  const timer = setInterval(() => peak = Math.max(peak, readMemory(pid)[0]), 20);
  const peaks: number[] = [];
  for (let round = 0; round < rounds; round++) {
    bytes = await drain(url);
    peaks.push(peak);
  }
  clearInterval(timer);
  const growth = peak - before;
  const size = (bytes / 2 ** 20).toFixed(0);
  report({
    what: `detail of ${subtasks} subtasks through the front: growth of the API's memory`,
    value: growth,
    unit: "MiB",
    goal: atMost(growth, growthMibMax, "MiB"),
    note: `${rounds} answers of ${size} MiB; memory before ${before.toFixed(0)} MiB, after each ${
      peaks.map((value) => value.toFixed(0)).join(", ")
    } MiB`,
  });
}

/** The same API process without LEGACY_API_URL, beside the one that is the front. */
async function measureNew({ report, seconds }: Bench, systems: Systems): Promise<void> {
  const { apis, origins } = systems;
  const { options } = apis[0]!;
  const port = findFreePort();
  const env = Object.assign({}, options.env, { LEGACY_API_URL: "", PORT: String(port) });
  const alone = new Supervised([], Object.assign({}, options, { env }));
  await forcePhase(systems, "new");
  alone.start();
  try {
    await waitHealthy(`http://127.0.0.1:${port}`);
    const token = await signToken(email);
    const request = toGet("/api/v1/tasks?page=1&page_size=10", token);
    const { rates } = await compare(port, portOf(origins[0]!), request, seconds);
    const ratios = rates.map(([without, with_]) => with_ / without);
    const ratio = median(ratios);
    report({
      what: "GET /tasks in phase `new`: with LEGACY_API_URL, compared with without",
      value: ratio,
      unit: "×",
      spread: rangeOf(ratios),
      goal: atLeast(ratio, 0.95, "×"),
    });
  } finally {
    await alone.stop();
  }
}

/** Measures the front. */
export async function measureFront(bench: Bench): Promise<void> {
  await using systems = await openBenchSystems(bench);
  const task = await fill(systems, bench.subtasks);
  await startSystems(systems);
  // The copy would disturb the measurement.
  while (!(await systems.sql`select from migration.follows where state = 'following'`).length) {
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  await measureProxy(bench, systems);
  await measureDetail(bench, systems, task);
  await systems.sync.stop();
  await measureNew(bench, systems);
}
