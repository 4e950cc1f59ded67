/** The fast path on a single JSON text. */
import type { FindParent } from "../../../migrate/data/lens/subtasks.ts";
import { type FastLine, tryFastPath } from "../../../migrate/data/lens/tables.ts";
import { JsonDocument } from "../../../migrate/data/sources/json_document.ts";

const encoder = new TextEncoder();

/** Maps a subtask by the fast path. Its bytes lie in the middle of a buffer, as in a file. */
export function toFastLine(json: string | Uint8Array, findParent: FindParent): FastLine | undefined {
  const document = typeof json === "string" ? encoder.encode(json) : json;
  const from = 7;
  const bytes = new Uint8Array(document.length + 2 * from).fill(0x30);
  bytes.set(document, from);
  const refuse = () => {
    throw new Error("not UTF-8");
  };
  return tryFastPath(
    "dramatiq_tasks",
    new JsonDocument(1, bytes, from, from + document.length, refuse),
    findParent,
  );
}
