/** The state of a migration that is under way: the followed MongoDB, the way back, and the last verification. */
import { z } from "@hono/zod-openapi";
import {
  backStates,
  countGaps,
  countQuarantined,
  findFollowing,
  findLastVerification,
  followModes,
  followStates,
  listGaps,
  listWaitingGroups,
  readWayBack,
} from "../../db/migration/following.ts";
import type { V2App, V2Deps } from "./kit/context.ts";
import { defineRoute, jsonResponse, time } from "./kit/route.ts";

const tags: ["system"] = ["system"];

/** Gaps that an answer lists. */
const gapsMax = 20;

const count = z.int();
const seconds = z.number().nullable();
const processOut = z.object({ holder: z.string(), since: time }).nullable();

const gapOut = z.object({
  found_at: time,
  reason: z.string(),
  lost_at: time.nullable().openapi({ description: "The position that was lost" }),
  resumed_at: time.nullable().openapi({ description: "The position from which changes are applied since" }),
  compared: count.nullable().openapi({
    description: "Documents that were compared; null while the gap is open",
  }),
  applied: count.nullable().openapi({ description: "Documents of these that were read in full" }),
  healed_at: time.nullable(),
}).openapi("MigrationGap");

const followingOut = z.object({
  location: z.string().openapi({ description: "Address of the source, without user and password" }),
  mode: z.enum(followModes),
  stop_reason: z.string().nullable(),
  started_at: time,
  copied_at: time.nullable(),
  position_at: time.nullable().openapi({
    description: "Time of the source up to which all changes are applied",
  }),
  applied_at: time,
  lag_seconds: seconds.openapi({
    description: "How far the rows may be behind the source; null before the copy is complete",
  }),
  headroom_seconds: seconds.openapi({
    description: "Time until the position leaves the oplog; null if it is not known",
  }),
  changes: count.openapi({ description: "Changes that were read since the copy" }),
  documents: count.openapi({ description: "Documents that were applied since the copy" }),
  changes_per_second: z.number(),
  documents_per_second: z.number(),
  process: processOut.openapi({ description: "The running `sync`; null if none runs" }),
}).openapi("MigrationFollowing");

const backOut = z.object({
  is_captured: z.boolean().openapi({ description: "Whether changes made here are recorded" }),
  changes: count.openapi({ description: "Recorded changes that MongoDB does not have yet" }),
  lag_seconds: seconds.openapi({ description: "Age of the oldest of them" }),
  state: z.enum(backStates).nullable().openapi({ description: "null: `back` never ran" }),
  stop_reason: z.string().nullable(),
  documents: count.openapi({ description: "Documents that MongoDB has confirmed" }),
  position_at: time.nullable().openapi({ description: "Time of the newest change that MongoDB has" }),
  process: processOut.openapi({ description: "The running `back`; null if none runs" }),
}).openapi("MigrationBack");

const migrationOut = z.object({
  state: z.enum(["none", ...followStates]).openapi({ description: "`none`: no source is followed" }),
  following: followingOut.nullable(),
  waiting: z.array(
    z.object({
      collection: z.string(),
      reason: z.string(),
      documents: count,
      first_at: time,
    }).openapi("MigrationWaiting"),
  ).openapi({
    description: "Documents that wait for their task or for a key that another one has",
  }),
  quarantined: count.openapi({ description: "Documents without a row, whose bytes are kept" }),
  gaps: z.object({
    open: count,
    healed: count,
    items: z.array(gapOut).openapi({ description: `Newest first, at most ${gapsMax}` }),
  }).openapi({ description: "Times when the position was lost; both sides were compared afterwards" }),
  back: backOut,
  verification: z.object({
    started_at: time,
    ended_at: time.nullable(),
    verdict: z.enum(["equal", "different"]).nullable(),
    documents: count,
    differences: count,
  }).nullable().openapi({ description: "The last verification while both sides changed" }),
}).openapi("Migration");

const readMigration = defineRoute({
  method: "get",
  path: "/system/migration",
  access: "staff",
  tags,
  summary: "Get the state of the migration",
  description: "What the running `sync` and `back` have stored. The API does not connect to MongoDB.",
  responses: { 200: jsonResponse(migrationOut, "The current state") },
});

async function readState({ sql }: V2Deps): Promise<z.infer<typeof migrationOut>> {
  const [following, waiting, quarantined, counts, items, back, verification] = await Promise.all([
    findFollowing(sql),
    listWaitingGroups(sql),
    countQuarantined(sql),
    countGaps(sql),
    listGaps(sql, gapsMax),
    readWayBack(sql),
    findLastVerification(sql),
  ]);
  return {
    state: following?.state ?? "none",
    following: following === undefined ? null : {
      location: following.location,
      mode: following.mode,
      stop_reason: following.stop_reason,
      started_at: following.started_at,
      copied_at: following.copied_at,
      position_at: following.position_at,
      applied_at: following.applied_at,
      lag_seconds: following.lag_seconds,
      headroom_seconds: following.headroom_seconds,
      changes: following.events,
      documents: following.documents,
      changes_per_second: following.events_per_second,
      documents_per_second: following.documents_per_second,
      process: following.process,
    },
    waiting,
    quarantined,
    gaps: { open: counts.open, healed: counts.healed, items },
    back,
    verification: verification ?? null,
  };
}

export function addMigration(app: V2App): void {
  app.openapi(readMigration, async (c) => c.json(await readState(c.var.deps), 200));
}
