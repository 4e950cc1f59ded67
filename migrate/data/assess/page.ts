/** The assessment as a self-contained HTML page, without scripts or external fonts and images. */
import type { Assessment } from "./assess.ts";
import type { AffectedDocuments } from "./affected.ts";
import type { CollectionAssessment } from "./assessor.ts";
import type { AssessVerdict } from "./verdict.ts";
import { formatBytes, formatCount, formatCounted, formatSeconds } from "../tools/format.ts";
import { escapeHtml } from "./html.ts";
import type { Collection } from "../documents/source.ts";
import { tables } from "../lens/tables.ts";

const style = `
  :root { color-scheme: light dark; --ink: #1c2430; --soft: #5d6876; --line: #d5dae0; --paper: #fff;
    --exact: #2f7d4f; --adjusted: #c98a1b; --quarantined: #b3392f; --bar: #3b6ea8; }
  @media (prefers-color-scheme: dark) { :root { --ink: #e8ebef; --soft: #a0a9b4; --line: #3a424c; --paper: #171b20;
    --exact: #58b37d; --adjusted: #e0ad4d; --quarantined: #e0695f; --bar: #7aa7d9; } }
  body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
    max-width: 60rem; padding: 0 1rem; }
  h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2rem; }
  p.soft, td.soft { color: var(--soft); }
  .verdict { border-left: .5rem solid; padding: .5rem 1rem; margin: 1.5rem 0; }
  .verdict strong { font-size: 1.6rem; }
  .GO { border-color: var(--exact); } .WAIT { border-color: var(--adjusted); } .NO-GO { border-color: var(--quarantined); }
  table { border-collapse: collapse; width: 100%; } th, td { text-align: left; padding: .3rem .6rem .3rem 0;
    border-bottom: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
  .reasons td:first-child { white-space: nowrap; }
  .number { text-align: right; white-space: nowrap; }
  svg { width: 100%; height: auto; font: 13px system-ui, sans-serif; } svg text { fill: var(--ink); }
  .exact { fill: var(--exact); } .adjusted { fill: var(--adjusted); } .quarantined { fill: var(--quarantined); }
  .bar { fill: var(--bar); }
`;

interface Bar {
  label: string;
  parts: { kind: "exact" | "adjusted" | "quarantined" | "bar"; count: number }[];
}

const labelWidth = 150;
const chartWidth = 520;
const totalWidth = 110;
const lineHeight = 30;
/** Smallest width of a part, so that small counts are visible. */
const partWidthMin = 2;

const totalOf = ({ parts }: Bar): number => parts.reduce((sum, { count }) => sum + count, 0);

/** Returns one bar with its label and total. Browsers show the title of a part as a tooltip. */
function drawBar(bar: Bar, line: number, largestTotal: number): string {
  let x = labelWidth;
  const y = line * lineHeight + 6;
  const rects = bar.parts.filter(({ count }) => count > 0).map(({ kind, count }) => {
    const width = Math.max(partWidthMin, count / largestTotal * chartWidth);
    const title = `${kind === "bar" ? "" : `${kind} `}${formatCount(count)}`;
    const rect =
      `<rect class="${kind}" x="${x.toFixed(1)}" y="${y}" width="${width.toFixed(1)}" height="18">` +
      `<title>${title}</title></rect>`;
    x += width;
    return rect;
  });
  const textY = y + 14;
  const label = `<text x="${labelWidth - 8}" y="${textY}" text-anchor="end">${escapeHtml(bar.label)}</text>`;
  const total = `<text x="${(x + 8).toFixed(1)}" y="${textY}">${formatCount(totalOf(bar))}</text>`;
  return `${label}${rects.join("")}${total}`;
}

/** Returns an SVG chart with one bar a line. */
function chart(title: string, bars: Bar[]): string {
  const largestTotal = Math.max(1, ...bars.map(totalOf));
  const width = labelWidth + chartWidth + totalWidth;
  const height = bars.length * lineHeight + 6;
  const lines = bars.map((bar, i) => drawBar(bar, i, largestTotal)).join("");
  return `<svg role="img" aria-label="${escapeHtml(title)}" viewBox="0 0 ${width} ${height}">${lines}</svg>`;
}

type Cell = string | number;

function table(head: string[], rows: Cell[][]): string {
  const isNumber = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number"));
  const cell = (tag: "th" | "td", value: Cell, i: number) => {
    const content = typeof value === "number" ? formatCount(value) : escapeHtml(value);
    return `<${tag}${isNumber[i] ? ' class="number"' : ""}>${content}</${tag}>`;
  };
  const row = (tag: "th" | "td", values: Cell[]) =>
    `<tr>${values.map((value, i) => cell(tag, value, i)).join("")}</tr>`;
  const body = rows.map((values) => row("td", values)).join("");
  return `<table><thead>${row("th", head)}</thead><tbody>${body}</tbody></table>`;
}

const affectedTable = (list: AffectedDocuments[], name: string) =>
  table(
    [name, "collection", "field", "documents", "examples"],
    list.map((c) => [c.name, c.collection, c.path, c.documents, c.samples.slice(0, 3).join(", ")]),
  );

function section(title: string, body: string): string {
  return `<h2>${escapeHtml(title)}</h2>\n${body}\n`;
}

const formatCounts = (counts: Record<string, number>) =>
  Object.entries(counts).map(([name, count]) => `${name} ${formatCount(count)}`).join(", ");

function fieldSection({ collection, shapes: list }: CollectionAssessment): string {
  if (list.length === 0) return "";
  return section(
    `Fields of ${collection}`,
    table(["field", "types"], list.map(({ path, types }) => [path, formatCounts(types)])),
  );
}

const verdictTexts = {
  GO: "The source can be loaded.",
  WAIT: "A load would work, but somebody should decide about these points first.",
  "NO-GO": "A load of this source is not useful.",
};

/** Returns the HTML page of an assessment. */
export function makePage(assessment: Assessment, { verdict, reasons }: AssessVerdict): string {
  const { source, collections, rules, quarantine, predicted, fingerprint } = assessment;
  const documents = collections.reduce((sum, collection) => sum + collection.documents, 0);
  const outcomeBars = collections.map((assessment): Bar => ({
    label: assessment.collection,
    parts: (["exact", "adjusted", "quarantined"] as const).map((kind) => ({ kind, count: assessment[kind] })),
  }));
  const generationBars = collections.flatMap(({ collection, generations }) =>
    Object.entries(generations).sort(([a], [b]) => a < b ? -1 : 1).map(([name, count]): Bar => ({
      label: `${tables[collection as Collection].name} ${name}`,
      parts: [{ kind: "bar", count }],
    }))
  );
  const levels = { "no-go": "against a load", wait: "to decide", note: "note" };
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Assessment: ${verdict}</title>
<style>${style}</style>
</head>
<body>
<h1>Assessment of the old data</h1>
<p class="soft">${escapeHtml(source.kind)} ${escapeHtml(source.location)}, content ${
    fingerprint.slice(0, 12)
  }</p>
<div class="verdict ${verdict}"><strong>${verdict}</strong><br>${verdictTexts[verdict]}</div>
<p>${formatCounted(documents, "document")}, ${formatBytes(source.bytes)}. A load takes about ${
    formatSeconds(predicted.load_seconds)
  } on this machine and ${formatBytes(predicted.disk_bytes)} of disk. Nothing was written.</p>
${
    reasons.length === 0
      ? ""
      : `<div class="reasons">${
        table(["", "reason"], reasons.map(({ level, text }) => [levels[level], text]))
      }</div>`
  }
${section("Predicted outcome of the documents", chart("documents by outcome", outcomeBars))}
<p class="soft">exact: the row reproduces the document · adjusted: a value was changed to fit a column, and the original
value is kept · quarantined: the document gets no row; its bytes are kept and can be loaded later</p>
${section("Generations", chart("documents by generation", generationBars))}
${
    section(
      "Collections",
      table(
        ["collection", "documents", "exact", "adjusted", "quarantined", "statuses", "largest document"],
        collections.map((c) => [
          ...[c.collection, c.documents, c.exact, c.adjusted, c.quarantined, formatCounts(c.statuses)],
          `${formatBytes(c.bytes_max)}${c.biggest === null ? "" : ` (${c.biggest})`}`,
        ]),
      ),
    )
  }
${
    quarantine.length === 0
      ? ""
      : section("Documents that would get no row", affectedTable(quarantine, "reason"))
  }
${rules.length === 0 ? "" : section("Documents that rules would change", affectedTable(rules, "rule"))}
${collections.map(fieldSection).join("")}
</body>
</html>
`;
}
