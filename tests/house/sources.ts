/** The sources as the house's law reads them: text, code without comments and strings, imports, syntax tree. */
import ts from "typescript";
import { workshop } from "./rooms.ts";

export const root = new URL("../../", import.meta.url);

export interface Source {
  /** From the root, such as `db/pg/connect.ts`. */
  path: string;
  text: string;
  /** The text without comments and without the contents of quoted strings. */
  code: string;
  /** Paths of our own files that it imports. */
  imports: string[];
  tree: ts.SourceFile;
}

const skippedFolders = new Set(["node_modules", "tests/data", "routes/v2/generated", "console/built"]);

function* walk(folder: string): Generator<string> {
  for (const entry of Deno.readDirSync(new URL(folder === "" ? "./" : `${folder}/`, root))) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
    if (entry.isDirectory && !entry.name.startsWith(".") && !skippedFolders.has(path)) yield* walk(path);
    else if (entry.isFile && /\.tsx?$/.test(path)) yield path;
  }
}

function readSource(path: string): Source {
  const text = Deno.readTextFileSync(new URL(path, root));
  const bare = text.replace(/\/\*[\s\S]*?\*\//g, "");
  const found = bare.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g);
  const imports = [...found].map(([, to]) => new URL(to!, new URL(path, root)).href.slice(root.href.length));
  const code = bare
    .replace(/(^|\s)\/\/.*$/gm, "")
    .replace(/"(?:[^"\\\n]|\\.)*"/g, '""');
  return { path, text, code, imports, tree: ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true) };
}

/** Every TypeScript source but generated ones. */
export const sources: Source[] = [...walk("")].map(readSource);

/** Sources of the programs that users run. */
export const product = sources.filter(({ path }) =>
  !workshop.some((folder) => path.startsWith(`${folder}/`))
);

export const folderOf = (path: string): string =>
  path.includes("/") ? path.slice(0, path.lastIndexOf("/")) : "";

/** Calls `visit` for every node below and including `node`. */
export function visitNodes(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => visitNodes(child, visit));
}

/** `path:line` of a node, lines counted from 1. */
export function locate({ path, tree }: Source, node: ts.Node): string {
  return `${path}:${tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1}`;
}

/** How many lines a node covers. */
export function countLines({ tree }: Source, node: ts.Node): number {
  const line = (position: number) => tree.getLineAndCharacterOfPosition(position).line;
  return line(node.getEnd()) - line(node.getStart(tree)) + 1;
}
