/**
 * Each page for users and operators has a Chinese side that says the same. Headings, code blocks, tables, code in text, links
 * and numbers agree. Commands and outputs are therefore those that the tests of the English pages run and compare, and what
 * other tests compare with the code in the English tables holds for the Chinese ones.
 */
import assert from "node:assert/strict";
import { root } from "./support/pages.ts";
import {
  englishOnly,
  findDifference,
  readText,
  splitRow,
  toChinese,
  translated,
} from "./support/translations.ts";

const listPages = (folder: string): string[] =>
  [...Deno.readDirSync(new URL(folder, root))].filter(({ name }) => name.endsWith(".md"))
    .map(({ name }) => folder + name).toSorted();

Deno.test("each page in docs is translated or listed as one for developers", () => {
  const listed = [...translated, ...englishOnly].filter((page) => page.startsWith("docs/"));
  assert.deepEqual(listPages("docs/"), listed.toSorted());
});

Deno.test("each page in docs/zh is the Chinese side of an English page", () => {
  const wanted = translated.map(toChinese).filter((page) => page.startsWith("docs/"));
  assert.deepEqual(listPages("docs/zh/"), wanted.toSorted());
});

for (const english of translated) {
  const chinese = toChinese(english);
  Deno.test(`${chinese} has the sections, code, tables, links and numbers of ${english}`, async () => {
    assert.equal(await findDifference({ english, chinese }, await readText(chinese)), undefined);
  });
}

/** Changes of docs/zh/following.md, and the fault that the comparison must report. */
const faults: [change: string, from: string | RegExp, to: string, wanted: RegExp][] = [
  ["a missing section", /\n## 5\. [\s\S]*?(?=\n## )/, "\n", /5\. Verify.*6\. 缺口.*: code block/],
  ["a heading of another level", "## 6. 缺口", "### 6. 缺口", /level 2 and level 3/],
  ["another command", "--settled 60", "--settled 90", /code block: English has .*60, Chinese has .*90/],
  ["another output", "1 document waiting", "2 documents waiting", /code block/],
  ["a missing row", /\| head-room .*\n/, "", /rows of tables: English has 10, Chinese has 9/],
  ["a missing column", "| 66 | 更正 `DB_NAME` |", "| 66 |", /English has 3 columns, Chinese has 2/],
  ["other code in a table", "更正 `DB_NAME`", "更正 `DB`", /code: English has DB_NAME, Chinese has DB$/],
  ["other code in a sentence", "加 `--once`，作为", "加，作为", /code in text: English has --once/],
  [
    "a missing paragraph",
    /只写入文档所包含的内容.*\n/,
    "",
    /paragraphs and list items: English has 2, Chinese has 1/,
  ],
  ["another link", "](#没有副本集)", "](#指标)", /link: English has .*没有副本集, Chinese has .*指标/],
  ["another number", "最多 120 秒", "最多 100 秒", /the number 120 is missing/],
  [
    "a sentence that is not translated",
    /只写入文档所包含的内容.*/,
    "Only what documents contain is written. Ratings, evaluations, marks and votes of this system stay.",
    /not translated: Only what/,
  ],
];

Deno.test("the comparison of both sides finds each kind of fault", async (t) => {
  const pair = { english: "docs/following.md", chinese: "docs/zh/following.md" };
  const text = await readText(pair.chinese);
  for (const [change, from, to, wanted] of faults) {
    await t.step(change, async () => {
      const changed = text.replace(from, to);
      assert.notEqual(changed, text);
      assert.match(await findDifference(pair, changed) ?? "no difference", wanted);
    });
  }
});

Deno.test("the glossary has a Chinese word for each term", async () => {
  const lines = (await readText("docs/glossary.md")).split("\n").filter((line) => line.startsWith("| "));
  const rows = lines.slice(1).map(splitRow);
  assert.ok(rows.length > 100);
  const isWhole = ([, chinese = "", meaning]: string[]) =>
    /\p{Script=Han}/u.test(chinese) && meaning !== undefined;
  assert.deepEqual(rows.filter((row) => !isWhole(row)).map(([term]) => term), []);
});
