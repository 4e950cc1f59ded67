/**
 * `deno task demo --live`: moves a running old backend under load to this system, back, and again, and shows at the end
 * the ledger of every acknowledged write.
 */
import { findLeaseHolder } from "../../db/queue/workers.ts";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";
import { print } from "../../process.ts";
import { checkEntries, readDocuments, readRows } from "../load/entries.ts";
import { type Load, type LoadAccount, readAccount, startLoad } from "../load/load.ts";
import { findMongoBinary } from "../servers/mongo.ts";
import { type Program, readProgram } from "../servers/programs.ts";
import { type LiveWorld, openLiveWorld, startFront } from "./live_world.ts";
import { createSteps, expect, type Step } from "./steps.ts";

/** Exit code where no mongod can be had. */
export const exitNoMongo = 40;

const clients = 8;
/** Few new users, since each costs a third of a second of work for its password. */
const mix = { task: 0.3, user: 0.02, change: 0.35 };
const share = 25;
const comparedMin = 100;
const drawnMin = 40;
const waitMsMax = 90_000;
const attemptsMax = 6;
const accepts = ["disk_headroom", "backup_restored", "oplog_headroom"].flatMap((name) => ["--accept", name]);

/** What a switch reported, and when its command ran, in ms since 1970. */
interface Switched {
  pause_ms: number;
  pause_predicted_ms?: number | null;
  from: number;
  to: number;
}

interface Result {
  cutovers: Switched[];
  rollback: Switched;
  account: LoadAccount;
  faults: string[];
  differences: number;
  /** Duration of the longest write that waited for a switch. */
  heldMs: number;
}

async function waitUntil(what: string, check: () => Promise<boolean>): Promise<void> {
  for (const endsAt = Date.now() + waitMsMax; Date.now() < endsAt;) {
    if (await check()) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new AppError("internal", `demo --live: waited ${waitMsMax / 1000} s for ${what}`);
}

/** Waits until the sync follows closely. A real cut-over wants this for a minute, which the demo does not wait for. */
const waitFollowing = ({ sql }: LiveWorld) =>
  waitUntil("the sync to follow", async () => {
    const rows = await sql`
      update migration.follows set behind_at = now() - interval '2 minutes'
      where state = 'following' and lag_ms < 1000 and applied_at > now() - interval '2 s' and copied_at is not null
      returning 1`;
    return rows.length === 1;
  });

/** Waits until the way back has few changes left to write. */
const waitWritten = ({ sql }: LiveWorld) =>
  waitUntil("the way back", async () => {
    const [row] = await sql`select count(*)::int as n from migration.changes`;
    return row!.n < 20;
  });

const migrate = async ({ env }: LiveWorld, ...args: string[]) =>
  JSON.parse(await readProgram(["migrate", ...args, "--json"], env));

/** Cuts over, rehearses or rolls back. One that would take too long is undone, and is tried again. */
async function switchOnce(world: LiveWorld, args: string[]): Promise<Switched> {
  for (let attempt = 1;; attempt++) {
    const from = Date.now();
    try {
      const result = await migrate(world, "data", ...args);
      return Object.assign(result, { from, to: Date.now() });
    } catch (error) {
      if (attempt === attemptsMax || !(error as Error).message.includes("exit code 75")) throw error;
      print("  the pause would have taken too long on this machine; it was undone, and is tried again");
      await (args[0] === "rollback" ? waitWritten(world) : waitFollowing(world));
    }
  }
}

const cutoverArgs = ["--unfinished", "resume", "--drain", "2s", ...accepts];

async function cutOver(world: LiveWorld, sync: Program): Promise<Switched> {
  // What the old executor has under way would be drawn and paid for twice.
  await world.old.executor.drain();
  await waitFollowing(world);
  const result = await switchOnce(world, ["cutover", "--yes", ...cutoverArgs]);
  expect(await sync.ended === 0, "the sync did not end by itself after the cut-over");
  const predicted = result.pause_predicted_ms;
  print(
    `  this system is in charge; writes waited for ${result.pause_ms} ms` +
      (predicted == null ? "" : `, the rehearsal predicted ${predicted} ms`),
  );
  return result;
}

async function startSync(world: LiveWorld): Promise<Program> {
  const args = ["migrate", "data", "sync", "--from", "mongodb", "--accept-short-oplog"];
  const sync = await world.start(args, "sync");
  await waitUntil("the sync", async () => await findLeaseHolder(world.sql, "sync") !== undefined);
  await waitFollowing(world);
  return sync;
}

async function startBack(world: LiveWorld): Promise<Program> {
  const back = await world.start(["migrate", "data", "back", "--to", "mongodb"], "back");
  await waitUntil("the way back", async () => await findLeaseHolder(world.sql, "back") !== undefined);
  return back;
}

async function verify(world: LiveWorld): Promise<void> {
  const { documents, differences } = await migrate(
    world,
    ...["data", "verify", "--live", "--again", "--from", "mongodb", "--quiet"],
  );
  expect(differences === 0, `the verification found ${differences} differences`);
  print(`  ${counted(documents, "document")} compared while people write, all equal`);
}

const tell = (load: Load) => {
  const { calls, acknowledged, failures } = readAccount(load.clients);
  print(
    `  ${counted(calls, "request")} so far, ${acknowledged} acknowledged writes, ${failures.length} failed`,
  );
};

/** Changes the phase, and waits until the sample of compared answers is large enough. */
async function shadow(world: LiveWorld): Promise<void> {
  await migrate(world, "traffic", "shadow", "--reason", "demo");
  await waitUntil(`${comparedMin} compared answers`, async () => {
    const [row] = await world.sql`select coalesce(sum(compared), 0)::int as n from migration.shadow_answers`;
    return row!.n >= comparedMin;
  });
  const [row] = await world.sql`
    select sum(compared)::int as compared, (select count(*)::int from migration.shadow_differences
      where cause in ('code', 'data')) as unexplained
    from migration.shadow_answers`;
  print(`  ${row!.compared} answers of both systems compared, ${row!.unexplained} unexplained differences`);
}

/** Waits until the worker has drawn cells since `before` were drawn. */
async function draw({ sql }: LiveWorld): Promise<void> {
  const count = async () => {
    const [row] =
      await sql`select count(*)::int as n from subtasks where result ->> 'url' like 'http://127.0.0.1%'`;
    return row!.n as number;
  };
  const before = await count();
  await waitUntil("the worker to draw", async () => await count() >= before + drawnMin);
  print(
    `  the worker has drawn ${await count() - before} cells of tasks that began in the old system or here`,
  );
}

async function checkLedger(
  world: LiveWorld,
  load: Load,
): Promise<Pick<Result, "account" | "faults" | "differences" | "heldMs">> {
  await load.stop();
  const account = readAccount(load.clients);
  const { sql, db } = world;
  await waitUntil("the last changes in MongoDB", async () => {
    const [row] = await sql`select count(*)::int as n from migration.changes`;
    return row!.n === 0;
  });
  const { entries, violations } = account;
  const { differences } = await migrate(world, "data", "back", "--to", "mongodb", "--verify", "--quiet");
  const faults = [
    ...checkEntries(await readRows(sql), entries, "PostgreSQL"),
    ...checkEntries(await readDocuments(db), entries, "MongoDB"),
    ...violations,
  ];
  return { account, faults, differences, heldMs: await readLongestHeld(world, load) };
}

/** Returns the duration of the longest write that waited for a switch, in ms. */
async function readLongestHeld({ sql }: LiveWorld, load: Load): Promise<number> {
  const holds = await sql<{ from: number; to: number; phase_after: string }[]>`
    select (extract(epoch from at) * 1000)::float8 as from,
      (extract(epoch from lead(at) over (order by version)) * 1000)::float8 as to, phase_after
    from migration.traffic_changes`;
  const held = load.clients.flatMap(({ calls }) => calls).filter(({ kind, at, ms }) =>
    kind === "write" &&
    holds.some((hold) => hold.phase_after === "holding" && at <= hold.to && at + ms >= hold.from)
  );
  return held.reduce((max, { ms }) => Math.max(max, ms), 0);
}

function printLedger({ account, cutovers, rollback, faults, differences, heldMs }: Result): void {
  const { calls, acknowledged, failures } = account;
  const rows: [string, string][] = [
    ["requests", `${calls} by ${clients} clients through 2 API processes`],
    ["failed requests", String(failures.length)],
    [
      "acknowledged writes",
      `${acknowledged}, each exactly once in both systems: ${faults.length === 0 ? "yes" : "NO"}`,
    ],
    ["both systems", differences === 0 ? "byte for byte the same documents" : `${differences} differences`],
    ["longest held write", `${Math.round(heldMs)} ms`],
    ["pause of the cut-overs", cutovers.map(({ pause_ms }) => `${pause_ms} ms`).join(" and ")],
    [
      "rollback",
      `writes held for ${rollback.pause_ms} ms, ${
        ((rollback.to - rollback.from) / 1000).toFixed(1)
      } s in all`,
    ],
  ];
  print("\nledger");
  for (const [name, text] of rows) print(`  ${name.padEnd(23)}${text}`);
  for (const { method, path, status, text } of failures.slice(0, 5)) {
    print(`  ✗ ${method} ${path}: ${status} ${text}`);
  }
  for (const fault of faults.slice(0, 5)) print(`  ✗ ${fault}`);
}

/** The way from the first look to the first cut-over. */
async function moveThere(
  world: LiveWorld,
  step: Step,
): Promise<{ load: Load; sync: Program }> {
  const { db, tokens } = world;
  await step("schema: deno task migrate", () => readProgram(["migrate"], world.env));
  const origins = await step(
    "two API processes stand before both systems: deno task start",
    () => Promise.all([startFront(world, 1), startFront(world, 2)]),
  );
  const load = await step(
    `${clients} clients begin to work, through the API with the old backend`,
    () => startLoad({ clients, db, tokens, origins, pauseMs: [60, 160], mix }),
  );
  const sync = await step("sync: deno task migrate data sync --from mongodb", () => startSync(world));
  await step("backup and verification: deno task migrate data backup, verify --live", async () => {
    await migrate(world, "data", "backup", "--to", `${world.folder}/backup`, "--quiet");
    await verify(world);
  });
  await step("shadow: answers of both systems are compared in the background", () => shadow(world));
  await step(`canary: ${share} % of the users read from the new system`, async () => {
    await migrate(world, "traffic", "canary", "--share", String(share), "--reason", "demo");
    await new Promise((resolve) => setTimeout(resolve, 2000));
    tell(load);
  });
  return { load, sync };
}

async function show(
  world: LiveWorld,
  step: Step,
): Promise<Result> {
  const { load, sync } = await moveThere(world, step);
  const worker = await step(
    "worker: deno task worker (idle until the cut-over)",
    () => world.start(["worker"], "worker", { ready: /"worker (started|is up)/ }),
  );
  await step("rehearsal: everything but the switch", async () => {
    await waitFollowing(world);
    const { pause_ms } = await switchOnce(world, ["rehearse", ...cutoverArgs]);
    print(`  predicted pause: ${pause_ms} ms`);
  });
  const first = await step("cut-over under load", () => cutOver(world, sync));
  const back = await step("work in the new system; every change is written back to MongoDB", async () => {
    const back = await startBack(world);
    await draw(world);
    tell(load);
    return back;
  });
  const rollback = await step("rollback under load", async () => {
    const result = await switchOnce(world, ["rollback", "--yes"]);
    expect(await back.ended === 0, "the way back did not end by itself after the rollback");
    world.old.executor.start();
    print(`  the old backend is in charge; writes waited for ${result.pause_ms} ms`);
    return result;
  });
  const again = await step("the sync goes on from there", async () => {
    const sync = await startSync(world);
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await verify(world);
    tell(load);
    return sync;
  });
  const second = await step("cut-over again", () => cutOver(world, again));
  await step("work in the new system", async () => {
    await startBack(world);
    await draw(world);
  });
  const ledger = await step("the clients stop; the ledger is compared with both systems", async () => {
    await load.stop();
    expect(await worker.stop() === 0, "the worker did not exit with 0 on SIGTERM");
    return await checkLedger(world, load);
  });
  return Object.assign({ cutovers: [first, second], rollback }, ledger);
}

/** Runs the show. @returns the exit code */
export async function runLive({ check }: { check: boolean }, signal: AbortSignal): Promise<number> {
  const started = performance.now();
  const binary = await findMongoBinary((line) => print(line));
  if (binary === undefined) {
    print(
      "demo --live needs a mongod: none is installed, and none can be downloaded; install MongoDB, or set MONGOMS_SYSTEM_BINARY",
    );
    return exitNoMongo;
  }
  await using stack = new AsyncDisposableStack();
  const step = createSteps(signal);
  const world = await openLiveWorld({ step, stack, binary });
  const result = await show(world, step);
  printLedger(result);
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  const { account: { failures }, faults, differences } = result;
  const isGood = failures.length === 0 && faults.length === 0 && differences === 0;
  if (!check) {
    print(
      `\n${isGood ? "nothing was lost" : "something is wrong"}, in ${seconds} s; logs in ${world.folder}`,
    );
    return isGood ? 0 : 1;
  }
  expect(isGood, `see the ledger above; logs in ${world.folder}`);
  await stack.disposeAsync();
  await Deno.remove(world.folder, { recursive: true });
  print(`\ndemo --live --check: every step succeeded in ${seconds} s; nothing keeps running`);
  return 0;
}
