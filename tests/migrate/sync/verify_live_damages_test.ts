import assert from "node:assert/strict";
import { serialize } from "bson";
import type { Pool } from "../../../db/pg/connect.ts";
import type { Mismatch } from "../../../migrate/data/verify/mismatch.ts";
import { createDatabase } from "../../support/database.ts";
import { type Damage, rowDamages, s4, t3 } from "../support/damages.ts";
import { type Followed, makeEdgeCases, startFollowed, startSync } from "../support/followed.ts";
import { completed, makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { startWriter } from "../support/live_writer.ts";
import { mongod } from "../support/sources.ts";
import { verifyFollowed } from "../support/verify_live.ts";

const testLive = (name: string, fn: (t: Deno.TestContext) => Promise<void>) =>
  Deno.test({ name: `verify --live ${name}`, ignore: !mongod, fn });

/** A damage that hits a row of its own, and the `legacy_id` of that row where it is known. */
interface Aimed {
  damage: Damage;
  statement: string;
  legacyId: string | undefined;
}

const count = 80;

/** Inserts documents of the newest generations, enough for each damage to hit one of its own. */
async function insertTargets({ db }: Followed): Promise<void> {
  const users = Array.from({ length: count }, (_, i) => makeUser(`user${i}@example.com`));
  await db.collection("users").insertMany(
    users.map((user) => Object.assign(user, { fullname: "Ann É. Tester" })),
  );
  const variables = { v10: { name: "b", values: [], values_count: 0 }, v2: { values: [], name: "a" } };
  const tasks = Array.from(
    { length: count },
    (_, i) =>
      Object.assign(makeTask(`user${i}@example.com`), {
        variables,
        updated_at: new Date("2026-03-04T05:06:07Z"),
      }),
  );
  await db.collection("tasks").insertMany(tasks);
  const parent = Object.assign(makeTask("user0@example.com"), { task_name: "parent" });
  await db.collection("tasks").insertOne(parent);
  const subtasks = Array.from(
    { length: count },
    (_, i) => Object.assign(makeSubtask(parent.id, i), completed("https://x/1.webp"), { seed: i + 1 }),
  );
  await db.collection("dramatiq_tasks").insertMany(subtasks);
}

/** Directs each damage at a row of its own. */
async function aim(sql: Pool, damages: readonly Damage[]): Promise<Aimed[]> {
  const subtasks = await sql`
    select id::text as id, legacy_id from subtasks
    where generation = 'S4' and status = 'completed' order by legacy_id`;
  const tasks = await sql`
    select id::text as id, legacy_id from tasks where generation = 'T3' and task_name = 'a task' order by legacy_id`;
  const users = await sql`select email, legacy_id from users where email like 'user%' order by legacy_id`;
  return damages.map((damage, i) => {
    const [, statement] = damage;
    // The first rows are those that statements without an aim choose.
    const at = i + 5;
    const email = statement.match(/'(tester0|tester1|admin)@example.com'/)?.[0];
    if (email) {
      return {
        damage,
        statement: statement.replaceAll(email, `'${users[at]!.email}'`),
        legacyId: users[at]!.legacy_id,
      };
    }
    if (!statement.includes(s4) && !statement.includes(t3)) return { damage, statement, legacyId: undefined };
    const aimed = statement.replaceAll(s4, `'${subtasks[at]!.id}'`).replaceAll(t3, `'${tasks[at]!.id}'`);
    return { damage, statement: aimed, legacyId: (statement.includes(s4) ? subtasks : tasks)[at]!.legacy_id };
  });
}

async function assertDamagesFound(
  t: Deno.TestContext,
  mismatches: readonly Mismatch[],
  aimed: readonly Aimed[],
): Promise<void> {
  for (const { damage: [what, , kind, path, cause = "outside_writer"], legacyId } of aimed) {
    await t.step(what, () => {
      // An added row has a document id of its own.
      const own = mismatches.filter(({ document_id }) =>
        legacyId === undefined || kind === "extra_row" || document_id.includes(legacyId)
      );
      assert.ok(
        own.some((one) => one.kind === kind && path.test(one.path) && one.cause === cause),
        JSON.stringify(own.slice(0, 5)),
      );
    });
  }
}

testLive("finds each damage to a row while thousands of changes a second are applied", async (t) => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await followed.insert(await makeEdgeCases());
  await insertTargets(followed);
  await using writer = await startWriter(followed);
  await using _sync = startSync(sql, followed);
  await writer.waitForFollowing(sql);
  // Wrong counters are only reported if no subtask differs.
  for (const isDerived of [true, false]) {
    const damages = rowDamages.filter(([, , kind]) => (kind === "derived_changed") === isDerived);
    const aimed = await aim(sql, damages);
    for (const { damage: [what], statement } of aimed) {
      const { count } = await sql.unsafe(statement);
      assert.ok(count > 0, `${what}: the statement changed nothing`);
    }
    const { mismatches, verdict } = await verifyFollowed(sql, followed);
    assert.equal(verdict, "different");
    await assertDamagesFound(t, mismatches, aimed);
    for (const { source_value, row_value } of mismatches) assert.notEqual(source_value, row_value);
  }
});

/** Damages to the ledger: a statement, and the difference that must be found. */
const ledgerDamages: [what: string, statement: string, kind: Mismatch["kind"], path: RegExp][] = [
  [
    "a missing original",
    "delete from migration.originals where position = (select min(position) from migration.originals)",
    "ledger_changed",
    /original/,
  ],
  [
    "an original with a flipped bit",
    `update migration.originals set original = set_bit(original, 40, 1 - get_bit(original, 40))
     where position = (select min(position) from migration.originals)`,
    "ledger_changed",
    /original/,
  ],
  [
    "an adjustment with another rule",
    `update migration.adjustments set rule = 'other'
     where position = (select min(position) from migration.adjustments)`,
    "ledger_changed",
    /adjust/,
  ],
  [
    "an adjustment of a document that does not exist",
    `insert into migration.adjustments (fingerprint, collection, range_number, position, document_id, row_id, rule, path)
     select fingerprint, 'tasks', 0, 0, '"nowhere"', gen_random_uuid(), 'more', '' from migration.follows`,
    "ledger_changed",
    /adjust/,
  ],
  [
    "changed bytes in the quarantine",
    `update migration.quarantine set original = set_byte(original, length(original) - 2, 255)
     where id = (select min(id) from migration.quarantine)`,
    "quarantine_changed",
    /^$/,
  ],
  [
    "another reason in the quarantine",
    `update migration.quarantine set reason = 'other'
     where id = (select id from migration.quarantine order by id offset 1 limit 1)`,
    "quarantine_changed",
    /reason/,
  ],
  [
    "a document missing in the quarantine",
    "delete from migration.quarantine where id = (select max(id) from migration.quarantine)",
    "quarantine_changed",
    /reason/,
  ],
  [
    "a document missing among the waiting",
    `delete from migration.waiting where document_id = (select min(document_id) from migration.waiting)`,
    "quarantine_changed",
    /reason/,
  ],
  [
    "a waiting document that does not exist",
    `insert into migration.waiting (collection, document_id, reason, path, detail, awaited, original)
     select 'users', '"nobody"', 'duplicate_email', '', '', '', decode('15000000025f696400070000006e6f626f64790000', 'hex')`,
    "quarantine_changed",
    /^$/,
  ],
  [
    "a quarantined document that is said to have a row",
    `update migration.quarantine set has_row = not has_row
     where id = (select id from migration.quarantine order by id offset 2 limit 1)`,
    "quarantine_changed",
    /row/,
  ],
];

/** Returns users whose rows cannot rebuild them: their last field is a NaN with a payload. */
function makeKeptUsers(): Uint8Array[] {
  return ["kept0@example.com", "kept1@example.com"].map((email) => {
    const bytes = serialize(Object.assign(makeUser(email), { note: 0.5 }));
    bytes.set(Uint8Array.fromHex("010000000000f87f"), bytes.length - 9);
    return bytes;
  });
}

testLive("finds each damage to the ledger while changes are applied", async (t) => {
  await using database = await createDatabase();
  await using followed = await startFollowed();
  const { sql } = database;
  await followed.insert(await makeEdgeCases());
  await followed.insert({ users: makeKeptUsers() });
  await followed.db.collection("users").insertMany([{ fullname: "without e-mail" }, {
    fullname: "the same",
  }]);
  await using writer = await startWriter(followed);
  await using _sync = startSync(sql, followed);
  await writer.waitForFollowing(sql);
  for (const [what, statement] of ledgerDamages) {
    assert.ok((await sql.unsafe(statement)).count > 0, `${what}: the statement changed nothing`);
  }
  const { mismatches } = await verifyFollowed(sql, followed);
  for (const [what, , kind, path] of ledgerDamages) {
    await t.step(what, () => {
      const found = mismatches.some((one) =>
        one.kind === kind && path.test(one.path) && one.cause === "ledger"
      );
      assert.ok(found, JSON.stringify(mismatches));
    });
  }
});
