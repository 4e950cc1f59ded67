/** Event streams when the API process is killed or terminated. */
import assert from "node:assert/strict";
import { saveRatings } from "../../../db/judging/ratings.ts";
import { originOf, spawnProgram } from "../../../dev/servers/spawn.ts";
import { createTokens } from "../../../routes/common/tokens.ts";
import { createDatabase, type TestDatabase } from "../../support/database.ts";
import { listen } from "../support/events.ts";
import { addMatrix, addPeople } from "../support/api.ts";
import type { TestApi } from "../../support/api.ts";

const secret = "0123456789abcdef0123456789abcdef";

interface Program {
  origin: string;
  /** Sends a signal and returns the exit code. */
  end(signal: Deno.Signal): Promise<number>;
}

async function startProgram(database: TestDatabase): Promise<Program> {
  const api = await spawnProgram("api", {
    DATABASE_URL: database.url,
    SECRET_KEY: secret,
    REDIS_URL: "redis://127.0.0.1:9",
    HOST: "127.0.0.1",
    PORT: "0",
  });
  return { origin: originOf(api), end: api.end };
}

async function setUp() {
  const database = await createDatabase();
  const api = { database, config: { SECRET_KEY: secret }, tokens: createTokens(secret, 60) };
  const { user } = await addPeople(api as TestApi);
  const task = await addMatrix(api, user, { prompts: 40, ratios: 5 });
  const rate = (cell: number, stars: number) =>
    saveRatings(database.sql, [
      { task_id: task, cell, rater_id: user.id, stars, skipped: null, blind: false, took_ms: null },
    ]);
  return {
    database,
    task,
    token: user.access,
    rate,
    [Symbol.asyncDispose]: () => database[Symbol.asyncDispose](),
  };
}

Deno.test("a client that reconnects with its last id after the process was killed has the final state of every cell", async () => {
  await using fixture = await setUp();
  const { database, task, token, rate } = fixture;
  const first = await startProgram(database);
  const before = await listen(first, token, task);
  await before.until(({ event }) => event === "progress");
  for (let cell = 0; cell < 60; cell++) await rate(cell, 1 + cell % 5);
  await before.until(({ event }) => event === "cells");
  const killed = first.end("SIGKILL");
  // The dying process sends some of these changes, or none.
  for (let cell = 40; cell < 120; cell++) await rate(cell, 5 - cell % 5);
  await killed;
  await before.untilEnd();
  const second = await startProgram(database);
  const after = await listen(second, token, task, { "last-event-id": before.lastId! });
  for (let cell = 110; cell < 130; cell++) await rate(cell, 3);
  const rows = await database.sql`
    select cell, revision::int, rating_sum as stars from subtasks where parent_task_id = ${task} and rating_n > 0`;
  assert.equal(rows.length, 130);
  const [{ revision }] = await database.sql`
    select revision::int from tasks where id = ${task}` as unknown as [{ revision: number }];
  await after.until(({ id }) => Number(id) >= revision);
  const known = new Map([...before.cells(), ...after.cells()]);
  for (const { cell, stars } of rows) assert.equal(known.get(cell)?.mean, stars, `cell ${cell}`);
  await after[Symbol.asyncDispose]();
  assert.equal(await second.end("SIGTERM"), 0);
});

Deno.test("on SIGTERM the process ends open streams with a retry delay and exits", async () => {
  await using fixture = await setUp();
  const program = await startProgram(fixture.database);
  const streams = await Promise.all(
    Array.from({ length: 5 }, () => listen(program, fixture.token, fixture.task)),
  );
  for (const stream of streams) await stream.until(({ event }) => event === "end");
  assert.equal(await program.end("SIGTERM"), 0);
  for (const stream of streams) {
    await stream.untilEnd();
    assert.match(stream.text, /retry: \d+\n\nevent: bye\ndata: \{"reason":"draining"\}\n\n$/);
  }
});
