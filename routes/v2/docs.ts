/** The OpenAPI document, generated from the schemas that validate, and a page that shows it. */
import type { V2App } from "./context.ts";

const info = {
  title: "contactsheet",
  version: "2",
  description: "Image-generation matrices: run them, rate and evaluate every image, compare. " +
    "Failures are RFC 9457 problem details; lists are paged by cursor; `Idempotency-Key` makes creation safe to repeat.",
};

/** The document of every route that was added before. */
export function describeApi(app: V2App): unknown {
  app.openAPIRegistry.registerComponent("securitySchemes", "bearer", {
    type: "http",
    scheme: "bearer",
    description: "An access token of `POST /auth/login`, or the token of a share",
  });
  return app.getOpenAPI31Document({ openapi: "3.1.0", info, servers: [{ url: "/" }] });
}

/** `GET /openapi.json` and `GET /docs` */
export function addDocs(app: V2App): void {
  let text: string | undefined;
  app.get("/openapi.json", (c) => {
    text ??= JSON.stringify(describeApi(app));
    return c.body(text, 200, { "content-type": "application/json" });
  });
}
