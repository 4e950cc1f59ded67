/** The five states both tables know. */
import { describeValue, type Draft } from "./draft.ts";

const known = new Set(["pending", "processing", "completed", "failed", "cancelled"]);

/** True for a state that nothing leaves: completed, failed, cancelled. */
export const isTerminal = (status: string): boolean => status !== "pending" && status !== "processing";

/** The `status` column; another spelling of a known state is adjusted, anything else rejects the document. */
export function takeStatus(draft: Draft): string {
  const value = draft.get("status");
  if (typeof value === "string") {
    if (known.has(value)) return value;
    const plain = value.trim().toLowerCase();
    if (known.has(plain)) {
      draft.adjust("status_spelling", "status");
      return plain;
    }
  }
  const missing = value === undefined || value === null;
  draft.reject(
    missing ? "missing_status" : "unknown_status",
    "status",
    `wanted one of ${[...known].join(", ")}, found ${describeValue(value)}`,
  );
  return "pending";
}
