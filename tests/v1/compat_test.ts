/**
 * Unusual requests with the responses of FastAPI 0.115 and pydantic 2.11 (tests/data/compat/answers.jsonl):
 * queries, bodies, forms, content types, paths, methods and preflights. The requests are sent byte for byte.
 * All of them are rejected, so that nothing may be stored.
 */
import assert from "node:assert/strict";
import { type Json, JsonNumber, type JsonObject, parseJson } from "../../json.ts";
import { addUsers } from "../support/people.ts";
import { startApi } from "../support/api.ts";
import { findDifference } from "../support/masks.ts";
import { latin1, sendRaw } from "../support/raw_http.ts";

interface Case {
  name: string;
  method: string;
  path: string;
  headers: [string, string][];
  body: string | null;
  status: number;
  answerHeaders: [string, string][];
  answer: string;
}

const pairs = (value: Json | undefined): [string, string][] =>
  value instanceof Map
    ? [...value].map(([name, text]) => [name, String(text)])
    : (value as Json[]).map((pair) => (pair as string[]) as [string, string]);

function readCase(line: string): Case {
  const item = parseJson(line) as JsonObject;
  const text = (name: string) => item.get(name) as string;
  return {
    name: text("name"),
    method: text("method"),
    path: text("path"),
    answer: text("answer"),
    headers: pairs(item.get("headers")),
    body: item.get("body") as string | null,
    status: (item.get("status") as JsonNumber).value,
    answerHeaders: pairs(item.get("answer_headers")),
  };
}

function parseOrText(text: string): Json {
  try {
    return parseJson(text);
  } catch {
    return text;
  }
}

const file = new URL("../data/compat/answers.jsonl", import.meta.url);
const cases = (await Deno.readTextFile(file)).split("\n").filter((line) => line !== "").map(readCase);

Deno.test(`${cases.length} unusual requests get FastAPI's responses`, async (t) => {
  await using api = await startApi({ level: "error" });
  const { sql } = api.database;
  const { admin } = await addUsers(api);
  const count = async () => {
    const [row] = await sql<{ users: number; tasks: number }[]>`
      select (select count(*)::int from users) as users, (select count(*)::int from tasks) as tasks`;
    return row!;
  };
  const before = await count();
  for (const name of new Set(cases.map((item) => item.name))) {
    await t.step(name, async () => {
      for (const item of cases.filter((item) => item.name === name)) {
        const what = `${item.method} ${item.path} ${JSON.stringify(item.headers)} ${item.body}`;
        const got = await sendRaw(api.port, {
          method: item.method,
          path: item.path,
          headers: item.headers.map(([key, value]) => [key, value.replace("<token>", admin.token)]),
          body: item.body === null ? null : latin1(item.body),
        });
        assert.equal(got?.status, item.status, what);
        for (const [key, value] of item.answerHeaders) assert.equal(got?.headers.get(key), value, what);
        assert.equal(findDifference(parseOrText(item.answer), parseOrText(got?.text ?? "")), undefined, what);
      }
    });
  }
  assert.deepEqual(await count(), before);
  assert.deepEqual(api.lines, []);
});
