/** What the OpenAPI document refuses the server refuses, and the reverse, at and beyond the bounds of every value. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../support/api.ts";
import { addMatrix, addPeople, call } from "./support/api.ts";
import { Contract, type Document, type Route } from "./support/contract.ts";
import { type DrawnRequest, drawRequests, findRequestViolation, targetOf } from "./support/drawn_request.ts";
import { type Fault, inexpressibleRules } from "./support/inexpressible_rules.ts";

/** Number of concurrent requests. */
const concurrency = 6;
const requestsMin = 10_000;

const nameOf = ({ method, path }: Pick<Route, "method" | "path">) => `${method} ${path}`;

/** Bodies with the fields that a schema leaves open, to be changed in one place each. */
const openBodies: Record<string, unknown> = {
  "POST /api/v2/tasks/plan": {
    tags: [
      { id: "1", type: "prompt", isVariable: true, name: "p", weight: 1 },
      { type: "ratio", value: "1:1" },
      { type: "seed", value: 5 },
      { type: "batch", value: 2 },
    ],
    variables: { v0: { name: "p", values: ["a", "b"] }, v1: { name: "", values: null } },
    settings: { concurrency: 3, more: true },
    axis_roles: { v0: "content" },
    blind: false,
    priority: 1,
  },
  "POST /api/v2/tasks/{id}/retry": { cells: [0, 1], where: { v0: [0], v1: [0, 1] }, cause: "x" },
};

async function send(origin: string, request: DrawnRequest, token: string) {
  const { route: { method }, headers, body } = request;
  const response = await fetch(origin + targetOf(request), {
    method,
    headers: {
      authorization: `Bearer ${token}`,
      ...headers,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body }),
  });
  const { status } = response;
  if (response.headers.get("content-type")?.startsWith("text/event-stream")) {
    await response.body?.cancel();
    return { status, faults: [] };
  }
  const text = await response.text();
  assert.ok(status < 500, `${nameOf(request.route)} ${body?.slice(0, 300)}: ${text}`);
  return { status, faults: status === 400 || status === 422 ? readFaults(text) : [] };
}

/** Returns the faults of a problem; one without a field if the problem names none. */
function readFaults(text: string): Fault[] {
  const { errors, detail } = JSON.parse(text) as { errors?: Fault[]; detail: string };
  return errors ?? [{ field: "", wanted: detail }];
}

const findRule = (route: Route, { field, wanted }: Fault) =>
  inexpressibleRules.find((rule) =>
    rule.route.test(nameOf(route)) && rule.field.test(field) && rule.wanted.test(wanted)
  );

/** Requires that the document and the server agree. Returns whether the server accepted the request's form. */
async function checkAgreement(api: TestApi, contract: Contract, token: string, request: DrawnRequest) {
  const violation = findRequestViolation(contract, request);
  const { status, faults } = await send(api.origin, request, token);
  const { route, body } = request;
  const shown = `${route.method} ${targetOf(request)?.slice(0, 300)} ${JSON.stringify(request.headers)} ${
    body?.slice(0, 500)
  } → ${status}`;
  const isRefused = status === 400 || status === 422;
  if (violation !== undefined) {
    // An id or a number that no resource can have is not found.
    const isRefusedPath = violation.startsWith("path") && status === 404;
    assert.ok(isRefused || isRefusedPath, `${shown}: the document refuses it: ${violation}`);
    return false;
  }
  for (const fault of faults) {
    const said = `${shown}: the document allows it, the server wants ${fault.field}: ${fault.wanted}`;
    const rule = findRule(route, fault);
    assert.ok(rule, said);
    assert.match(
      contract.describe(route),
      rule.text,
      `${nameOf(route)}: a rule without a text in the document`,
    );
  }
  return !isRefused;
}

async function startFixture() {
  const env = { RATE_LIMIT: "1000000", WEBHOOK_HOSTS: "hooks.example" };
  const api = await startApi({ level: "error", env });
  const people = await addPeople(api);
  const task = await addMatrix(api, people.admin);
  const document = await (await fetch(`${api.origin}/api/v2/openapi.json`)).json() as Document;
  return {
    api,
    people,
    task,
    contract: new Contract(document),
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}

Deno.test("document and server refuse the same values, at and beyond the bounds of each parameter and field", async (t) => {
  await using fixture = await startFixture();
  const { api, people: { admin, other }, task, contract } = fixture;
  let sent = 0;
  for (const route of contract.routes.filter(({ access }) => access !== "share")) {
    await t.step(nameOf(route), async () => {
      const id = route.path.includes("/users/") ? other.id : task;
      const known = { id, cell: "0", tag: "a", q: "high", ids: "0" };
      const requests = drawRequests(contract, route, known, openBodies[nameOf(route)]);
      let accepted = 0;
      const check = async (request: DrawnRequest) => {
        sent++;
        if (await checkAgreement(api, contract, admin.access, request)) accepted++;
      };
      for (let i = 0; i < requests.length; i += concurrency) {
        await Promise.all(requests.slice(i, i + concurrency).map(check));
      }
      assert.ok(requests.length === 0 || accepted > 0, "no request was accepted");
    });
  }
  assert.ok(sent >= requestsMin, `${sent} requests`);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});

Deno.test("each rule that JSON Schema cannot express is a text of the document, and the server applies it", async (t) => {
  await using fixture = await startFixture();
  const { api, people: { admin }, task, contract } = fixture;
  const large = await addMatrix(api, admin, { prompts: 101, ratios: 100 });
  for (const rule of inexpressibleRules) {
    await t.step(rule.name, async () => {
      const [method, path, body] = rule.example({ task, large });
      const answer = await call(api, admin, method, path, body);
      const faults = readFaults(answer.text);
      const route = contract.findRoute(method, `/api/v2${path}`);
      assert.ok([400, 422].includes(answer.status), answer.text);
      assert.deepEqual(
        new Set(faults.map((fault) => findRule(route, fault)?.name)),
        new Set([rule.name]),
        answer.text,
      );
      assert.match(contract.describe(route), rule.text);
      const violation = body === undefined ? undefined : contract.findSchemaViolation(route.body!, body);
      assert.equal(violation, undefined, "the document can express it");
    });
  }
});
