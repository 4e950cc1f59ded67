/**
 * Imported rows for benches of reads: `data load` of documents in the newest form (T3 and S4), as users of the migration
 * have them. The subtasks repeat those of the dump in tests/data/current with other ids, indices and seeds.
 */
import { runMigrate } from "./load/run.ts";

/** What the documents of a task have in another form than the columns. */
export type ImportedForm = "float seeds" | "indices as objects";

export interface ImportedTask {
  id: string;
  name: string;
  form: ImportedForm;
  /** Numbers of levels of its three axes prompt, element and ratio. */
  lengths: [number, number, number];
}

/** The owner of imported tasks. */
export const importedEmail = "imported@example.com";

const epoch = Date.UTC(2025, 3, 2);
const date = (ms: number) => `{"$date":"${new Date(ms).toISOString()}"}`;
const oid = (collection: number, task: number, number: number) =>
  `67ec${[collection, task].map((part) => part.toString(16).padStart(4, "0")).join("")}${
    number.toString(16).padStart(12, "0")
  }`;
const axes = ["prompt", "element", "ratio"];

function toUserLine(): string {
  return `{"_id":{"$oid":"${oid(1, 0, 0)}"},"email":"${importedEmail}","hashed_password":"$2b$04$x",` +
    `"fullname":"Imported","roles":["user"],"is_active":true,"created_at":${date(epoch)},"updated_at":${
      date(epoch)
    }}\n`;
}

function toTaskLine({ id, name, lengths }: ImportedTask, index: number): string {
  const tags = axes.map((type, i) => ({ id: `${i}`, type, isVariable: true, value: "", name: type }));
  const variables = Object.fromEntries(Array.from({ length: 6 }, (_, i) => {
    const values = Array.from(
      { length: lengths[i] ?? 0 },
      (_, n) => ({ id: `${n}`, value: `${axes[i]} ${n}` }),
    );
    return [`v${i}`, { tag_id: `${i}`, name: axes[i] ?? "", values, values_count: values.length }];
  }));
  return `{"_id":{"$oid":"${oid(2, index, 0)}"},"id":"${id}","task_name":"${name}",` +
    `"username":"${importedEmail}","tags":${JSON.stringify(tags)},"variables":${JSON.stringify(variables)},` +
    `"settings":{},"status":"completed","created_at":${date(epoch)},"updated_at":${date(epoch)},` +
    `"total_images":${lengths.reduce((product, length) => product * length)},"all_subtasks_completed":true,` +
    `"is_deleted":false,"priority":1}\n`;
}

/** Reads the completed subtasks of the dump in the newest form. */
async function readTemplates(): Promise<string[]> {
  const url = new URL("../tests/data/current/dramatiq_tasks.json", import.meta.url);
  const lines = (await Deno.readTextFile(url)).split("\n");
  return lines.filter((line) => line.includes('"prompts":[') && line.includes('"status":"completed"'));
}

/** Changes the fields that tell one subtask of a task from another. */
function toSubtaskLine(
  template: string,
  { id, form, lengths }: ImportedTask,
  index: number,
  cell: number,
): string {
  const [, elements, ratios] = lengths;
  const indices = [
    Math.floor(cell / (elements * ratios)),
    Math.floor(cell / ratios) % elements,
    cell % ratios,
  ];
  const isObject = form === "indices as objects";
  const shown = isObject
    ? JSON.stringify(Object.fromEntries(indices.map((level, i) => [`v${i}`, level])))
    : JSON.stringify([...indices, null, null, null]);
  const seed = `${100_000 + cell}${isObject ? "" : ".0"}`;
  return template
    .replace(/"\$oid":"\w+"/, `"$oid":"${oid(3, index, cell)}"`)
    .replace(/"id":"[\w-]+"/, `"id":"${crypto.randomUUID()}"`)
    .replace(/"parent_task_id":"[\w-]+"/, `"parent_task_id":"${id}"`)
    .replace(/"variable_indices":(\[[^\]]*\]|\{[^}]*\})/, `"variable_indices":${shown}`)
    .replace(
      /"variable_types_map":\{[^}]*\}/,
      '"variable_types_map":{"v0":"prompt","v1":"element","v2":"ratio"}',
    )
    .replace(/"type_to_variable":\{[^}]*\}/, '"type_to_variable":{"prompt":"v0","element":"v1","ratio":"v2"}')
    .replaceAll(/"seed":(?:null|[\d.]+)/g, `"seed":${seed}`);
}

/** Writes a dump with these tasks. */
async function writeDump(folder: string, tasks: ImportedTask[]): Promise<void> {
  const templates = await readTemplates();
  await Deno.writeTextFile(`${folder}/users.json`, toUserLine());
  await Deno.writeTextFile(`${folder}/tasks.json`, tasks.map(toTaskLine).join(""));
  const lines = tasks.flatMap((task, index) => {
    const cells = task.lengths.reduce((product, length) => product * length);
    return Array.from(
      { length: cells },
      (_, cell) => `${toSubtaskLine(templates[cell % templates.length]!, task, index, cell)}\n`,
    );
  });
  await Deno.writeTextFile(`${folder}/dramatiq_tasks.json`, lines.join(""));
}

/** Imports completed tasks with `data load` into a migrated database. */
export async function importTasks(url: string, tasks: ImportedTask[]): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  try {
    await writeDump(folder, tasks);
    await runMigrate(url, "load", folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}
