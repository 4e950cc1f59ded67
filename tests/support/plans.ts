/** Reads the plans of executed statements from the log of a server, and counts the partitions that they read. */
import { taskTables } from "../../migrate/partition/tables.ts";

const marker = "@plan@";

/** Parameters of a server that logs the plan of every statement, also of those of triggers and foreign keys. */
export const planParameters: Record<string, string> = {
  session_preload_libraries: "auto_explain",
  "auto_explain.log_min_duration": "0",
  "auto_explain.log_analyze": "on",
  "auto_explain.log_timing": "off",
  "auto_explain.log_buffers": "off",
  "auto_explain.log_nested_statements": "on",
  "auto_explain.log_format": "json",
  "auto_explain.log_parameter_max_length": "0",
  log_line_prefix: marker,
  // Tables of tests are so small that any plan would do. These settings show whether an index can find the rows by the key.
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  enable_seqscan: "off",
  autovacuum: "off",
};

/** A node of a plan, as auto_explain writes it. */
interface PlanNode {
  "Relation Name"?: string;
  "Actual Loops"?: number;
  Plans?: PlanNode[];
}

/** A statement as it was executed. */
export interface Executed {
  /** The statement without comments, each white space one space. */
  text: string;
  /** By table: how many of its partitions were read. */
  partitions: Map<string, number>;
}

const partition = new RegExp(`^(${taskTables.map(({ name }) => name).join("|")})_p\\d+$`);

/** Adds the partitions that a node and those below it have read. */
function collect(node: PlanNode, read: Map<string, Set<string>>): void {
  const [relation, table] = partition.exec(node["Relation Name"] ?? "") ?? [];
  if (relation !== undefined && (node["Actual Loops"] ?? 0) > 0) {
    read.set(table!, (read.get(table!) ?? new Set()).add(relation));
  }
  for (const child of node.Plans ?? []) collect(child, read);
}

/** Collects executed statements on task tables from the pieces of a log. */
export class PlanReader {
  readonly statements: Executed[] = [];
  /** Number of plans in the log. */
  plans = 0;
  #rest = "";

  add(piece: string): void {
    const entries = (this.#rest + piece).split(marker);
    this.#rest = entries.pop()!;
    for (const entry of entries) this.#read(entry);
  }

  end(): void {
    this.#read(this.#rest);
    this.#rest = "";
  }

  #read(entry: string): void {
    const start = entry.indexOf("{");
    if (!/duration: [\d.]+ ms {2}plan:/.test(entry) || start < 0) return;
    this.plans++;
    const { "Query Text": query, Plan: plan } = JSON.parse(entry.slice(start, entry.lastIndexOf("}") + 1));
    const read = new Map<string, Set<string>>();
    collect(plan, read);
    if (read.size === 0) return;
    const text = String(query).replaceAll(/--.*$/gm, " ").replaceAll(/\s+/g, " ").trim();
    this.statements.push({ text, partitions: new Map([...read].map(([name, { size }]) => [name, size])) });
  }
}
