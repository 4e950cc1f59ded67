/** Differences and noise between answers, and requests as curl commands. */
import assert from "node:assert/strict";
import { compareAnswers } from "../../comparison/compare.ts";
import { createNoise, type NoiseContext } from "../../comparison/masks.ts";
import { routeOf, type Step } from "../../comparison/request.ts";
import { toCurl } from "../../dev/shadow/curl.ts";
import type { Answer } from "../../comparison/answer.ts";
import { answer, origins, step } from "./support/backends.ts";
const kindsOf = (old: Answer, now: Answer, noise = () => undefined as string | undefined) =>
  compareAnswers(old, now, noise, origins).differences.map(({ kind, path }) => `${kind} ${path}`.trim());

const comparisonCases: [string, Answer, Answer, string[]][] = [
  ["the same", answer(200, '{"a":[1,{"b":null}]}'), answer(200, '{"a":[1,{"b":null}]}'), []],
  ["another status, which hides the rest", answer(200, "{}"), answer(404, '{"detail":"x"}'), ["status"]],
  ["another value", answer(200, '{"a":{"b":"x"}}'), answer(200, '{"a":{"b":"y"}}'), ["value /a/b"]],
  ["another type", answer(200, '{"a":null}'), answer(200, '{"a":""}'), ["type /a"]],
  ["another form of the same number", answer(200, '{"a":[1]}'), answer(200, '{"a":[1.0]}'), [
    "number form /a/0",
  ]],
  ["long integers", answer(200, '{"a":12345678901234567890}'), answer(200, '{"a":12345678901234567891}'), [
    "number form /a",
  ]],
  ["a field left out", answer(200, '{"a":1,"b":null}'), answer(200, '{"a":1}'), ["field missing /b"]],
  ["a field too many", answer(200, '{"a":1}'), answer(200, '{"a":1,"b":null}'), ["field extra /b"]],
  ["fields in another order", answer(200, '{"x":{"a":1,"b":2}}'), answer(200, '{"x":{"b":2,"a":1}}'), [
    "field order /x",
  ]],
  ["a shorter list", answer(200, '{"a":[1,2]}'), answer(200, '{"a":[1]}'), ["length /a"]],
  ["a key with a slash", answer(200, '{"a/b":1}'), answer(200, '{"a/b":2}'), ["value /a~1b"]],
  ["text and JSON", answer(200, "OK"), answer(200, '{"a":1}'), ["body form"]],
  ["no body", answer(200, ""), answer(200, "{}"), ["body form"]],
  ["another type of content", answer(200, "", { "content-type": "a" }), answer(200, ""), [
    "header content-type",
  ]],
  ["headers nobody reads", answer(200, "", { server: "a", date: "b" }), answer(200, "", { etag: "c" }), []],
  [
    "Vary for compression",
    answer(200, "", { vary: "Origin" }),
    answer(200, "", { vary: "Accept-Encoding, origin" }),
    [],
  ],
  [
    "Location of each",
    answer(307, "", { location: "http://old/a" }),
    answer(307, "", { location: "http://new/a" }),
    [],
  ],
];
for (const [name, old, now, expected] of comparisonCases) {
  Deno.test(`compare: ${name}`, () => assert.deepEqual(kindsOf(old, now), expected));
}

const ids = ["67ecb1f5a1b2c3d4e5f2faee", "6afecb1fa1b2c3d4e5f2faff"] as const;
const uuids = ["16a7a946-f483-45a4-bd9d-09936f80455b", "74fb05dc-575d-458e-981e-17cbaada80ff"] as const;
const token = (claims: unknown) =>
  `eyJhbGciOiJIUzI1NiJ9.${btoa(JSON.stringify(claims)).replaceAll("=", "")}.c2ln`;
const login = (claims: unknown) => answer(200, `{"data":{"access_token":"${token(claims)}"}}`);
const created = (id: string, time: string) => answer(200, `{"data":{"id":"${id}","created_at":"${time}"}}`);
const detail = (id: string, seed: number, tags = "[]", subtaskId = ids[0] as string) =>
  answer(
    200,
    `{"data":{"id":"${id}","tags":${tags},"dramatiq_tasks":[{"_id":"${subtaskId}","seed":${seed}}]}}`,
  );
const soon = ["2030-01-01T00:00:00.001000", "2030-01-01T00:00:01"] as const;

const noiseCases: [string, string, Answer, Answer, string[]][] = [
  [
    "ids and times of new objects",
    "POST /api/v1/tasks",
    created(uuids[0], soon[0]),
    created(uuids[1], soon[1]),
    [],
  ],
  ["an id of unknown form", "POST /api/v1/tasks", created(uuids[0], soon[0]), created("7", soon[0]), [
    "value /data/id",
  ]],
  ["an id in a read", "GET /api/v1/tasks/1", created(uuids[0], soon[0]), created("7", soon[0]), [
    "value /data/id",
  ]],
  [
    "a time from before the run",
    "GET /api/v1/users/1",
    created(ids[0], "2025-01-01T00:00:00"),
    created(ids[0], "2025-01-01T00:00:00.001000"),
    ["value /data/created_at"],
  ],
  ["a time with a zone", "POST /api/v1/tasks", created(uuids[0], soon[0]), created(uuids[1], `${soon[1]}Z`), [
    "value /data/created_at",
  ]],
  [
    "tokens of the same claims",
    "POST /api/v1/auth/login",
    login({ sub: "1", email: "a", exp: 10 }),
    login({ sub: "1", email: "a", exp: 12 }),
    [],
  ],
  [
    "a token with another sub",
    "POST /api/v1/auth/login",
    login({ sub: "1", email: "a", exp: 10 }),
    login({ sub: "2", email: "a", exp: 10 }),
    ["value /data/access_token"],
  ],
  [
    "a token with more claims",
    "POST /api/v1/auth/login",
    login({ sub: "1", email: "a", exp: 10 }),
    login({ sub: "1", email: "a", exp: 10, iat: 1 }),
    ["value /data/access_token"],
  ],
  [
    "a token that lives longer",
    "POST /api/v1/auth/login",
    login({ sub: "1", email: "a", exp: 10 }),
    login({ sub: "1", email: "a", exp: 1000 }),
    ["value /data/access_token"],
  ],
  [
    "random seeds",
    "GET /api/v1/tasks/1",
    detail("made-a", 7),
    detail("made-b", 8, "[]", ids[1]),
    [],
  ],
  [
    "a seed from the tags",
    "GET /api/v1/tasks/1",
    detail("made-a", 7, '[{"type":"seed","value":"7"}]'),
    detail("made-b", 8, '[{"type":"seed","value":"7"}]'),
    ["value /data/dramatiq_tasks/0/seed"],
  ],
  ["a random seed out of range", "GET /api/v1/tasks/1", detail("made-a", 7), detail("made-b", 0), [
    "value /data/dramatiq_tasks/0/seed",
  ]],
  ["seeds of existing objects", "GET /api/v1/tasks/1", detail("x", 7), detail("x", 8), [
    "value /data/dramatiq_tasks/0/seed",
  ]],
];
for (const [name, line, old, now, expected] of noiseCases) {
  Deno.test(`noise: ${name}`, () => {
    const context: NoiseContext = {
      step: step(line),
      old,
      new: now,
      sinceMs: Date.parse("2029-12-31T23:59:00Z"),
      pairs: new Map([["made-a", "made-b"]]),
    };
    assert.deepEqual(
      compareAnswers(old, now, createNoise(context), origins).differences.map(({ kind, path }) =>
        `${kind} ${path}`
      ),
      expected,
    );
  });
}

const signed: [string, string][] = [["Authorization", "Bearer ${token}"]];
const curlCases: [Step, string][] = [
  [step("GET /health"), "curl -i http://a/health"],
  [step("GET /api/v1/tasks?page=1&x=%20"), "curl -i 'http://a/api/v1/tasks?page=1&x=%20'"],
  [
    step("DELETE /health", null, signed),
    'curl -i -X DELETE -H "Authorization: Bearer ${token}" http://a/health',
  ],
  [step("HEAD /health"), "curl -i -I http://a/health"],
  [
    step("POST /health", "it's {", [["Content-Type", "a/b"]]),
    "curl -i -X POST -H 'Content-Type: a/b' --data-binary 'it'\\''s {' http://a/health",
  ],
  [
    step("POST /health", "a\nb"),
    "curl -i -X POST -H 'Content-Type:' --data-binary $'a\\x0ab' http://a/health",
  ],
  [
    { ...step("POST /health"), body: new Uint8Array([255, 39]) },
    "curl -i -X POST -H 'Content-Type:' --data-binary $'\\xff\\'' http://a/health",
  ],
  [
    step("POST /health", 'p=${password}&"$x', [["A", "b"], ["Content-Type", ""]]),
    "curl -i -X POST -H 'A: b' -H 'Content-Type;' --data-binary \"p=${password}&\\\"\\$x\" http://a/health",
  ],
];
for (const [request, expected] of curlCases) {
  Deno.test(`toCurl() returns ${expected}`, () => assert.equal(toCurl(request, "http://a"), expected));
}

for (
  const [line, route] of [
    ["GET /api/v1/users", "GET /api/v1/users/"],
    ["GET /api/v1/users/me/", "GET /api/v1/users/me"],
    ["PUT /api/v1/users/7", "PUT /api/v1/users/{id}"],
    ["POST /api/v1/tasks/7/cancel/", "POST /api/v1/tasks/{id}/cancel"],
    ["GET /", "GET (no route)"],
  ]
) Deno.test(`routeOf() maps ${line} to ${route}`, () => assert.equal(routeOf(step(line!)), route));
