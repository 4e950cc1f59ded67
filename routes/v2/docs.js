/** Starts Swagger UI for v2. Each operation shows its access rule, the extension `x-who` of the document. */
globalThis.SwaggerUIBundle({
  dom_id: "#swagger-ui",
  url: "/api/v2/openapi.json",
  deepLinking: true,
  filter: true,
  persistAuthorization: false,
  showExtensions: true,
});
