/** The assessment as one page that opens anywhere: no script, no font, no image from elsewhere. */
import type { Assessment, CollectionAssessment, Concern } from "./assess.ts";
import { type AssessVerdict, sayBytes, saySeconds } from "./verdict.ts";
import { escapeHtml } from "./html.ts";

const n = (count: number) => count.toLocaleString("en");

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

/** A bar a line; each part has a title, so its number shows under the pointer. */
function chart(title: string, bars: Bar[]): string {
  const left = 150;
  const width = 520;
  const step = 30;
  const total = (bar: Bar) => bar.parts.reduce((sum, { count }) => sum + count, 0);
  const most = Math.max(1, ...bars.map(total));
  const rows = bars.map((bar, i) => {
    let x = left;
    const parts = bar.parts.filter(({ count }) => count > 0).map(({ kind, count }) => {
      // What is there is seen, however little it is.
      const size = Math.max(2, count / most * width);
      const rect =
        `<rect class="${kind}" x="${x.toFixed(1)}" y="${i * step + 6}" width="${
          size.toFixed(1)
        }" height="18">` +
        `<title>${kind === "bar" ? "" : `${kind} `}${n(count)}</title></rect>`;
      x += size;
      return rect;
    });
    const y = i * step + 20;
    return `<text x="${left - 8}" y="${y}" text-anchor="end">${escapeHtml(bar.label)}</text>${
      parts.join("")
    }` +
      `<text x="${(x + 8).toFixed(1)}" y="${y}">${n(total(bar))}</text>`;
  });
  return `<svg role="img" aria-label="${escapeHtml(title)}" viewBox="0 0 ${left + width + 110} ${
    bars.length * step + 6
  }">` +
    `${rows.join("")}</svg>`;
}

type Cell = string | number;

function table(head: string[], rows: Cell[][]): string {
  const isNumber = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number"));
  const cell = (tag: "th" | "td", value: Cell, i: number) =>
    `<${tag}${isNumber[i] ? ' class="number"' : ""}>${
      typeof value === "number" ? n(value) : escapeHtml(value)
    }</${tag}>`;
  return `<table><thead><tr>${head.map((name, i) => cell("th", name, i)).join("")}</tr></thead><tbody>${
    rows.map((row) => `<tr>${row.map((value, i) => cell("td", value, i)).join("")}</tr>`).join("")
  }</tbody></table>`;
}

const concerns = (list: Concern[], name: string) =>
  table(
    [name, "collection", "field", "documents", "for example"],
    list.map((c) => [c.name, c.collection, c.path, c.documents, c.samples.slice(0, 3).join(", ")]),
  );

function section(title: string, body: string): string {
  return `<h2>${escapeHtml(title)}</h2>\n${body}\n`;
}

const counts = (all: Record<string, number>) =>
  Object.entries(all).map(([name, count]) => `${name} ${n(count)}`).join(", ");

function shapes({ collection, shapes: list }: CollectionAssessment): string {
  if (list.length === 0) return "";
  return section(
    `Fields of ${collection}`,
    table(["field", "types"], list.map(({ path, types }) => [path, counts(types)])),
  );
}

const verdictWords = {
  GO: "Nothing stands in the way of a load.",
  WAIT: "A load would work; somebody should decide about these points first.",
  "NO-GO": "A load of this source makes no sense as it is.",
};

/** One HTML page for somebody who decides. */
export function makePage(assessment: Assessment, { verdict, reasons }: AssessVerdict): string {
  const { source, collections, rules, quarantine, predicted, fingerprint } = assessment;
  const documents = collections.reduce((sum, one) => sum + one.documents, 0);
  const outcome = collections.map((one): Bar => ({
    label: one.collection,
    parts: (["exact", "adjusted", "quarantined"] as const).map((kind) => ({ kind, count: one[kind] })),
  }));
  const ages = collections.flatMap(({ collection, generations }) =>
    Object.entries(generations).sort(([a], [b]) => a < b ? -1 : 1).map(([name, count]): Bar => ({
      label: `${collection === "dramatiq_tasks" ? "subtasks" : collection} ${name}`,
      parts: [{ kind: "bar", count }],
    }))
  );
  const words = { "no-go": "against it", wait: "to decide", note: "to know" };
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
<div class="verdict ${verdict}"><strong>${verdict}</strong><br>${verdictWords[verdict]}</div>
<p>${n(documents)} documents, ${sayBytes(source.bytes)}. A load takes about ${
    saySeconds(predicted.load_seconds)
  } on this machine and ${sayBytes(predicted.disk_bytes)} of disk. Nothing was written.</p>
${
    reasons.length === 0
      ? ""
      : `<div class="reasons">${
        table(["", "what"], reasons.map(({ level, text }) => [words[level], text]))
      }</div>`
  }
${section("What becomes of the documents", chart("documents by outcome", outcome))}
<p class="soft">exact: the row says all of it · adjusted: a column says it in another way, the document's own value is
kept · quarantined: no row, the bytes are kept and can be replayed</p>
${section("Generations", chart("documents by generation", ages))}
${
    section(
      "Collections",
      table(
        ["collection", "documents", "exact", "adjusted", "quarantined", "statuses", "biggest document"],
        collections.map((c) => [
          ...[c.collection, c.documents, c.exact, c.adjusted, c.quarantined, counts(c.statuses)],
          `${sayBytes(c.bytes_max)}${c.biggest === null ? "" : ` (${c.biggest})`}`,
        ]),
      ),
    )
  }
${quarantine.length === 0 ? "" : section("Documents that would get no row", concerns(quarantine, "reason"))}
${rules.length === 0 ? "" : section("What rules would touch", concerns(rules, "rule"))}
${collections.map(shapes).join("")}
</body>
</html>
`;
}
