/** GET /console: the built console, with a policy that permits only its own scripts and the configured images. */
import type { Config } from "../config.ts";
import { listImageSources } from "../image_hosts.ts";
import { acceptsGzip } from "./common/gzip.ts";
import { type ConsoleFiles, createConsoleFiles } from "./console_files.ts";

const assetPrefix = "/console/assets/";

/** Reports whether a path belongs to the console. */
export const isConsolePath = (path: string): boolean => path === "/console" || path.startsWith("/console/");

/** Returns the content security policy of the page. */
export const consolePolicy = (imageSources: readonly string[]): string =>
  [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    `img-src ${["'self'", "blob:", ...imageSources].join(" ")}`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
  ].join("; ");

const commonHeaders: Record<string, string> = {
  "x-content-type-options": "nosniff",
  "referrer-policy": "no-referrer",
  "cross-origin-opener-policy": "same-origin",
  "cross-origin-resource-policy": "same-origin",
};

const notBuilt = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>contactsheet</title></head>
<body>
<h1>The console was not built</h1>
<p>Run <code>deno task console</code>, then load this page again. <code>deno task start</code> builds it before it starts.</p>
</body>
</html>
`;

/** Answers requests below /console. */
export type HandleConsole = (request: Request) => Promise<Response>;

const methodNotAllowed = () => new Response(null, { status: 405, headers: { allow: "GET, HEAD" } });

/**
 * Creates the handler. Files have their digest in their names and never change; the page is checked with each load.
 */
export function createConsole(
  config: Pick<Config, "IMAGE_HOSTS" | "IMAGE_API_URL" | "LUMINA_API_URL">,
  files: ConsoleFiles = createConsoleFiles(),
): HandleConsole {
  const policy = consolePolicy(listImageSources(config));
  const pageHeaders = {
    ...commonHeaders,
    "content-type": "text/html; charset=utf-8",
    "content-security-policy": policy,
  };

  async function answerFile(name: string, acceptsGzip: boolean): Promise<Response> {
    const file = await files.load(name);
    if (!file) {
      const headers = {
        ...commonHeaders,
        "cache-control": "no-store",
        "content-type": "text/plain; charset=utf-8",
      };
      return new Response("no such file\n", { status: 404, headers });
    }
    const headers: Record<string, string> = {
      ...commonHeaders,
      "content-type": file.contentType,
      "cache-control": "public, max-age=31536000, immutable",
      vary: "accept-encoding",
    };
    if (acceptsGzip) headers["content-encoding"] = "gzip";
    return new Response(acceptsGzip ? file.gzip : file.bytes, { headers });
  }

  async function answerPage(ifNoneMatch: string | null): Promise<Response> {
    const page = await files.loadPage();
    if (!page) {
      const headers = { ...pageHeaders, "cache-control": "no-store", "retry-after": "10" };
      return new Response(notBuilt, { status: 503, headers });
    }
    const headers = { ...pageHeaders, "cache-control": "no-cache", etag: page.etag };
    if (ifNoneMatch?.includes(page.etag)) return new Response(null, { status: 304, headers });
    return new Response(page.html, { headers });
  }

  return async ({ method, url, headers }) => {
    if (method !== "GET" && method !== "HEAD") return methodNotAllowed();
    const { pathname } = new URL(url);
    const isCompressed = acceptsGzip(headers.get("accept-encoding"));
    const response = pathname.startsWith(assetPrefix)
      ? await answerFile(pathname.slice(assetPrefix.length), isCompressed)
      : await answerPage(headers.get("if-none-match"));
    return method === "HEAD" ? new Response(null, response) : response;
  };
}
