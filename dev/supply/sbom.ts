/** `deno task sbom`: writes the packages of deno.lock as a bill of materials (CycloneDX 1.6, JSON). */
import { Command } from "commander";
import { print, runMain } from "../../process.ts";
import { parseOptions } from "../command_line.ts";
import { type Locked, parseLock } from "./lock.ts";

const root = new URL("../../", import.meta.url);

const purlOf = ({ name, version }: Locked): string => `pkg:npm/${name.replace(/^@/, "%40")}@${version}`;

/** Reads a package's licence where it is installed. */
async function readLicence({ key, name }: Locked): Promise<string | undefined> {
  const folder = key.replaceAll("/", "+");
  try {
    const path = new URL(`node_modules/.deno/${folder}/node_modules/${name}/package.json`, root);
    const { license } = JSON.parse(await Deno.readTextFile(path));
    return typeof license === "string" ? license : undefined;
  } catch {
    return undefined;
  }
}

/** Creates the bill of materials. The same lock file gives the same bill. */
export async function createBill(lockText: string, version: string): Promise<Record<string, unknown>> {
  const locked = parseLock(lockText);
  const unique = [...new Map(locked.map((one) => [purlOf(one), one])).values()];
  const purlByKey = new Map(locked.map((one) => [one.key, purlOf(one)]));
  const { specifiers = {}, workspace = {} } = JSON.parse(lockText);
  const direct = (workspace.dependencies ?? []).map((text: string) => text.replace(/^npm:/, ""));
  const product = `pkg:generic/contactsheet@${version}`;
  const digest = new Uint8Array(
    await crypto.subtle.digest("SHA-256", new TextEncoder().encode(lockText + version)),
  );
  const hex = digest.toHex();
  const serial = `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${
    hex.slice(20, 32)
  }`;
  const directPurls = locked.filter(({ name, version, key }) =>
    direct.some((text: string) => text === `${name}@${version}` || specifiers[`npm:${text}`] === key)
  ).map(purlOf);
  const dependencies = new Map<string, Set<string>>([[product, new Set(directPurls)]]);
  for (const one of locked) {
    const known = dependencies.get(purlOf(one)) ?? new Set();
    for (const key of one.dependencies) known.add(purlByKey.get(key)!);
    dependencies.set(purlOf(one), known);
  }
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${serial}`,
    version: 1,
    metadata: {
      component: { type: "application", "bom-ref": product, name: "contactsheet", version, purl: product },
    },
    components: await Promise.all(unique.map(async (one) => {
      const licence = await readLicence(one);
      return {
        type: "library",
        "bom-ref": purlOf(one),
        name: one.name,
        version: one.version,
        purl: purlOf(one),
        ...(one.sha512 === "" ? {} : { hashes: [{ alg: "SHA-512", content: one.sha512 }] }),
        ...(licence === undefined ? {} : { licenses: [{ license: { name: licence } }] }),
      };
    })),
    dependencies: [...dependencies].map(([ref, on]) => ({ ref, dependsOn: [...on].toSorted() })),
  };
}

const command = new Command("deno task sbom")
  .description("Prints the packages of deno.lock with their hashes and licences as CycloneDX 1.6 (JSON).");

async function main(): Promise<number> {
  if (!parseOptions(command, Deno.args)) return 0;
  const { version = "0.0.0" } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  print(
    JSON.stringify(await createBill(await Deno.readTextFile(new URL("deno.lock", root)), version), null, 2),
  );
  return 0;
}

if (import.meta.main) await runMain(main);
