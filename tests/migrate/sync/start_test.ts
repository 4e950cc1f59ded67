import assert from "node:assert/strict";
import { MongoClient } from "mongodb";
import { startMongo } from "../../../dev/servers/mongo.ts";
import { checkVersion } from "../../../migrate/data/sources/mongo_follow.ts";
import { createDatabase } from "../../support/database.ts";
import { insertAll } from "../support/followed.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";

const root = { user: "root", password: "secret-of-root" };

Deno.test("a MongoDB before 4.4 cannot be followed, and its copy at rest is named", () => {
  for (const version of ["4.2.24", "3.6.8"]) {
    assert.throws(
      () => checkVersion(version, "mongodb://old/db"),
      /is MongoDB .*needs 4\.4 or later.*data load/,
      version,
    );
  }
  for (const version of ["4.4.0", "5.0.31", "6.0.5", "8.0.4", "10.0.1"]) {
    checkVersion(version, "mongodb://old/db");
  }
});

Deno.test({
  name: "sync refuses a wrong database and anything but a MongoDB, and writes nothing",
  ignore: !mongod,
  fn: async () => {
    await using database = await createDatabase();
    await using mongo = await startMongo(mongod!, { replicaSet: true });
    await insertAll(mongo.url, "old", {});
    const sync = (from: string) =>
      runMigrate(database.url, "data", "sync", "--once", "--quiet", "--from", from);
    const missing = await sync(mongo.url.replace("/?", "/other?"));
    assert.equal(missing.code, 66, missing.err);
    assert.match(missing.err, /has no collection users, tasks, dramatiq_tasks/);
    const folder = await sync("dump");
    assert.equal(folder.code, 64, folder.err);
    assert.match(
      folder.err,
      /--from 'dump': wanted 'mongodb' or mongodb:\/\/…; only a running MongoDB changes/,
    );
    assert.equal((await database.sql`select from migration.follows`).length, 0);
  },
});

Deno.test({
  name: "sync refuses a standalone that demands an account, without showing its password",
  ignore: !mongod,
  fn: async () => {
    await using database = await createDatabase();
    await using mongo = await startMongo(mongod!, { root });
    const { hostname, port } = new URL(mongo.url.replace("mongodb:", "http:"));
    const url =
      `mongodb://${root.user}:${root.password}@${hostname}:${port}/old?authSource=admin&directConnection=true`;
    const client = await new MongoClient(url).connect();
    for (const name of ["users", "tasks", "dramatiq_tasks"]) await client.db("old").createCollection(name);
    await client.close();
    const { code, err } = await runMigrate(database.url, "data", "sync", "--once", "--quiet", "--from", url);
    assert.equal(code, 76, err);
    assert.match(err, /standalone server, which has no change streams/);
    assert.ok(!err.includes(root.password));
  },
});
