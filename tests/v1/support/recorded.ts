/** The recorded calls in order against an API over the loaded dump: what must be alike, and what differs on purpose. */
import assert from "node:assert/strict";
import type { Pool } from "../../../db/pg/connect.ts";
import { type Json, type JsonObject, parseJson } from "../../../json.ts";
import { openFolder } from "../../../migrate/data/sources/folder.ts";
import { load } from "../../../migrate/data/load/load.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { type Answered, compare, readCalls, type RecordedCall, send } from "./calls.ts";
import { findDifference } from "../../support/masks.ts";

const folder = new URL("../../data/current", import.meta.url).pathname;

/** What answers another way on purpose (the contract's last table), and how. */
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

const at = (value: Json | undefined, key: string) => value instanceof Map ? value.get(key) : undefined;

/**
 * `results.raw` of a detail: one key for each subtask with a result, where the old backend put all onto one. The
 * last of them is what was recorded, and the rest of the answer is compared without them.
 */
function checkRaw(call: RecordedCall, got: Answered): string | undefined {
  const [wanted, given] = [call.answer, got.answer].map((answer) => at(at(answer, "data"), "results"));
  const recorded = at(wanted, "raw");
  const raw = at(given, "raw");
  if (!(recorded instanceof Map) || !(raw instanceof Map) || !(wanted instanceof Map)) return undefined;
  const subtasks = at(at(got.answer, "data"), "dramatiq_tasks");
  const urls = (Array.isArray(subtasks) ? subtasks : [])
    .filter((subtask) => at(subtask, "status") === "completed")
    .map((subtask) => at(at(subtask, "result"), "url"));
  const found = [...raw.values()].map((entry) => at(entry, "url"));
  if (urls.some((url) => !found.includes(url)) || found.length !== urls.length) {
    return `results.raw: wanted an entry for each of ${urls.length} results, got ${found.length}`;
  }
  const last = [...recorded.values()][0];
  const same = [...raw.values()].find((entry) => at(entry, "url") === at(last, "url"));
  (given as JsonObject).set("raw", recorded);
  return same && last
    ? findDifference([...(last as JsonObject).keys()], [...(same as JsonObject).keys()])
    : "results.raw: the recorded entry is not there";
}

/** A task whose subtasks all failed: stays failed, where reading it made the old backend call it completed. */
function expectFailed(call: RecordedCall): void {
  const data = at(call.answer, "data");
  const subtasks = at(data, "dramatiq_tasks");
  if (!Array.isArray(subtasks) || subtasks.length === 0) return;
  if (subtasks.every((subtask) => at(subtask, "status") === "failed")) {
    (data as JsonObject).set("status", "failed");
  }
}

/** Brings the dump over that the calls were recorded over. */
export async function loadRecorded(sql: Pool): Promise<void> {
  await load(sql, await openFolder(folder), { progress: silentProgress });
}

/** Sends all of them to `origin`, a step each. */
export async function checkCalls(t: Deno.TestContext, origin: string): Promise<void> {
  const calls = await readCalls();
  assert.equal(calls.length, 229);
  const saved = new Map<string, string>();
  for (const call of calls) {
    const differs = differences[call.name];
    const name = differs ? `${call.name}: answers another way on purpose` : call.name;
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
