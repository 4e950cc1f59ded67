/** A page that shows an OpenAPI document: every call at once, without a script and without another origin. */

interface Schema {
  $ref?: string;
  type?: string | string[];
  format?: string;
  enum?: unknown[];
  const?: unknown;
  anyOf?: Schema[];
  oneOf?: Schema[];
  allOf?: Schema[];
  items?: Schema;
  properties?: Record<string, Schema>;
  required?: string[];
  additionalProperties?: boolean | Schema;
  description?: string;
  example?: unknown;
  examples?: unknown[];
  default?: unknown;
  minimum?: number;
}

interface Content {
  schema?: Schema;
  example?: unknown;
}

interface Operation {
  summary?: string;
  description?: string;
  tags?: string[];
  security?: unknown[];
  parameters?: { name: string; in: string; required?: boolean; description?: string; schema?: Schema }[];
  requestBody?: { content: Record<string, Content> };
  responses: Record<string, { description?: string; content?: Record<string, Content> }>;
  "x-who"?: string;
}

/** Of a document, what the page shows. */
export interface OpenApi {
  info: { title: string; version: string; description?: string };
  paths: Record<string, Record<string, Operation>>;
  components?: { schemas?: Record<string, Schema> };
}

export interface DocsOptions {
  language: string;
  /** Where the document itself is. */
  document: string;
}

/** Nothing is fetched, nothing runs. */
export const docsHeaders: Record<string, string> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy":
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
};

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (letter) => `&#${letter.charCodeAt(0)};`);

const methods = new Set(["get", "put", "post", "delete", "patch", "head", "options"]);
const nameOf = (ref: string): string => ref.slice(ref.lastIndexOf("/") + 1);
/** Schemas within each other that an example goes into. */
const depthMax = 8;

/** A schema in a few words: its name, or its type. */
function describeSchema(schema: Schema | undefined): string {
  if (!schema) return "";
  if (schema.$ref) return nameOf(schema.$ref);
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) return choices.map(describeSchema).filter((text) => text !== "").join(" | ");
  if (schema.allOf) return schema.allOf.map(describeSchema).filter((text) => text !== "").join(" & ");
  if (schema.items) return `[${describeSchema(schema.items)}]`;
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const type = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type ?? "";
  return schema.format ? `${type} (${schema.format})` : type;
}

const formatExamples: Record<string, string> = {
  uuid: "7d444840-9dc0-11d1-b245-5ffdce74fad2",
  "date-time": "2025-05-13T07:40:46.622Z",
  email: "somebody@example.com",
};

function exampleOfType({ type, format, minimum = 0 }: Schema): unknown {
  const first = Array.isArray(type) ? type[0] : type;
  if (first === "string") return formatExamples[format ?? ""] ?? "text";
  if (first === "integer" || first === "number") return minimum;
  if (first === "boolean") return true;
  return first === "null" ? null : {};
}

/** A value that fits a schema: its own example where it has one. */
function exampleOf(schema: Schema | undefined, all: Record<string, Schema>, depth = 0): unknown {
  if (!schema || depth > depthMax) return null;
  const said = schema.example ?? schema.examples?.[0] ?? schema.const ?? schema.default ?? schema.enum?.[0];
  if (said !== undefined) return said;
  if (schema.$ref) return exampleOf(all[nameOf(schema.$ref)], all, depth + 1);
  const first = schema.anyOf?.[0] ?? schema.oneOf?.[0];
  if (first) return exampleOf(first, all, depth + 1);
  if (schema.allOf) {
    return Object.assign({}, ...schema.allOf.map((part) => exampleOf(part, all, depth + 1)));
  }
  if (schema.items) return [exampleOf(schema.items, all, depth + 1)];
  const { properties, additionalProperties: rest } = schema;
  if (properties) {
    return Object.fromEntries(
      Object.entries(properties).map(([name, property]) => [name, exampleOf(property, all, depth + 1)]),
    );
  }
  return typeof rest === "object" ? { name: exampleOf(rest, all, depth + 1) } : exampleOfType(schema);
}

function renderContent(
  title: string,
  content: Record<string, Content> | undefined,
  all: Record<string, Schema>,
) {
  return Object.entries(content ?? {}).map(([type, { schema, example }]) => {
    const head = `<p>${title} ${escapeHtml(type)} ${escapeHtml(describeSchema(schema))}</p>`;
    if (!/json$/.test(type)) return head;
    const text = JSON.stringify(example ?? exampleOf(schema, all), null, 2);
    return `${head}<pre>${escapeHtml(text)}</pre>`;
  }).join("\n");
}

function renderFields(schema: Schema | undefined, all: Record<string, Schema>): string {
  const { properties = {}, required = [] } = (schema?.$ref ? all[nameOf(schema.$ref)] : schema) ?? {};
  const rows = Object.entries(properties).map(([name, property]) => {
    const more = property.description ? ` · ${property.description}` : "";
    const needed = required.includes(name) ? "" : " · optional";
    return `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(describeSchema(property) + needed + more)}</dd>`;
  });
  return rows.length > 0 ? `<dl>${rows.join("")}</dl>` : "";
}

const anchorOf = (method: string, path: string): string =>
  `${method}${path}`.replace(/[^a-z0-9]+/gi, "-").replace(/-$/, "");

function renderOperation(
  method: string,
  path: string,
  operation: Operation,
  all: Record<string, Schema>,
): string {
  const { parameters = [], requestBody, responses, summary = "", description = "" } = operation;
  const who = operation["x-who"]?.replaceAll("_", " ") ?? (operation.security ? "bearer token" : "anyone");
  const named = parameters.map(({ name, in: where, required, description: said, schema }) => {
    const text = `${describeSchema(schema)} · ${where}${required ? "" : " · optional"}${
      said ? ` · ${said}` : ""
    }`;
    return `<dt>${escapeHtml(name)}</dt><dd>${escapeHtml(text)}</dd>`;
  }).join("");
  const good = Object.entries(responses).filter(([status]) => status < "400");
  const bad = Object.entries(responses).filter(([status]) => status >= "400")
    .map(([status, { description: said = "" }]) => `<dt>${status}</dt><dd>${escapeHtml(said)}</dd>`).join("");
  const answers = good.map(([status, { description: said = "", content }]) =>
    `<p><b>${status}</b> ${escapeHtml(said)}</p>${renderContent("answer", content, all)}`
  ).join("\n");
  const fields = Object.values(requestBody?.content ?? {}).map(({ schema }) => renderFields(schema, all))
    .join("");
  return `<section id="${anchorOf(method, path)}"><h3><b>${method.toUpperCase()}</b> ${escapeHtml(path)}</h3>
<p>${escapeHtml(summary)}${description ? `<br>${escapeHtml(description)}` : ""}</p>
<dl><dt>who</dt><dd>${escapeHtml(who)}</dd>${named}</dl>
${requestBody ? renderContent("body", requestBody.content, all) + fields : ""}
${answers}
${bad ? `<details><summary>failures</summary><dl>${bad}</dl></details>` : ""}</section>`;
}

const style = `
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
section { border-top: 1px solid #8886; }
h3 { font: 600 1rem ui-monospace, monospace; overflow-wrap: anywhere; }
h3 b { display: inline-block; min-width: 5rem; color: #06c; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: 0 1rem; }
dd { margin: 0; font-family: ui-monospace, monospace; overflow-wrap: anywhere; }
pre { background: #8882; padding: .5rem; overflow: auto; max-height: 24rem; }
nav ul { columns: 20rem; font: .85rem ui-monospace, monospace; }
:root { color-scheme: light dark; }`;

/** The page of a document, its calls under their first tags in the order of the document. */
export function renderDocs(
  { info, paths, components }: OpenApi,
  { language, document }: DocsOptions,
): string {
  const all = components?.schemas ?? {};
  const groups = new Map<string, { link: string; section: string }[]>();
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      if (!methods.has(method)) continue;
      const tag = operation.tags?.[0] ?? "";
      const title = escapeHtml(`${method.toUpperCase()} ${path}`);
      const link = `<li><a href="#${anchorOf(method, path)}">${title}</a></li>`;
      const section = renderOperation(method, path, operation, all);
      groups.set(tag, [...(groups.get(tag) ?? []), { link, section }]);
    }
  }
  const shown = [...groups].map(([tag, calls]) => ({ tag: escapeHtml(tag), calls }));
  const contents = shown.map(({ tag, calls }) =>
    `<h2>${tag}</h2><ul>${calls.map(({ link }) => link).join("")}</ul>`
  );
  const sections = shown.map(({ tag, calls }) =>
    `<h2>${tag}</h2>\n${calls.map(({ section }) => section).join("\n")}`
  );
  return `<!doctype html>
<html lang="${language}">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(info.title)}</title>
<style>${style}
</style>
<h1>${escapeHtml(info.title)} ${escapeHtml(info.version)}</h1>
<p>${escapeHtml(info.description ?? "")} · <a href="${document}">${document}</a></p>
<nav>${contents.join("")}</nav>
${sections.join("\n")}
</html>
`;
}
