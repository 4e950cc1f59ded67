/** The export as one page that opens from disk: its data, its script and its style inside, and nothing else let in. */
import type { ExportAxis, ExportRow } from "./export_rows.ts";

/** JSON that may stand within a script element: no tag ends there, no comment begins. */
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

interface Parts {
  script: string;
  style: string;
  policy: string;
}

let parts: Promise<Parts> | undefined;

async function hashOf(text: string): Promise<string> {
  const bytes = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return `'sha256-${new Uint8Array(bytes).toBase64()}'`;
}

async function readParts(): Promise<Parts> {
  const [script, style] = await Promise.all(
    ["export_viewer.js", "export_viewer.css"].map((name) =>
      Deno.readTextFile(new URL(name, import.meta.url))
    ),
  ) as [string, string];
  const policy = `default-src 'none'; img-src https: http:; script-src ${await hashOf(
    script,
  )}; style-src ${await hashOf(
    style,
  )}; base-uri 'none'; form-action 'none'`;
  return { script, style, policy };
}

export interface PageHead {
  title: string;
  created_at: string;
  exported_at: string;
  axes: ExportAxis[];
  total: number;
  /** Others' ratings are left out where the task is blind to who exports. */
  blind: boolean;
}

export async function pageStart(head: PageHead): Promise<string> {
  const { style, policy } = await (parts ??= readParts());
  const { axes, ...rest } = head;
  const shown = { ...rest, axes: axes.map(({ axis, name, values }) => ({ axis, name, values })) };
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

/** Rows as lists: names would be most of the file. */
export function pageRows(rows: ExportRow[]): string {
  const lists = rows.map((row) => [
    ...[row.cell, row.places, row.status, row.image, row.seed, row.ratio, row.prompts.join(", "), row.error],
    ...[row.mean, row.n, row.distribution, row.evaluations ?? [], row.tags ?? []],
  ]);
  return `<script type="application/json" class="rows">${scriptJson(lists)}</script>\n`;
}

export async function pageEnd(): Promise<string> {
  const { script } = await (parts ??= readParts());
  return `<script>${script}</script>\n</body>\n</html>\n`;
}
