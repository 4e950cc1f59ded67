/** Every recorded call of the old backend, in order, against the API on a real socket over the loaded dump. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { checkCalls, loadRecorded } from "./support/recorded.ts";

Deno.test("the 229 recorded calls", async (t) => {
  await using api = await startApi();
  await loadRecorded(api.database.sql);
  await checkCalls(t, api.origin);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
