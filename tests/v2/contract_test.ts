/** v2 keeps what its OpenAPI document says: drawn requests, good and bad, and every answer held against it. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { startApi } from "../support/api.ts";
import { Contract, type Document, type Drawn, type Known } from "./support/contract.ts";
import { addMatrix, addPeople, type V2Person } from "./support/api.ts";

/** Requests of a run; a few lanes at once, as browsers do. */
const requestsMin = 20_000;
const lanes = 8;

async function send(origin: string, { route, path, body }: Drawn, who: V2Person) {
  const response = await fetch(origin + path, {
    method: route.method,
    headers: {
      authorization: `Bearer ${who.access}`,
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

Deno.test("every answer to a drawn request is as the document says", async (t) => {
  await using api = await startApi({ level: "error", env: { RATE_LIMIT: "1000000" } });
  const people = await addPeople(api);
  const tasks = await Promise.all([
    addMatrix(api, people.user),
    addMatrix(api, people.user, { drawn: 2 }),
    addMatrix(api, people.other),
  ]);
  const contract = new Contract(await (await fetch(`${api.origin}/api/v2/openapi.json`)).json() as Document);
  const known: Known = {
    id: tasks,
    cell: ["0", "1", "2", "3", "4", "5", "6"],
    q: ["high", "standard", "lumina"],
  };
  // These would end what the others stand on; they have tests of their own.
  const routes = contract.routes.filter(({ path, method }) =>
    !/\/auth\/|\/users|\/sessions/.test(path) && !(method === "DELETE" && path === "/api/v2/tasks/{id}")
  );
  const callers = [people.user, people.user, people.other, people.admin, people.guest];
  let sent = 0;
  const each = Math.ceil(requestsMin / routes.length / lanes) * lanes;
  for (const route of routes) {
    await t.step(`${route.method} ${route.path}`, async () => {
      const drawing = fc.tuple(contract.draw(route, known), fc.constantFrom(...callers));
      const drawn = fc.sample(drawing, { numRuns: each, seed: 20_000 });
      for (let at = 0; at < drawn.length; at += lanes) {
        await Promise.all(
          drawn.slice(at, at + lanes).map(async ([request, who]) => {
            const { status, contentType, text } = await send(api.origin, request, who);
            sent++;
            const what = `${route.method} ${request.path} ${
              JSON.stringify(request.body)?.slice(0, 500)
            } → ${status}`;
            assert.equal(contract.judge(route, status, contentType, text), undefined, what);
            assert.ok(request.fits || status >= 400, `${what}: it goes against the document and was taken`);
            assert.ok(status < 500, what);
          }),
        );
      }
    });
  }
  assert.ok(sent >= requestsMin, `${sent} requests`);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});
