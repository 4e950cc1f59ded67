/** Documentation pages: Swagger UI and the files it loads, all from the API's own origin. */
import { acceptsGzip, gzip } from "./gzip.ts";

/** A text file that a documentation page loads. */
export interface DocsFile {
  name: string;
  contentType: string;
  load(): Promise<string>;
}

/** Files of documentation pages, held in memory. */
export interface DocsFiles {
  /** Returns a response with `file`, or 304 if the client has its present version. */
  respond(request: Request, file: DocsFile): Promise<Response>;
}

const css = "text/css; charset=utf-8";
const javaScript = "text/javascript; charset=utf-8";

/** Files that every documentation page loads. A text import needs no permission to read files. */
const sharedFiles: readonly DocsFile[] = [
  {
    name: "swagger-ui.css",
    contentType: css,
    load: async () => (await import("swagger-ui-dist/swagger-ui.css", { with: { type: "text" } })).default,
  },
  {
    name: "docs.css",
    contentType: css,
    load: async () => (await import("./docs.css", { with: { type: "text" } })).default,
  },
  {
    name: "swagger-ui-bundle.js",
    contentType: javaScript,
    load: async () =>
      (await import("swagger-ui-dist/swagger-ui-bundle.js", { with: { type: "text" } })).default,
  },
];

/** Returns the files of a page whose script starts Swagger UI. The script is the last file, `docs.js`. */
export const docsFiles = (loadScript: () => Promise<string>): readonly DocsFile[] => [
  ...sharedFiles,
  { name: "docs.js", contentType: javaScript, load: loadScript },
];

interface CompressedFile {
  text: string;
  gzip: Uint8Array<ArrayBuffer>;
  etag: string;
}

async function compress(file: DocsFile): Promise<CompressedFile> {
  const text = await file.load();
  const bytes = new TextEncoder().encode(text);
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return {
    text,
    gzip: await gzip(bytes),
    // The tag is weak because both encodings carry it.
    etag: `W/"${hash.subarray(0, 12).toHex()}"`,
  };
}

/** Creates the files. Each is read and compressed at its first request. */
export function createDocsFiles(): DocsFiles {
  const compressed = new Map<DocsFile, Promise<CompressedFile>>();
  return {
    async respond({ headers: requestHeaders }, file) {
      const compressing = compressed.get(file) ?? compress(file);
      compressed.set(file, compressing);
      const { text, gzip: gzipped, etag } = await compressing;
      const headers = new Headers({
        etag,
        "cache-control": "public, no-cache",
        "content-type": file.contentType,
        "x-content-type-options": "nosniff",
        vary: "accept-encoding",
      });
      if (requestHeaders.get("if-none-match")?.includes(etag)) {
        return new Response(null, { status: 304, headers });
      }
      if (!acceptsGzip(requestHeaders.get("accept-encoding"))) return new Response(text, { headers });
      headers.set("content-encoding", "gzip");
      return new Response(gzipped, { headers });
    },
  };
}

export interface DocsPage {
  language: string;
  /** Title without characters that are special in HTML. */
  title: string;
  /** Path of the page's files, without a slash at its end. */
  filesPath: string;
  /** Path of the OpenAPI document, for browsers without scripts. */
  documentPath: string;
}

/** Headers of a page: scripts, styles and requests of its own origin only, and images inside its style sheets. */
export const docsPageHeaders: Record<string, string> = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "connect-src 'self'",
    "img-src 'self' data:",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
  "referrer-policy": "no-referrer",
};

/** Returns the HTML of a page. */
export function renderDocsPage({ language, title, filesPath, documentPath }: DocsPage): string {
  return `<!doctype html>
<html lang="${language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${title}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="${filesPath}/swagger-ui.css">
<link rel="stylesheet" href="${filesPath}/docs.css">
</head>
<body>
<div id="swagger-ui"><a href="${documentPath}">${documentPath}</a></div>
<script src="${filesPath}/swagger-ui-bundle.js"></script>
<script src="${filesPath}/docs.js"></script>
</body>
</html>
`;
}
