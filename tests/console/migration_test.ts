/** The page Migration: its state, the next command, and changes of the phase. */
import assert from "node:assert/strict";
import { saveShadowAnswer, saveShadowDifferences } from "../../db/traffic/differences.ts";
import { saveFrontProcess } from "../../db/traffic/processes.ts";
import { hasBrowser } from "../support/browser.ts";
import { type ConsoleRig, openSignedIn, startConsole, takePicture } from "./support/console.ts";
import { checkLooks, findViolations, listUntranslated } from "./support/looks.ts";

const ignore = !hasBrowser;

const checks = [
  ["sync_running", "ready", "runs since 09:12", ""],
  ["sync_lag", "ready", "under 1 s for 60 s", ""],
  [
    "quarantine_accepted",
    "not_ready",
    "3 documents: tasks/orphan",
    "mend them, or --accept quarantine:tasks/orphan",
  ],
  ["disk_mongodb", "unknown", "the server does not answer", "make it reachable, then check again"],
  ["backup_restored", "accepted", "not restored", ""],
];

/** Writes what the commands and processes of a migration under way have stored. */
async function addMigration({ api: { database: { sql } } }: ConsoleRig): Promise<void> {
  await sql`
    insert into migration.sources (fingerprint, kind, location)
    values ('f', 'followed', 'mongodb://old.studio.example:27017/image_matrix?replicaSet=rs0')`;
  await sql`
    insert into migration.follows
      (fingerprint, source_identity, mode, state, position, position_at, oplog_from, oplog_read_at, lag_ms, applied_at,
        events, documents, events_per_second, documents_per_second, copied_at)
    values ('f', 'set db', 'stream', 'following', 1, now(), now() - interval '31 h', now(), 200, now() + interval '1 h', 70210,
      52300, 128.4, 96.1, now())`;
  await sql`insert into leaders (role, holder, lease_until) values ('sync', 'host:1:x', now() + interval '1 h')`;
  await sql`
    insert into migration.live_verifications (fingerprint, ended_at, documents, verdict) values ('f', now(), 9, 'equal')`;
  await sql`
    insert into migration.quarantine
      (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
    select 'f', 'tasks', 1, n, n::text, case when n < 3 then 'bad_type' else 'orphan' end, 'p', 'd', ''
    from generate_series(1, 5) as n`;
  await sql`
    insert into migration.waiting (collection, document_id, reason, path, detail, awaited, original)
    values ('users', '1', 'duplicate_email', 'email', 'taken', '"a"', '')`;
  const gate = checks.map(([name, state, found, todo]) => ({ name, state, found, todo, accepts: [] }));
  await sql`
    insert into migration.decisions (name, value, decided_by, decided_at)
    values ('gate', ${
    JSON.stringify({ isReady: false, checks: gate })
  }::text::json, 'lin', now() - interval '4 min'),
      ('backup', '{"folder":"/var/backups/before"}', 'lin', now() - interval '1 day')`;
  await sql`
    insert into migration.cutovers (kind, state, started_by, started_at, ended_at, pause_ms)
    values ('rehearsal', 'done', 'lin', now() - interval '3 days', now() - interval '3 days', 340)`;
  await saveFrontProcess(sql, {
    id: "a",
    host: "front-1",
    pid: 7,
    product: "1",
    key_digest: "x",
    acknowledged: 1,
    writes_in_flight: 2,
    writes_held: 0,
  });
  await sql`update migration.front_processes set seen_at = now() + interval '1 h'`;
  for (let i = 0; i < 9; i++) await saveShadowAnswer(sql, i > 0);
  const difference = {
    route: "GET /api/v1/tasks",
    path: "/data/*/progress",
    rule: "",
    target: "/api/v1/tasks",
  };
  await saveShadowDifferences(sql, [
    { ...difference, cause: "noise", old: "1", new: "2" },
    { ...difference, cause: "code", path: "/data/total", old: "<b>3</b>", new: "5" },
  ]);
}

Deno.test({
  name: "a migration under way is there in all looks, without a violation of accessibility",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addMigration(rig);
    await using opened = await openSignedIn(rig, "/migration", { kind: "admin" });
    const { page, errors } = opened;
    page.setDefaultTimeout(30_000);
    await checkLooks(page, "migration", () => page.locator("text=quarantine_accepted").waitFor());
    assert.deepEqual(await listUntranslated(page), []);
    await page.setViewportSize({ width: 1440, height: 900 });
    await takePicture(page, "migration_whole", true);
    assert.deepEqual(errors.filter((text) => !text.includes("401")), []);
  },
});

Deno.test({
  name: "an admin changes the phase in the safe order, and the page names the next command for each state",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addMigration(rig);
    const { sql } = rig.api.database;
    await using opened = await openSignedIn(rig, "/migration", { kind: "admin" });
    const { page } = opened;
    const command = page.locator(".op-command code").first();
    const commandIs = (text: string) => page.locator(".op-command code", { hasText: text }).first().waitFor();
    const change = async (name: string, reason: string) => {
      await page.getByRole("button", { name }).click();
      const dialog = page.getByRole("dialog");
      assert.equal(
        await dialog.getByRole("button", { name: "Confirm" }).isDisabled(),
        true,
        "a reason is wanted",
      );
      await dialog.locator("[name=reason]").fill(reason);
      await takePicture(page, `migration_${reason.slice(0, 5)}`);
      await dialog.getByRole("button", { name: "Confirm" }).click();
      await dialog.waitFor({ state: "detached" });
    };
    await commandIs("traffic shadow");
    assert.deepEqual(
      await page.locator(".panel").first().getByRole("button").allInnerTexts(),
      ["Compare answers"],
      "only the next phase is offered",
    );
    await change("Compare answers", "first look");
    await page.locator(".migration-phases [aria-current]", { hasText: "Shadow" }).waitFor();
    await commandIs("traffic canary");
    await change("Set the share", "a few users");
    await page.locator(".migration-phases [aria-current]", { hasText: "Canary" }).waitFor();
    await commandIs("--share 100");
    const [row] = await sql`select phase, share, changed_by, reason from migration.traffic`;
    assert.deepEqual([row!.phase, row!.share, row!.changed_by, row!.reason], [
      "canary",
      5,
      "admin@example.com",
      "a few users",
    ]);
    // The page shows changes that only commands make, without being loaded again.
    await sql`update migration.traffic set share = 100, version = version + 1`;
    await commandIs("cutover --check");
    await sql`update migration.decisions set value = '{"isReady":true,"checks":[]}' where name = 'gate'`;
    await commandIs("rehearse");
    await sql`update migration.cutovers set started_at = now()`;
    await commandIs("data cutover --unfinished");
    await page.getByText("on the command line only").waitFor();
    await sql`
      update migration.traffic set phase = 'holding', phase_before = 'canary', hold_until = now() + interval '1 h'`;
    await commandIs("--abort");
    assert.equal(await page.locator(".panel").first().getByRole("button").count(), 0);
    await sql`update migration.traffic set phase = 'new', phase_before = null, hold_until = null, share = 0`;
    await page.getByText("The migration is complete").waitFor();
    assert.match(await command.innerText(), /^deno task migrate traffic$/);
  },
});

Deno.test({
  name: "a change that somebody else made first is refused in the dialog, and a manager may only look",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await addMigration(rig);
    const { sql } = rig.api.database;
    await using opened = await openSignedIn(rig, "/migration", { kind: "admin" });
    const { page } = opened;
    await page.getByRole("button", { name: "Compare answers" }).click();
    await sql`update migration.traffic set version = version + 1`;
    const dialog = page.getByRole("dialog");
    await dialog.locator("[name=reason]").fill("too late");
    await dialog.getByRole("button", { name: "Confirm" }).click();
    await dialog.getByRole("alert").waitFor();
    const [row] = await sql`select phase from migration.traffic`;
    assert.equal(row!.phase, "old");

    await using other = await openSignedIn(rig, "/migration", { kind: "manager" });
    await other.page.getByText("quarantine_accepted").waitFor();
    assert.equal(await other.page.getByRole("button", { name: "Compare answers" }).count(), 0);
  },
});

Deno.test({
  name: "without a migration the page says what to do, and others see that it is for staff",
  ignore,
  async fn() {
    await using rig = await startConsole();
    await using opened = await openSignedIn(rig, "/migration", { kind: "manager" });
    await opened.page.getByText("No migration is under way").waitFor();
    await opened.page.getByText("deno task migrate data move").waitFor();
    await takePicture(opened.page, "migration_none");
    assert.deepEqual(await findViolations(opened.page), []);
    await using other = await openSignedIn(rig, "/migration", { kind: "user" });
    await other.page.getByText("This page is for admins and managers").waitFor();
    assert.equal(await other.page.getByRole("link", { name: "Migration" }).count(), 0);
  },
});
