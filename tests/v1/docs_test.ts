/** v1's OpenAPI document and its documentation page. */
import assert from "node:assert/strict";
import openapi from "../../routes/v1/openapi.json" with { type: "json" };
import { table } from "../../routes/v1/table.ts";
import { startApi } from "../support/api.ts";

Deno.test("/openapi.json lists every route of v1 and no other", async () => {
  await using api = await startApi();
  const response = await fetch(`${api.origin}/openapi.json`);
  assert.equal(response.headers.get("content-type"), "application/json");
  assert.deepEqual(await response.json(), openapi);
  const documented = Object.entries(openapi.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/, "{id}")}`)
  );
  const served = table.filter(({ path }) => !/^\/(?:docs|redoc|openapi\.json)/.test(path))
    .flatMap(({ methods, path }) => methods.map((method) => `${method} ${path}`));
  // The old backend's document lists this path with and without a slash at its end.
  const once = new Set(
    documented.map((call) =>
      call === "GET /api/v1/tasks/" || call === "POST /api/v1/tasks/" ? call.slice(0, -1) : call
    ),
  );
  assert.deepEqual([...once].sort(), served.sort());
});

for (const path of ["/docs", "/redoc"]) {
  Deno.test(`${path} permits scripts, styles and requests of its own origin only`, async () => {
    await using api = await startApi();
    const response = await fetch(api.origin + path);
    const page = await response.text();
    assert.equal(response.headers.get("content-type"), "text/html; charset=utf-8");
    assert.doesNotMatch(page, /https?:|<script>|<img|<iframe/);
    const policy = response.headers.get("content-security-policy") ?? "";
    assert.match(policy, /default-src 'none'/);
    assert.doesNotMatch(policy, /unsafe|https?:|\*/);
    const head = await fetch(api.origin + path, { method: "HEAD" });
    assert.deepEqual([head.status, await head.text()], [200, ""]);
  });
}
