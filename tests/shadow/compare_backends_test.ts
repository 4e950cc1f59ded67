/** The shadow tool between instances of this API. A proxy may alter the answers of one of them. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { createCases } from "../../dev/shadow/generate.ts";
import { readRecording } from "../../dev/shadow/recorded.ts";
import { renderReport, unexplained } from "../../dev/shadow/report.ts";
import { headerOf, targetOf } from "../../comparison/request.ts";
import type { Finding } from "../../dev/shadow/run.ts";
import { table } from "../../routes/v1/table.ts";
import { type PassingAnswer, type PassingRequest, startAltered } from "./support/altered.ts";
import { compare, keyOf, person, recording, startLoaded, writer } from "./support/backends.ts";

Deno.test("two equal backends answer all recorded and 550 generated requests equally, including writes", async () => {
  await using one = await startLoaded();
  await using two = await startLoaded();
  const recorded = await readRecording(recording);
  const results = [
    await compare(one.origin, two.origin, { seed: 2, runs: 400 }),
    await compare(one.origin, two.origin, { runs: 0, withWrites: true, recorded }),
    await compare(one.origin, two.origin, { seed: 3, runs: 150, withWrites: true }, writer),
  ];
  assert.deepEqual(results.flatMap(({ findings }) => findings.map(keyOf)), []);
  assert.deepEqual(results.map(({ skipped }) => skipped), [0, 0, 0]);
  assert.ok(results[0]!.requests === 400 && results[1]!.requests === 229 && results[2]!.requests > 150);
  const { masked } = results[2]!;
  for (const noise of ["id created in this run", "random seed", "time of this run"]) {
    assert.ok(masked.has(noise), noise);
  }
  for (const { lines } of [one, two]) assert.deepEqual(lines.filter(({ level }) => level === "error"), []);
});

Deno.test("without --writes nothing is stored", async () => {
  await using api = await startLoaded();
  const { sql } = api.database;
  const content = async () =>
    JSON.stringify(
      await sql`select (select json_agg(t order by id) from tasks t) as tasks,
        (select json_agg(u order by id) from users u) as users, (select count(*) from subtasks) as subtasks`,
    );
  const before = await content();
  const result = await compare(api.origin, api.origin, {
    seed: 7,
    runs: 700,
    recorded: await readRecording(recording),
  });
  assert.equal(unexplained(result).length, 0);
  assert.equal(await content(), before);
  assert.ok(result.skipped > 0, "recorded writes are skipped");
});

Deno.test("createCases() gives the same requests for the same seed and others for another seed", () => {
  const known = { taskIds: ["a", "b"], userIds: ["c"], usernames: ["d@e.f"], taskNames: ["樱花 cat"] };
  const make = (seed: number) => JSON.stringify(fc.sample(createCases(known, true), { seed, numRuns: 300 }));
  assert.equal(make(42), make(42));
  assert.notEqual(make(42), make(43));
});

Deno.test("a run sends the same requests for the same seed", async () => {
  await using api = await startLoaded();
  const sent: string[][] = [];
  for (let round = 0; round < 2; round++) {
    await using seen = startAltered(api.origin, {});
    await compare(api.origin, seen.origin, { seed: 99, runs: 60 });
    // The first requests sign in and read ids.
    sent.push(seen.requests.map((line) => line.replace(/eyJ[\w.-]+/g, "<jwt>")));
  }
  assert.ok(sent[0]!.length > 60);
  assert.deepEqual(sent[0], sent[1]);
});

Deno.test("createCases() covers every route with and without a token", () => {
  const known = { taskIds: [crypto.randomUUID()], userIds: ["c"], usernames: ["d@e.f"], taskNames: ["cat"] };
  const steps = fc.sample(createCases(known, false), { seed: 1, numRuns: 3000 }).flat();
  // The files of the documentation page exist only in the new backend.
  const routes = table.filter(({ path }) => !path.startsWith("/docs/"));
  const lacking = routes.flatMap(({ methods, path }) =>
    methods.flatMap((method) => {
      const pattern = new RegExp(`^${path.replace("{id}", "[^/]+")}/?$`);
      const made = steps.filter((step) => step.method === method && pattern.test(step.path));
      const isSigned = made.map((step) => headerOf(step, "authorization") !== undefined);
      const isComplete = isSigned.includes(false) && (isSigned.includes(true) || path.endsWith("/login"));
      // HEAD on the documentation pages is answered like GET.
      return isComplete || method === "HEAD" ? [] : [`${method} ${path}`];
    })
  );
  assert.deepEqual(lacking, []);
});

/** An alteration and the finding that it must cause. */
interface Case {
  name: string;
  /** Key of the finding. */
  expected: string;
  after(request: PassingRequest, answer: PassingAnswer): void;
  /** Checks the smallest request. */
  smallest(target: string, finding: Finding): void;
}

const on = (method: string, path: RegExp) => (request: PassingRequest) =>
  request.method === method && path.test(request.url.pathname);
const isList = on("GET", /^\/api\/v1\/tasks\/?$/);
const isMe = on("GET", /^\/api\/v1\/users\/me\/?$/);
const isDetail = on("GET", /^\/api\/v1\/tasks\/[^/]+\/?$/);
const isMatrix = on("GET", /^\/api\/v1\/tasks\/[^/]+\/matrix\/?$/);
const signedIn = ({ example }: Finding) => {
  assert.deepEqual(example[0]!.headers, [["Authorization", "Bearer ${token}"]]);
  assert.equal(example.length, 1);
};

const cases: Case[] = [
  {
    name: "a changed value",
    expected: "GET /api/v1/users/me: value /data/fullname",
    after: (request, answer) => {
      if (isMe(request)) answer.text = answer.text.replace("管理员", "管理");
    },
    smallest: (target, finding) => {
      assert.equal(target, "/api/v1/users/me");
      assert.deepEqual([finding.old, finding.new], ['"管理员"', '"管理"']);
      signedIn(finding);
    },
  },
  {
    name: "a different order of fields",
    expected: "GET /api/v1/tasks: field order /data",
    after: (request, answer) => {
      if (isList(request)) answer.text = answer.text.replace(/("page":\d+),("page_size":\d+)/, "$2,$1");
    },
    smallest: (target, finding) => {
      assert.equal(target, "/api/v1/tasks");
      signedIn(finding);
    },
  },
  {
    name: "a field missing on long pages only",
    expected: "GET /api/v1/tasks: field missing /data/tasks/*/priority",
    after: (request, answer) => {
      if (isList(request) && /"page_size":(?!10\D)\d\d/.test(answer.text)) {
        answer.text = answer.text.replaceAll(/,"priority":\d+/g, "");
      }
    },
    smallest: (target, finding) => {
      assert.match(target, /^\/api\/v1\/tasks\?page_size=[^&]*$/);
      signedIn(finding);
    },
  },
  {
    name: "a different form of a number",
    expected: "GET /api/v1/tasks/{id}: number form /data/progress",
    after: (request, answer) => {
      if (isDetail(request)) answer.text = answer.text.replace(/"progress":(\d+)/, '"progress":$1.0');
    },
    smallest: (target, finding) => {
      assert.match(target, /^\/api\/v1\/tasks\/[0-9a-f-]{36}$/);
      signedIn(finding);
    },
  },
  {
    name: "a different status",
    expected: "GET /api/v1/tasks/{id}/matrix: status",
    after: (request, answer) => {
      if (isMatrix(request) && answer.status === 404) answer.status = 400;
    },
    smallest: (target, finding) => {
      assert.match(target, /^\/api\/v1\/tasks\/[^/]+\/matrix$/);
      assert.match(finding.old, /^404 .*任务不存在/);
      assert.match(finding.new, /^400 .*任务不存在/);
      signedIn(finding);
    },
  },
  {
    name: "a missing header",
    expected: "GET /api/v1/users/me: header www-authenticate",
    after: (request, answer) => {
      if (isMe(request)) answer.headers.delete("www-authenticate");
    },
    smallest: (target, finding) => {
      assert.equal(target, "/api/v1/users/me");
      assert.deepEqual([finding.old, finding.new], ["Bearer", "(absent)"]);
      assert.ok(finding.example[0]!.headers.length <= 1);
    },
  },
  {
    name: "a reworded message",
    expected: "GET /api/v1/users/: value /detail/*/msg",
    after: (request, answer) => {
      if (request.url.pathname.startsWith("/api/v1/users") && request.method === "GET") {
        answer.text = answer.text.replace("Input should be a valid integer", "Not a valid integer");
      }
    },
    smallest: (target) => assert.match(target, /^\/api\/v1\/users\/\?(skip|limit)(=[^&]*)?$/),
  },
  {
    name: "an error position that is off by one",
    expected: "POST /api/v1/users/: value /detail/*/loc/*",
    after: (request, answer) => {
      if (request.method === "POST" && /^\/api\/v1\/users\/?$/.test(request.url.pathname)) {
        answer.text = answer.text.replace(
          /"loc":\["body",(\d+)\]/,
          (_, at) => `"loc":["body",${Number(at) + 1}]`,
        );
      }
    },
    smallest: (target, { example }) => {
      assert.equal(target, "/api/v1/users/");
      assert.ok((example[0]!.body?.length ?? 0) <= 4, `a body of ${example[0]!.body?.length}`);
      assert.notEqual(headerOf(example[0]!, "content-type"), "text/plain");
    },
  },
];

Deno.test("every alteration is found, shrunk and reported, and nothing else is", async (t) => {
  await using api = await startLoaded();
  await using altered = startAltered(api.origin, {
    after: (request, answer) => cases.forEach(({ after }) => after(request, answer)),
  });
  const result = await compare(api.origin, altered.origin, { seed: 3, runs: 700 });
  const report = renderReport(result, altered.origin).join("\n");
  for (const { name, expected, smallest } of cases) {
    await t.step(name, () => {
      const finding = result.findings.find((one) => keyOf(one) === expected);
      assert.ok(finding, `wanted '${expected}' among\n${result.findings.map(keyOf).join("\n")}`);
      smallest(targetOf(finding.example[0]!), finding);
      assert.equal(finding.rule, undefined);
      assert.match(report, new RegExp(`^${expected.split(":")[0]!.replace(/[{}]/g, "\\$&")}$`, "m"));
    });
  }
  await t.step("no other difference", () => {
    const expected = new Set(cases.map((one) => one.expected));
    assert.deepEqual(result.findings.map(keyOf).filter((key) => !expected.has(key)), []);
  });
});

Deno.test("a recorded request that does not write is shrunk", async () => {
  await using api = await startLoaded();
  await using altered = startAltered(api.origin, {
    after: (request, answer) => {
      if (isList(request) && request.url.searchParams.get("status") === "failed") answer.status = 418;
    },
  });
  const path = await Deno.makeTempFile({ suffix: ".jsonl" });
  const call = {
    name: "a long one",
    method: "GET",
    path: "/api/v1/tasks/?page=1&status=failed&page_size=3&x=1",
    as: "admin",
    body: null,
    ctype: null,
    headers: { "X-More": "1", "Origin": "http://localhost:3000" },
    save: {},
    mask: [],
    status: 200,
  };
  const signIn = {
    name: "sign in",
    method: "POST",
    path: "/api/v1/auth/login",
    as: null,
    headers: {},
    mask: [],
    status: 200,
    body: new URLSearchParams({ username: person.email, password: person.password }).toString(),
    ctype: "application/x-www-form-urlencoded",
    save: { "token:admin": "/data/access_token" },
  };
  await Deno.writeTextFile(path, [signIn, call].map((one) => JSON.stringify(one)).join("\n"));
  const recorded = await readRecording(path);
  await Deno.remove(path);
  const { findings } = await compare(api.origin, altered.origin, { runs: 0, recorded });
  assert.deepEqual(findings.map(keyOf), ["GET /api/v1/tasks: status"]);
  assert.equal(targetOf(findings[0]!.example[0]!), "/api/v1/tasks?status=failed");
  assert.deepEqual(findings[0]!.example[0]!.headers, [["Authorization", "Bearer ${token:admin}"]]);
  assert.match(findings[0]!.new, /^418/);
});

Deno.test("a difference that needs an earlier request is shrunk to two requests", async () => {
  await using one = await startLoaded();
  await using two = await startLoaded();
  await using altered = startAltered(two.origin, {
    after: (request, answer) => {
      if (on("POST", /\/cancel\/?$/)(request)) answer.text = answer.text.replace('"data":null', '"data":{}');
    },
  });
  const options = { seed: 4, runs: 120, withWrites: true };
  const { findings } = await compare(one.origin, altered.origin, options, writer);
  assert.deepEqual(findings.map(keyOf), ["POST /api/v1/tasks/{id}/cancel: type /data"]);
  const [make, cancel, ...more] = findings[0]!.example;
  assert.deepEqual([targetOf(make!), targetOf(cancel!), more], [
    "/api/v1/tasks",
    "/api/v1/tasks/${task}/cancel",
    [],
  ]);
  const smallest =
    '{"task_name":"a","username":"","tags":[{"id":"1","type":"prompt","isVariable":false,"value":"a"}]}';
  assert.equal(make!.body, smallest);
});
