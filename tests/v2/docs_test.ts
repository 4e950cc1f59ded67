/** The OpenAPI document of v2, the documentation page and its files. */
import assert from "node:assert/strict";
import { createIdleApp } from "../../dev/openapi.ts";
import { listRoutes } from "../../routes/v2/kit/route.ts";
import { startApi } from "../support/api.ts";
import { call } from "./support/api.ts";

const routes = listRoutes(createIdleApp());

Deno.test("/openapi.json is OpenAPI 3.1 and names each route with its access rule", async () => {
  await using api = await startApi();
  const { status, body } = await call(api, undefined, "GET", "/openapi.json");
  assert.deepEqual([status, body.openapi], [200, "3.1.0"]);
  for (const { method, path, access, hidden } of routes) {
    if (hidden) continue;
    const operation = body.paths[`/api/v2${path}`]?.[method.toLowerCase()];
    assert.equal(operation?.["x-who"], access, `${method} ${path}`);
    assert.equal(access === "anyone", operation.security === undefined);
    assert.ok(operation.summary.length > 0);
  }
});

Deno.test("/docs permits scripts, styles and requests of its own origin only", async () => {
  await using api = await startApi();
  const { status, headers, text } = await call(api, undefined, "GET", "/docs");
  assert.equal(status, 200);
  assert.equal(headers.get("content-type"), "text/html; charset=utf-8");
  const policy = headers.get("content-security-policy") ?? "";
  assert.match(policy, /default-src 'none'/);
  assert.doesNotMatch(policy, /unsafe|https?:|\*/);
  assert.doesNotMatch(text, /https?:|<script>|\son\w+=|style=/i);
});

Deno.test("a file of the page is compressed, and 304 while it is unchanged", async () => {
  await using api = await startApi();
  const { text } = await call(api, undefined, "GET", "/docs");
  const paths = [...text.matchAll(/(?:href|src)="(\/[^"]+\.(?:css|js))"/g)].map(([, path]) => path!);
  assert.equal(paths.length, 4);
  for (const path of paths) {
    const packed = await fetch(api.origin + path, { headers: { "accept-encoding": "gzip" } });
    const plain = await fetch(api.origin + path, { headers: { "accept-encoding": "identity" } });
    assert.deepEqual([packed.status, plain.status], [200, 200]);
    assert.match(
      plain.headers.get("content-type")!,
      path.endsWith(".js") ? /^text\/javascript/ : /^text\/css/,
    );
    assert.equal(plain.headers.get("cache-control"), "public, no-cache");
    assert.equal(await packed.text(), await plain.text());
    const etag = plain.headers.get("etag")!;
    const again = await fetch(api.origin + path, { headers: { "if-none-match": etag } });
    assert.deepEqual([again.status, await again.text(), again.headers.get("etag")], [304, "", etag]);
  }
  const unknown = await call(api, undefined, "GET", "/docs/package.json");
  assert.deepEqual([unknown.status, unknown.body.type], [404, "urn:contactsheet:problem:not_found"]);
});

Deno.test("the files are served with the permissions of the API", async () => {
  const root = new URL("../../", import.meta.url);
  const code = `
    import { createDocsFiles, docsFiles } from "${new URL("routes/common/docs.ts", root)}";
    const files = createDocsFiles();
    for (const file of docsFiles(() => Promise.resolve(""))) {
      const response = await files.respond(new Request("http://localhost"), file);
      console.log(file.name, (await response.text()).length);
    }`;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "-P=api", "--config", new URL("deno.json", root).pathname, "-"],
    cwd: root,
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(code));
  await writer.close();
  const { code: status, stdout, stderr } = await child.output();
  assert.equal(status, 0, new TextDecoder().decode(stderr));
  assert.match(new TextDecoder().decode(stdout), /swagger-ui\.css \d{6}\n[^]*swagger-ui-bundle\.js \d{7}\n/);
});
