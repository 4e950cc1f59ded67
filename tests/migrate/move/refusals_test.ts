/** What the guide refuses, each with a text that says what to do. Nothing is moved. */
import assert from "node:assert/strict";
import { listApplied } from "../../../migrate/schema/runner.ts";
import { syncOnce } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";
import { type MoveRig, startMoveRig } from "./rig.ts";

interface Refusal {
  name: string;
  args: string[];
  env?: Record<string, string>;
  code: number;
  text: RegExp;
}

const script = ["--yes", "--quiet", "--wait", "1s"];

const refusals: Refusal[] = [
  {
    name: "settings that are missing on this machine are all named",
    args: ["--status"],
    env: { SECRET_KEY: "", LEGACY_API_URL: "" },
    code: 78,
    text: /settings are missing[^]*SECRET_KEY[^]*LEGACY_API_URL/,
  },
  {
    name: "an unknown stage",
    args: ["--until", "lunch"],
    code: 64,
    text: /--until 'lunch': wanted one of assess, backup/,
  },
  {
    name: "a source that is no running MongoDB",
    args: ["--from", "/tmp"],
    code: 64,
    text: /only a running MongoDB changes/,
  },
  {
    name: "a database of MongoDB without the three collections",
    args: script,
    env: { DB_NAME: "elsewhere" },
    code: 66,
    text: /elsewhere/,
  },
  {
    name: "nobody who answers",
    args: [],
    code: 64,
    text: /nobody answers the question; add --yes/,
  },
  {
    name: "a script while no sync runs is told its command",
    args: [...script, "--until", "sync"],
    code: 75,
    text: /stage 'sync':[^]*sync_begun[^]*deno task migrate data sync --from mongodb/,
  },
];

async function refuse(rig: MoveRig, { args, env, code, text }: Refusal): Promise<void> {
  await using move = rig.move(args, env);
  await move.close();
  const ended = await move.ended;
  assert.match(ended.text, text);
  assert.equal(ended.code, code, ended.text);
}

Deno.test({
  name: "the guide refuses what it cannot do, and says what to do",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startMoveRig();
    const folder = await Deno.makeTempDir();
    for (const refusal of refusals) {
      const backup = refusal.args.includes("sync") ? ["--backup-to", folder] : [];
      await t.step(
        refusal.name,
        () => refuse(rig, Object.assign({}, refusal, { args: [...refusal.args, ...backup] })),
      );
    }
    await t.step("two people at once", async () => {
      await using first = rig.move([]);
      await first.expect(/Go on\?/);
      await refuse(rig, {
        name: "",
        args: script,
        code: 75,
        text: /another move is running by .*process \d+ since/,
      });
      await first.type("q");
      const { code, text } = await first.ended;
      assert.equal(code, 0, text);
      assert.match(text, /left: run the same command again/);
    });
    await t.step("another MongoDB than the followed one", async () => {
      await syncOnce(rig.database.sql, rig.followed);
      await rig.database.sql`update migration.follows set source_identity = 'other'`;
      await refuse(rig, {
        name: "",
        args: script,
        code: 71,
        text: /is not the MongoDB that this database follows/,
      });
    });
    await Deno.remove(folder, { recursive: true });
  },
});

Deno.test({
  name: "the guide does not touch a database with tables of something else",
  ignore: !mongod,
  async fn() {
    await using rig = await startMoveRig();
    await rig.database.sql`create table public.somebody (id int)`;
    await refuse(rig, {
      name: "",
      args: [...script, "--until", "schema"],
      code: 1,
      text: /tables of something else \(public\.somebody\)/,
    });
    assert.deepEqual(await listApplied(rig.database.sql), []);
  },
});

Deno.test({
  name: "an empty MongoDB is not moved, and a script decides nothing that only a person can know",
  ignore: !mongod,
  async fn(t) {
    await t.step("the assessment says NO-GO", async () => {
      await using rig = await startMoveRig({ tasks: 0 });
      await refuse(rig, { name: "", args: script, code: 6, text: /NO-GO: the source has no documents/ });
    });
    await t.step("a backup that this account cannot restore waits for a person", async () => {
      await using rig = await startMoveRig({ migrated: true });
      const folder = await Deno.makeTempDir();
      const role = `mover_${crypto.randomUUID().slice(0, 8)}`;
      const { sql, url } = rig.database;
      await sql`create role ${sql(role)} login password 'x' nosuperuser`;
      await sql`grant pg_read_all_data, pg_write_all_data to ${sql(role)}`;
      const limited = new URL(url);
      limited.username = role;
      limited.password = "x";
      await refuse(rig, {
        name: "",
        args: [...script, "--until", "backup", "--backup-to", folder],
        env: { DATABASE_URL: limited.href },
        code: 1,
        text: /somebody must decide first:\n {2}backup_restored: .*--accept backup_restored/,
      });
      await sql`drop owned by ${sql(role)}`;
      await sql`drop role ${sql(role)}`;
      await Deno.remove(folder, { recursive: true });
    });
  },
});
