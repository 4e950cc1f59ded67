import assert from "node:assert/strict";
import { assess } from "../../migrate/data/assess/assess.ts";
import { makePage } from "../../migrate/data/assess/page.ts";
import { judge } from "../../migrate/data/assess/verdict.ts";
import { writeBson } from "../../migrate/data/documents/bson_write.ts";
import { readDocument } from "../../migrate/data/documents/ejson_read.ts";
import { load } from "../../migrate/data/load/load.ts";
import { openSource } from "../../migrate/data/sources/open.ts";
import { silentProgress } from "../../migrate/data/tools/progress.ts";
import { startMongo } from "../../dev/servers/mongo.ts";
import { judgeServer, readServerFacts } from "../../migrate/data/assess/live.ts";
import { insertRaw } from "./support/mongo_raw.ts";
import { collections } from "../../migrate/data/documents/source.ts";
import { type CollectionStatus, readStatus } from "../../migrate/data/ledger/status.ts";
import { createDatabase } from "../support/database.ts";
import { generations, makeDump, makeEdgeCaseDump, runMigrate } from "./support/program.ts";
import { type Documents, dumpFiles, makeFolder, mongod } from "./support/sources.ts";

const progress = silentProgress;
const nowhere = "postgres://nobody@127.0.0.1:1/none";

/** Creates a folder with the sample as mongodump writes it. */
async function makeBsonSample() {
  const documents = Object.fromEntries(
    await Promise.all(collections.map(async (name) => {
      const text = await Deno.readTextFile(`${generations}/${name}.json`);
      return [name, text.trim().split("\n").map((line) => writeBson(readDocument(line)))] as const;
    })),
  ) as Documents;
  return await makeFolder(dumpFiles(documents));
}

Deno.test("the prediction matches the ledger after a load", async (t) => {
  for (const form of ["odd", "odd-canonical", "sample"] as const) {
    await t.step(form, async () => {
      await using database = await createDatabase();
      await using dump = form === "sample" ? undefined : await makeEdgeCaseDump(form);
      const path = dump?.path ?? generations;
      const predicted = await assess(await openSource(path), { progress });
      await load(database.sql, await openSource(path), { progress });
      const status = await readStatus(database.sql);
      const sort = (list: { collection: string; reason: string; path: string; documents: number }[]) =>
        list.map(({ collection, reason, path, documents }) => `${collection} ${reason} ${path} ${documents}`)
          .sort();
      assert.deepEqual(
        sort(predicted.quarantine.map((one) => ({ ...one, reason: one.name }))),
        sort(status.quarantine),
      );
      type Counts = Pick<CollectionStatus, "collection" | "documents" | "exact" | "adjusted" | "quarantined">;
      const pickCounts = ({ collection, documents, exact, adjusted, quarantined }: Counts) => ({
        collection,
        documents,
        exact,
        adjusted,
        quarantined,
      });
      assert.deepEqual(
        predicted.collections.map(pickCounts),
        status.sources[0]!.collections.map(pickCounts),
      );
      const rules = await database.sql`
        select collection, rule as name, path, count(distinct position)::int as documents
        from migration.adjustments
        group by 1, 2, 3`;
      const toTexts = (
        list: Iterable<{ collection: string; name: string; path: string; documents: number }>,
      ) => [...list].map((one) => `${one.collection} ${one.name} ${one.path} ${one.documents}`).sort();
      assert.deepEqual(toTexts(predicted.rules), toTexts(rules as unknown as typeof predicted.rules));
      const [held] = await database.sql`
        select count(*) filter (where status in ('pending', 'processing'))::int as tasks from tasks`;
      assert.equal(predicted.unfinished.tasks, held!.tasks);
    });
  }
});

Deno.test("the predicted disk space differs from that of a load by less than half", async () => {
  await using database = await createDatabase();
  const { predicted } = await assess(await openSource(generations), { progress });
  await load(database.sql, await openSource(generations), { progress });
  const [row] = await database.sql`
    select sum(pg_total_relation_size(oid))::float8 as bytes
    from pg_class
    where oid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)`;
  const ratio = predicted.disk_bytes / row!.bytes;
  assert.ok(ratio > 0.5 && ratio < 1.5, `predicted ${predicted.disk_bytes}, took ${row!.bytes}`);
});

Deno.test("the verdict and its exit code follow from the source, without a database", async (t) => {
  await using bson = await makeBsonSample();
  await using odd = await makeEdgeCaseDump("odd-canonical");
  await using orphans = await makeDump({
    dramatiq_tasks: await Deno.readTextFile(`${generations}/dramatiq_tasks.json`),
  });
  await using empty = await makeDump({});
  const cases: [string, string, number, string, RegExp][] = [
    ["a mongodump", bson.path, 0, "GO", /unfinished/],
    ["the relaxed form", generations, 5, "WAIT", /relaxed form.*canonical/],
    ["documents that get no row", odd.path, 5, "WAIT", /would get no row: missing_email/],
    ["subtasks without tasks", orphans.path, 6, "NO-GO", /all of them would be orphans/],
    ["an empty source", empty.path, 6, "NO-GO", /has no documents/],
  ];
  for (const [what, path, exit, verdict, reason] of cases) {
    await t.step(what, async () => {
      const { code, out, err } = await runMigrate(
        nowhere,
        "data",
        "assess",
        "--quiet",
        "--json",
        "--from",
        path,
      );
      assert.equal(code, exit, err);
      const result = JSON.parse(out);
      assert.equal(result.verdict, verdict);
      assert.match(result.reasons.map(({ text }: { text: string }) => text).join("\n"), reason);
    });
  }
});

Deno.test("the page is self-contained: no script, no external resource, charts as SVG", async () => {
  await using odd = await makeEdgeCaseDump("odd");
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/page.html`;
    const { code, out } = await runMigrate(
      nowhere,
      "data",
      "assess",
      "--quiet",
      "--from",
      odd.path,
      "--html",
      path,
    );
    assert.equal(code, 5);
    assert.match(out, /WAIT$/m);
    const page = await Deno.readTextFile(path);
    assert.doesNotMatch(page, /<script|https?:|url\(|<link|<img|\son\w+=/i);
    assert.match(page, /<svg role="img" aria-label="documents by outcome"/);
    assert.match(page, /<rect class="quarantined"/);
    assert.match(page, /missing_email/);
    assert.ok(page.length < 200_000);
    const unwritable = await runMigrate(
      nowhere,
      "data",
      "assess",
      "--from",
      odd.path,
      "--html",
      `${folder}/no/page.html`,
    );
    assert.equal(unwritable.code, 64);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

Deno.test("the page escapes texts from documents", async () => {
  const evil = "<script>alert(1)</script>\"&'";
  await using dump = await makeDump({
    users: JSON.stringify({ _id: evil, email: 5, [evil]: 1 }),
    tasks: JSON.stringify({ _id: { $oid: "67ecfe0fa1b2c3d4e5e79e53" }, status: evil }),
  });
  const assessment = await assess(await openSource(dump.path), { progress });
  const page = makePage(assessment, judge(assessment));
  assert.doesNotMatch(page, /<script/);
  assert.match(page, /&lt;script&gt;/);
});

Deno.test("the assessment finds similar e-mails and unknown password hashes", async () => {
  const users = ["a@x.com", "A@x.com", "b@x.com"].map((email, i) =>
    JSON.stringify({
      _id: { $oid: `67ecfe0fa1b2c3d4e5e79e5${i}` },
      email,
      hashed_password: "$argon2id$v=19$x",
    })
  ).join("\n");
  await using dump = await makeDump({ users });
  const { findings } = await assess(await openSource(dump.path), { progress });
  assert.match(findings[0]!.samples[0]!, /a@x\.com and A@x\.com/);
  assert.match(findings[1]!.what, /scheme 'argon2id'/);
  assert.equal(findings[1]!.documents, 3);
});

for (const replicaSet of [true, false]) {
  Deno.test({
    name: `the assessment of a running MongoDB (${
      replicaSet ? "replica set" : "standalone"
    }) includes its oplog and indexes`,
    ignore: !mongod,
    async fn() {
      await using mongo = await startMongo(mongod!, { replicaSet });
      for (const collection of collections) {
        const text = await Deno.readTextFile(`${generations}/${collection}.json`);
        const documents = text.trim().split("\n").map((line) => writeBson(readDocument(line)));
        await insertRaw(mongo.url, { database: "old", collection, documents });
      }
      const url = mongo.url.replace(/\/(?=\?|$)/, "/old");
      const facts = await readServerFacts(url);
      assert.match(facts.version, /^\d+\./);
      assert.deepEqual(facts.indexes.users, ["_id"]);
      assert.equal(typeof facts.oplog_seconds, replicaSet ? "number" : "object");
      const { code, out, err } = await runMigrate(
        nowhere,
        "data",
        "assess",
        "--quiet",
        "--json",
        "--from",
        url,
      );
      assert.equal(code, 0, err);
      const result = JSON.parse(out);
      const reasons = result.reasons.map((reason: { text: string }) => reason.text).join("\n");
      assert.match(reasons, /users\.email has no index/);
      assert.equal(/standalone/.test(reasons), !replicaSet);
    },
  });
}

Deno.test("an oplog that is shorter than four loads is a reason to wait", () => {
  const facts = { version: "6.0.5", indexes: { users: ["email!"], tasks: ["id"], dramatiq_tasks: [] } };
  const { waits } = judgeServer({ ...facts, oplog_seconds: 3600 }, 1800);
  assert.match(waits[0]!, /covers only 1\.0 h, and a load takes about 30 min/);
  assert.deepEqual(judgeServer({ ...facts, oplog_seconds: 86_400 }, 1800), {
    waits: [],
    notes: [
      "MongoDB 6.0.5",
      "the oplog covers 24.0 h",
      "dramatiq_tasks.parent_task_id has no index: its values were not kept unique, and lookups were slow",
    ],
  });
});
