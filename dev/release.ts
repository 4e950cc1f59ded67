/** `deno task release VERSION`: writes the version everywhere it stands, and prints the commands that publish it. */
import { Command } from "commander";
import { AppError } from "../errors.ts";
import { print, runMain } from "../process.ts";

const semver = /^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)$/;

/** Texts of the files that a release changes. */
export interface ReleaseFiles {
  "deno.json": string;
  "CHANGELOG.md": string;
  "deploy/k8s/production/kustomization.yaml": string;
}

const paths = ["deno.json", "CHANGELOG.md", "deploy/k8s/production/kustomization.yaml"] as const;

const toNumber = (version: string): number => {
  const [major, minor, patch] = version.split(".").map(Number) as [number, number, number];
  return (major * 1e5 + minor) * 1e5 + patch;
};

/**
 * Returns the changed files of a release.
 *
 * @param date day of the release, such as 2026-01-31
 * @throws AppError usage for a version that is not a later one; conflict if nothing is unreleased
 */
export function prepareRelease(files: ReleaseFiles, version: string, date: string): ReleaseFiles {
  if (!semver.test(version)) {
    throw new AppError("usage", `reading the version: '${version}' is not a version such as 1.2.3`);
  }
  const config = JSON.parse(files["deno.json"]);
  const last: string = config.version ?? "0.0.0";
  if (toNumber(version) <= toNumber(last)) {
    throw new AppError(
      "usage",
      `reading the version: ${version} is not later than the last release, ${last}`,
    );
  }
  const heading = "## Unreleased\n";
  const changelog = files["CHANGELOG.md"];
  const start = changelog.indexOf(heading);
  const notes = start < 0 ? "" : changelog.slice(start + heading.length).split(/^## /m)[0]!.trim();
  if (notes === "") throw new AppError("conflict", "reading CHANGELOG.md: nothing stands under «Unreleased»");
  const withVersion = config.version === undefined
    ? files["deno.json"].replace("{\n", `{\n  "version": "${version}",\n`)
    : files["deno.json"].replace(/^ {2}"version": ".*"/m, `  "version": "${version}"`);
  return {
    "deno.json": withVersion,
    "CHANGELOG.md": changelog.replace(heading, `${heading}\n## ${version} (${date})\n`),
    "deploy/k8s/production/kustomization.yaml": files["deploy/k8s/production/kustomization.yaml"]
      .replace(/newTag: .*/, `newTag: "${version}"`),
  };
}

/** The commands that publish a release. */
export const listCommands = (version: string): string[] => [
  `git commit -am "Release ${version}"`,
  `git tag -a v${version} -m "${version}"`,
  `deno task sbom > contactsheet-${version}.cdx.json`,
  `docker build -f deploy/docker/Dockerfile -t contactsheet:${version} .`,
  `git push --follow-tags`,
];

async function hasChanges(): Promise<boolean> {
  const { stdout } = await new Deno.Command("git", { args: ["status", "--porcelain"] }).output();
  return stdout.length > 0;
}

const command = new Command("deno task release")
  .description(
    "Writes VERSION to deno.json, CHANGELOG.md and the Kubernetes example, and prints what to run next.",
  )
  .argument("<version>", "the new version, such as 1.2.3");

async function main(): Promise<number> {
  const [version, ...rest] = Deno.args;
  if (version === undefined || version === "--help" || version === "-h") {
    command.outputHelp();
    return 0;
  }
  if (rest.length > 0) throw new AppError("usage", `reading the arguments: '${rest[0]}' is one too many`);
  if (await hasChanges()) {
    throw new AppError("conflict", "releasing: commit or discard the changes first (git status)");
  }
  const texts = await Promise.all(paths.map(async (path) => [path, await Deno.readTextFile(path)] as const));
  const date = new Date().toISOString().slice(0, 10);
  const changed = prepareRelease(Object.fromEntries(texts) as unknown as ReleaseFiles, version, date);
  for (const path of paths) await Deno.writeTextFile(path, changed[path]);
  print(`${version}: ${paths.join(", ")} are written. Read the changes (git diff), then run:`);
  for (const line of listCommands(version)) print(`    ${line}`);
  return 0;
}

if (import.meta.main) await runMain(main);
