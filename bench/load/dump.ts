/** Generates dumps of any size with texts and numbers like those of real documents. */
import { createHash } from "node:crypto";

const words = [
  "masterpiece",
  "best quality",
  "1girl",
  "silver hair",
  "樱花树下的少女",
  "雨夜霓虹",
  'cyberpunk \\"city\\"',
  "line\\nbreak",
  "<b>html</b>",
  "emoji 🐱‍👤",
  "close-up",
  "full body",
];

/** A random number generator with a fixed seed. */
class Random {
  #state = 0x9e3779b9;

  below(limit: number): number {
    this.#state = Math.imul(this.#state ^ (this.#state >>> 15), 0x2c1b3c6d) + 0x6d2b79f5 | 0;
    return ((this.#state ^ (this.#state >>> 13)) >>> 0) % limit;
  }

  words(): string {
    return Array.from({ length: 3 + this.below(8) }, () => words[this.below(words.length)]).join(", ");
  }
}

function uuid(name: string): string {
  const hex = createHash("md5").update(name).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${
    hex.slice(20)
  }`;
}

const oid = (number: number, kind: number) =>
  `67ec${kind.toString(16).padStart(4, "0")}${number.toString(16).padStart(16, "0")}`;
const date = (ms: number) => `{"$date":"${new Date(ms).toISOString()}"}`;
const epoch = Date.UTC(2025, 3, 2);

function element(random: Random): string {
  const id = uuid(`element ${random.below(500)}`);
  return `{"type":"elementum","uuid":"${id}","value":"${id}","name":"koharu","weight":0.7,` +
    `"img_url":"https://img.example.com/${id}.webp","domain":"","parent":"","label":null,"sort_index":0,` +
    `"status":"IN_USE","polymorphi_values":{},"sub_type":null}`;
}

/** Returns the line of a subtask of the newest generation. One in ten has its level indices as an object. */
export function subtaskLine(random: Random, number: number, parent: string): string {
  const a = random.below(12);
  const b = random.below(8);
  const c = random.below(3);
  const indices = random.below(10) === 0
    ? `{"v0":${a},"v1":${b},"v2":${c}}`
    : `[${a},${b},${c},null,null,null]`;
  const seed = [
    `${random.below(2 ** 31)}`,
    "null",
    "0",
    `${random.below(900_000)}.0`,
    `7${random.below(2 ** 30)}`,
  ][random.below(5)];
  const created = epoch + number * 20 + random.below(1000);
  const failed = random.below(20) === 0;
  const result =
    `{"url":"https://img.example.com/${uuid(`image ${number}`)}.webp","width":1024,"height":1024,` +
    `"seed":${seed},"created_at":"2025-04-03T07:09:39.488000+08:00"}`;
  const prompts = `{"type":"freetext","weight":1,"value":"${random.words()}"}${
    random.below(2) ? `,${element(random)}` : ""
  }`;
  return `{"_id":{"$oid":"${oid(number, 2)}"},"id":"${
    uuid(`subtask ${number}`)
  }","parent_task_id":"${parent}",` +
    `"variable_indices":${indices},"variable_types_map":{"v0":"prompt","v1":"ratio","v2":"element"},` +
    `"type_to_variable":{"prompt":"v0","ratio":"v1","element":"v2"},"status":"${
      failed ? "failed" : "completed"
    }",` +
    `"result":${failed ? "null" : result},"error":${failed ? '"timeout"' : "null"},"retry_count":${
      failed ? 2 : 0
    },` +
    `"prompts":[${prompts}],"ratio":"3:4","seed":${seed},"use_polish":${random.below(2) === 0},` +
    `"created_at":${date(created)},"updated_at":${date(created + 60_000)}}\n`;
}

function taskLine(number: number, id: string): string {
  return `{"_id":{"$oid":"${
    oid(number, 1)
  }"},"id":"${id}","task_name":"bench ${number}","username":"bench@example.com",` +
    `"tags":[],"variables":{},"settings":{},"status":"completed","created_at":${date(epoch + number)},` +
    `"updated_at":${
      date(epoch + number)
    },"total_images":288,"all_subtasks_completed":true,"is_deleted":false,` +
    `"priority":1}\n`;
}

const cellsPerTask = 288;

/**
 * Writes a dump folder of one user, tasks of 288 cells and `subtasks` subtasks.
 *
 * @returns the size of the file of subtasks in bytes
 */
export function writeDump(folder: string, subtasks: number): number {
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(
    `${folder}/users.json`,
    `{"_id":{"$oid":"${
      oid(1, 0)
    }"},"email":"bench@example.com","hashed_password":"$2b$04$x","fullname":"Bench",` +
      `"roles":["user"],"is_active":true,"created_at":${date(epoch)},"updated_at":${date(epoch)}}\n`,
  );
  const random = new Random();
  const encoder = new TextEncoder();
  using tasks = Deno.openSync(`${folder}/tasks.json`, { create: true, write: true, truncate: true });
  using file = Deno.openSync(`${folder}/dramatiq_tasks.json`, { create: true, write: true, truncate: true });
  let bytes = 0;
  let parent = "";
  let lines: string[] = [];
  const flush = () => {
    const chunk = encoder.encode(lines.join(""));
    for (let at = 0; at < chunk.length;) at += file.writeSync(chunk.subarray(at));
    bytes += chunk.length;
    lines = [];
  };
  for (let number = 0; number < subtasks; number++) {
    if (number % cellsPerTask === 0) {
      parent = uuid(`task ${number}`);
      tasks.writeSync(encoder.encode(taskLine(number, parent)));
    }
    lines.push(subtaskLine(random, number, parent));
    if (lines.length === 2000) flush();
  }
  flush();
  return bytes;
}
