/** Cross-origin answers as Starlette's CORSMiddleware gives them, with credentials and any header allowed. */

const methods = ["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"];

const isAllowed = (origins: readonly string[], origin: string) =>
  origins.includes("*") || origins.includes(origin);

/** The answer to a preflight; undefined where the request is none. */
export function answerPreflight(request: Request, origins: readonly string[]): Response | undefined {
  const { method, headers: asked } = request;
  const origin = asked.get("origin");
  const wanted = asked.get("access-control-request-method");
  if (method !== "OPTIONS" || origin === null || wanted === null) return undefined;
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
  if (!methods.includes(wanted)) failures.push("method");
  const names = asked.get("access-control-request-headers");
  if (names !== null) headers.set("access-control-allow-headers", names);
  return failures.length === 0
    ? new Response("OK", { headers })
    : new Response(`Disallowed CORS ${failures.join(", ")}`, { status: 400, headers });
}

/** Adds what lets a page of another origin read this answer; nothing where no origin asked. */
export function addCors(request: Request, headers: Headers, origins: readonly string[]): void {
  const origin = request.headers.get("origin");
  if (origin === null) return;
  headers.set("access-control-allow-credentials", "true");
  const anyone = origins.includes("*");
  if (anyone && !request.headers.has("cookie")) {
    headers.set("access-control-allow-origin", "*");
  } else if (isAllowed(origins, origin)) {
    headers.set("access-control-allow-origin", origin);
    headers.append("vary", "Origin");
  }
}
