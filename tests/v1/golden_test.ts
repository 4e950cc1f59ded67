/** Replays the recorded calls of the old backend in order, against the API over the migrated dump. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { checkCalls, loadRecorded } from "./support/recorded.ts";

Deno.test("the 229 recorded calls get the recorded responses", async (t) => {
  await using api = await startApi();
  await loadRecorded(api.database.sql);
  await checkCalls(t, api.origin);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
