/** The rows of the HTTP bench: a user, many tasks, and own and imported tasks of 3,024 and 50,000 subtasks. */
import bcrypt from "bcryptjs";
import type { Pool } from "../../db/pg/connect.ts";
import type { ImportedForm, ImportedTask } from "../imported.ts";

export const email = "bench@example.com";
export const password = "correct horse battery";

/** Ids of the large tasks by their number of subtasks. */
export const largeTasks = {
  3024: "00000000-0000-4000-8000-000000003024",
  50000: "00000000-0000-4000-8000-000000050000",
} as const;

/** Imported tasks of 3,024 subtasks, one for each form of their documents. */
export const importedTasks = {
  "float seeds": "00000000-0000-4000-8000-000000013024",
  "indices as objects": "00000000-0000-4000-8000-000000023024",
} as const satisfies Record<ImportedForm, string>;

/** All imported tasks. The small ones fill a page of the list. */
export const allImported: ImportedTask[] = [
  ...Object.entries(importedTasks).map(([form, id]): ImportedTask => ({
    id,
    name: `imported, ${form}`,
    form: form as ImportedForm,
    lengths: [42, 24, 3],
  })),
  ...Array.from({ length: 8 }, (_, i): ImportedTask => ({
    id: `00000000-0000-4000-8000-00000001000${i}`,
    name: `imported, small ${i}`,
    form: "float seeds",
    lengths: [4, 3, 1],
  })),
];

/** Ids of tasks whose subtasks are pending, by their number. The ETag of such a task depends on all of them. */
export const openTasks = {
  3024: "00000000-0000-4000-8000-000000003025",
  50000: "00000000-0000-4000-8000-000000050001",
} as const;

const prompts = JSON.stringify([
  {
    type: "freetext",
    weight: 1,
    value: "best quality, 雨夜霓虹, line\nbreak, masterpiece, 夕阳, 樱花树下的少女",
  },
  {
    type: "elementum",
    uuid: "ca17a6a4-df83-4744-901b-e775639a990d",
    value: "ca17a6a4-df83-4744-901b-e775639a990d",
    name: "水彩",
    weight: 0.7,
    img_url: "https://img.example.com/ca17a6a4-df83-4744-901b-e775639a990d.webp",
    domain: "",
    parent: "",
    label: null,
    sort_index: 0,
    status: "IN_USE",
    polymorphi_values: {},
    sub_type: null,
  },
]);

/** Returns the body of a request that creates a task with these axis lengths. */
export function createBody(lengths: number[]): string {
  const tags = lengths.map((_, i) => ({
    id: `${i}`,
    type: "prompt",
    isVariable: true,
    value: "",
    name: `n${i}`,
  }));
  const fixed = { id: "fixed", type: "prompt", isVariable: false, value: "best quality, 樱花", weight: 1 };
  const variables = Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => {
      const values = Array.from(
        { length: lengths[i] ?? 0 },
        (_, n) => ({ id: `${n}`, value: `value ${i} ${n}` }),
      );
      return [
        `v${i}`,
        values.length === 0 ? { name: "", values } : { tag_id: `${i}`, name: `n${i}`, values },
      ];
    }),
  );
  return JSON.stringify({
    task_name: "bench",
    username: "",
    tags: [...tags, fixed],
    variables,
    settings: {},
  });
}

export async function insertLarge(sql: Pool, subtasks: number, id: string): Promise<void> {
  await sql`
    insert into tasks (id, task_name, username, tags, variables, settings, status, total_images, completed_at,
      subtasks_total, subtasks_completed)
    values (${id}, ${`large ${subtasks}`}, ${email}, '[]', '{"v0":{"name":"a","values":[{"value":"x"}]}}', '{}',
      'completed', ${subtasks}, now(), ${subtasks}, ${subtasks})`;
  await sql`
    insert into subtasks (parent_task_id, legacy_id, cell, variable_indices, variable_types_map, type_to_variable,
      status, result, prompts, ratio, seed, image_url, completed_at)
    select ${id}, '682000000000000000' || lpad(to_hex(n), 6, '0'), n,
      array[n / 1000, n / 10 % 100, n % 10, null, null, null], '{"v0":"element","v1":"polish","v2":"ratio"}',
      '{"element":"v0","polish":"v1","ratio":"v2"}', 'completed',
      ('{"url":"' || image.url || '","width":1024,"height":1024,"seed":6884973975,'
        || '"created_at":"2025-04-02T17:03:39.781000+08:00"}')::json,
      ${prompts}::text::json, '3:5', 6884973975, image.url, now()
    from generate_series(0, ${subtasks - 1}::integer) as n,
      lateral (select 'https://img.example.com/' || md5(n::text)::uuid || '.webp' as url) as image`;
}

/** Inserts a large task that runs, with pending subtasks. */
async function insertOpen(sql: Pool, subtasks: number, id: string): Promise<void> {
  await insertLarge(sql, subtasks, id);
  await sql`
    update tasks set status = 'processing', completed_at = null, subtasks_completed = 0 where id = ${id}`;
  await sql`
    update subtasks set status = 'pending', completed_at = null, result = null, image_url = null
    where parent_task_id = ${id}`;
}

/** Inserts all own rows into an empty, migrated database. */
export async function fillRows(sql: Pool, tasks: number): Promise<void> {
  const hash = await bcrypt.hash(password, 12);
  await sql`insert into users (email, hashed_password, fullname) values (${email}, ${hash}, 'Bench')`;
  const words = [
    "1girl",
    "masterpiece",
    "樱花树下的少女",
    "夕阳",
    "雨夜霓虹",
    "best quality",
    "cat ears",
    "水彩",
    "海边",
  ];
  await sql`
    insert into tasks (task_name, username, tags, variables, settings, status, total_images, created_at, updated_at,
      completed_at, is_deleted, subtasks_total, subtasks_completed)
    select
      (${words}::text[])[1 + n % 9] || ' ' || (${words}::text[])[1 + n / 9 % 9] || ' '
        || chr(19968 + (hashint4(n) & 8191)) || chr(19968 + (hashint4(n + 7) & 8191)) || ' ' || n,
      'tester' || n % 200 || '@example.com', '[]', '{}', '{}',
      (array['completed', 'completed', 'failed', 'cancelled', 'processing', 'pending'])[1 + n % 6], 12,
      timestamptz '2025-01-01' + n * interval '20 s', timestamptz '2025-01-01' + n * interval '20 s',
      case when n % 6 < 4 then timestamptz '2025-01-01' end, n % 50 = 0, 12, case when n % 6 < 2 then 12 else 0 end
    from generate_series(1, ${tasks}::integer) as n`;
  for (const [subtasks, id] of Object.entries(largeTasks)) await insertLarge(sql, Number(subtasks), id);
  for (const [subtasks, id] of Object.entries(openTasks)) await insertOpen(sql, Number(subtasks), id);
  await sql`vacuum analyze`;
}
