import assert from "node:assert/strict";
import { Lease } from "../../../migrate/data/sync/lease.ts";
import { createDatabase } from "../../support/database.ts";

Deno.test("a second process is refused while the first one holds the lease, and told who that is", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  {
    await using first = await Lease.acquire(sql, "sync");
    await assert.rejects(
      Lease.acquire(sql, "sync"),
      new RegExp(`process ${first.holder} has been running since 20`),
    );
    await using _other = await Lease.acquire(sql, "back");
    await sql.begin((transaction) => first.check(transaction));
  }
  await using _second = await Lease.acquire(sql, "sync");
});

Deno.test("a process that lost its lease is refused within its transaction, even after the new holder left", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await using first = await Lease.acquire(sql, "sync");
  await sql`update leaders set lease_until = now() - interval '1 s'`;
  {
    await using _second = await Lease.acquire(sql, "sync");
    await assert.rejects(sql.begin((transaction) => first.check(transaction)), /lost its lease/);
    assert.equal(await first.renew(), false);
  }
  await assert.rejects(sql.begin((transaction) => first.check(transaction)), /lost its lease/);
  assert.equal(await first.renew(), false, "its term is over");
});

Deno.test("a lease that expired is renewed if nobody took it", async () => {
  await using database = await createDatabase();
  const { sql } = database;
  await using lease = await Lease.acquire(sql, "sync");
  await sql`update leaders set lease_until = now() - interval '1 s'`;
  assert.equal(await lease.renew(), true);
  await sql.begin((transaction) => lease.check(transaction));
});
