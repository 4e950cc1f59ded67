/** v1's list, detail and matrix over directly inserted rows; golden_test.ts replays the recorded calls. */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { getTaskJson, listTasks, type TaskFilter } from "../../db/v1/tasks.ts";
import { findTaskVersion } from "../../db/queue/revisions.ts";
import { openTaskDetail } from "../../db/v1/detail.ts";
import { openTaskMatrix } from "../../db/v1/matrix.ts";
import { createDatabase } from "../support/database.ts";
import { drawn, legacyId, readText, seedSubtasks, seedTask, type SubtaskSeed } from "../support/task_rows.ts";

const database = await createDatabase();
const { sql } = database;
Deno.test.afterAll(async () => await database[Symbol.asyncDispose]());

setFlagsFromString("--expose_gc");
const collectGarbage = runInNewContext("gc") as () => void;

const list = async (filter: Partial<TaskFilter> = {}) =>
  JSON.parse(await listTasks(sql, { page: 1, pageSize: 100, ...filter }));
const detail = async (id: string) => JSON.parse((await readText(await openTaskDetail(sql, id)))!);

Deno.test("getTaskJson() returns the fields of a created task in the recorded order", async () => {
  const id = await seedTask(sql, { task_name: "2x3 名", total_images: 6, username: "t@example.com" });
  assert.equal(
    await getTaskJson(sql, id),
    `{"id":"${id}","task_name":"2x3 名","username":"t@example.com","status":"pending",` +
      `"created_at":"2025-05-13T07:40:46.622000","updated_at":"2025-05-13T07:40:46.622000","total_images":6,` +
      `"processed_images":0,"progress":0,"priority":1}`,
  );
  assert.equal(JSON.parse(await getTaskJson(sql, id, 3)).total_images, 3);
});

const times: [stored: string, shown: string][] = [
  ["2025-05-13T07:40:46.622Z", "2025-05-13T07:40:46.622000"],
  ["2025-05-13T07:40:46.62Z", "2025-05-13T07:40:46.620000"],
  ["2025-05-13T07:40:46.001Z", "2025-05-13T07:40:46.001000"],
  ["2025-05-13T07:40:46Z", "2025-05-13T07:40:46"],
  ["2025-05-13T07:40:46+08:00", "2025-05-12T23:40:46"],
  ["0042-01-02T03:04:05.5Z", "0042-01-02T03:04:05.500000"],
];
for (const [stored, shown] of times) {
  Deno.test(`the time ${stored} is ${shown} in a list and in a detail`, async () => {
    const id = await seedTask(sql, { created_at: stored, task_name: `time ${stored}` });
    await seedSubtasks(sql, id, [{ created_at: stored }]);
    const { tasks: [task] } = await list({ taskName: `time ${stored}` });
    assert.deepEqual([task.created_at, task.updated_at], [shown, shown]);
    const { created_at, dramatiq_tasks: [subtask] } = await detail(id);
    assert.deepEqual([created_at, subtask.created_at, subtask.updated_at], [shown, shown, shown]);
  });
}

const listStates: [
  name: string,
  seed: Parameters<typeof seedTask>[1],
  subtasks: string[],
  want: number[],
][] = [
  ["a completed task reports all of its images, whatever the number of its subtasks", {
    status: "completed",
    total_images: 3024,
  }, [
    "completed",
    "failed",
  ], [3024, 3024, 100]],
  ["a pending task reports no images, even if some subtasks are completed", {
    status: "pending",
    total_images: 3,
  }, [
    "completed",
    "pending",
    "pending",
  ], [3, 0, 0]],
  ["a processing task counts its ended subtasks and rounds its progress down", {
    status: "processing",
    total_images: 16,
  }, [
    "completed",
    "failed",
    "pending",
    "processing",
    "pending",
    "pending",
    "pending",
  ], [16, 2, 28]],
  ["a processing task without subtasks reports no images", { status: "processing", total_images: 16 }, [], [
    16,
    0,
    0,
  ]],
  [
    "a task that this backend cancelled counts its completed subtasks",
    { status: "cancelled", total_images: 4 },
    ["completed", "cancelled"],
    [4, 1, 50],
  ],
  [
    "a migrated failed task reports its stored count",
    {
      status: "failed",
      total_images: 60,
      generation: "T3",
      extra: '{"processed_images":60,"progress":100.0}',
    },
    ["failed", "failed"],
    [60, 60, 100],
  ],
  [
    "a migrated failed task without a valid stored count reports no images",
    {
      status: "failed",
      total_images: 1,
      generation: "T3",
      extra: '{"processed_images":{"$numberDouble":"NaN"}}',
    },
    ["failed"],
    [1, 0, 0],
  ],
];
for (const [name, seed, statuses, [total, processed, progress]] of listStates) {
  Deno.test(`in a list ${name}`, async () => {
    const id = await seedTask(sql, { ...seed, task_name: `state: ${name}` });
    await seedSubtasks(sql, id, statuses.map((status) => ({ status })));
    const { tasks: [task] } = await list({ taskName: `state: ${name}` });
    const { total_images, processed_images } = task;
    assert.deepEqual([total_images, processed_images, task.progress], [total, processed, progress]);
  });
}

const detailStates: [
  stored: string,
  subtasks: string[],
  want: [status: string, processed: number, progress: number, results: boolean],
][] = [
  ["processing", ["completed", "processing", "pending"], ["processing", 1, 33, true]],
  ["processing", ["processing"], ["processing", 0, 0, false]],
  ["processing", ["completed", "failed"], ["completed", 2, 100, true]],
  ["cancelled", ["completed", "cancelled", "cancelled"], ["cancelled", 1, 33, false]],
  ["cancelled", ["completed"], ["completed", 1, 100, true]],
  ["failed", ["failed", "failed"], ["failed", 2, 100, false]],
  ["completed", ["failed"], ["failed", 1, 100, false]],
  ["pending", ["pending"], ["pending", 0, 0, false]],
  ["pending", [], ["pending", 0, 0, false]],
  ["processing", [], ["processing", 0, 0, false]],
  ["completed", [], ["completed", 1, 100, false]],
  ["failed", [], ["failed", 0, 0, false]],
];
for (const [stored, statuses, [status, processed, progress, results]] of detailStates) {
  Deno.test(`the detail of a ${stored} task with subtasks [${statuses}] shows ${status}, ${progress} %`, async () => {
    const id = await seedTask(sql, { status: stored });
    const cells = statuses.map((state, n) =>
      state === "completed" ? drawn(`{${n}}`, `https://x/${n}`) : { status: state }
    );
    await seedSubtasks(sql, id, cells);
    const data = await detail(id);
    assert.deepEqual(
      [data.status, data.processed_images, data.progress, data.results !== null],
      [status, processed, progress, results],
    );
  });
}

Deno.test("a detail returns client JSON unchanged", async () => {
  const json = {
    tags:
      '[{"id":"1","weight":1.0,"big":12345678901234567890,"e":1E5,"nul":"a\\u0000b","half":"\\ud83d","k":1,"k":2}]',
    variables:
      '{"v10": {"values": [1]}, "v2": {"values": []}, "v0": {"name": "\\u0000", "values": [{}]}, "x": null}',
    settings: '{"2":1,"10":2,"b":{"a":-0.0}}',
  };
  const prompts = '[{"type":"freetext","weight":1.0,"value":"\\u0000 \\\\ \\" 樱 🐱‍👤 %_"}]';
  const id = await seedTask(sql, { ...json, status: "processing", error: 'bad "thing"\n\\' });
  await seedSubtasks(sql, id, [{
    ...drawn("{0,NULL,NULL,NULL,NULL,NULL}", "https://x/1"),
    prompts,
    seed: "9007199254740993",
  }]);
  const text = (await readText(await openTaskDetail(sql, id)))!;
  const result =
    `{"url":"https://x/1","width":1024,"height":1024,"seed":7,"created_at":"2025-05-13T15:40:46+08:00"`;
  const [{ uuid }] = await sql`select id as uuid from subtasks where parent_task_id = ${id}` as unknown as [
    { uuid: string },
  ];
  assert.equal(
    text,
    `{"id":"${id}","task_name":"a task","username":"tester@example.com","status":"completed",` +
      `"created_at":"2025-05-13T07:40:46.622000","updated_at":"2025-05-13T07:40:46.622000","total_images":1,` +
      `"processed_images":1,"progress":100,"priority":1,"tags":${json.tags},"variables":${json.variables},` +
      `"settings":${json.settings},"results":{"matrix":{"v10":{},"v0":{}},"raw":{"v0_0:v1_None":${result},` +
      `"v0":null,"v1":null,"v2":null,"v3":null,"v4":null,"v5":null}}},"error":"bad \\"thing\\"\\n\\\\",` +
      `"dramatiq_tasks":[{"_id":"${legacyId(0)}","id":"${uuid}","parent_task_id":"${id}",` +
      `"variable_indices":[0,null,null,null,null,null],"variable_types_map":{},"type_to_variable":{},` +
      `"status":"completed","result":${result}},"error":null,"retry_count":0,"prompts":${prompts},"ratio":null,` +
      `"seed":9007199254740993,"use_polish":false,"created_at":"2025-05-13T07:40:46",` +
      `"updated_at":"2025-05-13T07:40:46"}]}`,
  );
});

Deno.test("results.raw has one key per result: v0 and v1, further slots that are set, and the id of a duplicate", async () => {
  const id = await seedTask(sql, { status: "completed" });
  await seedSubtasks(sql, id, [
    drawn("{NULL,NULL,NULL,NULL,NULL,NULL}", "https://x/0"),
    drawn("{0,1,NULL,NULL,NULL,NULL}", "https://x/1"),
    drawn("{0,1,NULL,2,NULL,0}", "https://x/2"),
    drawn("{0,1,NULL,NULL,NULL,NULL}", "https://x/3"),
    drawn("{0}", "https://x/4"),
    drawn("{}", "https://x/5"),
    { ...drawn("{5,6,7,NULL,NULL,NULL}", "https://x/6"), generation: "S2", extra: '{"prompt":null}' },
    { status: "completed", indices: "{8}", result: "{}" },
    { status: "failed", indices: "{9}", result: '{"url":"https://x/9"}' },
  ]);
  const { results: { raw } } = await detail(id);
  assert.deepEqual(
    Object.entries(raw).map(([key, entry]) => [key, (entry as { url: string }).url]),
    [
      ["v0_None:v1_None", "https://x/0"],
      ["v0_0:v1_1", "https://x/1"],
      ["v0_0:v1_1:v3_2:v5_0", "https://x/2"],
      [`v0_0:v1_1:${legacyId(3)}`, "https://x/3"],
      ["v0_0:v1_None", "https://x/4"],
      [`v0_None:v1_None:${legacyId(5)}`, "https://x/5"],
      ["v0_5:v1_6:v2_7", "https://x/6"],
    ],
  );
  assert.deepEqual([raw["v0_0:v1_1"].v0, raw["v0_5:v1_6:v2_7"].v0, raw["v0_5:v1_6:v2_7"].v5], [
    null,
    5,
    null,
  ]);
});

const documents: [name: string, seed: SubtaskSeed, text: (uuid: string, task: string) => string][] = [
  [
    "S1 with its own field names and a message id",
    {
      generation: "S1",
      indices: "{0,2,NULL,NULL,NULL,NULL}",
      types: null,
      prompts: null,
      ratio: "3:4",
      seed: "5",
      extra:
        '{"dramatiq_message_id":"m-1","prompt":{"value":"a","weight":1.0},"characters":[],"elements":[]}',
    },
    (uuid, task) =>
      `{"_id":"${
        legacyId(0)
      }","id":"${uuid}","dramatiq_message_id":"m-1","parent_task_id":"${task}","v0":0,"v1":2,` +
      `"v2":null,"v3":null,"v4":null,"v5":null,"status":"pending","result":null,"error":null,"retry_count":0,` +
      `"prompt":{"value":"a","weight":1.0},"characters":[],"elements":[],"ratio":"3:4","seed":5,"use_polish":false,` +
      `"created_at":"2025-05-13T07:40:46","updated_at":"2025-05-13T07:40:46"}`,
  ],
  [
    "S3 with a list of its original length",
    {
      generation: "S3",
      indices: "{0,1,2}",
      types: null,
      prompts: null,
      extra:
        '{"prompt":{"value":{"$escaped":"a\\\\u0000b"},"weight":{"$numberLong":"3"}},"characters":[],"elements":[]}',
    },
    (uuid, task) =>
      `{"_id":"${
        legacyId(0)
      }","id":"${uuid}","parent_task_id":"${task}","variable_indices":[0,1,2],"status":"pending",` +
      `"result":null,"error":null,"retry_count":0,"prompt":{"value":"a\\u0000b","weight":3},"characters":[],` +
      `"elements":[],"ratio":null,"seed":null,"use_polish":false,"created_at":"2025-05-13T07:40:46",` +
      `"updated_at":"2025-05-13T07:40:46"}`,
  ],
  [
    "S4 with a float seed, indices as an object, and unknown fields",
    {
      generation: "S4",
      indices: "{0,NULL,NULL,NULL,NULL,NULL}",
      extra: '{"variable_indices":{"v0":0},"seed":5.0,"备注":[1]}',
    },
    (uuid, task) =>
      `{"_id":"${legacyId(0)}","id":"${uuid}","parent_task_id":"${task}","variable_indices":{"v0":0},` +
      `"variable_types_map":{},"type_to_variable":{},"status":"pending","result":null,"error":null,"retry_count":0,` +
      `"prompts":[],"ratio":null,"seed":5.0,"use_polish":false,"created_at":"2025-05-13T07:40:46",` +
      `"updated_at":"2025-05-13T07:40:46","备注":[1]}`,
  ],
  [
    "S4 with only a float seed",
    { generation: "S4", indices: "{}", seed: "781899", extra: '{"seed":781899.0}' },
    (uuid, task) =>
      `{"_id":"${legacyId(0)}","id":"${uuid}","parent_task_id":"${task}","variable_indices":[],` +
      `"variable_types_map":{},"type_to_variable":{},"status":"pending","result":null,"error":null,"retry_count":0,` +
      `"prompts":[],"ratio":null,"seed":781899.0,"use_polish":false,"created_at":"2025-05-13T07:40:46",` +
      `"updated_at":"2025-05-13T07:40:46"}`,
  ],
  [
    "a document with its own order and absent fields, whose error changed after the migration",
    {
      generation: "S4",
      indices: "{0}",
      error: "new",
      extra:
        '{"$absent":["result","prompts","ratio","seed","use_polish","created_at","updated_at","variable_types_map",' +
        '"type_to_variable"],"$order":["_id","error","id","$$x","parent_task_id","status","variable_indices","retry_count"],' +
        '"error":"old","$$x":1}',
    },
    (uuid, task) =>
      `{"_id":"${
        legacyId(0)
      }","error":"new","id":"${uuid}","$x":1,"parent_task_id":"${task}","status":"pending",` +
      `"variable_indices":[0],"retry_count":0}`,
  ],
];
for (const [name, seed, text] of documents) {
  Deno.test(`a detail returns a subtask in the form of its document: ${name}`, async () => {
    const id = await seedTask(sql, { generation: "T3" });
    await seedSubtasks(sql, id, [seed]);
    const [row] = await sql<{ id: string }[]>`select id from subtasks where parent_task_id = ${id}`;
    const got = (await readText(await openTaskDetail(sql, id)))!;
    assert.equal(got.slice(got.indexOf('"dramatiq_tasks":[') + 18, -2), text(row!.id, id));
  });
}

Deno.test("a matrix has a key of six indices for each image, in order; the later of two equal keys wins", async () => {
  const variables = '{"v0":{"values":[1.0]}}';
  const id = await seedTask(sql, { status: "processing", variables, task_name: 'm "1"' });
  await seedSubtasks(sql, id, [
    drawn("{0,1,NULL,NULL,NULL,NULL}", "https://x/0"),
    drawn("{1,NULL}", "https://x/1?a=\\u0022"),
    drawn("{0,1,NULL,NULL,NULL,NULL}", "https://x/2"),
    drawn("{}", "https://x/3"),
    { status: "failed", indices: "{3}", image_url: "https://x/4" },
    { status: "completed", indices: "{4}", result: '{"width":1}' },
  ]);
  assert.equal(
    await readText(await openTaskMatrix(sql, id)),
    `{"task_id":"${id}","task_name":"m \\"1\\"","created_at":"2025-05-13T07:40:46.622000","variables":${variables},` +
      `"coordinates_by_indices":{"0,1,,,,":"https://x/2","1,,,,,":"https://x/1?a=\\\\u0022",",,,,,":"https://x/3"}}`,
  );
});

const invalidIds = ["", "not-a-uuid", "00000000-0000-4000-8000-000000000000", "{0}", "' or 1=1 --", "UPPER"];
for (const invalidId of invalidIds) {
  Deno.test(`no task is found by '${invalidId}'`, async () => {
    const id = invalidId === "UPPER" ? (await seedTask(sql)).toUpperCase().replace("0", "A") : invalidId;
    assert.equal(await openTaskDetail(sql, id), undefined);
    assert.equal(await openTaskMatrix(sql, id), undefined);
    assert.equal(await findTaskVersion(sql, id), undefined);
  });
}

Deno.test("the list and its total leave out a deleted task, and its detail is still served", async () => {
  const before = (await list()).total;
  const id = await seedTask(sql, { task_name: "to be deleted" });
  assert.equal((await list()).total, before + 1);
  await sql`update tasks set is_deleted = true where id = ${id}`;
  assert.equal((await list()).total, before);
  assert.equal((await list({ taskName: "to be deleted" })).total, 0);
  assert.equal((await detail(id)).id, id);
  assert.equal(await findTaskVersion(sql, id), "1.0");
});

Deno.test("a detail has the same text for any batch size", async () => {
  const id = await seedTask(sql, { status: "completed" });
  await seedSubtasks(sql, id, Array.from({ length: 11 }, (_, n) => drawn(`{${n % 4}}`, `https://x/${n}`)));
  const whole = await readText(await openTaskDetail(sql, id));
  for (const rowsMax of [1, 2, 3, 5, 10, 11, 12]) {
    assert.equal(await readText(await openTaskDetail(sql, id, { rowsMax })), whole, `rowsMax ${rowsMax}`);
  }
});

Deno.test("a detail of 50,000 subtasks is streamed in constant memory", async () => {
  const id = await seedTask(sql, { status: "completed" });
  const prompts = JSON.stringify([{ type: "freetext", weight: 1, value: "x".repeat(900) }]);
  await sql`
    insert into subtasks (parent_task_id, legacy_id, variable_indices, variable_types_map, type_to_variable, status,
      result, image_url, prompts, completed_at)
    select ${id}, ${
    legacyId(0).slice(0, 18)
  } || lpad(to_hex(n), 6, '0'), array[n, null, null, null, null, null], '{}', '{}',
      'completed', json_build_object('url', 'https://x/' || n), 'https://x/' || n, ${prompts}::text::json, now()
    from generate_series(0, 49999) as n`;
  await sql`update tasks set subtasks_total = 50000, subtasks_completed = 50000 where id = ${id}`;
  // Only reachable memory counts.
  const memory = () => {
    collectGarbage();
    const { heapUsed, external } = Deno.memoryUsage();
    return heapUsed + external;
  };
  const before = memory();
  let bytes = 0;
  let largest = 0;
  let peak = 0;
  let pieces = 0;
  let tail = new Uint8Array();
  for await (const piece of (await openTaskDetail(sql, id))!) {
    bytes += piece.length;
    largest = Math.max(largest, piece.length);
    if (pieces++ % 40 === 0) peak = Math.max(peak, memory() - before);
    tail = piece.slice(-3);
  }
  assert.equal(new TextDecoder().decode(tail), "]}");
  assert.ok(bytes > 60_000_000, `${bytes} bytes`);
  assert.ok(largest < 600_000, `a piece of ${largest} bytes`);
  assert.ok(peak < 24_000_000, `memory grew by ${peak} bytes`);
});

Deno.test("a cancelled reader of a detail releases its connection", async () => {
  const id = await seedTask(sql, { status: "completed" });
  await seedSubtasks(sql, id, Array.from({ length: 100 }, (_, n) => drawn(`{${n}}`, `https://x/${n}`)));
  const reader = (await openTaskDetail(sql, id, { rowsMax: 10 }))!.getReader();
  await reader.read();
  await reader.cancel();
  assert.equal((await list({ pageSize: 1 })).tasks.length, 1);
});
