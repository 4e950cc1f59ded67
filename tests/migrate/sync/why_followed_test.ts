import assert from "node:assert/strict";
import { explainDocument, type Explanation } from "../../../migrate/data/ledger/why.ts";
import { createDatabase } from "../../support/database.ts";
import { startFollowed, startSync } from "../support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { runMigrate } from "../support/program.ts";
import { mongod } from "../support/sources.ts";
import { verifyFollowed } from "../support/verify_live.ts";

Deno.test({
  name: "why tells the state of followed documents, what they wait for, and how they were verified",
  ignore: !mongod,
  fn: async () => {
    await using database = await createDatabase();
    await using followed = await startFollowed();
    const { sql, url } = database;
    const { db } = followed;
    const user = makeUser("a@example.com");
    const task = Object.assign(makeTask(user.email), { created_at: "2026-01-02T03:04:05" });
    const orphan = makeSubtask(crypto.randomUUID());
    const faulty = Object.assign(makeSubtask(task.id), { status: "unheard of" });
    await db.collection("users").insertOne(user);
    await db.collection("tasks").insertOne(task);
    await db.collection("dramatiq_tasks").insertMany([orphan, faulty]);
    await using sync = startSync(sql, followed);
    await sync.settle();
    await sql`update users set fullname = 'changed'`;
    assert.equal((await verifyFollowed(sql, followed)).differences, 1);
    const explain = async ({ _id }: { _id: { toHexString(): string } }): Promise<Explanation> => {
      const [first, ...rest] = await explainDocument(sql, _id.toHexString());
      assert.equal(rest.length, 0);
      return first!;
    };
    const differing = await explain(user);
    assert.equal(differing.followed?.state, "following");
    assert.match(
      differing.history.at(-1)!.what,
      /verified while followed: changed at 'fullname', source "A Tester", row "changed"/,
    );
    const adjusted = await explain(task);
    assert.deepEqual([adjusted.state, adjusted.source], ["row", null]);
    assert.ok(adjusted.rules.some(({ path }) => path === "created_at"));
    assert.match(adjusted.history.at(-1)!.what, /verified while followed: equal/);
    const waiting = await explain(orphan);
    assert.deepEqual([waiting.state, waiting.waiting?.reason, waiting.row], ["waiting", "orphan", null]);
    const quarantined = await explain(faulty);
    assert.deepEqual([quarantined.state, quarantined.source], ["quarantined", null]);
    const { out } = await runMigrate(url, "data", "why", orphan._id.toHexString());
    assert.match(out, /dramatiq_tasks .* waits for its row/);
    assert.match(out, /source +mongodb:.*, following, changes up to 20.* applied at 20/);
    assert.match(out, /reason +orphan at 'parent_task_id': no task loaded has the id/);
    assert.match(out, /history .* waiting/);
  },
});
