/** Text output of `data why`. */
import { formatPath } from "../tools/format.ts";
import { tables } from "../lens/tables.ts";
import type { Explanation } from "./why.ts";
import { counted } from "../../../phrases.ts";

const shorten = (text: string) => text.length > 2000 ? `${text.slice(0, 1999)}…` : text;

function formatHead({ collection, document_id, state, generation }: Explanation): string {
  const states = {
    row: `has a row in ${tables[collection].name}`,
    quarantined: "is in quarantine",
    waiting: "waits for its row",
    excluded: "was excluded from the load",
  };
  const suffix = generation === null ? "" : ` (generation ${generation})`;
  return `${collection} ${document_id} ${states[state]}${suffix}`;
}

function formatRules({ rules, row }: Explanation): string[] {
  if (rules.length === 0 && row) return ["  rule      none: the row reproduces the whole document"];
  return rules.map(({ rule, path }) => `  rule      ${rule}${formatPath(path)}`);
}

function formatHistory({ history }: Explanation): string[] {
  if (history.length === 0) return ["  history   never verified"];
  return history.map(({ at, what }) => `  history   ${at} ${what}`);
}

function formatExplanation(explanation: Explanation): string {
  const { source, followed, quarantine, waiting, document, document_from, row } = explanation;
  const lines = [formatHead(explanation)];
  if (source) {
    lines.push(`  source    ${source.location}, range ${source.range}, position ${source.position}`);
  }
  if (followed) {
    const { location, state, position_at, applied_at } = followed;
    const upTo = position_at === null ? "" : ` up to ${position_at}`;
    lines.push(`  source    ${location}, ${state}, changes${upTo} applied at ${applied_at}`);
  }
  if (waiting) lines.push(`  reason    ${waiting.reason}${formatPath(waiting.path)}: ${waiting.detail}`);
  if (quarantine) {
    const { reason, path, detail, attempts } = quarantine;
    lines.push(`  reason    ${reason}${formatPath(path)}: ${detail} (${counted(attempts, "attempt")})`);
  }
  lines.push(...formatRules(explanation));
  if (document !== "") lines.push(`  document  (${document_from}) ${shorten(document)}`);
  for (const [column, value] of Object.entries(row ?? {})) {
    if (value !== null) lines.push(`  row       ${column} = ${shorten(value)}`);
  }
  lines.push(...formatHistory(explanation));
  return lines.join("\n");
}

/** Returns the explanations as text. */
export const formatExplanations = (explanations: Explanation[]): string =>
  explanations.map(formatExplanation).join("\n\n");
