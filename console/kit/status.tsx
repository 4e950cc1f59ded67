/** States of cells and runs. Each has a shape of its own, so that none depends on colour. */
import { formatNumber, formatPercent } from "../text/format.ts";
import { common } from "./texts.ts";

export const states = [
  "pending",
  "processing",
  "completed",
  "failed",
  "cancelled",
  "held",
  "expired",
] as const;
export type State = (typeof states)[number];

/** Shapes on a grid of 16. */
export const marks: Record<State, { d: string; isFilled?: true }> = {
  pending: { d: "M8 13.2A5.2 5.2 0 1 0 8 2.8a5.2 5.2 0 0 0 0 10.4z" },
  processing: { d: "M8 2.8a5.2 5.2 0 1 1-5.2 5.2M8 5.6V8l1.8 1.2" },
  completed: { d: "M3 8.6l3.2 3.2L13 4.8" },
  failed: { d: "M3.8 3.8l8.4 8.4M12.2 3.8l-8.4 8.4" },
  cancelled: { d: "M8 13.2A5.2 5.2 0 1 0 8 2.8a5.2 5.2 0 0 0 0 10.4zM4.4 11.6l7.2-7.2" },
  held: { d: "M5.6 3.4v9.2M10.4 3.4v9.2" },
  expired: { d: "M2.8 3.2h10.4v4.2l-2 1.6 2 1.6v2.2H2.8v-2l2-1.6-2-1.8z" },
};

/** The shape of a state. With `label`, it has the state's name for screen readers. */
export function StateMark({ state, label = false }: { state: State; label?: boolean }) {
  const name = common.value.states[state];
  return (
    <svg
      class={`icon mark ${state}`}
      viewBox="0 0 16 16"
      role={label ? "img" : undefined}
      aria-label={label ? name : undefined}
      aria-hidden={label ? undefined : "true"}
    >
      <path d={marks[state].d} />
    </svg>
  );
}

/** A state with its name. */
export function StateChip({ state, text }: { state: State; text?: string }) {
  return (
    <span class={`chip state ${state}`}>
      <StateMark state={state} />
      <span>{text ?? common.value.states[state]}</span>
    </span>
  );
}

/** Numbers of cells by state. */
export type Counts = Partial<Record<State, number>>;

const barOrder: State[] = ["completed", "failed", "cancelled", "processing", "held", "pending"];

/** Returns the counts in words: 12 completed, 3 failed. */
export function describeCounts(counts: Counts): string {
  const { states: names, breakdown } = common.value;
  const parts = barOrder.filter((state) => (counts[state] ?? 0) > 0)
    .map((state) => `${formatNumber(counts[state]!)} ${names[state]}`);
  return breakdown(parts);
}

/** A bar that is split by state. Each state has its own pattern. */
export function StateBar({ counts, total }: { counts: Counts; total: number }) {
  const shown = barOrder.filter((state) => (counts[state] ?? 0) > 0);
  return (
    <div class="state-bar" role="img" aria-label={describeCounts(counts)}>
      {shown.map((state) => {
        const share = counts[state]! / Math.max(total, 1);
        return (
          <div
            key={state}
            class={`state-part ${state}`}
            style={{ flexGrow: share }}
            title={`${common.value.states[state]}: ${formatNumber(counts[state]!)} (${formatPercent(share)})`}
          />
        );
      })}
    </div>
  );
}
