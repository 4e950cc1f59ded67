/** The document of v1 and a page that shows it, both from our own origin. */
import { docsHeaders, type OpenApi, renderDocs } from "../common/docs_page.ts";
import openapi from "./openapi.json" with { type: "json" };

const document = JSON.stringify(openapi);
const page = renderDocs(openapi as unknown as OpenApi, { language: "zh", document: "/openapi.json" });

/** `GET /openapi.json`: the document that the old backend served. */
export function readOpenapi(): Response {
  return new Response(document, { headers: { "content-type": "application/json" } });
}

/** `GET /docs` and `GET /redoc`: every call on one page, without a script and without another origin. */
export function readDocs(): Response {
  return new Response(page, { headers: docsHeaders });
}
