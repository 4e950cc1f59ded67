/** What must hold when a run is at rest: the ledger, one system in charge, both sides equal, unchanged bytes. */
import { Buffer } from "node:buffer";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { compareSides } from "../../../tests/migrate/support/back.ts";
import { assertFollowed } from "../../../tests/migrate/support/followed.ts";
import { retry } from "../servers.ts";
import { waitForRest } from "../live/run.ts";
import { listForeignWrites, readChargeTimes, readMadeHere } from "./audit.ts";
import type { LoadCall, LoadClient } from "../../load/client.ts";
import { checkEntries, type Entry, readDocuments, readRows } from "../../load/entries.ts";
import { readAccount } from "../../load/load.ts";
import { readStill, type Still } from "./fill.ts";
import { harmless } from "./plan.ts";
import type { Systems } from "./systems.ts";

/** No write is acknowledged by a system that was not in charge at any moment of the request. */
async function checkCharge({ sql }: Systems, entries: readonly Entry[]): Promise<string[]> {
  const times = await readChargeTimes(sql);
  const madeHere = await readMadeHere(sql);
  const faults: string[] = [];
  for (const { kind, name, id, made } of entries) {
    if (kind !== "task" || !made || id === undefined) continue;
    const [from, to] = made;
    if (madeHere.has(id)) {
      if (!times.some(([begin, end]) => from <= end && to >= begin)) {
        faults.push(`this system acknowledged ${name} while the old backend was in charge`);
      }
    } else if (times.some(([begin, end]) => from > begin && to < end)) {
      faults.push(`the old backend acknowledged ${name} while this system was in charge`);
    }
  }
  return [...faults, ...await listForeignWrites(sql)];
}

function checkStill(before: Still, after: Still): string[] {
  const faults = [...before].filter(([name, bytes]) => {
    const found = after.get(name);
    return !found || Buffer.compare(bytes, found) !== 0;
  }).map(([name]) => `the unchanged document ${name} has other bytes`);
  if (after.size !== before.size) faults.push(`${after.size} unchanged documents, wanted ${before.size}`);
  return faults;
}

const writeBackMs = 60_000;

/** Waits until the other side has everything. */
async function settle(world: Systems, isNew: boolean): Promise<void> {
  if (!isNew) return await waitForRest(world);
  await retry(async () => {
    const [row] = await world.sql`select count(*)::int as n from migration.changes`;
    if (row!.n > 0) throw new Error(`${row!.n} changes are not written back`);
  }, writeBackMs);
}

/** Calls fail only where something is at fault. */
function checkFailures({ plan }: Systems, failures: readonly LoadCall[], isUndone: boolean): string[] {
  if (isUndone || plan.place || plan.faults.some(({ kind }) => !harmless.has(kind))) return [];
  return failures.slice(0, 3).map(({ method, path, status, text }) =>
    `a call failed although nothing is at fault: ${method} ${path}: ${status} ${text}`
  );
}

/**
 * Returns what does not hold.
 *
 * @param isUndone whether a switch was undone, as one whose pause takes too long: writes may have been held too long then
 */
export async function checkAtRest(
  world: Systems,
  clients: readonly LoadClient[],
  still: Still,
  isUndone: boolean,
): Promise<string[]> {
  const { sql, db, lane } = world;
  const { phase } = await retry(() => readTraffic(sql));
  const isNew = phase === "new";
  await settle(world, isNew);
  const { entries, violations, failures } = readAccount(clients);
  const faults = [
    ...checkEntries(await readRows(sql), entries, "PostgreSQL"),
    ...checkEntries(await readDocuments(db), entries, "MongoDB"),
    ...await checkCharge(world, entries),
    ...violations,
    ...checkFailures(world, failures, isUndone),
    ...checkStill(still, await readStill(world)),
  ];
  if (isNew) {
    const { mismatches } = await compareSides(sql, { mongo: lane.mongo }, db.databaseName);
    faults.push(
      ...mismatches.slice(0, 3).map((mismatch) => `both sides differ: ${JSON.stringify(mismatch)}`),
    );
  } else {
    await assertFollowed(sql, db);
  }
  return faults;
}
