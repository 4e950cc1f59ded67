/** Kills the migrator with SIGKILL at every failpoint and checks that the same command then completes the work. */
import assert from "node:assert/strict";
import { writeDump } from "../../bench/load/dump.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { backup } from "../../migrate/data/backup/backup.ts";
import { type Failpoint, failpoints } from "../../migrate/data/tools/failpoint.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { applyRepair } from "../../migrate/data/repair/repair.ts";
import { planRepair } from "../../migrate/data/repair/plan.ts";
import { replayQuarantine } from "../../migrate/data/repair/replay.ts";
import { restore } from "../../migrate/data/backup/restore.ts";
import { readStatus } from "../../migrate/data/ledger/status.ts";
import { undoRepair } from "../../migrate/data/repair/undo.ts";
import { decideUnfinished } from "../../migrate/data/ledger/unfinished.ts";
import { verify } from "../../migrate/data/verify/verify.ts";
import { createDatabase, type TestDatabase } from "../support/database.ts";
import { type Kill, kill, killAtEach, prepareTemplate, snapshot } from "./support/kill.ts";
import { generations, makeDump } from "./support/program.ts";
import { dumpFiles, makeEdgeCaseBson, makeFolder } from "./support/sources.ts";

const progress = silentProgress;
const rangeBytes = 65_536;

/** Failpoints that the tests of this file cover. */
const covered = new Set<string>();

/** Returns kills for failpoints that are given as `name` or `name:pass`. */
function killsAt(...names: string[]): Kill[] {
  return names.map((name) => {
    const [point, pass = "1"] = name.split(":") as [Failpoint, string?];
    assert.ok(failpoints.includes(point), point);
    covered.add(point);
    return { point, pass: Number(pass) };
  });
}

const between = (first: Failpoint, last: Failpoint) =>
  failpoints.slice(failpoints.indexOf(first), failpoints.indexOf(last) + 1);

/** Maximum number of unfinished ranges of a load: one in the lens, three at the server. */
const unfinishedRangesMax = 4;

async function checkLoad(kills: Kill[], database: TestDatabase, path: string, wanted: string): Promise<void> {
  const { sql } = database;
  const args = ["load", "--quiet", "--from", path, "--range-bytes", String(rangeBytes)];
  for (const one of kills) {
    const countDone = async () =>
      (await sql`select count(*)::int as done from migration.ranges where state = 'done'`)[0]!.done;
    const before = await countDone();
    const { passes } = await kill(one, database, args);
    assert.deepEqual((await readStatus(sql)).faults, [], one.point);
    const repeated = (passes["range.read"] ?? 0) - (await countDone() - before);
    assert.ok(repeated <= unfinishedRangesMax, `${one.point}: ${repeated} ranges are read again`);
  }
  await load(sql, await openSource(path), { progress, rangeBytes });
  assert.equal(await snapshot(sql), wanted);
}

async function checkLoads(kills: Kill[], path: string, template?: string): Promise<void> {
  await using reference = await createDatabase({ template });
  await load(reference.sql, await openSource(path), { progress, rangeBytes });
  const verdict = await verify(reference.sql, await openSource(path), { progress });
  assert.deepEqual(verdict.mismatches, []);
  assert.equal((await readStatus(reference.sql)).verdict, "balanced");
  const wanted = await snapshot(reference.sql);
  await killAtEach(kills, template, (share, database) => checkLoad(share, database, path, wanted));
}

Deno.test("a load of odd documents that is killed at any failpoint completes when it is run again", async () => {
  await using dump = await makeFolder(dumpFiles(await makeEdgeCaseBson()));
  const all = between("load.schema_checked", "load.lock_released").filter((name) =>
    !name.startsWith("deferred.") && name !== "entries.excluded"
  );
  const later = killsAt("survey.document:30", "range.document:10", "range.committed:3");
  await checkLoads([...killsAt(...all), ...later], dump.path);
});

Deno.test("a load that is killed while indexes are dropped or recreated completes when it is run again", async () => {
  const path = await Deno.makeTempDir({ prefix: "contactsheet-dump-" });
  try {
    writeDump(path, 5100);
    const deferred = between("deferred.locked", "deferred.dropped").concat(
      between("deferred.created", "deferred.recreated"),
    );
    await checkLoads(
      killsAt(
        ...deferred,
        "deferred.created:2",
        "copy.chunk_sent:30",
        "range.commit_sent:20",
        "settle.begun",
      ),
      path,
    );
  } finally {
    await Deno.remove(path, { recursive: true });
  }
});

Deno.test("a load that is killed while it excludes documents of an earlier dump completes when it is run again", async () => {
  await using loaded = await prepareTemplate(async (sql) => {
    await load(sql, await openSource(generations), { progress });
  });
  const [users, tasks, subtasks] = await Promise.all(
    ["users", "tasks", "dramatiq_tasks"].map((name) => Deno.readTextFile(`${generations}/${name}.json`)),
  );
  await using dump = await makeDump({ users: users!, tasks: tasks!, dramatiq_tasks: `${subtasks}\n` });
  await checkLoads(killsAt("entries.excluded", "entries.excluded:4"), dump.path, loaded.name);
});

Deno.test("a decision about unfinished tasks that is killed is applied completely or not at all", async () => {
  await using loaded = await prepareTemplate(async (sql) => {
    await load(sql, await openSource(generations), { progress });
  });
  const count = async (sql: Pool) => {
    const [row] = await sql`
      select (select count(*) from tasks where hold = 'import')::int as held,
        (select count(*) from subtasks where status = 'processing')::int as processing`;
    return { ...row };
  };
  await using reference = await createDatabase({ template: loaded.name });
  const before = await count(reference.sql);
  await decideUnfinished(reference.sql, "resume");
  const after = await count(reference.sql);
  assert.notDeepEqual(after, before);
  const kills = killsAt(...between("unfinished.begun", "unfinished.committed"));
  await killAtEach(kills, loaded.name, async (share, database) => {
    const { sql } = database;
    for (const one of share) {
      await kill(one, database, ["unfinished", "resume"]);
      assert.deepEqual(await count(sql), one.point === "unfinished.committed" ? after : before);
    }
    await decideUnfinished(sql, "resume");
    assert.deepEqual(await count(sql), after);
  });
});

/** Deletes and changes rows so that a verification finds differences. */
const damage = async (sql: Pool) => {
  await sql`delete from users where email = 'tester0@example.com'`;
  await sql`update tasks set task_name = 'damaged' where id = (select min(id::text)::uuid from tasks)`;
  const [task] = await sql`select parent_task_id as id from subtasks limit 1`;
  await sql`delete from subtasks where parent_task_id = ${task!.id}`;
};

Deno.test("a verify, a repair or an undo that is killed gives the same result when it is run again", async () => {
  let planName: string | undefined;
  await using damaged = await prepareTemplate(async (sql) => {
    await load(sql, await openSource(generations), { progress });
    await damage(sql);
  });
  const plan = async (sql: Pool) => await planRepair(sql, await openSource(generations), { progress });
  await using repaired = await prepareTemplate(async (sql) => {
    await load(sql, await openSource(generations), { progress });
    await damage(sql);
    planName = (await applyRepair(sql, await plan(sql))).plan;
  });
  await using reference = await createDatabase({ template: damaged.name });
  const { differences } = await verify(reference.sql, await openSource(generations), { progress });
  const { steps } = await plan(reference.sql);
  assert.ok(steps.length > 2);
  const countLogged = async (sql: Pool) => {
    const [row] = await sql`
      select count(*)::int as steps, count(undone_at)::int as undone
      from migration.repairs`;
    return [row!.steps, row!.undone];
  };
  const checkVerify = async (share: Kill[], database: TestDatabase) => {
    const { sql } = database;
    for (const one of share) {
      // Each run starts from the beginning, because a continued run may not reach the failpoint.
      await kill(one, database, ["verify", "--again", "--quiet", "--from", generations]);
      const [row] = await sql`
        select count(*)::int as ended from migration.verifications where ended_at is not null`;
      assert.equal(row!.ended, one.point === "verify.committed" ? 1 : 0);
    }
    assert.equal((await verify(sql, await openSource(generations), { progress })).differences, differences);
  };
  const checkRepair = async (share: Kill[], database: TestDatabase) => {
    const { sql } = database;
    for (const one of share) {
      await kill(one, database, ["repair", "--apply", "--quiet", "--from", generations]);
      assert.deepEqual(await countLogged(sql), [one.point === "repair.committed" ? steps.length : 0, 0]);
    }
    const again = await plan(sql);
    if (again.steps.length > 0) await applyRepair(sql, again);
    assert.deepEqual(await countLogged(sql), [steps.length, 0]);
    assert.equal((await verify(sql, await openSource(generations), { progress })).differences, 0);
    assert.deepEqual((await readStatus(sql)).faults, []);
  };
  const checkUndo = async (share: Kill[], database: TestDatabase) => {
    const { sql } = database;
    for (const one of share) await kill(one, database, ["repair", "--undo", planName!]);
    if (share.at(-1)!.point === "undo.committed") {
      await assert.rejects(undoRepair(sql, planName!), /left to undo/);
    } else assert.equal((await undoRepair(sql, planName!)).undone, steps.length);
    assert.deepEqual(await countLogged(sql), [steps.length, steps.length]);
    assert.deepEqual((await plan(sql)).steps.length, steps.length);
  };
  await killAtEach(killsAt(...between("verify.planned", "verify.committed")), damaged.name, checkVerify);
  await killAtEach(
    killsAt("repair.step_logged:3", ...between("repair.planned", "repair.committed")),
    damaged.name,
    checkRepair,
  );
  await killAtEach(killsAt(...between("undo.begun", "undo.committed")), repaired.name, checkUndo);
});

Deno.test("a replay of the quarantine that is killed is applied completely or not at all", async () => {
  const read = (name: string) => Deno.readTextFile(`${generations}/${name}.json`);
  await using orphans = await makeDump({ dramatiq_tasks: await read("dramatiq_tasks") });
  await using parents = await makeDump({ users: await read("users"), tasks: await read("tasks") });
  await using quarantined = await prepareTemplate(async (sql) => {
    for (const { path } of [orphans, parents]) await load(sql, await openSource(path), { progress });
  });
  const checkReplay = async (share: Kill[], database: TestDatabase) => {
    const { sql } = database;
    for (const one of share) await kill(one, database, ["quarantine", "--replay", "--apply", "--quiet"]);
    const { loaded } = await replayQuarantine(sql, { apply: true, progress });
    const [row] = await sql`
      select (select count(*) from subtasks)::int as rows, (select count(*) from migration.replays)::int as replayed`;
    assert.equal(row!.rows, row!.replayed);
    assert.equal(loaded, share.at(-1)!.point === "replay.committed" ? 0 : row!.rows);
    assert.equal((await readStatus(sql)).verdict, "balanced");
    assert.equal((await verify(sql, await openSource(orphans.path), { progress })).differences, 0);
  };
  await killAtEach(
    killsAt("replay.recorded:2", ...between("replay.begun", "replay.committed")),
    quarantined.name,
    checkReplay,
  );
});

Deno.test("a killed backup is recognized as unfinished, and a killed restore changes everything or nothing", async () => {
  await using loaded = await prepareTemplate(async (sql) => {
    await load(sql, await openSource(generations), { progress });
  });
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-backup-" });
  const options = { progress, replace: true, dryRun: false };
  try {
    await using reference = await createDatabase({ template: loaded.name });
    const wanted = await snapshot(reference.sql);
    await backup(reference.sql, `${folder}/good`, { progress });
    const checkBackup = async (share: Kill[], database: TestDatabase) => {
      for (const one of share) {
        const to = `${folder}/${one.point}`;
        await kill(one, database, ["backup", "--quiet", "--to", to, "--from", generations]);
        const dryRun = restore(database.sql, to, { ...options, dryRun: true });
        if (one.point === "backup.done") await dryRun;
        else await assert.rejects(dryRun, /was not finished/);
      }
      const again = `${folder}/${share[0]!.point}.again`;
      await backup(database.sql, again, { progress });
      await restore(database.sql, again, { ...options, dryRun: true });
    };
    const checkRestore = async (share: Kill[], database: TestDatabase) => {
      const { sql } = database;
      for (const one of share) {
        await kill(one, database, ["restore", "--quiet", "--backup", `${folder}/good`]);
        const rows = Number((await sql`select count(*) as rows from users`)[0]!.rows);
        assert.equal(rows > 0, one.point === "restore.committed");
      }
      await restore(sql, `${folder}/good`, options);
      assert.equal(await snapshot(sql), wanted);
    };
    await killAtEach(killsAt(...between("backup.folder_made", "backup.done")), loaded.name, checkBackup);
    await killAtEach(killsAt(...between("restore.checked", "restore.committed")), undefined, checkRestore);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the tests of this file cover every failpoint", () => {
  assert.deepEqual(failpoints.filter((name) => !covered.has(name)), []);
  assert.ok(failpoints.length >= 60);
});
