/** Expansion and requests to the image API: recorded runs, properties, and cases. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { cellsMax } from "../../../db/queue/task_fields.ts";
import { AppError } from "../../../errors.ts";
import { type Cell, expandTask, type Expansion } from "../../../jobs/matrix/expand.ts";
import { buildImageRequest, sizeOfRatio } from "../../../jobs/image/request.ts";
import { int, type Json, type JsonObject, parseJson, stringifyJson } from "../../../json.ts";
import { at, readRuns, refusedNow, type Run, sorted, subtasksOf, withFields } from "../support/golden.ts";

const drawn = 1_234_567_890;
const drawSeed = () => drawn;
const object = (text: string) => parseJson(text) as JsonObject;
const list = (text: string) => parseJson(text) as Json[];

function expand(body: JsonObject): Expansion {
  const empty: JsonObject = new Map();
  return expandTask({
    tags: body.get("tags") as Json[],
    variables: (body.get("variables") ?? empty) as JsonObject,
    settings: (body.get("settings") ?? empty) as JsonObject,
  }, { drawSeed });
}

const seedOf = (cell: Cell): Json => cell.seed === drawn ? "<seed>" : int(cell.seed);

/** Returns the POST of a cell as the recording has it, with masked values. */
function postOf(cell: Cell): Json {
  const body = withFields(object(buildImageRequest(cell).body), { seed: seedOf(cell) });
  return new Map<string, Json>([["lumina", cell.queue === "lumina"], ["token", "played"], ["body", body]]);
}

function subtaskOf(cell: Cell): Json {
  return new Map<string, Json>([
    ["variable_indices", cell.variable_indices.map((index) => index === null ? null : int(index))],
    ["variable_types_map", object(cell.variable_types_map)],
    ["type_to_variable", object(cell.type_to_variable)],
    ["prompts", list(cell.prompts)],
    ["ratio", cell.ratio],
    ["seed", seedOf(cell)],
    ["use_polish", cell.use_polish],
  ]);
}

/** Returns the number of POSTs of a recorded subtask. `retry_count` counts its failed attempts. */
function attemptsOf(subtask: JsonObject): number {
  const failed = Number(stringifyJson(subtask.get("retry_count") ?? null));
  return subtask.get("status") === "failed" ? failed : failed + 1;
}

function compareRun(run: Run): void {
  const expansion = expand(run.body);
  const cells = [...expansion.cells];
  const recorded = subtasksOf(run);
  assert.equal(expansion.total, cells.length);
  assert.equal(int(expansion.imagesExpected).text, stringifyJson(at(run.create[1], "data", "total_images")!));
  const stored = at(run.detail![1], "data") as JsonObject;
  assert.equal(stringifyJson(expansion.variablesStored), stringifyJson(stored.get("variables")!));
  assert.equal(stringifyJson(expansion.settingsStored), stringifyJson(stored.get("settings")!));
  const keys = [...(subtaskOf(cells[0]!) as JsonObject).keys()];
  assert.deepEqual(
    cells.map(subtaskOf).map(stringifyJson),
    recorded.map((subtask) => stringifyJson(new Map(keys.map((key) => [key, subtask.get(key) ?? null])))),
  );
  const posts = cells.flatMap((cell, i) => Array(attemptsOf(recorded[i]!)).fill(postOf(cell)) as Json[]);
  assert.deepEqual(sorted(posts), sorted(run.creates));
}

Deno.test("every recorded run expands to its recorded subtasks and requests", async () => {
  const runs = await readRuns();
  assert.equal(runs.length, 125);
  for (const run of runs) {
    try {
      if (refusedNow.has(run.name)) assert.throws(() => expand(run.body), { code: "invalid_request" });
      else compareRun(run);
    } catch (error) {
      throw new Error(`run '${run.name}'`, { cause: error });
    }
  }
});

const axesOf = (counts: number[]): JsonObject =>
  new Map(counts.map((count, slot) => [
    `v${slot}`,
    new Map<string, Json>([
      ["name", `n${slot}`],
      ["values", Array.from({ length: count }, (_, i) => new Map<string, Json>([["value", `${slot}-${i}`]]))],
    ]),
  ]));

const tagsOf = (counts: number[]): Json[] =>
  counts.map((_, slot) =>
    new Map<string, Json>([["type", "prompt"], ["isVariable", true], ["name", `n${slot}`]])
  );

Deno.test("the number of cells is the product of the level counts, and their indices are row-major and unique", () => {
  fc.assert(fc.property(
    fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 6 }),
    fc.integer({ min: 1, max: 3 }),
    (counts, batch) => {
      const tags = [...tagsOf(counts), object(`{"type":"batch","value":"${batch}"}`)];
      const expansion = expandTask({ tags, variables: axesOf(counts), settings: new Map() });
      const product = counts.reduce((all, count) => all * Math.max(1, count), 1);
      assert.equal(expansion.imagesExpected, product);
      assert.equal(expansion.total, product * batch);
      const cells = [...expansion.cells];
      assert.equal(cells.length, expansion.total);
      const last = counts[5] ?? 0;
      const keys = cells.map(({ variable_indices }) => variable_indices.map((index) => index ?? -1));
      cells.forEach(({ cell, variable_indices }, i) => {
        assert.equal(cell, i);
        assert.equal(variable_indices.length, 6);
        variable_indices.forEach((index, slot) => {
          const most = slot === 5 && last === 0 ? (batch > 1 ? batch : 0) : counts[slot] ?? 0;
          assert.ok(most === 0 ? index === null : index !== null && index >= 0 && index < most);
        });
      });
      const texts = keys.map((key) => key.map((index) => String.fromCharCode(index + 48)).join(""));
      assert.deepEqual(texts, texts.toSorted());
      if (batch === 1 || last === 0) assert.equal(new Set(texts).size, texts.length);
    },
  ));
});

Deno.test("a second iteration yields the same cells", () => {
  const { cells } = expandTask({ tags: tagsOf([3, 2]), variables: axesOf([3, 2]), settings: new Map() }, {
    drawSeed,
  });
  assert.deepEqual([...cells], [...cells]);
});

Deno.test("the size of a valid ratio consists of multiples of 8, and the inverse ratio swaps the sides", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 400 }), (a, b) => {
    const { width, height } = sizeOfRatio(`${a}:${b}`);
    assert.ok(width % 8 === 0 && height % 8 === 0 && width > 0 && height > 0);
    assert.deepEqual(sizeOfRatio(`${b}:${a}`), { width: height, height: width });
  }));
});

Deno.test("an invalid ratio, or one with a side of zero, has the size 1024 × 1024", () => {
  for (
    const ratio of [
      "0:1",
      "1:0",
      ":",
      "99999:1",
      "1:99999",
      "16/9",
      "",
      "a:b",
      "1:1:1",
      "-3:4",
      "nan:1",
      "inf:1",
    ]
  ) {
    assert.deepEqual(sizeOfRatio(ratio), { width: 1024, height: 1024 }, ratio);
  }
});

const one = (tags: string, settings = "{}", variables = "{}"): Cell => {
  const [cell] = expandTask({ tags: list(tags), variables: object(variables), settings: object(settings) }, {
    drawSeed,
  }).cells;
  return cell!;
};

Deno.test("values are read as the old backend read them", () => {
  const cases: [field: keyof Cell, tags: string, wanted: unknown][] = [
    ["seed", '[{"type":"seed","value":77}]', 77],
    ["seed", '[{"type":"seed","value":"9007199254740993"}]', 9007199254740993n],
    ["seed", '[{"type":"seed","value":"-1"}]', -1],
    ["seed", '[{"type":"seed","value":"1_000"}]', 1000],
    ["seed", '[{"type":"seed","value":"１２"}]', 12],
    ["seed", '[{"type":"seed","value":"1e30"}]', drawn],
    ["seed", '[{"type":"seed","value":null}]', drawn],
    ["ratio", '[{"type":"ratio","value":"3:5"},{"type":"ratio","value":"wide"}]', "3:5"],
    ["ratio", '[{"type":"ratio","value":169}]', "1:1"],
    ["ratio", '[{"type":"ratio","value":"3:\\u00005"}]', "1:1"],
    ["use_polish", '[{"type":"polish","value":true}]', true],
    ["prompts", '[{"type":"prompt"}]', '[{"type":"freetext","weight":1,"value":"1girl"}]'],
    [
      "prompts",
      '[{"type":"prompt","value":"\\ud800"}]',
      '[{"type":"freetext","weight":1.0,"value":"\\ud800"}]',
    ],
    ["queue", '[{"type":"element","value":"myLuminaStyle"}]', "lumina"],
    ["queue", '[{"type":"prompt","value":"lumina"}]', "standard"],
    ["client_args", '[{"type":"element","value":"Lumina1"}]', null],
  ];
  for (const [field, tags, wanted] of cases) assert.deepEqual(one(tags)[field], wanted, tags);
});

/** Returns `uuid`, image and weight of each level's entry. */
function referencesOf(type: string, values: string): string[] {
  const { cells } = expandTask({
    tags: list(`[{"type":"${type}","isVariable":true,"name":"x"}]`),
    variables: object(`{"v0":{"name":"x","values":${values}}}`),
    settings: new Map(),
  });
  return [...cells].map(({ prompts }) => {
    const entry = list(prompts)[0] as JsonObject;
    assert.deepEqual(entry.get("uuid"), entry.get("value"));
    return ["uuid", "img_url", "weight"].map((key) => stringifyJson(entry.get(key)!)).join(" ");
  });
}

Deno.test("equal levels have the uuid and image of the first, if it has a uuid, and weights of their own", () => {
  const second = '{"value":"cat","uuid":"u22","weight":0.5,"header_img":"b.webp"}';
  const cases: [values: string, wanted: string[]][] = [
    [`[{"value":"cat"},${second}]`, ['"" "" 1.0', '"u22" "b.webp" 0.5']],
    [`[{"value":"cat","uuid":""},${second}]`, ['"" "" 1.0', '"u22" "b.webp" 0.5']],
    [`[{"value":"cat","uuid":null},${second}]`, ['null "" 1.0', '"u22" "b.webp" 0.5']],
    [`[{"value":"cat","header_img":"a.webp"},${second}]`, ['"" "a.webp" 1.0', '"u22" "b.webp" 0.5']],
    [`[{"value":"cat","uuid":"u1"},${second}]`, ['"u1" "" 1.0', '"u1" "" 0.5']],
    [
      `[{"value":"cat","uuid":"u1","weight":2,"header_img":"a.webp"},{"value":"cat"}]`,
      ['"u1" "a.webp" 2', '"u1" "a.webp" 1.0'],
    ],
    [
      `[{"value":"cat"},${second},{"value":"cat","uuid":"u3"},{"value":"cat"}]`,
      ['"" "" 1.0', '"u22" "b.webp" 0.5', '"u3" "" 1.0', '"" "" 1.0'],
    ],
    [
      `[{"value":"dog","uuid":"u9"},{"value":"cat","uuid":"u1"},${second},{"value":"cat","uuid":"u3"}]`,
      ['"u9" "" 1.0', '"u1" "" 1.0', '"u1" "" 0.5', '"u1" "" 1.0'],
    ],
    [`[{"uuid":"u1"},{"value":null,"uuid":"u2"}]`, ['"u1" "" 1.0', '"u1" "" 1.0']],
    [`[{"value":1,"uuid":"u1"},{"value":true,"uuid":"u2"}]`, ['"u1" "" 1.0', '"u1" "" 1.0']],
    [`["cat",${second},"cat"]`, ['"" "" 1.0', '"u22" "b.webp" 0.5', '"" "" 1.0']],
  ];
  for (const type of ["character", "element"]) {
    for (const [values, wanted] of cases) {
      assert.deepEqual(referencesOf(type, values), wanted, `${type} ${values}`);
    }
  }
});

Deno.test("client_args keep the order and form of the settings, without keys that could redirect the image API", () => {
  const settings = '{"client_args":{"cfg":7.50,"url":"http://x","X-Token":"t","steps":3,"x":{"url":1}}}';
  const variables = '{"v0":{"name":"s","values":[{"value":"9"},{"value":"77"}]}}';
  const tags = list('[{"type":"element","value":"lumina1"},{"type":"steps","isVariable":true,"name":"s"}]');
  const { cells } = expandTask({ tags, variables: object(variables), settings: object(settings) });
  assert.deepEqual([...cells].map(({ client_args }) => client_args), [
    '{"cfg":7.5,"steps":9,"x":{"url":1}}',
    '{"cfg":7.5,"steps":3,"x":{"url":1}}',
  ]);
});

Deno.test("concurrency is clamped to 1 to 50", () => {
  for (
    const [given, wanted] of [["0", "1"], ["1000000000", "50"], ["2.5", "2.5"], ["50", "50"], ["-1", "1"]]
  ) {
    const settings = object(`{"a":1,"concurrency":${given},"z":2}`);
    const { settingsStored } = expandTask({ tags: [], variables: new Map(), settings });
    assert.equal(stringifyJson(settingsStored), `{"a":1,"concurrency":${wanted},"z":2}`);
  }
});

Deno.test("a body that cannot be expanded is refused with the name of the field", () => {
  const many = (counts: number[]) => stringifyJson(axesOf(counts));
  const cases: [name: string, field: string, tags: string, variables: string, settings: string][] = [
    [
      "a variable tag whose name matches no variable",
      "tags.0.name",
      '[{"type":"ratio","isVariable":true,"name":"a"}]',
      "{}",
      "{}",
    ],
    ["a variable tag without a name", "tags.0.name", '[{"type":"ratio","isVariable":true}]', many([0]), "{}"],
    ["a tag that is no object", "tags.0", "[1]", "{}", "{}"],
    ["concurrency as text", "settings.concurrency", "[]", "{}", '{"concurrency":"5"}'],
    ["concurrency null", "settings.concurrency", "[]", "{}", '{"concurrency":null}'],
    ["a seed past 64 bits", "tags", '[{"type":"seed","value":"9223372036854775808"}]', "{}", "{}"],
    ["50,001 repeats", "variables", '[{"type":"batch","value":"50001"}]', "{}", "{}"],
    ["a batch of a thousand millions", "variables", '[{"type":"batch","value":1000000000}]', "{}", "{}"],
    ["100 to the sixth", "variables", "[]", many([100, 100, 100, 100, 100, 100]), "{}"],
  ];
  for (const [name, field, tags, variables, settings] of cases) {
    const attempt = () =>
      expandTask({ tags: list(tags), variables: object(variables), settings: object(settings) });
    assert.throws(attempt, (error) => {
      assert.ok(error instanceof AppError, name);
      assert.equal(error.code, "invalid_request");
      assert.deepEqual(error.fields.map((fault) => fault.field), [field], name);
      return true;
    });
  }
});

Deno.test("50,000 cells are allowed and generated one at a time", () => {
  const counts = [50, 50, 20];
  const body = { tags: tagsOf(counts), variables: axesOf(counts), settings: new Map() };
  const { total, cells } = expandTask(body);
  assert.equal(total, cellsMax);
  let made = 0;
  for (const { cell } of cells) assert.equal(cell, made++);
  assert.equal(made, cellsMax);
});
