/** CORS headers as Starlette's CORSMiddleware sends them, with credentials and any request header allowed. */

const methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

const isAllowed = (origins: readonly string[], origin: string) =>
  origins.includes("*") || origins.includes(origin);

/** Returns the response to a preflight request, or undefined for any other request. */
export function respondToPreflight(request: Request, origins: readonly string[]): Response | undefined {
  const { method, headers: requestHeaders } = request;
  const origin = requestHeaders.get("origin");
  const requestedMethod = requestHeaders.get("access-control-request-method");
  if (method !== "OPTIONS" || origin === null || requestedMethod === null) return undefined;
  const headers = new Headers({
    "content-type": "text/plain; charset=utf-8",
    "vary": "Origin",
    "access-control-allow-methods": methods.join(", "),
    "access-control-max-age": "600",
    "access-control-allow-credentials": "true",
  });
  const failures: string[] = [];
  if (isAllowed(origins, origin)) headers.set("access-control-allow-origin", origin);
  else failures.push("origin");
  if (!methods.includes(requestedMethod)) failures.push("method");
  const requestedHeaders = requestHeaders.get("access-control-request-headers");
  if (requestedHeaders !== null) headers.set("access-control-allow-headers", requestedHeaders);
  return failures.length === 0
    ? new Response("OK", { headers })
    : new Response(`Disallowed CORS ${failures.join(", ")}`, { status: 400, headers });
}

/** Adds the CORS headers to the response of a request that has an `Origin` header. */
export function addCors(request: Request, headers: Headers, origins: readonly string[]): void {
  const origin = request.headers.get("origin");
  if (origin === null) return;
  headers.set("access-control-allow-credentials", "true");
  const isAnyAllowed = origins.includes("*");
  if (isAnyAllowed && !request.headers.has("cookie")) {
    headers.set("access-control-allow-origin", "*");
  } else if (isAllowed(origins, origin)) {
    headers.set("access-control-allow-origin", origin);
    headers.append("vary", "Origin");
  }
}
