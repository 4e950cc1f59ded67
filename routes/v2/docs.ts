/** The OpenAPI document, generated from the schemas that validate, and a page that shows it. */
import { z } from "@hono/zod-openapi";
import { docsHeaders, type OpenApi, renderDocs } from "../common/docs_page.ts";
import type { V2App } from "./kit/context.ts";
import { defineRoute } from "./kit/route.ts";

const info = {
  title: "contactsheet",
  version: "2",
  description: "Image-generation matrices: run them, rate and evaluate every image, compare. " +
    "Failures are RFC 9457 problem details; lists are paged by cursor; `Idempotency-Key` makes creation safe to repeat.",
};

/** The document of every route that was added before. */
export function describeApi(app: V2App): OpenApi {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "An access token of `POST /auth/login`, or the token of a share",
  });
  return app.getOpenAPI31Document({ openapi: "3.1.0", info, servers: [{ url: "/" }] }) as unknown as OpenApi;
}

const openapi = defineRoute({
  method: "get",
  path: "/openapi.json",
  who: "anyone",
  tags: ["docs"],
  summary: "This document",
  responses: {
    200: { description: "OpenAPI 3.1", content: { "application/json": { schema: z.looseObject({}) } } },
  },
});

const docs = defineRoute({
  method: "get",
  path: "/docs",
  who: "anyone",
  tags: ["docs"],
  summary: "The same as a page",
  responses: { 200: { description: "HTML", content: { "text/html": { schema: z.string() } } } },
});

/** `GET /openapi.json` and `GET /docs` */
export function addDocs(app: V2App): void {
  let text: string | undefined;
  let page: string | undefined;
  app.openapi(openapi, (c) => {
    text ??= JSON.stringify(describeApi(app));
    return c.body(text, 200, { "content-type": "application/json" }) as never;
  });
  app.openapi(docs, (c) => {
    page ??= renderDocs(describeApi(app), { language: "en", document: "/api/v2/openapi.json" });
    return c.body(page, 200, docsHeaders) as never;
  });
}
