/** The audit, the bill of materials, the release and the files of the hosting service. */
import assert from "node:assert/strict";
import { Ajv } from "ajv";
import addFormats from "ajv-formats";
import { parse } from "yaml";
import { listCommands, prepareRelease, type ReleaseFiles } from "../../dev/release.ts";
import {
  type Advisory,
  fetchAdvisories,
  findFaults,
  isAffected,
  mergeAdvisories,
} from "../../dev/supply/audit.ts";
import { parseLock } from "../../dev/supply/lock.ts";
import { createBill } from "../../dev/supply/sbom.ts";
import { makeCleanCopy } from "../docs/support/clean_copy.ts";
import { readPacked } from "../migrate/support/program.ts";

const root = new URL("../../", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, root));
const lockText = read("deno.lock");
const advisories: Advisory[] = JSON.parse(read("dev/supply/advisories.json"));

Deno.test("the locked packages have no known fault", () => {
  assert.deepEqual(findFaults(parseLock(lockText), advisories), []);
});

Deno.test("the audit finds an affected version, and no other", () => {
  const locked = parseLock(JSON.stringify({
    npm: {
      "undici@7.2.0": {},
      "undici@7.16.0": {},
      "@hono/zod-openapi@1.6.3_hono@4.6.0": {},
      "hono@4.6.0": {},
    },
  }));
  const found = findFaults(locked, advisories).map(({ locked: { key }, advisory: { id } }) => `${key} ${id}`);
  assert.deepEqual(found.toSorted(), [
    "hono@4.6.0 GHSA-2234-fmw7-43wr",
    "hono@4.6.0 GHSA-92vj-g62v-jqhh",
    "undici@7.2.0 GHSA-c76h-2ccp-4975",
    "undici@7.2.0 GHSA-cxrh-j4jr-qwg3",
  ]);
  for (const { id, versions } of advisories) assert.equal(isAffected("999.0.0", versions), false, id);
  assert.throws(() => isAffected("1.0.0", "newer than 1"), /reading the range 'newer than 1'/);
  assert.throws(() => parseLock("{"), /reading the lock file/);
  assert.throws(() => parseLock("{}"), /it has no npm packages/);
});

Deno.test("audit --update adds what a registry tells, and says which registry did not answer", async () => {
  const asked: unknown[] = [];
  await using registry = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    if (new URL(request.url).pathname !== "/npm/-/npm/v1/security/advisories/bulk") {
      return new Response("", { status: 404 });
    }
    asked.push(await request.json());
    const one = {
      url: "https://advisories/GHSA-new",
      title: "t",
      severity: "high",
      vulnerable_versions: ">= 1.0.0, < 1.2.0",
    };
    return Response.json({ a: [one] });
  });
  const origin = `http://127.0.0.1:${registry.addr.port}`;
  const locked = parseLock(JSON.stringify({ npm: { "a@1.1.0": {}, "b@2.0.0": {} } }));
  const found = await fetchAdvisories(`${origin}/npm/`, locked);
  assert.deepEqual(asked, [{ a: ["1.1.0"], b: ["2.0.0"] }]);
  const merged = mergeAdvisories(advisories, found);
  assert.equal(merged.length, advisories.length + 1);
  assert.equal(findFaults(locked, merged)[0]?.advisory.id, "GHSA-new");
  assert.deepEqual(mergeAdvisories(merged, found), merged);
  await assert.rejects(fetchAdvisories(`${origin}/other`, locked), /for known faults: status 404/);
});

Deno.test("the bill of materials follows CycloneDX 1.6 and lists every locked package", async () => {
  const bill = await createBill(lockText, "1.2.3");
  const { bom, spdx, jsf } = JSON.parse(
    new TextDecoder().decode(await readPacked("deploy/cyclonedx.json.gz")),
  );
  const ajv = new Ajv({ strict: false, allErrors: true, schemas: [spdx, jsf] });
  (addFormats as unknown as (ajv: Ajv) => void)(ajv);
  ajv.addFormat("iri-reference", true);
  const isValid: boolean = ajv.validate(bom, bill);
  assert.ok(isValid, ajv.errorsText());
  const components = bill.components as { purl: string; hashes: unknown[]; licenses?: unknown[] }[];
  const purls = new Set(components.map(({ purl }) => purl));
  for (const { name, version } of parseLock(lockText)) {
    assert.ok(purls.has(`pkg:npm/${name.replace("@", "%40")}@${version}`), `${name} ${version}`);
  }
  assert.ok(components.every(({ hashes }) => hashes.length === 1));
  assert.ok(components.filter(({ licenses }) => licenses).length > components.length / 2);
  const [product] = bill.dependencies as { dependsOn: string[] }[];
  const { imports } = JSON.parse(read("deno.json"));
  const direct = new Set(
    Object.values(imports as Record<string, string>).map((text) => text.replace(/^npm:\/?|\/$/g, "")),
  );
  assert.equal(product!.dependsOn.length, direct.size);
  assert.deepEqual(await createBill(lockText, "1.2.3"), bill);
});

const files: ReleaseFiles = {
  "deno.json": read("deno.json"),
  "CHANGELOG.md": read("CHANGELOG.md"),
  "deploy/k8s/production/kustomization.yaml": read("deploy/k8s/production/kustomization.yaml"),
};

Deno.test("a release writes its version to the configuration, the changelog and the image's tag, twice in a row", () => {
  const first = prepareRelease(files, "3.1.0", "2026-01-31");
  assert.equal(JSON.parse(first["deno.json"]).version, "3.1.0");
  assert.match(first["CHANGELOG.md"], /^## Unreleased\n\n## 3\.1\.0 \(2026-01-31\)\n\n- /m);
  assert.equal(parse(first["deploy/k8s/production/kustomization.yaml"]).images[0].newTag, "3.1.0");
  const next = {
    ...first,
    "CHANGELOG.md": first["CHANGELOG.md"].replace("## Unreleased\n", "## Unreleased\n\n- New.\n"),
  };
  assert.equal(JSON.parse(prepareRelease(next, "3.1.1", "2026-02-01")["deno.json"]).version, "3.1.1");
  assert.throws(() => prepareRelease(first, "3.2.0", "2026-02-01"), /nothing stands under «Unreleased»/);
  assert.throws(
    () => prepareRelease(next, "3.1.0", "2026-02-01"),
    /3\.1\.0 is not later than the last release, 3\.1\.0/,
  );
  assert.throws(() => prepareRelease(files, "v3", "2026-02-01"), /'v3' is not a version such as 1\.2\.3/);
});

Deno.test("deno task release, and the commands that it prints, make a tagged release in a clean clone", async () => {
  await using copy = await makeCleanCopy();
  const git = "git -c user.name=tester -c user.email=tester@example.com";
  const begin = await copy.run(`git init -q -b main && ${git} add -A && ${git} commit -qm start`);
  assert.equal(begin.code, 0, begin.err);
  const released = await copy.run("deno task release 9.8.7");
  assert.equal(released.code, 0, released.err);
  for (const line of listCommands("9.8.7")) assert.ok(released.out.includes(line), line);
  // Docker and a remote repository are not at hand; tests/deploy/image_test.ts carries out the steps of the image.
  for (const line of listCommands("9.8.7").filter((line) => !/^docker|^git push/.test(line))) {
    const { code, err } = await copy.run(line.replace(/^git/, git));
    assert.equal(code, 0, `${line}: ${err}`);
  }
  const { out } = await copy.run("git describe --exact-match && git show HEAD:deno.json | head -2");
  assert.match(out, /^v9\.8\.7\n\{\n {2}"version": "9\.8\.7"/);
  assert.equal(
    JSON.parse(await Deno.readTextFile(`${copy.path}/contactsheet-9.8.7.cdx.json`)).metadata.component
      .version,
    "9.8.7",
  );
  const again = await copy.run("deno task release 9.8.8");
  assert.match(again.err, /commit or discard the changes first/);
});

Deno.test("the hosting service runs the gate, and proposes updates of every kind of dependency", () => {
  const workflow = parse(read(".github/workflows/ci.yml"));
  assert.deepEqual(workflow.permissions, { contents: "read" });
  const steps: { run?: string }[] = workflow.jobs.gate.steps;
  assert.deepEqual(steps.flatMap(({ run }) => run === undefined ? [] : [run]), [".ci/run"]);
  assert.ok(Deno.statSync(new URL(".ci/run", root)).mode! & 0o100);
  const { updates } = parse(read(".github/dependabot.yml"));
  for (const { directory } of updates) Deno.statSync(new URL(`.${directory}`, root));
});
