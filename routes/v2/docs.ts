/** The OpenAPI document, generated from the schemas that validate requests, and the page that shows it. */
import { z } from "@hono/zod-openapi";
import { AppError } from "../../errors.ts";
import { docsFiles, docsPageHeaders, renderDocsPage } from "../common/docs.ts";
import type { V2App } from "./kit/context.ts";
import { respondJson } from "./kit/json_response.ts";
import { basePath, defineRoute, listRoutes } from "./kit/route.ts";

const info = {
  title: "contactsheet",
  version: "2",
  description: "Creates image-generation matrices, and rates, evaluates and compares their images. " +
    "Errors are RFC 9457 problem details. Lists are paged by cursor. " +
    "A request with `Idempotency-Key` can be repeated safely. " +
    "Texts contain neither NUL nor half of a surrogate pair, and numbers are below 1.8e308. " +
    "A body is nested at most 64 levels deep.",
};

/** Returns the OpenAPI document of all routes that `app` has, except hidden ones. */
export function describeApi(app: V2App): object {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "The access token that `POST /auth/login` returns, or the token of a share",
  });
  const document = app.getOpenAPI31Document({ openapi: "3.1.0", info, servers: [{ url: "/" }] });
  for (const { path, hidden } of listRoutes(app)) {
    if (hidden) delete document.paths?.[basePath + path];
  }
  return document;
}

const openapiRoute = defineRoute({
  method: "get",
  path: "/openapi.json",
  access: "anyone",
  tags: ["docs"],
  summary: "Get this document",
  responses: {
    200: { description: "OpenAPI 3.1", content: { "application/json": { schema: z.looseObject({}) } } },
  },
});

const pageRoute = defineRoute({
  method: "get",
  path: "/docs",
  access: "anyone",
  tags: ["docs"],
  summary: "Show this document in Swagger UI",
  responses: { 200: { description: "HTML", content: { "text/html": { schema: z.string() } } } },
});

const fileRoute = defineRoute({
  method: "get",
  path: "/docs/{file}",
  hidden: true,
  access: "anyone",
  tags: ["docs"],
  summary: "Get a file of the page",
  request: { params: z.object({ file: z.string() }) },
  responses: { 200: { description: "A script or a style sheet" } },
});

const files = docsFiles(async () => (await import("./docs.js", { with: { type: "text" } })).default);

const page = renderDocsPage({
  language: "en",
  title: info.title,
  filesPath: `${basePath}/docs`,
  documentPath: `${basePath}/openapi.json`,
});

/** Adds `GET /openapi.json`, `GET /docs` and the files of the page. */
export function addDocs(app: V2App): void {
  let document: string | undefined;
  app.openapi(openapiRoute, (c) => {
    document ??= JSON.stringify(describeApi(app));
    return respondJson(c, document);
  });
  app.openapi(pageRoute, (c) => c.body(page, 200, docsPageHeaders));
  app.openapi(fileRoute, (c) => {
    const name = c.req.valid("param").file;
    const file = files.find((known) => known.name === name);
    if (!file) throw new AppError("not_found", `no file '${name.slice(0, 100)}'`);
    return c.var.deps.docsFiles.respond(c.req.raw, file);
  });
}
