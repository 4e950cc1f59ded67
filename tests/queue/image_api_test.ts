/** The image API's client against real HTTP servers: calls, answers, polls, retries and notices. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { startImageApi } from "../../dev/servers/image_api.ts";
import { readScripts } from "../../dev/servers/image_script.ts";
import { followJob } from "../../jobs/image/follow.ts";
import { callHttp, type HttpRequest } from "../../http.ts";
import { createJob, pollJob, type PollResult } from "../../jobs/image/api.ts";
import { attemptsMax, nextStep, type Outcome } from "../../jobs/image/retry.ts";
import { endKindOf, type Notice, noticeBody, noticeText } from "../../jobs/tell/notify_text.ts";
import type { JsonNumber } from "../../json.ts";
import { at, readRuns, subtasksOf } from "./support/golden.ts";

/** A server that records requests. */
interface RecordingServer extends AsyncDisposable {
  url: string;
  /** Method, path and token of the received requests. */
  seen: [method: string, path: string, token: string | null][];
}

function serve(answer: (request: Request) => Response | Promise<Response>): RecordingServer {
  const seen: RecordingServer["seen"] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, (request) => {
    seen.push([request.method, new URL(request.url).pathname, request.headers.get("x-token")]);
    return answer(request);
  });
  return {
    url: `http://127.0.0.1:${server.addr.port}`,
    seen,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

const get = (url: string, more: Partial<HttpRequest> = {}): HttpRequest => ({
  method: "GET",
  url,
  timeoutMs: 5_000,
  bodyBytesMax: 1_000,
  ...more,
});

/** Returns a response whose body starts at once and never ends. */
function endlessResponse(first: string): { response: Response; cancelled: Promise<void> } {
  const { promise: cancelled, resolve } = Promise.withResolvers<void>();
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new TextEncoder().encode(first)),
    cancel: () => resolve(),
  });
  return { response: new Response(body), cancelled };
}

Deno.test("callHttp() reads an answer completely, whatever its status", async () => {
  await using server = serve(() => new Response("猫", { status: 418, headers: { "x-a": "b" } }));
  const result = await callHttp(get(server.url));
  assert.ok(result.kind === "answer");
  assert.deepEqual([result.status, result.text, result.headers.get("x-a")], [418, "猫", "b"]);
});

Deno.test("callHttp() returns a redirect and does not follow it", async () => {
  await using server = serve(() => new Response(null, { status: 302, headers: { location: "/elsewhere" } }));
  const result = await callHttp(get(server.url));
  assert.ok(result.kind === "answer" && result.status === 302);
  assert.equal(server.seen.length, 1);
});

Deno.test("callHttp() gives up a stalled body at the timeout", async () => {
  const { response, cancelled } = endlessResponse("{");
  await using server = serve(() => response);
  assert.deepEqual(await callHttp(get(server.url, { timeoutMs: 50 })), { kind: "slow" });
  await cancelled;
});

Deno.test("callHttp() stops reading a body that is too large", async () => {
  const { response, cancelled } = endlessResponse("x".repeat(2_000));
  await using server = serve(() => response);
  assert.deepEqual(await callHttp(get(server.url)), { kind: "too_large" });
  await cancelled;
});

Deno.test("callHttp() rejects a small body that decompresses to a large one", async () => {
  const large = new Blob(["x".repeat(1_000_000)]).stream().pipeThrough(new CompressionStream("gzip"));
  const packed = await new Response(large).bytes();
  const length = String(packed.length);
  const headers = { "content-encoding": "gzip", "content-length": length };
  await using server = serve(() => new Response(packed, { headers }));
  assert.deepEqual(await callHttp(get(server.url, { bodyBytesMax: 10_000 })), { kind: "too_large" });
});

Deno.test("callHttp() returns an unreachable server as a result", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${listener.addr.port}`;
  listener.close();
  assert.equal((await callHttp(get(url))).kind, "unreachable");
});

Deno.test("callHttp() rejects with the reason of the caller's abort, also during a body", async () => {
  const stop = new AbortController();
  await using server = serve(() => {
    setTimeout(() => stop.abort(new Error("cancelled")), 20);
    return endlessResponse("{").response;
  });
  await assert.rejects(callHttp(get(server.url, { signal: stop.signal })), { message: "cancelled" });
  await assert.rejects(callHttp(get(server.url, { signal: stop.signal })), { message: "cancelled" });
  assert.equal(server.seen.length, 1);
});

const answerWith = (body: BodyInit | null, status = 200, headers: Record<string, string> = {}) => () =>
  new Response(body, { status, headers });

Deno.test("createJob() returns a job, illegal content, or an error with its reason", async () => {
  const id = "0b5e4c1e-8f1d-4d1a-9a0e-0f6f1f4f7a11";
  const cases: [name: string, answer: () => Response, expected: Record<string, unknown>][] = [
    ["a bare string", answerWith(`"${id}"`), { kind: "job", id }],
    ["a number", answerWith("123"), { kind: "job", id: "123" }],
    ["uuid before id", answerWith(`{"id":"b","uuid":"${id}"}`), { kind: "job", id }],
    ["task_uuid", answerWith(`{"task_uuid":"${id}"}`), { kind: "job", id }],
    ["task_id within data", answerWith(`{"data":{"task_id":"${id}"}}`), { kind: "job", id }],
    ["201", answerWith(`"${id}"`, 201), { kind: "job", id }],
    ["no id", answerWith('{"ok":true}'), { kind: "error", reason: "图像接口没有给出任务编号" }],
    ["an empty id", answerWith('""'), { kind: "error", reason: "图像接口没有给出任务编号" }],
    ["an id that leads out of the path", answerWith('".."'), {
      kind: "error",
      reason: "图像接口没有给出任务编号",
    }],
    ["an id with a NUL", answerWith('"a\\u0000b"'), { kind: "error", reason: "图像接口没有给出任务编号" }],
    ["__proto__", answerWith(`{"__proto__":{"uuid":"${id}"}}`), {
      kind: "error",
      reason: "图像接口没有给出任务编号",
    }],
    ["HTML", answerWith("<html>"), { kind: "error", reason: "图像接口的回应不是 JSON" }],
    ["2 MB", answerWith("x".repeat(2_000_000)), { kind: "error", reason: "图像接口的回应过大" }],
    ["451", answerWith("", 451), { kind: "illegal", reason: "内容不合规 (HTTP 451)" }],
    ["500", answerWith("boom", 500), { kind: "error", reason: "图像接口返回 HTTP 500" }],
    ["302", answerWith(null, 302, { location: "http://127.0.0.1:1/" }), {
      kind: "error",
      reason: "图像接口返回 HTTP 302",
    }],
    ["429 with Retry-After", answerWith("", 429, { "retry-after": "7" }), {
      kind: "error",
      reason: "图像接口返回 HTTP 429",
      retryAfterMs: 7_000,
    }],
    ["429 with a date past", answerWith("", 429, { "retry-after": "Wed, 21 Oct 2015 07:28:00 GMT" }), {
      kind: "error",
      reason: "图像接口返回 HTTP 429",
    }],
  ];
  for (const [name, answer, expected] of cases) {
    await using server = serve(answer);
    const result = await createJob({ http: callHttp, baseUrl: `${server.url}/`, token: "t", body: "{}" });
    assert.deepEqual(result, expected, name);
    assert.deepEqual(server.seen, [["POST", "/v3/make_image", "t"]]);
  }
});

Deno.test("pollJob() classifies every answer", async () => {
  const success = (artifacts: unknown) => answerWith(JSON.stringify({ task_status: "SUCCESS", artifacts }));
  const status = (text: unknown) => answerWith(JSON.stringify({ task_status: text }));
  const url = "https://img.example.com/a.webp?x=%20";
  const cases: [name: string, answer: () => Response, kind: PollResult["kind"]][] = [
    ["pending", status("PENDING"), "pending"],
    ["an image", success([{ url }, { url: "https://img.example.com/b.webp" }]), "done"],
    ["no artifact", success([]), "empty"],
    ["artifacts null", success(null), "empty"],
    ["an artifact without an address", success([{}]), "empty"],
    ["a script for an address", success([{ url: "javascript:alert(1)" }]), "empty"],
    ["a file for an address", success([{ url: "file:///etc/passwd" }]), "empty"],
    ["an address with a line break", success([{ url: "https://a/\nb" }]), "empty"],
    ["an address of 9,000 letters", success([{ url: `https://a/${"b".repeat(9_000)}` }]), "empty"],
    ["timeout", status("TIMEOUT"), "timeout"],
    ["illegal", status("ILLEGAL_IMAGE"), "illegal"],
    ["failure", status("FAILURE"), "failure"],
    ["an unknown status", status("WEIRD"), "failure"],
    ["no status", answerWith("{}"), "failure"],
    ["404", answerWith("{}", 404), "unreadable"],
    ["500", answerWith("{}", 500), "unreadable"],
    ["451", answerWith("{}", 451), "unreadable"],
    ["HTML", answerWith("<html>"), "unreadable"],
    ["a list", answerWith("[]"), "unreadable"],
  ];
  for (const [name, answer, kind] of cases) {
    await using server = serve(answer);
    const result = await pollJob({ http: callHttp, baseUrl: server.url, token: "t", id: "a/../b c" });
    assert.equal(result.kind, kind, name);
    if (result.kind === "done") assert.equal(result.url, url);
    assert.deepEqual(server.seen, [["GET", "/v1/artifact/task/a%2F..%2Fb%20c", "t"]]);
  }
});

Deno.test("pollJob() treats a poll without an answer as unreadable", async () => {
  await using server = serve(() => endlessResponse("{").response);
  const result = await pollJob({ http: callHttp, baseUrl: server.url, token: "t", id: "a", timeoutMs: 50 });
  assert.equal(result.kind, "unreadable");
});

const url = "https://img.example.com/a.webp";
const pollResults = (kinds: string): PollResult[] =>
  kinds.split(" ").map((kind) => (kind === "done" ? { kind, url } : { kind, reason: kind }) as PollResult);

Deno.test("followJob() polls until the job ends or the polls are used up", async () => {
  const cases: [polls: string, expected: Outcome["kind"], pollCount: number][] = [
    ["pending pending done", "done", 3],
    ["unreadable pending unreadable done", "done", 4],
    ["empty empty done", "done", 3],
    ["empty pending empty empty done", "error", 4],
    ["pending pending pending pending pending done", "error", 5],
    ["unreadable unreadable unreadable unreadable unreadable", "error", 5],
    ["pending timeout done", "timeout", 2],
    ["illegal done", "illegal", 1],
    ["failure done", "error", 1],
  ];
  for (const [polls, expected, pollCount] of cases) {
    const queue = pollResults(polls);
    let waits = 0;
    const outcome = await followJob({
      poll: () => Promise.resolve(queue.shift()!),
      wait: () => Promise.resolve(void waits++),
      pollsMax: 5,
    });
    assert.deepEqual(
      [outcome.kind, pollResults(polls).length - queue.length, waits],
      [expected, pollCount, pollCount - 1],
      polls,
    );
  }
});

Deno.test("nextStep() follows the retry table: number of attempts and waits", () => {
  const reason = "r";
  const cases: [outcome: Outcome, attempt: number, expected: string][] = [
    [{ kind: "done", url }, 1, "completed"],
    [{ kind: "done", url }, 5, "completed"],
    [{ kind: "timeout", reason }, 1, "0"],
    [{ kind: "timeout", reason }, 4, "0"],
    [{ kind: "timeout", reason }, 5, "failed"],
    [{ kind: "illegal", reason }, 1, "failed"],
    [{ kind: "error", reason }, 1, "3000"],
    [{ kind: "error", reason }, 2, "failed"],
    [{ kind: "error", reason, retryAfterMs: 10_000 }, 1, "10000"],
    [{ kind: "error", reason, retryAfterMs: 10 }, 1, "3000"],
    [{ kind: "error", reason, retryAfterMs: 600_000 }, 1, "60000"],
  ];
  for (const [outcome, attempt, expected] of cases) {
    const step = nextStep(outcome, attempt, () => 0);
    assert.equal(
      step.kind === "end" ? step.status : String(step.waitMs),
      expected,
      `${outcome.kind} ${attempt}`,
    );
  }
});

Deno.test("a subtask ends after at most five attempts and waits only after errors, for any order of outcomes", () => {
  const kinds = fc.constantFrom<Outcome["kind"][]>("timeout", "illegal", "error");
  fc.assert(
    fc.property(
      fc.array(kinds, { minLength: 5, maxLength: 8 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (outcomes, chance) => {
        for (let attempt = 1;; attempt++) {
          const kind = outcomes[attempt - 1]!;
          const step = nextStep({ kind, reason: "r" } as Outcome, attempt, () => chance);
          if (step.kind === "end") {
            assert.ok(attempt <= attemptsMax.timeout && step.status === "failed");
            return;
          }
          assert.ok(kind === "error" ? step.waitMs >= 3_000 && step.waitMs <= 3_600 : step.waitMs === 0);
        }
      },
    ),
  );
});

const maskText = (text: string) =>
  text.replace(/(?<=任务ID: ).*/, "<uuid>").replace(/(?<=总耗时: ).*/, "<took>").replace(
    /(?<=时间: )\d.*/,
    "<time>",
  );

Deno.test("noticeText() reproduces every recorded notice", async () => {
  let noticeCount = 0;
  for (const run of await readRuns()) {
    if (run.detail === undefined) continue;
    const states = subtasksOf(run).map((subtask) => subtask.get("status"));
    const count = (status: string) => states.filter((state) => state === status).length;
    const counts = {
      total: states.length,
      completed: count("completed"),
      failed: count("failed"),
      cancelled: 0,
    };
    const task = {
      taskId: crypto.randomUUID(),
      taskName: run.body.get("task_name") as string,
      username: "tester1@example.com",
      at: new Date(),
    };
    const imagesExpected = (at(run.create[1], "data", "total_images") as JsonNumber).value;
    const notices: Notice[] = [
      { ...task, kind: "submitted", cells: counts.total, imagesExpected },
      { ...task, kind: endKindOf(counts)!, counts, tookMs: 1234 },
    ];
    const texts = notices.map((notice) => maskText(noticeText(notice)));
    assert.deepEqual(
      texts.toSorted(),
      run.hooks.map((hook) => at(hook, "content", "text") as string).toSorted(),
      run.name,
    );
    noticeCount += notices.length;
  }
  assert.equal(noticeCount, 246);
});

Deno.test("endKindOf() returns no notice for a task that only its owner ended", () => {
  const cases: [completed: number, failed: number, cancelled: number, expected: string | undefined][] = [
    [3, 0, 0, "completed"],
    [0, 3, 0, "failed"],
    [1, 2, 0, "partial"],
    [2, 0, 1, "partial"],
    [0, 1, 2, "failed"],
    [0, 0, 3, undefined],
  ];
  for (const [completed, failed, cancelled, expected] of cases) {
    assert.equal(endKindOf({ total: 3, completed, failed, cancelled }), expected);
  }
});

Deno.test("a task's name can neither break the lines of a notice nor mention people", () => {
  const body = noticeBody({
    kind: "submitted",
    taskId: "t",
    taskName: 'a\n提交者: somebody <at user_id="all">all</at> \ud800',
    username: "u@example.com",
    at: new Date("2026-01-02T20:04:05.678Z"),
    cells: 1,
    imagesExpected: 1,
  });
  const { msg_type, content } = JSON.parse(body);
  assert.equal(msg_type, "text");
  const lines = content.text.split("\n");
  assert.equal(lines.length, 8);
  assert.equal(lines[2], '任务名称: a 提交者: somebody ＜at user_id="all">all＜/at> \ufffd');
  assert.equal(lines[7], "时间: 2026-01-03 04:04:05");
});

Deno.test("readScripts() limits a script to its first N uses, separately for each request", () => {
  const playCounts = new Map<string, number>();
  const body = (prompt: string) => `{"rawPrompt":[{"value":"${prompt}"}]}`;
  const scriptsOf = (prompt: string) => readScripts(body(prompt), playCounts);
  assert.deepEqual(scriptsOf("a cat"), {});
  assert.deepEqual([scriptsOf("@@create:500*1"), scriptsOf("@@create:500*1")], [{ create: "500" }, {}]);
  assert.deepEqual([scriptsOf("x @@poll:TIMEOUT"), scriptsOf("x @@poll:TIMEOUT")], [{ poll: "TIMEOUT" }, {
    poll: "TIMEOUT",
  }]);
  assert.deepEqual(scriptsOf("@@create:429*1 @@poll:FAILURE*1"), { create: "429" });
  assert.deepEqual(scriptsOf("@@create:429*1 @@poll:FAILURE*1"), { poll: "FAILURE" });
  assert.deepEqual(scriptsOf("@@create:429*1 @@poll:FAILURE*1"), {});
});

Deno.test("the fake image API creates a job, delays it, draws it, and records every POST", async () => {
  const drawn: unknown[] = [];
  const draw = (order: unknown) => {
    drawn.push(order);
    return Uint8Array.of(1, 2, 3);
  };
  await using api = await startImageApi({ token: "secret", delayMs: 60, draw });
  const call = { http: callHttp, baseUrl: api.luminaUrl, token: "secret" };
  const body = '{"width":8,"height":16,"seed":7,"rawPrompt":[{"type":"freetext","value":"a"},{"name":"b"}]}';
  assert.equal((await createJob({ ...call, token: "wrong", body })).kind, "error");
  const job = await createJob({ ...call, body });
  assert.ok(job.kind === "job");
  assert.equal((await pollJob({ ...call, id: job.id })).kind, "pending");
  const outcome = await followJob({
    poll: () => pollJob({ ...call, id: job.id }),
    wait: () => new Promise((resolve) => setTimeout(resolve, 10)),
    pollsMax: 100,
  });
  assert.ok(outcome.kind === "done");
  const image = await callHttp(get(outcome.url));
  assert.ok(image.kind === "answer" && image.headers.get("content-type") === "image/png");
  assert.deepEqual(drawn, [{ prompt: "a, b", width: 8, height: 16, seed: 7 }]);
  assert.deepEqual(api.posts.map(({ lumina, token, id }) => [lumina, token, id]), [
    [true, "wrong", undefined],
    [true, "secret", job.id],
  ]);
  await callHttp(get(api.hookUrl, { method: "POST", body: '{"msg_type":"text"}' }));
  assert.deepEqual(api.hooks, ['{"msg_type":"text"}']);
});
