/** Looks: which differences stay, which come from the old backend itself, and which are gone. */
import assert from "node:assert/strict";
import { readBody } from "../../comparison/answer.ts";
import { examine } from "../../comparison/looks.ts";
import { countedCollection, lastChange, suspectIds } from "../../comparison/suspects.ts";
import type { JudgeContext } from "../../comparison/judge.ts";
import { step } from "./support/backends.ts";

const context: JudgeContext = {
  facts: { hiddenTasks: new Set(), misreportedTasks: new Set(), ownChanges: new Map() },
  sinceMs: Infinity,
  pairs: new Map(),
  origins: ["", ""],
};

const answer = (text: string, status = 200) => ({
  status,
  headers: new Map([["content-type", "application/json"]]),
  body: readBody(text, "application/json"),
});

const item = (a: number) => `{"id":"x","a":${a}}`;
const list = (...items: number[]) => `{"data":[${items.map(item).join()}]}`;

type Case = [
  name: string,
  before: string,
  now: string,
  after: string,
  different: string[],
  changing: string[],
];
const cases: Case[] = [
  ["equal answers", list(1), list(1), list(1), [], []],
  ["a value that stays different", list(1), list(2), list(1), ["value /data/0/a"], []],
  ["a value that this system has before the old backend's second answer", list(1), list(2), list(2), [], []],
  ["a value that changes after this system's answer", list(1), list(1), list(2), [], []],
  ["a value that is another one each time", list(1), list(2), list(3), [], ["value /data/0/a"]],
  ["one that stays beside one that changes", list(1, 1), list(2, 2), list(1, 3), ["value /data/0/a"], [
    "value /data/1/a",
  ]],
  ["an item that is new", list(1), list(1, 1), list(1, 1), [], []],
  ["a value in a list that gets longer", list(1), list(2), list(1, 1), [], [
    "value /data/0/a",
  ]],
  ["a missing field beside a changing value", '{"a":1,"b":1}', '{"b":2}', '{"a":2,"b":2}', [
    "field missing /a",
  ], []],
];
for (const [name, before, now, after, different, changing] of cases) {
  Deno.test(`a look at ${name}`, () => {
    const look = {
      step: step("GET /health"),
      before: answer(before),
      now: answer(now),
      after: answer(after),
    };
    const result = examine(look, context);
    const keys = (list: typeof result.different) =>
      list.map(({ difference: { kind, path } }) => `${kind} ${path}`);
    assert.deepEqual([keys(result.different), keys(result.changing)], [different, changing]);
  });
}

Deno.test("a look at a status that only one of the old answers has decides nothing", () => {
  const look = { step: step("GET /health"), before: answer('{"a":1}'), now: answer('{"a":2}') };
  const result = examine({ ...look, after: answer("{}", 500) }, context);
  assert.deepEqual(result.different, []);
  assert.deepEqual(result.changing.map(({ difference: { kind } }) => kind).toSorted(), ["value"]);
});

Deno.test("a look tells whether the old backend stored the object anew", () => {
  const time = (second: number) => answer(`{"data":{"updated_at":"2025-01-01T00:00:0${second}"}}`);
  const look = { step: step("GET /health"), before: time(1), now: time(2), after: time(3) };
  assert.equal(examine(look, context).isRewritten, true);
  assert.equal(examine({ ...look, after: time(1) }, context).isRewritten, false);
});

Deno.test("suspects are the objects around a difference, the requested one, and items in only one list", () => {
  const task = (id: string, subtasks: string[]) =>
    answer(
      `{"data":{"id":"${id}","updated_at":"2025-01-01T00:00:0${subtasks.length}","dramatiq_tasks":[${
        subtasks.map((id) => `{"id":"${id}","updated_at":"2025-01-01T00:00:09"}`).join()
      }]}}`,
    );
  const exchange = {
    step: step("GET /api/v1/tasks/t%31"),
    old: task("t", ["a", "b"]),
    new: task("t", ["b", "c"]),
  };
  const difference = { kind: "value" as const, path: "/data/dramatiq_tasks/0/id", old: "", new: "" };
  assert.deepEqual(suspectIds(difference, exchange), ["a", "t", "b", "t1"]);
  assert.equal(lastChange(difference, exchange), Date.parse("2025-01-01T00:00:09Z"));
  const length = { kind: "length" as const, path: "/data/dramatiq_tasks", old: "", new: "" };
  assert.deepEqual(suspectIds(length, exchange), ["a", "c", "t", "t1"]);
  assert.equal(lastChange(length, exchange), Date.parse("2025-01-01T00:00:02Z"));
  assert.equal(countedCollection(length, exchange), "dramatiq_tasks");
  assert.equal(countedCollection(difference, exchange), undefined);
});
