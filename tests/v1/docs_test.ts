/** The documents of v1, served from our own origin. */
import assert from "node:assert/strict";
import openapi from "../../routes/v1/openapi.json" with { type: "json" };
import { table } from "../../routes/v1/table.ts";
import { startApi } from "../support/api.ts";

Deno.test("/openapi.json names every route of v1, and no other", async () => {
  await using api = await startApi();
  const response = await fetch(`${api.origin}/openapi.json`);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await response.json(), openapi);
  const documented = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/, "{id}")}`)
  );
  const served = table.filter(({ path }) => !["/docs", "/redoc", "/openapi.json"].includes(path))
    .flatMap(({ methods, path }) => methods.map((method) => `${method} ${path}`));
  // The old backend listed both forms of one path.
  const once = new Set(
    documented.map((call) =>
      call === "GET /api/v1/tasks/" || call === "POST /api/v1/tasks/" ? call.slice(0, -1) : call
    ),
  );
  assert.deepEqual([...once].sort(), served.sort());
});

for (const path of ["/docs", "/redoc"]) {
  Deno.test(`${path} shows every call and asks no other origin for anything`, async () => {
    await using api = await startApi();
    const response = await fetch(api.origin + path);
    const page = await response.text();
    assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
    assert.doesNotMatch(page, /https?:|<script|<link|<img|<iframe/);
    for (const name of Object.keys(openapi.paths)) assert.ok(page.includes(name), name);
    assert.match(response.headers.get("content-security-policy") ?? "", /default-src 'none'/);
    const head = await fetch(api.origin + path, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
  });
}
