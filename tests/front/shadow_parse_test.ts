/** Comparisons leave the event loop to the clients: they rest, and parse only what differs. */
import assert from "node:assert/strict";
import { paced, parseAnswers } from "../../routes/front/shadow_parse.ts";

const answer = (text: string, type = "application/json") => ({
  status: 200,
  headers: new Map([["content-type", type]]),
  text,
});

/** Keeps the event loop busy. */
function work(ms: number): string {
  const until = performance.now() + ms;
  while (performance.now() < until);
  return "done";
}

Deno.test("after a piece of work the event loop is free nine times as long", async () => {
  const { signal } = new AbortController();
  const begunAt = performance.now();
  let turns = 0;
  const counting = setInterval(() => turns++, 5);
  assert.equal(await paced(() => work(30), signal), "done");
  clearInterval(counting);
  assert.ok(performance.now() - begunAt >= 290);
  assert.ok(turns >= 10, `${turns} turns`);
});

Deno.test("a rest ends with the process", async () => {
  const stopped = new AbortController();
  const begunAt = performance.now();
  const result = paced(() => work(100), stopped.signal);
  stopped.abort();
  assert.equal(await result, "done");
  assert.equal(await paced(() => work(1), stopped.signal), "done");
  assert.ok(performance.now() - begunAt < 800);
});

Deno.test("equal bodies are not parsed, and of different ones each only once", async () => {
  const { signal } = new AbortController();
  const equal = await parseAnswers([answer('{"a":1}'), answer('{"a":1}')], signal);
  assert.deepEqual(equal.map(({ body }) => body), [undefined, undefined]);
  const [before, now, after] = await parseAnswers(
    [answer('{"a":1}'), answer('{"a":2}'), answer('{"a":1}')],
    signal,
  );
  assert.ok(before!.body !== undefined && before!.body === after!.body && now!.body !== before!.body);
  const types = await parseAnswers([answer('{"a":1}'), answer('{"a":1}', "text/plain")], signal);
  assert.deepEqual(types.map(({ body }) => Object.keys(body!)), [["json"], ["text"]]);
});
