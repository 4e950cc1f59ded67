/** Generated requests, valid and invalid, whose responses are checked against the OpenAPI document. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { startApi } from "../support/api.ts";
import { Contract, type Document, type GeneratedRequest, type KnownValues } from "./support/contract.ts";
import { addMatrix, addPeople, type V2Person } from "./support/api.ts";

const requestsMin = 20_000;
/** Number of concurrent requests. */
const concurrency = 8;

async function send(origin: string, { route, path, body }: GeneratedRequest, person: V2Person) {
  const response = await fetch(origin + path, {
    method: route.method,
    headers: {
      authorization: `Bearer ${person.access}`,
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const contentType = response.headers.get("content-type") ?? "";
  if (contentType.startsWith("text/event-stream")) {
    await response.body?.cancel();
    return { status: response.status, contentType, text: "" };
  }
  return { status: response.status, contentType, text: await response.text() };
}

Deno.test("every response to a generated request conforms to the document", async (t) => {
  await using api = await startApi({ level: "error", env: { RATE_LIMIT: "1000000" } });
  const people = await addPeople(api);
  const tasks = await Promise.all([
    addMatrix(api, people.user),
    addMatrix(api, people.user, { drawn: 2 }),
    addMatrix(api, people.other),
  ]);
  const contract = new Contract(await (await fetch(`${api.origin}/api/v2/openapi.json`)).json() as Document);
  const known: KnownValues = {
    id: tasks,
    cell: ["0", "1", "2", "3", "4", "5", "6"],
    q: ["high", "standard", "lumina"],
  };
  // Requests to these routes would delete what the other requests use. They have tests of their own.
  const routes = contract.routes.filter(({ path, method }) =>
    !/\/auth\/|\/users|\/sessions/.test(path) && !(method === "DELETE" && path === "/api/v2/tasks/{id}")
  );
  const callers = [people.user, people.user, people.other, people.admin, people.guest];
  let sent = 0;
  const perRoute = Math.ceil(requestsMin / routes.length / concurrency) * concurrency;
  for (const route of routes) {
    await t.step(`${route.method} ${route.path}`, async () => {
      const arbitrary = fc.tuple(contract.requests(route, known), fc.constantFrom(...callers));
      const generated = fc.sample(arbitrary, { numRuns: perRoute, seed: 20_000 });
      const check = async ([request, person]: [GeneratedRequest, V2Person]) => {
        const { status, contentType, text } = await send(api.origin, request, person);
        sent++;
        const body = JSON.stringify(request.body)?.slice(0, 500);
        const message = `${route.method} ${request.path} ${body} → ${status}`;
        assert.equal(contract.findViolation(route, status, contentType, text), undefined, message);
        assert.ok(request.isValid || status >= 400, `${message}: an invalid body was accepted`);
        assert.ok(status < 500, message);
      };
      for (let i = 0; i < generated.length; i += concurrency) {
        await Promise.all(generated.slice(i, i + concurrency).map(check));
      }
    });
  }
  assert.ok(sent >= requestsMin, `${sent} requests`);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
