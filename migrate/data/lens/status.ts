/** The five states of tasks and subtasks. */
import { describeValue, type Draft } from "./draft.ts";

const knownStates = new Set(["pending", "processing", "completed", "failed", "cancelled"]);

/** Reports whether a state is final: completed, failed or cancelled. */
export const isTerminal = (status: string): boolean => status !== "pending" && status !== "processing";

/** Returns the column `status`. Adjusts other spellings of a known state, and rejects anything else. */
export function toStatus(draft: Draft): string {
  const value = draft.get("status");
  if (typeof value === "string") {
    if (knownStates.has(value)) return value;
    const plain = value.trim().toLowerCase();
    if (knownStates.has(plain)) {
      draft.adjust("status_spelling", "status");
      return plain;
    }
  }
  const missing = value === undefined || value === null;
  draft.reject(
    missing ? "missing_status" : "unknown_status",
    "status",
    `wanted one of ${[...knownStates].join(", ")}, found ${describeValue(value)}`,
  );
  return "pending";
}
