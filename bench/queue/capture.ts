/** What the capture of changes costs: the throughput of this queue with its triggers disabled and enabled, in turns. */
import { disableCapture, enableCapture } from "../../migrate/data/back/capture.ts";
import type { Harness } from "./harness.ts";
import { atLeast, median, rangeOf, type Report } from "../report.ts";
import { runOurs, type ThroughputOptions } from "./throughput.ts";

/** Share of the throughput that is left while changes are captured. */
const shareMin = 0.95;

/** Runs the queue with and without the capture, in alternating order, and reports the ratio. */
export async function measureCapture(
  harness: Harness,
  report: Report,
  options: ThroughputOptions,
): Promise<void> {
  const disabled: number[] = [];
  const enabled: number[] = [];
  const startedAt = performance.now();
  const isLate = () => performance.now() - startedAt > options.secondsInAll * 1000;
  // The first run warms the servers up.
  await runOurs(harness, options, disableCapture);
  for (let round = 0; round < options.rounds && (round === 0 || !isLate()); round++) {
    const runDisabled = async () => void disabled.push(await runOurs(harness, options, disableCapture));
    const runEnabled = async () => void enabled.push(await runOurs(harness, options, enableCapture));
    for (const run of round % 2 === 0 ? [runDisabled, runEnabled] : [runEnabled, runDisabled]) await run();
  }
  const add = (what: string, rates: number[]) =>
    report({ what, value: median(rates), unit: "cells/s", spread: rangeOf(rates) });
  add("changes are not captured", disabled);
  add("changes are captured", enabled);
  const ratios = enabled.map((rate, round) => rate / disabled[round]!);
  const value = median(ratios);
  report({
    what: "captured ÷ not captured",
    value,
    unit: "×",
    spread: rangeOf(ratios),
    goal: atLeast(value, shareMin, "×"),
    note: `${ratios.length} round(s) in turns; a change is one row with the key of the changed row`,
  });
}
