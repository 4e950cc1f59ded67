/** The state of a migration that is under way. */
import assert from "node:assert/strict";
import { findNext, type NextFacts, type NextName, nextNames } from "../../routes/v2/system_next.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addPeople, call } from "./support/api.ts";

async function follow({ database: { sql } }: TestApi): Promise<void> {
  await sql`
    insert into migration.sources (fingerprint, kind, location) values ('f', 'followed', 'mongodb://old:27017/db')`;
  await sql`
    insert into migration.follows
      (fingerprint, source_identity, mode, state, position, position_at, oplog_from, oplog_read_at, lag_ms, events,
        documents, events_per_second, documents_per_second, copied_at)
    values ('f', 'set db', 'stream', 'following', 1, now(), now() - interval '3 h 12 min', now(), 1500, 70, 50, 12.5, 10,
      now())`;
}

Deno.test("without a followed source, the state of the migration is none", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  const { status, body } = await call(api, manager, "GET", "/system/migration");
  assert.equal(status, 200);
  assert.deepEqual(body, {
    state: "none",
    following: null,
    waiting: [],
    next: {
      name: "move",
      command: "deno task migrate data move",
      text: "Start the guide, or go on where it was left.",
    },
    quarantine: [],
    gate: null,
    journal: [],
    quarantined: 0,
    gaps: { open: 0, healed: 0, items: [] },
    back: {
      is_captured: false,
      changes: 0,
      lag_seconds: null,
      state: null,
      stop_reason: null,
      documents: 0,
      position_at: null,
      process: null,
    },
    verification: null,
  });
  assert.equal((await call(api, user, "GET", "/system/migration")).status, 403);
});

Deno.test("the state of a followed source has lag, head-room, rates, waiting documents, gaps and the way back", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const { sql } = api.database;
  await follow(api);
  await sql`insert into leaders (role, holder, lease_until) values ('sync', 'host:1:x', now() + interval '1 min')`;
  await sql`
    insert into migration.waiting (collection, document_id, reason, path, detail, awaited, original)
    values ('users', '1', 'duplicate_email', 'email', 'taken', '"a"', ''), ('users', '2', 'duplicate_email', '', '', '', '')`;
  await sql`insert into migration.gaps (reason) values ('the oplog was overwritten')`;
  await sql`insert into migration.gaps (reason, healed_at, compared, applied) values ('restarted', now(), 100, 3)`;
  await sql`
    insert into migration.changes (collection, row_id, at)
    values ('users', gen_random_uuid(), now() - interval '5 s'), ('users', gen_random_uuid(), now())`;
  await sql`insert into migration.backs (target_identity, state) values ('set db', 'running')`;
  await sql`
    insert into migration.live_verifications (fingerprint, ended_at, documents, verdict) values ('f', now(), 9, 'equal')`;
  const { body } = await call(api, admin, "GET", "/system/migration");
  assert.equal(body.state, "following");
  const { lag_seconds, headroom_seconds, changes, changes_per_second, process } = body.following;
  assert.ok(lag_seconds >= 1.5 && lag_seconds < 30, String(lag_seconds));
  assert.ok(Math.abs(headroom_seconds - 11_520) < 30, String(headroom_seconds));
  assert.deepEqual([changes, changes_per_second, process.holder], [70, 12.5, "host:1:x"]);
  assert.deepEqual(
    body.waiting.map(({ reason, documents }: Record<string, unknown>) => [reason, documents]),
    [[
      "duplicate_email",
      2,
    ]],
  );
  assert.deepEqual([body.gaps.open, body.gaps.healed], [1, 1]);
  assert.deepEqual(body.gaps.items.map(({ reason }: { reason: string }) => reason), [
    "restarted",
    "the oplog was overwritten",
  ]);
  assert.deepEqual([body.back.state, body.back.changes], ["running", 2]);
  assert.ok(body.back.lag_seconds >= 5);
  assert.equal(body.verification.verdict, "equal");
});

Deno.test("a source that no process follows any more has no rates, and its lag grows", async () => {
  await using api = await startApi();
  const { manager } = await addPeople(api);
  const { sql } = api.database;
  await follow(api);
  await sql`update migration.follows set applied_at = now() - interval '1 h', oplog_read_at = now() - interval '1 h'`;
  const { body: { following } } = await call(api, manager, "GET", "/system/migration");
  assert.deepEqual([following.process, following.changes_per_second], [null, 0]);
  assert.ok(following.lag_seconds > 3500, "the rows may be an hour behind");
  assert.ok(Math.abs(following.headroom_seconds - 7_920) < 30, "the oplog has moved on by an hour");
});

Deno.test("the state has quarantined documents by reason, what the gate found last, and the journal", async () => {
  await using api = await startApi();
  const { manager } = await addPeople(api);
  const { sql } = api.database;
  await follow(api);
  await sql`
    insert into migration.quarantine
      (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
    select 'f', 'tasks', 1, n, n::text, case when n < 3 then 'bad_type' else 'orphan' end, 'p', 'd', ''
    from generate_series(1, 3) as n`;
  const check = { name: "sync_lag", state: "not_ready", found: "3 s", todo: "wait", accepts: [] };
  await sql`
    insert into migration.decisions (name, value, decided_by, decided_at)
    values ('gate', ${JSON.stringify({ isReady: false, checks: [check] })}::text::json, 'me', now()),
      ('backup', '{"folder":"a"}', 'me', now() - interval '1 h')`;
  await sql`
    insert into migration.cutovers (kind, state, started_by, ended_at, pause_ms)
    values ('rehearsal', 'done', 'me', now(), 240)`;
  const { body } = await call(api, manager, "GET", "/system/migration");
  assert.deepEqual(
    body.quarantine.map(({ reason, documents }: Record<string, unknown>) => [reason, documents]),
    [["bad_type", 2], ["orphan", 1]],
  );
  assert.equal(body.quarantined, 3);
  const { accepts: _, ...shown } = check;
  assert.deepEqual([body.gate.is_ready, body.gate.by, body.gate.checks], [false, "me", [shown]]);
  assert.deepEqual(
    body.journal.map(({ kind, what, pause_ms }: Record<string, unknown>) => [kind, what, pause_ms]),
    [["rehearsal", "done", 240], ["decision", "backup", null]],
  );
});

Deno.test("the ledger counts what became of the documents of a followed or a loaded source", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  const { sql } = api.database;
  const path = "/system/migration/ledger";
  const empty = await call(api, manager, "GET", path);
  assert.deepEqual([empty.body.source, empty.body.collections], ["none", []]);
  await sql`insert into migration.sources (fingerprint, kind, location) values ('l', 'mongodump', '/dump')`;
  await sql`
    insert into migration.ranges (fingerprint, collection, number, lower_bound, upper_bound, first_position, documents,
      bytes, state, exact, adjusted, quarantined, excluded, done_at)
    select 'l', c, n, '', '', n, 10, 1, 'done', 7, 2, 1, 0, now()
    from unnest('{users,tasks}'::text[]) as c, generate_series(1, 2) as n`;
  const { body: loaded } = await call(api, manager, "GET", path);
  assert.deepEqual([loaded.source, loaded.location], ["loaded", "/dump"]);
  assert.deepEqual(
    loaded.collections.map(({ collection, documents, exact }: Record<string, unknown>) => [
      collection,
      documents,
      exact,
    ]),
    [["users", 20, 14], ["tasks", 20, 14]],
  );
  await follow(api);
  await sql`update users set generation = 'x' where email in (${manager.email}, ${user.email})`;
  await sql`
    insert into migration.waiting (collection, document_id, reason, path, detail, awaited, original)
    values ('users', '1', 'duplicate_email', 'email', 'taken', '"a"', '')`;
  const { body: followed } = await call(api, manager, "GET", path);
  assert.equal(followed.source, "followed");
  const { collection, documents, exact, waiting } = followed.collections[0];
  assert.deepEqual([collection, documents, exact, waiting], ["users", null, 2, 1]);
  assert.equal((await call(api, user, "GET", path)).status, 403);
});

Deno.test("the next command follows from the state", () => {
  const now = Date.now();
  const ready: NextFacts = {
    traffic: { phase: "canary", share: 100 },
    following: {
      state: "following",
      process: { holder: "a", since: "" },
      copied_at: "2026-01-01T00:00:00.000Z",
    },
    verification: { verdict: "equal" },
    gate: { is_ready: true },
    journal: [{ kind: "rehearsal", what: "done", at: new Date(now - 3_600_000).toISOString() }],
    back: { is_captured: false, process: null },
  };
  const old = [{
    kind: "rehearsal",
    what: "done",
    at: new Date(now - 25 * 3_600_000).toISOString(),
  }] as const;
  const failed = [{ kind: "rehearsal", what: "undone", at: new Date(now).toISOString() }] as const;
  const rolledBack = { kind: "rollback", what: "done", at: new Date(now - 60_000).toISOString() } as const;
  const cases: [NextName, Partial<NextFacts>][] = [
    ["cutover", {}],
    ["rehearse", { journal: old }],
    ["rehearse", { journal: failed }],
    ["rehearse", { journal: [rolledBack, ...ready.journal] }],
    ["check", { journal: [], gate: { is_ready: false } }],
    ["check", { journal: [], gate: undefined }],
    ["share", { traffic: { phase: "canary", share: 99 } }],
    ["canary", { traffic: { phase: "shadow", share: 0 } }],
    ["shadow", { traffic: { phase: "old", share: 0 } }],
    ["verify", { verification: { verdict: "different" } }],
    ["verify", { verification: undefined }],
    ["copying", { following: { ...ready.following!, copied_at: null } }],
    ["copying", { following: { ...ready.following!, state: "gap" } }],
    ["sync", { following: { ...ready.following!, process: null } }],
    ["restart", { following: { ...ready.following!, state: "stopped", process: null } }],
    ["move", { following: undefined }],
    ["abort", { traffic: { phase: "holding", share: 0 }, following: undefined }],
    ["back", { traffic: { phase: "new", share: 0 }, back: { is_captured: true, process: null } }],
    ["watch", {
      traffic: { phase: "new", share: 0 },
      back: { is_captured: true, process: { holder: "a", since: "" } },
    }],
    ["done", { traffic: { phase: "new", share: 0 } }],
  ];
  for (const [name, facts] of cases) assert.equal(findNext({ ...ready, ...facts }, now), name);
  assert.deepEqual(new Set(cases.map(([name]) => name)), new Set(nextNames));
});
