/** What must hold when everything is applied: the ledger's equation, ratings, and the product's own comparison. */
import { countSettled } from "../../../migrate/data/ledger/live_count.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { retry } from "../servers.ts";
import { runMigrate } from "./faults.ts";
import type { World } from "./world.ts";

/** Rates some cells, as testers do before the switch. @returns their old ids */
export async function rate({ sql }: World): Promise<string[]> {
  const rows = await retry(() =>
    sql<{ legacy_id: string }[]>`
      update subtasks set rating = 3, evaluate = '{kept}'
      where (parent_task_id, id) in (select parent_task_id, id from subtasks order by id limit 5)
      returning legacy_id`
  );
  return rows.map(({ legacy_id }) => legacy_id);
}

/** A rating disappears only with its row, or if the target is restored. */
async function checkRatings({ sql, plan }: World, rated: readonly string[]): Promise<string[]> {
  if (plan.faults.some(({ kind }) => kind === "restore_target")) return [];
  const lost = await sql<{ legacy_id: string }[]>`
    select legacy_id from subtasks
    where legacy_id = any (${[
    ...rated,
  ]}) and (rating is distinct from 3 or evaluate is distinct from '{kept}')`;
  return lost.map(({ legacy_id }) => `cell ${legacy_id} lost its rating`);
}

/** Documents = exact + adjusted + quarantined + waiting + excluded. */
async function checkEquation({ sql, mongo, db }: World): Promise<string[]> {
  await using source = await openFollowed(mongo.url, db.databaseName);
  const signal = AbortSignal.timeout(60_000);
  const { state, collections } = await countSettled(sql, source, {
    waitSeconds: 45,
    signal,
    onWait: () => {},
  });
  return state === "proven" ? [] : [`the equation ${state}: ${JSON.stringify(collections)}`];
}

/** Returns what does not hold. */
export async function checkRest(world: World, rated: readonly string[]): Promise<string[]> {
  const faults = [...await checkRatings(world, rated), ...await checkEquation(world)];
  if (world.plan.hasVerify) {
    await runMigrate(world, "data", "verify", "--live", "--from", "mongodb", "--quiet");
  }
  return faults;
}
