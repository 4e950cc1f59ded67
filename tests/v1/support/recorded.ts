/** Checks the recorded calls against an API over the migrated dump, and the intended differences. */
import assert from "node:assert/strict";
import type { Pool } from "../../../db/pg/connect.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
import { openJsonLines } from "../../../migrate/data/sources/json_lines.ts";
import { load } from "../../../migrate/data/load/load.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { type Answered, compare, readCalls, type RecordedCall, send } from "./calls.ts";
import { findDifference } from "../../support/masks.ts";

const folder = new URL("../../data/current", import.meta.url).pathname;

/** Checks of the calls whose response differs by intention, by the name of the call. */
const differences: Record<string, (got: Answered, call: RecordedCall) => string | undefined> = {
  "login slash": ({ status, answer }) =>
    status === 401 ? findDifference(parseJson('{"detail":"邮箱或密码错误"}'), answer) : `status ${status}`,
  "users no slash": ({ status }) => status === 200 ? undefined : `status ${status}`,
  "user slash": ({ status }) => status === 200 ? undefined : `status ${status}`,
  "task slash": ({ status }) => status === 200 ? undefined : `status ${status}`,
  "matrix slash": ({ status }) => status === 200 ? undefined : `status ${status}`,
  "tasks bad token": ({ status, headers, answer }) =>
    status === 401 && headers.get("www-authenticate") === "Bearer"
      ? findDifference(parseJson('{"detail":"无效的认证凭据"}'), answer)
      : `status ${status}`,
  "users ?skip=-1": ({ status, answer }) =>
    status === 422
      ? findDifference(
        parseJson(
          '{"detail":[{"type":"greater_than_equal","loc":["query","skip"],' +
            '"msg":"Input should be greater than or equal to 0","input":"-1","ctx":{"ge":0}}]}',
        ),
        answer,
      )
      : `status ${status}`,
};

const fieldOf = (value: Json | undefined, key: string) => value instanceof Map ? value.get(key) : undefined;

/**
 * Checks `results.raw` of a detail. It has one key per subtask with a result; the old backend used the same
 * key for all, so that only the last was recorded. The recorded value then replaces the checked one for the
 * further comparison.
 */
function checkRaw(call: RecordedCall, got: Answered): string | undefined {
  const [wanted, given] = [call.answer, got.answer].map((answer) =>
    fieldOf(fieldOf(answer, "data"), "results")
  );
  const recorded = fieldOf(wanted, "raw");
  const raw = fieldOf(given, "raw");
  if (!(recorded instanceof Map) || !(raw instanceof Map) || !(wanted instanceof Map)) return undefined;
  const subtasks = fieldOf(fieldOf(got.answer, "data"), "dramatiq_tasks");
  const urls = (Array.isArray(subtasks) ? subtasks : [])
    .filter((subtask) => fieldOf(subtask, "status") === "completed")
    .map((subtask) => fieldOf(fieldOf(subtask, "result"), "url"));
  const found = [...raw.values()].map((entry) => fieldOf(entry, "url"));
  if (urls.some((url) => !found.includes(url)) || found.length !== urls.length) {
    return `results.raw: wanted an entry for each of ${urls.length} results, got ${found.length}`;
  }
  const last = [...recorded.values()][0];
  const same = [...raw.values()].find((entry) => fieldOf(entry, "url") === fieldOf(last, "url"));
  (given as JsonObject).set("raw", recorded);
  return same && last
    ? findDifference([...(last as JsonObject).keys()], [...(same as JsonObject).keys()])
    : "results.raw: the recorded entry is not there";
}

/**
 * Expects `failed` for a task whose subtasks all failed; the old backend changed it to completed on reading.
 */
function expectFailed(call: RecordedCall): void {
  const data = fieldOf(call.answer, "data");
  const subtasks = fieldOf(data, "dramatiq_tasks");
  if (!Array.isArray(subtasks) || subtasks.length === 0) return;
  if (subtasks.every((subtask) => fieldOf(subtask, "status") === "failed")) {
    (data as JsonObject).set("status", "failed");
  }
}

/** Migrates the dump on which the calls were recorded. */
export async function loadRecorded(sql: Pool): Promise<void> {
  await load(sql, await openJsonLines(folder), { progress: silentProgress });
}

/** Replays all calls against `origin`, one step each. */
export async function checkCalls(t: Deno.TestContext, origin: string): Promise<void> {
  const calls = await readCalls();
  assert.equal(calls.length, 229);
  const saved = new Map<string, string>();
  for (const call of calls) {
    const differs = differences[call.name];
    const name = differs ? `${call.name}: differs by intention` : call.name;
    await t.step(name, async () => {
      expectFailed(call);
      const got = await send(origin, call, saved);
      assert.equal(
        differs ? differs(got, call) : checkRaw(call, got) ?? compare(call, got, saved),
        undefined,
      );
    });
  }
}
