/** The document of v1 and a page that shows it, both from our own origin. */
import openapi from "./openapi.json" with { type: "json" };

const document = JSON.stringify(openapi);

/** `GET /openapi.json`: the document that the old backend served. */
export function readOpenapi(): Response {
  return new Response(document, { headers: { "content-type": "application/json" } });
}

type Schema = { $ref?: string; type?: string; title?: string; anyOf?: Schema[]; items?: Schema };

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, (letter) => `&#${letter.charCodeAt(0)};`);

function describeSchema(schema: Schema | undefined): string {
  if (!schema) return "";
  if (schema.$ref) return schema.$ref.slice(schema.$ref.lastIndexOf("/") + 1);
  if (schema.anyOf) return schema.anyOf.map(describeSchema).filter((text) => text !== "").join(" | ");
  if (schema.items) return `[${describeSchema(schema.items)}]`;
  return schema.type ?? "";
}

interface Operation {
  summary?: string;
  description?: string;
  security?: unknown[];
  parameters?: { name: string; in: string; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

function describeOperation(method: string, path: string, operation: Operation): string {
  const parameters = (operation.parameters ?? [])
    .map(({ name, in: where, schema }) => `${name}: ${describeSchema(schema)} (${where})`);
  const body = Object.entries(operation.requestBody?.content ?? {})
    .map(([type, { schema }]) => `${type}: ${describeSchema(schema)}`);
  const answer = describeSchema(operation.responses["200"]?.content?.["application/json"]?.schema);
  const rows = [
    ["who", operation.security ? "bearer token" : "anyone"],
    ["parameters", parameters.join(", ")],
    ["body", body.join(", ")],
    ["answer", answer],
  ].filter(([, text]) => text !== "");
  return `<section><h2><b>${method.toUpperCase()}</b> ${escapeHtml(path)}</h2>
<p>${escapeHtml(operation.summary ?? "")}</p>
<dl>${rows.map(([name, text]) => `<dt>${name}</dt><dd>${escapeHtml(text!)}</dd>`).join("")}</dl></section>`;
}

const paths = openapi.paths as unknown as Record<string, Record<string, Operation>>;
const operations = Object.entries(paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => describeOperation(method, path, operation))
);
const page = `<!doctype html>
<html lang="zh">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(openapi.info.title)}</title>
<style>
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #ccc; }
h2 { font: 600 1rem ui-monospace, monospace; }
h2 b { display: inline-block; min-width: 5rem; color: #06c; }
dl { display: grid; grid-template-columns: 7rem 1fr; }
dd { margin: 0; font-family: ui-monospace, monospace; }
</style>
<h1>${escapeHtml(openapi.info.title)} ${escapeHtml(openapi.info.version)}</h1>
<p>${escapeHtml(openapi.info.description)} · <a href="/openapi.json">/openapi.json</a></p>
${operations.join("\n")}
</html>
`;

/** `GET /docs` and `GET /redoc`: every call on one page, without a script and without another origin. */
export function readDocs(): Response {
  return new Response(page, {
    headers: {
      "content-type": "text/html; charset=utf-8",
      "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    },
  });
}
