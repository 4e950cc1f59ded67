/** Runs the commands of docs/v2.md in order against a real API. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { addPeople } from "./support/api.ts";
import { password } from "../support/people.ts";

const hasCurl = await new Deno.Command("curl", { args: ["--version"] }).output().then(
  () => true,
  () => false,
);
if (!hasCurl) console.log("ignored: the commands of docs/v2.md need curl on PATH");

/** The first command that needs images. */
const ratesCell = /^curl -sf -X PUT .*rating/m;

Deno.test({ name: "the commands of docs/v2.md succeed as written", ignore: !hasCurl }, async () => {
  const text = await Deno.readTextFile(new URL("../../docs/v2.md", import.meta.url));
  const blocks = [...text.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block]) => block!);
  assert.ok(blocks.length >= 5);
  await using api = await startApi();
  const { user } = await addPeople(api);
  const folder = await Deno.makeTempDir();
  const state = `${folder}/state`;
  const { sql } = api.database;
  await Deno.writeTextFile(state, "");
  for (const block of blocks) {
    if (ratesCell.test(block)) {
      // A worker would have completed the task by now.
      await sql`update subtasks set status = 'completed', attempt = 1, completed_at = now(), image_url = 'https://x/1.png'`;
      await sql`
        update tasks set status = 'completed', completed_at = now(), subtasks_completed = subtasks_total,
          all_subtasks_completed = true, revision = revision + 1`;
    }
    const { code, stdout, stderr } = await new Deno.Command("bash", {
      args: [
        "-c",
        `set -euo pipefail\n. ${state}\n${block}\ndeclare -p ACCESS BODY TASK 2>/dev/null > ${state} || true`,
      ],
      env: { ORIGIN: api.origin, EMAIL: user.email, PASSWORD: password },
    }).output();
    const output = new TextDecoder().decode(stdout) + new TextDecoder().decode(stderr);
    assert.equal(code, 0, `${block}\n${output}`);
  }
  const [cell] = await sql`select rating, evaluate from subtasks where cell = 0`;
  assert.deepEqual({ ...cell }, { rating: 4, evaluate: ["the paws are right"] });
  const [tasks] = await sql`select count(*)::int as n from tasks`;
  assert.equal(tasks!.n, 1);
  await Deno.remove(folder, { recursive: true });
});
