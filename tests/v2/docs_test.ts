/** The document of v2 and the page that shows it: from our own origin, without a script. */
import assert from "node:assert/strict";
import { renderDocs } from "../../routes/common/docs_page.ts";
import { routeTable } from "../../routes/v2/kit/route.ts";
import { startApi } from "../support/api.ts";
import { call } from "./support/api.ts";

Deno.test("/docs shows every call with who may call it and an example of its body, and asks nobody for anything", async () => {
  await using api = await startApi();
  const { status, headers, text } = await call(api, undefined, "GET", "/docs");
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
  const policy = headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /script-src|connect-src|unsafe-eval|https?:/);
  assert.doesNotMatch(text, /<script|<link|<img|<iframe|\son\w+=|javascript:|src=/i);
  const sections = text.split("<section").slice(1);
  assert.equal(sections.length, routeTable().length);
  for (const { method, path, who } of routeTable()) {
    const title = `<b>${method}</b> /api/v2${path}</h3>`;
    const section = sections.find((part) => part.includes(title));
    assert.ok(section, title);
    assert.ok(section.includes(`<dt>who</dt><dd>${who.replaceAll("_", " ")}</dd>`), `${title} ${who}`);
    assert.match(section, /<b>2\d\d<\/b>/, title);
  }
  const rating = sections.find((part) => part.includes("<b>PUT</b> /api/v2/tasks/{id}/cells/{cell}/rating"));
  assert.match(rating!, /<pre>\{[^]*&#34;stars&#34;: 1/);
  const ids = [...text.matchAll(/<section id="([^"]+)"/g)].map(([, id]) => id);
  assert.equal(new Set(ids).size, ids.length);
  for (const [, to] of text.matchAll(/href="#([^"]+)"/g)) assert.ok(ids.includes(to), to);
});

Deno.test("/openapi.json is OpenAPI 3.1 and names every route with who may call it", async () => {
  await using api = await startApi();
  const { status, body } = await call(api, undefined, "GET", "/openapi.json");
  assert.deepEqual([status, body.openapi], [200, "3.1.0"]);
  for (const { method, path, who } of routeTable()) {
    const operation = body.paths[`/api/v2${path}`]?.[method.toLowerCase()];
    assert.equal(operation?.["x-who"], who, `${method} ${path}`);
    assert.equal(who === "anyone", operation.security === undefined);
    assert.ok(operation.summary.length > 0);
  }
});

Deno.test("a document's own words are text on the page, never markup", () => {
  const evil = `"><script>alert(1)</script>'&`;
  const page = renderDocs({
    info: { title: evil, version: evil, description: evil },
    paths: {
      [`/${evil}`]: {
        post: {
          summary: evil,
          description: evil,
          tags: [evil],
          "x-who": evil,
          parameters: [{ name: evil, in: evil, description: evil, schema: { type: evil, enum: [evil] } }],
          requestBody: {
            content: { [`${evil}json`]: { schema: { properties: { [evil]: { example: evil } } } } },
          },
          responses: { 200: { description: evil }, 400: { description: evil } },
        },
      },
    },
  }, { language: "en", document: "/x.json" });
  assert.doesNotMatch(page, /<script|'&(?!#)/);
});

Deno.test("a schema that holds itself has an example that ends", () => {
  const page = renderDocs({
    info: { title: "x", version: "1" },
    paths: {
      "/x": {
        get: {
          responses: {
            200: { content: { "application/json": { schema: { $ref: "#/components/schemas/Tree" } } } },
          },
        },
      },
    },
    components: {
      schemas: {
        Tree: {
          properties: { below: { items: { $ref: "#/components/schemas/Tree" } }, n: { type: "integer" } },
        },
      },
    },
  }, { language: "en", document: "/x.json" });
  assert.ok(page.length < 20_000);
});
