/** The Chinese side of the documents: which page has one, and the first difference between both. */
import { root } from "./pages.ts";

/** Pages of `docs/` that users and operators read. The Chinese side of each has the same name in `docs/zh/`. */
export const translated = [
  "README.md",
  "docs/backup.md",
  "docs/deploying.md",
  "docs/errors.md",
  "docs/following.md",
  "docs/loading.md",
  "docs/metrics.md",
  "docs/migrating.md",
  "docs/notices.md",
  "docs/operating.md",
  "docs/operating-queue.md",
  "docs/scaling.md",
  "docs/security.md",
  "docs/settings.md",
  "docs/shadow.md",
  "docs/training-operators.md",
  "docs/training-testers.md",
  "docs/v2.md",
];

/** Pages for developers, and the glossary, which has a Chinese column. */
export const englishOnly = [
  "docs/asvs.md",
  "docs/benches.md",
  "docs/chaos.md",
  "docs/glossary.md",
  "docs/queue-model.md",
  "docs/sources.md",
  "docs/switch-model.md",
];

/** Returns the path of the Chinese side of an English page. */
export const toChinese = (page: string): string =>
  page === "README.md" ? "README.zh-CN.md" : page.replace("docs/", "docs/zh/");

/** Returns the text of a page of either language. */
export const readText = (page: string): Promise<string> => Deno.readTextFile(new URL(page, root));

/** A heading with what stands below it, up to the next heading. */
interface Section {
  level: number;
  heading: string;
  /** Code blocks without their comments. */
  code: string[];
  /** Rows of all tables, with the separators, so that tables differ from one table. */
  rows: string[][];
  /** Paragraphs and list items, each on one line. */
  prose: string[];
}

/** What a line of Markdown is, apart from code. */
const patterns = { heading: /^(#+) (.+)$/, fence: /^\s*```(\w*)/, item: /^\s*(?:[-*]|\d+\.) /, row: /^\|/ };

/** Removes comments from code. The tests of the documents read `# exit N`, so this one stays. */
function removeComments(code: string, language: string): string {
  if (language === "text") return code;
  return code.split("\n").map((line) => line.replace(/(^|\s)\s*# (?!exit \d).*$/, "")).join("\n").trimEnd();
}

/** Splits a row of a table into its cells; `|` inside code does not separate. */
export const splitRow = (line: string): string[] =>
  line.replaceAll(/`[^`]*`/g, (code) => code.replaceAll("|", "\0")).split("|").slice(1, -1)
    .map((cell) => cell.replaceAll("\0", "|").trim());

/** Reads one page line by line. */
class Reader {
  readonly sections: Section[] = [{ level: 0, heading: "", code: [], rows: [], prose: [] }];
  #fence: string | undefined;
  #code: string[] = [];
  /** The line before was empty or code, so that an indented line is code. */
  #mayBeCode = true;
  #inParagraph = false;

  get #last(): Section {
    return this.sections.at(-1)!;
  }

  #endCode(language: string): void {
    const text = this.#code.join("\n").trimEnd();
    if (text !== "") this.#last.code.push(removeComments(text, language));
    this.#code = [];
  }

  read(line: string): void {
    const fence = patterns.fence.exec(line);
    if (this.#fence !== undefined) {
      if (fence === null) return void this.#code.push(line);
      this.#endCode(this.#fence);
      this.#fence = undefined;
    } else if (fence !== null) {
      this.#fence = fence[1]!;
      this.#inParagraph = false;
    } else if (this.#mayBeCode && /^ {4}/.test(line)) {
      this.#code.push(line);
    } else if (line.trim() === "") {
      if (this.#code.length > 0) this.#code.push("");
      this.#mayBeCode = true;
      this.#inParagraph = false;
    } else this.#readText(line);
  }

  #readText(line: string): void {
    this.#endCode("");
    this.#mayBeCode = false;
    const heading = patterns.heading.exec(line);
    if (heading !== null) {
      this.sections.push({
        level: heading[1]!.length,
        heading: heading[2]!,
        code: [],
        rows: [],
        prose: [],
      });
      this.#inParagraph = false;
    } else if (patterns.row.test(line)) {
      this.#last.rows.push(splitRow(line));
      this.#inParagraph = false;
    } else if (this.#inParagraph && !patterns.item.test(line)) {
      this.#last.prose.push(`${this.#last.prose.pop()} ${line.trim()}`);
    } else {
      this.#last.prose.push(line.trim());
      this.#inParagraph = true;
    }
  }

  end(): Section[] {
    this.#endCode(this.#fence ?? "");
    return this.sections;
  }
}

function readSections(text: string): Section[] {
  const reader = new Reader();
  for (const line of text.split("\n")) reader.read(line);
  return reader.end();
}

/** Returns what is in backticks, sorted: a translation may change the order in a sentence. */
const listSpans = (text: string): string[] =>
  [...text.matchAll(/`([^`]+)`/g)].map(([, span]) => span!.replaceAll(/\s+/g, " ")).toSorted();

const removeCode = (text: string): string =>
  text.replaceAll(/`[^`]*`/g, "").replaceAll(/\]\([^)]*\)|https?:\S+/g, "");

/** Returns the numbers in digits outside code. */
const listNumbers = (text: string): string[] =>
  removeCode(text).match(/\d+(?:[.,]\d+)*/g)?.map((number) => number.replaceAll(",", "")) ?? [];

const listTargets = (text: string): string[] =>
  [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!);

const toAnchor = (heading: string): string =>
  heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").trim().replaceAll(" ", "-");

/** Both sides of a page. */
export interface Pair {
  english: string;
  chinese: string;
}

/** Returns the file that a link of a page leads to, as a path from the root. */
const resolve = (page: string, path: string): string =>
  path === "" ? page : new URL(path, new URL(page, "file:///")).pathname.slice(1);

const chinesePictures = new Set(
  [...Deno.readDirSync(new URL("docs/pictures/zh/", root))].map(({ name }) => name),
);

/** Translates the links of an English page: to the Chinese side where there is one, and to its heading of the same number. */
async function translateTarget(target: string, page: string): Promise<string> {
  if (/^https?:/.test(target)) return target;
  const [path = "", anchor] = target.split("#");
  const file = resolve(page, path);
  // The link to the own Chinese side becomes the link back.
  if (file === toChinese(page)) return page;
  // The pictures of the console are taken in both languages.
  if (chinesePictures.has(file.replace("docs/pictures/", ""))) {
    return file.replace("pictures/", "pictures/zh/");
  }
  if (!translated.includes(file)) return target.replace(path, file);
  if (anchor === undefined) return toChinese(file);
  const [english, chinese] = await Promise.all([file, toChinese(file)].map(readText));
  const index = readSections(english!).findIndex(({ heading }) => toAnchor(heading) === anchor);
  return `${toChinese(file)}#${toAnchor(readSections(chinese!)[index]?.heading ?? "")}`;
}

function resolveTarget(target: string, page: string): string {
  if (/^https?:/.test(target)) return target;
  const [path = "", anchor] = target.split("#");
  return resolve(page, path) + (anchor === undefined ? "" : `#${anchor}`);
}

const show = (values: string[]): string => values.length === 0 ? "nothing" : values.join(" · ");

/** Returns the first difference between two lists, in words; undefined if they are equal. */
function compareLists(what: string, english: string[], chinese: string[]): string | undefined {
  const index = english.findIndex((value, at) => value !== chinese[at]);
  if (index === -1 && english.length === chinese.length) return undefined;
  const at = index === -1 ? english.length : index;
  return `${what}: English has ${show(english.slice(at, at + 1))}, Chinese has ${
    show(chinese.slice(at, at + 1))
  }`;
}

function compareRows(english: string[][], chinese: string[][]): string | undefined {
  if (english.length !== chinese.length) {
    return `rows of tables: English has ${english.length}, Chinese has ${chinese.length}`;
  }
  for (const [index, cells] of english.entries()) {
    const others = chinese[index]!;
    const place = `row ${cells[0]}`;
    if (cells.length !== others.length) {
      return `${place}: English has ${cells.length} columns, Chinese has ${others.length}`;
    }
    for (const [column, cell] of cells.entries()) {
      const fault = compareLists(`${place}, code`, listSpans(cell), listSpans(others[column]!));
      if (fault !== undefined) return fault;
    }
  }
  return undefined;
}

const hasChinese = (text: string): boolean => /\p{Script=Han}/u.test(text);

/** Returns the first long text without a Chinese character. */
const findUntranslated = ({ prose, rows }: Section): string | undefined =>
  [...prose, ...rows.flat()].find((text) => removeCode(text).length > 60 && !hasChinese(text));

async function compareSection(a: Section, b: Section, pair: Pair): Promise<string | undefined> {
  const texts = [a, b].map(({ prose, rows }) => [...prose, ...rows.flat()].join("\n"));
  const [english = "", chinese = ""] = texts;
  const targets = await Promise.all(
    listTargets(english).map((target) => translateTarget(target, pair.english)),
  );
  const numbers = new Set(listNumbers(chinese));
  const lost = listNumbers(english).find((number) => !numbers.has(number));
  const untranslated = findUntranslated(b);
  return compareLists("code block", a.code, b.code) ??
    compareRows(a.rows, b.rows) ??
    compareLists("paragraphs and list items", [String(a.prose.length)], [String(b.prose.length)]) ??
    compareLists("code in text", listSpans(a.prose.join("\n")), listSpans(b.prose.join("\n"))) ??
    compareLists(
      "link",
      targets.toSorted(),
      listTargets(chinese).map((target) => resolveTarget(target, pair.chinese)).toSorted(),
    ) ??
    (lost === undefined ? undefined : `the number ${lost} is missing in Chinese`) ??
    (untranslated === undefined ? undefined : `not translated: ${untranslated}`);
}

/** Returns the first difference of a Chinese text from its English page, with its section; undefined if there is none. */
export async function findDifference(pair: Pair, chinese: string): Promise<string | undefined> {
  const sections = readSections(await readText(pair.english));
  const others = readSections(chinese);
  for (const [index, section] of sections.entries()) {
    const other = others[index];
    if (other === undefined) return `no section for «${section.heading}»`;
    const place = `«${section.heading}» / «${other.heading}»`;
    if (section.level !== other.level) return `${place}: level ${section.level} and level ${other.level}`;
    const fault = await compareSection(section, other, pair);
    if (fault !== undefined) return `${place}: ${fault}`;
  }
  const more = others[sections.length];
  return more && `no English section for «${more.heading}»`;
}
