/** The raters: how far they agree, and how each differs from the others. */
import type { Schemas } from "../../api/client.ts";
import { plotColumn, PlotTable } from "../../charts/plot_table.tsx";
import { formatEstimate, scaleFor } from "../../charts/scale.ts";
import { formatNumber } from "../../text/format.ts";
import { fixed, signed } from "./measures.ts";
import { resultsTexts } from "./texts.ts";
import { describeWarning } from "./words.ts";

type Agreement = Schemas["Agreement"];
type Rater = Agreement["raters"][number];

export function Raters({ agreement }: { agreement: Agreement }) {
  const t = resultsTexts.value.raters;
  const { raters, alpha, shared_images: images, units, warnings } = agreement;
  if (raters.length === 0) return null;
  const biasOf = ({ bias: value }: Rater) => value === null ? null : { value, low: null, high: null };
  const note = raters.length === 1 ? t.one : warnings.map(describeWarning).join(". ");
  return (
    <section class="panel stack">
      <h2>{t.title}</h2>
      {alpha && (
        <p class="results-alpha number">
          α {formatEstimate(alpha, fixed)} <small class="muted">{t.alpha(images, units)}</small>
        </p>
      )}
      {note && <p class="muted">{note}</p>}
      <PlotTable<Rater>
        caption={t.title}
        rows={raters}
        columns={[
          { title: t.rater, cell: ({ rater }) => rater ?? t.unnamed },
          plotColumn({
            title: t.bias,
            scale: scaleFor(raters.map(biasOf), 1, [0]),
            format: signed,
            of: biasOf,
            reference: 0,
          }),
          {
            title: t.inconsistency,
            cell: ({ inconsistency }) => inconsistency === null ? "–" : fixed(inconsistency),
          },
          { title: "n", cell: ({ n, shared }) => t.n(formatNumber(n), formatNumber(shared)) },
        ]}
      />
      <p class="muted small">{t.legend}</p>
    </section>
  );
}
