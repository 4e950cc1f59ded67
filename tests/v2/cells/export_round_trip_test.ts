/** What an export contains can be read back from each of its formats to the same values. */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { ExportCell, ExportRating } from "../../../db/views/export.ts";
import type { ExportAxis } from "../../../routes/v2/cells/export_axes.ts";
import { feedbackColumns } from "../../../routes/v2/cells/export_feedback.ts";
import { pageEnd, pageRows, pageStart } from "../../../routes/v2/cells/export_page.ts";
import { csvField, csvHead, csvRow, ndjsonRow, toRow } from "../../../routes/v2/cells/export_rows.ts";
import {
  omit,
  parseCsv,
  readCsv,
  readNdjson,
  readPage,
  type RestoredRow,
  withoutGuard,
} from "../support/export_files.ts";

/** Texts of signs that have a meaning in CSV, JSON, HTML or a spreadsheet. */
const text = fc.array(
  fc.constantFrom(
    ...[
      "=",
      "+",
      "-",
      "@",
      "＝",
      "－",
      "'",
      '"',
      '""',
      ",",
      ", ",
      ";",
      "\t",
      "\r",
      "\n",
      "\r\n",
      " ",
      "\\",
      "\\n",
    ],
    ...[
      "[",
      "]",
      "[]",
      "{",
      "null",
      "a",
      "b",
      "1",
      "<",
      ">",
      "</script>",
      "<!--",
      "&",
      "\u2028",
      "\u0085",
      "\ufeff",
    ],
    ...["夕阳", "🐱", "\0".replace("\0", "\u0001"), "e\u0301"],
  ),
  { maxLength: 6 },
).map((parts) => parts.join(""));
const orNull = <T>(values: fc.Arbitrary<T>) => fc.option(values, { nil: null });
const version = fc.integer({ min: 1, max: 3 });
const tookMs = orNull(fc.nat(86_400_000));

const starsOrReason = fc.oneof(
  fc.integer({ min: 1, max: 5 }).map((stars) => ({ stars, skipped: null })),
  text.map((skipped) => ({ stars: null, skipped })),
);
const rating: fc.Arbitrary<ExportRating> = fc.tuple(version, text, starsOrReason, fc.boolean(), tookMs).map(
  ([version, rater, { stars, skipped }, blind, took]) => [version, rater, stars, skipped, blind, took],
);
const evaluation = fc.record({ version, author_id: text, text, tags: fc.array(text, { maxLength: 3 }) });
const vote = fc.record({
  version,
  rater_id: text,
  outcome: fc.constantFrom("better", "worse", "tie", "skip"),
  other_cell: fc.nat(),
  other_version: version,
  blind: fc.boolean(),
  took_ms: tookMs,
});
const list = <T>(values: fc.Arbitrary<T>) => orNull(fc.array(values, { minLength: 1, maxLength: 3 }));

const axis = fc.record({
  name: text,
  values: fc.array(text, { minLength: 1, maxLength: 3 }),
  stride: fc.constant(undefined),
});
const axes: fc.Arbitrary<ExportAxis[]> = fc.array(axis, { maxLength: 6 }).map((found) =>
  found.map(({ name, values, stride }, i) => ({ axis: `v${i}`, name: name || `v${i}`, values, stride }))
);
const cell: fc.Arbitrary<ExportCell> = fc.record({
  cell: fc.nat(2_147_483_647),
  variable_indices: orNull(fc.array(orNull(fc.nat(2)), { minLength: 6, maxLength: 6 })),
  status: fc.constantFrom("pending", "completed", "failed"),
  version: fc.integer({ min: 0, max: 3 }),
  image: orNull(text),
  seed: orNull(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String)),
  ratio: orNull(text),
  prompts: orNull(
    fc.array(text, { maxLength: 3 }).map((values) =>
      JSON.stringify(values.map((value) => ({ type: "freetext", value })))
    ),
  ),
  error: orNull(text),
  n: orNull(fc.nat(100)),
  mean: orNull(fc.double({ min: 1, max: 5, noNaN: true })),
  evaluate: list(text),
  ratings: list(rating),
  evaluations: list(evaluation),
  votes: list(vote),
  tags: list(fc.record({ tag: text, author_id: text })),
  favourite: fc.boolean(),
});

/** Returns the row that a reader must restore, apart from its axes. */
function expectedFeedback(found: ExportCell) {
  const of = <T extends { version: number }>(given: T[] | null, wanted: number) =>
    (given ?? []).filter((one) => one.version === wanted);
  const image = (wanted: number) => {
    const ratings = (found.ratings ?? []).filter(([rated]) => rated === wanted);
    const evaluations = of(found.evaluations, wanted);
    return {
      raters: ratings.map((one) => one[1]),
      ratings: ratings.map((one) => one[2]),
      skip_reasons: ratings.map((one) => one[3]),
      ratings_blind: ratings.map((one) => one[4]),
      ratings_took_ms: ratings.map((one) => one[5]),
      evaluations: evaluations.map((one) => one.text),
      evaluation_authors: evaluations.map((one) => one.author_id as string | null),
      evaluation_tags: evaluations.map((one) => one.tags),
      votes: of(found.votes, wanted).map(({ version: _, rater_id, ...one }) =>
        Object.assign({ rater: rater_id }, one)
      ),
    };
  };
  const present = image(found.version);
  if (present.evaluations.length === 0 && found.evaluate !== null) {
    present.evaluations = found.evaluate;
    present.evaluation_authors = found.evaluate.map(() => null);
    present.evaluation_tags = found.evaluate.map(() => []);
  }
  const hasFeedback = (wanted: number) =>
    (found.ratings ?? []).some(([rated]) => rated === wanted) ||
    [found.evaluations, found.votes].some((given) => (given ?? []).some((one) => one.version === wanted));
  const earlier = [1, 2, 3].filter((wanted) => wanted !== found.version && hasFeedback(wanted));
  return Object.assign(present, {
    tags: (found.tags ?? []).map(({ tag }) => tag),
    tag_authors: (found.tags ?? []).map(({ author_id }) => author_id),
    earlier_images: earlier.map((wanted) => Object.assign({ version: wanted }, image(wanted))),
  });
}

Deno.test("each format of an export is read back to the values that it was written from", () => {
  fc.assert(
    fc.property(axes, fc.array(cell, { maxLength: 4 }), (axes, cells) => {
      const rows = cells.map((found) => toRow(axes, found, (id) => id));
      const fromCsv = readCsv(csvHead(axes) + rows.map((row) => csvRow(axes, row)).join(""));
      const fromLines = readNdjson(rows.map((row) => ndjsonRow(axes, row)).join(""));
      assert.deepEqual(fromCsv, fromLines);
      cells.forEach((found, i) => {
        const restored = fromLines[i]!;
        const keep = <K extends keyof RestoredRow>(...names: K[]) => names.map((name) => restored[name]);
        assert.deepEqual(
          keep("cell", "status", "version", "image", "seed", "ratio", "error", "mean", "n", "favourite"),
          [
            ...[found.cell, found.status, found.version, found.image, found.seed, found.ratio, found.error],
            ...[found.mean, found.n, found.favourite],
          ],
        );
        const prompts = JSON.parse(found.prompts ?? "[]").map(({ value }: { value: string }) => value);
        assert.deepEqual(restored.prompts, prompts.filter((prompt: string) => prompt !== ""));
        assert.deepEqual(
          Object.fromEntries(feedbackColumns.map((name) => [name, restored[name]])),
          expectedFeedback(found),
        );
        assert.deepEqual(
          restored.axes,
          axes.map(({ axis, name, values }, slot) => {
            const index = found.variable_indices?.[slot];
            return { axis, name, value: index == null ? null : values[index] ?? null };
          }),
        );
      });
      const head = { title: "", created_at: "", exported_at: "", axes, total: cells.length, blind: false };
      const page = readPage(pageStart(head) + pageRows(rows) + pageEnd());
      page.rows.forEach((row, i) => {
        const restored = fromLines[i]!;
        assert.deepEqual(omit(row, "indices"), omit(restored, "axes", "version"));
        const valuesAt = (row.indices as (number | null)[]).map((index, slot) =>
          index === null ? null : axes[slot]!.values[index]
        );
        assert.deepEqual(valuesAt, restored.axes.map(({ value }) => value));
      });
    }),
    { numRuns: 500 },
  );
});

Deno.test("a field of csv is no formula for a spreadsheet, and every text has a field of its own", () => {
  fc.assert(
    fc.property(text, (value) => {
      const [[field]] = parseCsv(`${csvField(value)}\r\n`) as [[string | null]];
      assert.notEqual(field, null);
      assert.doesNotMatch(field!.trimStart(), /^[=+\-@＝＋－＠]/);
      assert.doesNotMatch(field!, /^[\t\r\n]/);
      assert.equal(withoutGuard(field!), value);
    }),
    { numRuns: 2000 },
  );
  const fields: [given: string | null, wanted: string][] = [
    ["=1", "'=1"],
    ["'=1", "''=1"],
    ["'a", "'a"],
    [" =1", "' =1"],
    ["＝1", "'＝1"],
    ["a,b", '"a,b"'],
    [" a", '" a"'],
    ["\r", `"'\r"`],
    ["", '""'],
    [null, ""],
  ];
  for (const [given, wanted] of fields) assert.equal(csvField(given), wanted);
});
