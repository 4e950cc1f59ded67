/** Cut-overs and rollbacks under load, and the ledger of the clients. */
import { checkAtRest } from "../../dev/chaos/switch/check.ts";
import { installAudit } from "../../dev/chaos/switch/audit.ts";
import { fill, readStill } from "../../dev/chaos/switch/fill.ts";
import { keepFollowing, prepare, waitReady } from "../../dev/chaos/switch/operator.ts";
import { secret, startOperator, startSystems, type Systems } from "../../dev/chaos/switch/systems.ts";
import { type Load, readAccount, startLoad } from "../../dev/load/load.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import { atMost, median, quantile, rangeOf } from "../report.ts";
import { type Bench, openBenchSystems } from "./bench.ts";

const requestsPerSecond = 200;
const clients = 40;
/** Time between two switches, so that the load is even again. */
const restMs = 3000;

/** What the command prints. */
interface Printed {
  pause_ms: number;
}

/** One switch: what its command says, and how long it took from its start to its end. */
interface Measured {
  pauseMs: number;
  commandMs: number;
}

const flags = ["--from", "mongodb", "--max-pause", "4s", "--json"];
const commands = {
  rehearse: ["rehearse", ...flags, "--unfinished", "keep"],
  cutover: ["cutover", ...flags, "--yes", "--unfinished", "keep"],
  rollback: ["rollback", ...flags, "--yes"],
};

async function run(systems: Systems, kind: keyof typeof commands): Promise<Measured> {
  const started = performance.now();
  const { code, out, err } = await startOperator(systems, commands[kind]).ended;
  if (code !== 0) throw new Error(`${kind} ended with ${code}: ${err}`);
  const { pause_ms } = JSON.parse(out) as Printed;
  return { pauseMs: pause_ms, commandMs: performance.now() - started };
}

const rest = () => new Promise((resolve) => setTimeout(resolve, restMs));

/** Switches to and fro. */
async function switchAll(systems: Systems, rounds: number) {
  const all: Record<keyof typeof commands, Measured[]> = { rehearse: [], cutover: [], rollback: [] };
  for (let round = 0; round < rounds; round++) {
    await prepare(systems);
    for (const kind of ["rehearse", "cutover", "rollback"] as const) {
      await waitReady(systems, kind === "rollback" ? "rollback" : "cutover");
      all[kind].push(await run(systems, kind));
      await rest();
    }
  }
  return all;
}

/** Durations of the writes that met a hold. */
async function readHeld({ sql }: Systems, load: Load): Promise<number[]> {
  const holds = await sql<{ from: number; to: number }[]>`
    select extract(epoch from at)::float8 * 1000 as from,
      extract(epoch from lead(at) over (order by version))::float8 * 1000 as to, phase_after
    from migration.traffic_changes`.then((rows) =>
    rows.filter((row) => (row as unknown as { phase_after: string }).phase_after === "holding")
  );
  const calls = load.clients.flatMap((client) => client.calls).filter(({ kind }) => kind === "write");
  return calls.filter(({ at, ms }) => holds.some(({ from, to }) => at < to && at + ms > from))
    .map(({ ms }) => ms);
}

/** Measures switches under load. */
export async function measureSwitches(bench: Bench): Promise<void> {
  const { report, rounds } = bench;
  await using systems = await openBenchSystems(bench);
  const { db, origins } = systems;
  await installAudit(systems.sql);
  await fill(systems, 500);
  await startSystems(systems);
  const still = await readStill(systems);
  const pauseMs = 1000 * clients / requestsPerSecond;
  const ended = new AbortController();
  const following = keepFollowing(systems, ended.signal);
  const started = performance.now();
  await using load = await startLoad({
    clients,
    db,
    tokens: createTokens(secret, 600),
    origins,
    pauseMs: [0.8 * pauseMs, 1.2 * pauseMs],
    mix: { task: 0.15, user: 0, change: 0.25 },
  });
  const { rehearse, cutover, rollback } = await switchAll(systems, rounds);
  await load.stop();
  const seconds = (performance.now() - started) / 1000;
  const { calls, acknowledged, failures } = readAccount(load.clients);
  const violations = await checkAtRest(systems, load.clients, still, false);
  ended.abort();
  await following;
  const note = failures.slice(0, 3).map(({ method, path, status, text }) =>
    `${method} ${path} ${status} ${text}`
  ).join("; ");
  report({
    what: "requests",
    value: calls / seconds,
    unit: "req/s",
    note: `${acknowledged} acknowledged writes`,
  });
  report({
    what: `failed requests during ${rounds} cut-overs and ${rounds} rollbacks`,
    value: failures.length,
    unit: "",
    goal: atMost(failures.length, 0, ""),
    ...(note === "" ? {} : { note }),
  });
  const held = await readHeld(systems, load);
  const p99 = held.length === 0 ? 0 : quantile(held, 0.99);
  report({ what: "held writes", value: held.length, unit: "" });
  report({ what: "held writes, p99", value: p99, unit: "ms", goal: atMost(p99, 1500, "ms") });
  const predicted = rehearse.map(({ pauseMs }) => pauseMs);
  const pauses = cutover.map(({ pauseMs }) => pauseMs);
  report({ what: "predicted pause", value: median(predicted), unit: "ms", spread: rangeOf(predicted) });
  report({ what: "pause of the cut-over", value: median(pauses), unit: "ms", spread: rangeOf(pauses) });
  const back = rollback.map(({ pauseMs }) => pauseMs);
  report({ what: "pause of the rollback", value: median(back), unit: "ms", spread: rangeOf(back) });
  const times = rollback.map(({ commandMs }) => commandMs);
  report({
    what: "rollback, from the start of the command to its end, slowest",
    value: Math.max(...times),
    unit: "ms",
    spread: rangeOf(times),
    goal: atMost(Math.max(...times), 5000, "ms"),
  });
  report({
    what: "writes lost, doubled or wrong, and unchanged documents with other bytes",
    value: violations.length,
    unit: "",
    goal: atMost(violations.length, 0, ""),
    ...(violations.length > 0 ? { note: violations.slice(0, 3).join("; ") } : {}),
  });
}
