/**
 * The export as one HTML page with inline data, script and style. Its policy permits no other sources except
 * images.
 */
import script from "./export_viewer.js" with { type: "text" };
import style from "./export_viewer.css" with { type: "text" };
import type { ExportAxis } from "./export_axes.ts";
import { feedbackColumns } from "./export_feedback.ts";
import type { ExportRow } from "./export_rows.ts";

/** Formats JSON for a script element: it cannot end the element or start a comment. */
export const scriptJson = (value: unknown): string =>
  JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (sign) => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const escapes: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (sign) => escapes[sign]!);

async function hashSource(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${new Uint8Array(bytes).toBase64()}'`;
}

const policy = [
  "default-src 'none'",
  "img-src https: http:",
  `script-src ${await hashSource(script)}`,
  `style-src ${await hashSource(style)}`,
  "base-uri 'none'",
  "form-action 'none'",
].join("; ");

/** Data at the start of the page. */
export interface PageHead {
  title: string;
  created_at: string;
  exported_at: string;
  axes: ExportAxis[];
  total: number;
  /** Whether others' ratings are left out. */
  blind: boolean;
}

/** Columns of the rows; `export_viewer.js` reads their names from the page. */
const columns = [
  "cell",
  "indices",
  "status",
  "image",
  "seed",
  "ratio",
  "prompts",
  "error",
  "mean",
  "n",
  "distribution",
  ...feedbackColumns,
  "favourite",
] as const satisfies (keyof ExportRow)[];

/** Returns the page up to its rows. */
export function pageStart(head: PageHead): string {
  const axes = head.axes.map(({ axis, name, values }) => ({ axis, name, values }));
  const shown = Object.assign({}, head, { axes, columns });
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(head.title || "Contact sheet")}</title>
<style>${style}</style>
</head>
<body>
<noscript>This page needs its script to show the images.</noscript>
<script type="application/json" id="head">${scriptJson(shown)}</script>
`;
}

/** Returns rows as arrays; property names would dominate the size of the file. */
export function pageRows(rows: ExportRow[]): string {
  const lists = rows.map((row) => columns.map((column) => row[column]));
  return `<script type="application/json" class="rows">${scriptJson(lists)}</script>\n`;
}

export const pageEnd = (): string => `<script>${script}</script>\n</body>\n</html>\n`;
