/** A generated dump of any size: one shape of texts and numbers, as a real one has them. */
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

/** The same numbers in every run. */
class Dice {
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

function element(dice: Dice): string {
  const id = uuid(`element ${dice.below(500)}`);
  return `{"type":"elementum","uuid":"${id}","value":"${id}","name":"koharu","weight":0.7,` +
    `"img_url":"https://img.example.com/${id}.webp","domain":"","parent":"","label":null,"sort_index":0,` +
    `"status":"IN_USE","polymorphi_values":{},"sub_type":null}`;
}

/** One subtask's line in the newest generation; one in ten keeps its place as an object. */
export function subtaskLine(dice: Dice, number: number, parent: string): string {
  const a = dice.below(12);
  const b = dice.below(8);
  const c = dice.below(3);
  const place = dice.below(10) === 0 ? `{"v0":${a},"v1":${b},"v2":${c}}` : `[${a},${b},${c},null,null,null]`;
  const seed = [
    `${dice.below(2 ** 31)}`,
    "null",
    "0",
    `${dice.below(900_000)}.0`,
    `7${dice.below(2 ** 30)}`,
  ][dice.below(5)];
  const created = epoch + number * 20 + dice.below(1000);
  const failed = dice.below(20) === 0;
  const result =
    `{"url":"https://img.example.com/${uuid(`image ${number}`)}.webp","width":1024,"height":1024,` +
    `"seed":${seed},"created_at":"2025-04-03T07:09:39.488000+08:00"}`;
  const prompts = `{"type":"freetext","weight":1,"value":"${dice.words()}"}${
    dice.below(2) ? `,${element(dice)}` : ""
  }`;
  return `{"_id":{"$oid":"${oid(number, 2)}"},"id":"${
    uuid(`subtask ${number}`)
  }","parent_task_id":"${parent}",` +
    `"variable_indices":${place},"variable_types_map":{"v0":"prompt","v1":"ratio","v2":"element"},` +
    `"type_to_variable":{"prompt":"v0","ratio":"v1","element":"v2"},"status":"${
      failed ? "failed" : "completed"
    }",` +
    `"result":${failed ? "null" : result},"error":${failed ? '"timeout"' : "null"},"retry_count":${
      failed ? 2 : 0
    },` +
    `"prompts":[${prompts}],"ratio":"3:4","seed":${seed},"use_polish":${dice.below(2) === 0},` +
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
 * @returns bytes of the subtasks' file
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
  const dice = new Dice();
  const encoder = new TextEncoder();
  using tasks = Deno.openSync(`${folder}/tasks.json`, { create: true, write: true, truncate: true });
  using file = Deno.openSync(`${folder}/dramatiq_tasks.json`, { create: true, write: true, truncate: true });
  let bytes = 0;
  let parent = "";
  let lines = [] as string[];
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
    lines.push(subtaskLine(dice, number, parent));
    if (lines.length === 2000) flush();
  }
  flush();
  return bytes;
}
