/** The measures: where v2's answer has their numbers, and how they are formatted. */
import type { Schemas } from "../../api/client.ts";
import type { Estimate, Format } from "../../charts/scale.ts";
import { formatFixed, formatNumber, formatPercent, formatSigned } from "../../text/format.ts";

export type Level = Schemas["LevelStats"];
export type Stats = Schemas["Stats"];

export const measureNames = ["mean", "top2", "fail", "bt"] as const;
export type Measure = (typeof measureNames)[number];
const failures = ["refused", "timed_out", "failed"] as const;

/** One estimate of each level. */
export interface Series {
  name: Exclude<Measure, "fail"> | (typeof failures)[number];
  of: (level: Level) => Estimate | null;
}

interface MeasureForm {
  series: readonly Series[];
  format: Format;
  /** Smallest range that a chart shows. */
  least: number;
  /** Values that a chart shows in any case. */
  shown: readonly number[];
  /** Number of images on which the estimates are based; cells for failures, votes for strengths. */
  countOf: (level: Level) => number;
}

export const signed: Format = (value) => formatSigned(value, 2);
export const fixed: Format = (value) => formatFixed(value, 2);
const imagesOf = ({ n }: Level) => n?.images ?? 0;

export const measures: Record<Measure, MeasureForm> = {
  mean: {
    series: [{ name: "mean", of: ({ mean }) => mean ?? null }],
    format: fixed,
    least: 0.8,
    shown: [],
    countOf: imagesOf,
  },
  top2: {
    series: [{ name: "top2", of: ({ top2 }) => top2 ?? null }],
    format: formatPercent,
    least: 0.2,
    shown: [0],
    countOf: imagesOf,
  },
  fail: {
    series: failures.map((name): Series => ({
      name,
      of({ fail }) {
        const { rate, low, high } = fail![name];
        return rate === null ? null : { value: rate, low, high };
      },
    })),
    format: formatPercent,
    least: 0.1,
    shown: [0],
    countOf: ({ fail }) => fail!.ended,
  },
  bt: {
    series: [{ name: "bt", of: ({ bt }) => bt ? { ...bt, value: bt.strength } : null }],
    format: signed,
    least: 1,
    shown: [0],
    countOf: ({ bt }) => bt?.votes ?? 0,
  },
};

/** Returns a p-value: <0.001, 0.034. */
export const formatP = (p: number): string =>
  p < 0.001 ? `<${formatNumber(0.001, 3)}` : formatNumber(p, p < 0.1 ? 3 : 2);
