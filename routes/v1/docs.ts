/** The OpenAPI document of v1 and the page that shows it. */
import { docsFiles, docsPageHeaders, renderDocsPage } from "../common/docs.ts";
import type { Call } from "./call.ts";
import openapi from "./openapi.json" with { type: "json" };

const documentPath = "/openapi.json";
const filesPath = "/docs";

const document = JSON.stringify(openapi);
const page = renderDocsPage({ language: "zh", title: openapi.info.title, filesPath, documentPath });

/** `GET /openapi.json`: the document that the old backend served. */
export function readOpenapi(): Response {
  return new Response(document, { headers: { "content-type": "application/json" } });
}

/** `GET /docs` and `GET /redoc`: Swagger UI. */
export function readDocs(): Response {
  return new Response(page, { headers: docsPageHeaders });
}

const files = docsFiles(async () => (await import("./docs.js", { with: { type: "text" } })).default);

/** Routes of the files that the page loads. */
export const docsFileRoutes = files.map((file) => ({
  methods: ["GET", "HEAD"],
  path: `${filesPath}/${file.name}`,
  access: "anyone" as const,
  handle: ({ deps, request }: Call): Promise<Response> => deps.docsFiles.respond(request, file),
}));
