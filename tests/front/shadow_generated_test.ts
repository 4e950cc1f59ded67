/** Generated reads through the shadow: the rules explain all known differences of the old backend here as well. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { targetOf } from "../../comparison/request.ts";
import { createCases } from "../../dev/shadow/generate.ts";
import { fill } from "../../dev/shadow/placeholders.ts";
import { playOldBackend } from "../shadow/support/old_backend.ts";
import { startShadow } from "./support/shadow.ts";

Deno.test("generated reads have only intended differences", async () => {
  const ways = { token: "", hiddenTasks: new Set<string>() };
  await using rig = await startShadow({
    before: (request) => playOldBackend(ways).before!(request),
    after: (request, answer) => playOldBackend(ways).after!(request, answer),
  });
  ways.token = rig.token;
  const rows = await rig.sql<{ id: string }[]>`
    update tasks set generation = 'T2'
    where id in (select id from tasks where not is_deleted order by created_at desc limit 2)
    returning id`;
  for (const { id } of rows) ways.hiddenTasks.add(id);
  const tasks = await rig.sql<{ id: string }[]>`
    select id from tasks where not is_deleted and total_images < 500 order by created_at desc limit 10`;
  const users = await rig.sql<{ id: string }[]>`select legacy_id as id from users limit 10`;
  const known = {
    taskIds: tasks.map(({ id }) => id),
    userIds: users.map(({ id }) => id),
    usernames: ["tester1@example.com"],
    taskNames: ["test"],
  };
  const variables = new Map([["token", rig.token], ["other", rig.token], ["task", known.taskIds[0]!], [
    "user",
    known.userIds[0]!,
  ]]);
  const steps = fc.sample(createCases(known, false), { seed: 5, numRuns: 600 }).flat()
    .filter(({ method }) => method === "GET");
  assert.ok(steps.length > 150, String(steps.length));
  for (const [i, step] of steps.entries()) {
    const headers = new Headers();
    for (const [name, value] of step.headers) headers.append(name, fill(value, variables));
    headers.delete("content-type");
    await rig.get(fill(targetOf(step), variables), Object.fromEntries(headers));
    // The backlog holds 100 answers.
    if (i % 40 === 39) await new Promise((resolve) => setTimeout(resolve, 500));
  }
  let seen = -1;
  for (let now = 0; now !== seen;) {
    seen = now;
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    now = [...(await rig.settle(0)).values()].reduce((sum, one) => sum + one, 0);
  }
  const outcomes = await rig.settle(100);
  assert.ok(outcomes.get("equal")! > 50 && outcomes.get("different")! > 10, JSON.stringify([...outcomes]));
  // Redirects to a path with `..` are not followed.
  assert.ok((outcomes.get("dropped") ?? 0) <= 5, JSON.stringify([...outcomes]));
  assert.deepEqual((await rig.list()).filter((line) => !line.startsWith("intended ")), []);
});
