/** The state of a migration that is under way: the followed MongoDB, the way back, and the last verification. */
import { z } from "@hono/zod-openapi";
import {
  backStates,
  countGaps,
  findFollowing,
  findLastVerification,
  followModes,
  followStates,
  listGaps,
  listWaitingGroups,
  readWayBack,
} from "../../db/migration/following.ts";
import {
  findGateReading,
  gateStates,
  journalKinds,
  listJournal,
  listQuarantineReasons,
} from "../../db/migration/journal.ts";
import { ledgerCollections, readLoaded, readSnapshot } from "../../db/migration/ledger.ts";
import { readTraffic } from "../../db/traffic/traffic.ts";
import type { V2App, V2Deps } from "./kit/context.ts";
import { defineRoute, jsonResponse, time } from "./kit/route.ts";
import { findNext, nextCommands, nextNames } from "./system_next.ts";

const tags: ["system"] = ["system"];

/** Gaps that an answer lists. */
const gapsMax = 20;
/** Entries of the journal that an answer lists. */
const journalMax = 50;

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

const gateOut = z.object({
  at: time,
  by: z.string(),
  is_ready: z.boolean(),
  checks: z.array(z.object({
    name: z.string(),
    state: z.enum(gateStates),
    found: z.string(),
    todo: z.string().openapi({ description: "Empty if nothing is to be done" }),
  })),
}).openapi("MigrationGate");

const journalOut = z.object({
  at: time,
  by: z.string(),
  kind: z.enum(journalKinds),
  what: z.string().openapi({ description: "State of a switch or rehearsal; name of a decision" }),
  pause_ms: count.nullable().openapi({ description: "Time for which writes were held" }),
  note: z.string().nullable(),
}).openapi("MigrationJournalEntry");

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
  next: z.object({
    name: z.enum(nextNames),
    command: z.string(),
    text: z.string().openapi({ description: "What it is for" }),
  }).openapi({ description: "The next command, as the stored state tells it" }),
  quarantine: z.array(
    z.object({ collection: z.string(), reason: z.string(), documents: count, first_at: time })
      .openapi("MigrationQuarantine"),
  ).openapi({ description: "The quarantined documents by reason, most frequent first" }),
  gate: gateOut.nullable().openapi({
    description: "What the gate found when a command read it last; null if none has",
  }),
  journal: z.array(journalOut).openapi({
    description: `Switches, rehearsals and decisions, newest first, at most ${journalMax}`,
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

const ledgerOut = z.object({
  source: z.enum(["none", "loaded", "followed"]),
  location: z.string().nullable(),
  at: time.nullable().openapi({ description: "Time of the source up to which the counts are complete" }),
  collections: z.array(z.object({
    collection: z.enum(ledgerCollections),
    documents: count.nullable().openapi({
      description:
        "Documents of the source; null for a followed one, which only `status --from mongodb` counts",
    }),
    exact: count,
    adjusted: count,
    quarantined: count,
    waiting: count,
    excluded: count,
    kept: count.openapi({
      description:
        "Rows of earlier versions of quarantined and waiting documents; not among the other counts",
    }),
  })),
}).openapi("MigrationLedger");

const readLedgerRoute = defineRoute({
  method: "get",
  path: "/system/migration/ledger",
  access: "staff",
  tags,
  summary: "Count what became of the documents of the source",
  description:
    "documents = exact + adjusted + quarantined + waiting + excluded. Counts the rows, so ask for it seldom.",
  responses: { 200: jsonResponse(ledgerOut, "The ledger by collection") },
});

async function readLedger({ sql }: V2Deps): Promise<z.infer<typeof ledgerOut>> {
  const following = await findFollowing(sql);
  const snapshot = following &&
    await sql.begin("isolation level repeatable read read only", (one) => readSnapshot(one));
  if (following && snapshot) {
    return {
      source: "followed",
      location: following.location,
      at: following.position_at,
      collections: snapshot.collections.map((counts) => ({ documents: null, ...counts })),
    };
  }
  const loaded = await readLoaded(sql);
  return {
    source: loaded ? "loaded" : "none",
    location: loaded?.location ?? null,
    at: loaded?.planned_at ?? null,
    collections: loaded?.collections ?? [],
  };
}

async function readState({ sql }: V2Deps): Promise<z.infer<typeof migrationOut>> {
  const [traffic, following, waiting, quarantine, gate, journal, counts, items, back, verification] =
    await Promise.all([
      readTraffic(sql),
      findFollowing(sql),
      listWaitingGroups(sql),
      listQuarantineReasons(sql),
      findGateReading(sql),
      listJournal(sql, journalMax),
      countGaps(sql),
      listGaps(sql, gapsMax),
      readWayBack(sql),
      findLastVerification(sql),
    ]);
  const next = findNext({ traffic, following, verification, gate, journal, back }, Date.now());
  const [command, text] = nextCommands[next];
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
    next: { name: next, command, text },
    quarantine,
    quarantined: quarantine.reduce((sum, { documents }) => sum + documents, 0),
    gate: gate
      ? {
        ...gate,
        checks: gate.checks.map(({ name, state, found, todo }) => ({ name, state, found, todo })),
      }
      : null,
    journal,
    gaps: { open: counts.open, healed: counts.healed, items },
    back,
    verification: verification ?? null,
  };
}

export function addMigration(app: V2App): void {
  app.openapi(readMigration, async (c) => c.json(await readState(c.var.deps), 200));
  app.openapi(readLedgerRoute, async (c) => c.json(await readLedger(c.var.deps), 200));
}
