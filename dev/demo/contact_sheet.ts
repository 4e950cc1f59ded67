/** Renders the grid of a finished task as an HTML file next to its images. */
import { escapeHtml } from "../../migrate/data/assess/html.ts";

/** A cell of the grid. */
export interface SheetCell {
  row: number;
  column: number;
  /** Relative path of the image; undefined if there is none. */
  src?: string | undefined;
  status: string;
  /** Caption below the image: seed and size. */
  note: string;
}

/** The content of a contact sheet. */
export interface Sheet {
  title: string;
  subtitle: string;
  rows: string[];
  columns: string[];
  cells: SheetCell[];
}

const style = `
:root { color-scheme: light dark; --line: #8884; --soft: #8888; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 2rem; }
h1 { font-size: 1.4rem; margin: 0; }
p { margin: .2rem 0 1.2rem; opacity: .7; }
table { border-collapse: separate; border-spacing: 10px; }
th { font-weight: 600; text-align: left; position: sticky; background: Canvas; padding: .3rem .5rem; }
thead th { top: 0; }
tbody th { left: 0; max-width: 12rem; }
figure { margin: 0; }
img { display: block; border-radius: 6px; box-shadow: 0 1px 4px #0006; max-width: 260px; }
figcaption { font-size: .75rem; opacity: .65; padding-top: .25rem; }
.none { border: 1px dashed var(--soft); border-radius: 6px; padding: 2rem 1rem; text-align: center; }
`;

function renderCell(cell: SheetCell | undefined, alt: string): string {
  if (!cell?.src) return `<td><div class="none">${escapeHtml(cell?.status ?? "none")}</div></td>`;
  const src = escapeHtml(cell.src);
  return `<td><figure><a href="${src}"><img src="${src}" alt="${escapeHtml(alt)}" loading="lazy"></a>` +
    `<figcaption>${escapeHtml(cell.note)}</figcaption></figure></td>`;
}

/** Renders a contact sheet as HTML. Every text is escaped. The page has no scripts and loads nothing from other hosts. */
export function renderContactSheet({ title, subtitle, rows, columns, cells }: Sheet): string {
  const byPosition = new Map(cells.map((cell) => [`${cell.row},${cell.column}`, cell]));
  const head = columns.map((column) => `<th scope="col">${escapeHtml(column)}</th>`).join("");
  const body = rows.map((row, y) =>
    `<tr><th scope="row">${escapeHtml(row)}</th>${
      columns.map((column, x) => renderCell(byPosition.get(`${y},${x}`), `${row}, ${column}`)).join("")
    }</tr>`
  );
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<style>${style}</style>
<h1>${escapeHtml(title)}</h1>
<p>${escapeHtml(subtitle)}</p>
<table>
<thead><tr><td></td>${head}</tr></thead>
<tbody>
${body.join("\n")}
</tbody>
</table>
</html>
`;
}
