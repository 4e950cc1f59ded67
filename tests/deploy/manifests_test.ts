/** The manifests of deploy/ follow their schemas, name only settings and hosts that exist, and keep what they promise. */
import assert from "node:assert/strict";
import { Ajv2020 } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";
import { parse, parseAllDocuments } from "yaml";
import { checkCertificate, checkFiles } from "../../dev/deploy/check.ts";
import { readPacked } from "../migrate/support/program.ts";
import { needs, runTool } from "./support/tools.ts";

const deploy = new URL("../../deploy/", import.meta.url);
const read = (path: string) => Deno.readTextFileSync(new URL(path, deploy));
const readSchema = async (name: string) =>
  JSON.parse(new TextDecoder().decode(await readPacked(`deploy/${name}.json.gz`)));

// deno-lint-ignore no-explicit-any
type Document = any;

function createValidator(): Ajv2020 {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  (addFormats as unknown as (ajv: Ajv2020) => void)(ajv);
  return ajv;
}

/** Documents of a folder of manifests, but for the kustomization. */
function readManifests(folder: string): { path: string; document: Document }[] {
  const found: { path: string; document: Document }[] = [];
  for (const { name } of Deno.readDirSync(new URL(`k8s/${folder}/`, deploy))) {
    if (name === "kustomization.yaml") continue;
    for (const parsed of parseAllDocuments(read(`k8s/${folder}/${name}`))) {
      assert.deepEqual(parsed.errors, [], name);
      found.push({ path: name, document: parsed.toJS() });
    }
  }
  return found;
}

const base = readManifests("base");
const find = (kind: string, name: string): Document =>
  base.find(({ document }) => document.kind === kind && document.metadata.name === name)!.document;

Deno.test("the Kubernetes manifests follow the strict schemas of Kubernetes 1.34", async () => {
  const { kinds, definitions } = await readSchema("kubernetes");
  const ajv = createValidator();
  const all = [...base, ...readManifests("production")];
  assert.ok(all.length > 20);
  for (const { path, document } of all) {
    const definition = kinds[`${document.apiVersion}/${document.kind}`];
    assert.ok(definition, `${path}: ${document.apiVersion}/${document.kind} is known`);
    const validate = ajv.compile({ $ref: `#/definitions/${definition}`, definitions });
    assert.ok(validate(document), `${path} ${document.metadata.name}: ${ajv.errorsText(validate.errors)}`);
  }
  const wrong = structuredClone(find("Deployment", "api"));
  wrong.spec.replica = 3;
  assert.equal(
    ajv.compile({ $ref: `#/definitions/${kinds["apps/v1/Deployment"]}`, definitions })(wrong),
    false,
  );
});

Deno.test("kustomize finds every manifest, and every reference leads to an object", () => {
  for (const folder of ["base", "production"]) {
    const { resources, patches = [] } = parse(read(`k8s/${folder}/kustomization.yaml`));
    const files = [...Deno.readDirSync(new URL(`k8s/${folder}/`, deploy))].map(({ name }) => name)
      .filter((name) => name !== "kustomization.yaml");
    const listed = resources.filter((name: string) => !name.startsWith("../"));
    assert.deepEqual(listed.toSorted(), files.toSorted(), folder);
    for (const { target } of patches) assert.ok(find(target.kind, target.name));
  }
  const selectors = base.filter(({ document }) =>
    document.kind === "Service" || document.kind === "PodDisruptionBudget"
  );
  for (const { document } of selectors) {
    const { app } = document.spec.selector.matchLabels ?? document.spec.selector;
    assert.equal(find("Deployment", app).spec.template.metadata.labels.app, app);
  }
  for (const { document } of base.filter(({ document }) => document.kind === "HorizontalPodAutoscaler")) {
    assert.ok(find(document.spec.scaleTargetRef.kind, document.spec.scaleTargetRef.name));
  }
  const secret = readManifests("production").find(({ document }) => document.kind === "Secret")!.document;
  for (const name of ["api", "worker"]) {
    const [container] = find("Deployment", name).spec.template.spec.containers;
    for (const { valueFrom } of container.env) {
      assert.ok(valueFrom.secretKeyRef.key in secret.stringData, name);
    }
  }
});

Deno.test("every pod is confined: no root, a read-only file system, no capability, no token, probes on the private port", () => {
  const workloads = base.filter(({ document }) => ["Deployment", "Job"].includes(document.kind));
  assert.equal(workloads.length, 4);
  for (const { document } of workloads) {
    const pod = document.spec.template.spec;
    assert.equal(pod.securityContext.runAsNonRoot, true, document.metadata.name);
    assert.equal(pod.automountServiceAccountToken, false);
    for (const { securityContext, resources } of pod.containers) {
      assert.deepEqual(securityContext, {
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      assert.ok(resources.limits.memory);
    }
  }
  for (const name of ["api", "worker"]) {
    const [{ readinessProbe, livenessProbe, ports }] = find("Deployment", name).spec.template.spec.containers;
    assert.deepEqual([readinessProbe.httpGet.path, livenessProbe.httpGet.path], ["/ready", "/live"]);
    assert.equal(
      String(ports.find((port: Document) => port.name === "admin").containerPort),
      find("ConfigMap", "contactsheet").data.ADMIN_PORT,
    );
  }
});

Deno.test("a pod has the time to drain before it is killed", () => {
  const pod = find("Deployment", "api").spec.template.spec;
  const sleepMs = Number(
    /setTimeout\(resolve, (\d+)\)/.exec(pod.containers[0].lifecycle.preStop.exec.command.at(-1))![1],
  );
  const drainMs = Number(find("ConfigMap", "contactsheet").data.DRAIN_MS);
  assert.ok(sleepMs + drainMs + 5000 <= pod.terminationGracePeriodSeconds * 1000);
});

Deno.test("compose.yml follows the schema of the compose specification, and the schema is applied first", async () => {
  const document: Document = parse(read("compose/compose.yml"), { merge: true });
  const ajv = createValidator();
  const validate = ajv.compile(await readSchema("compose"));
  const isValid: boolean = validate(document);
  assert.ok(isValid, ajv.errorsText(validate.errors));
  assert.equal(validate({ ...document, services: { api: { imagee: "x" } } }), false);
  for (const name of ["api", "worker"]) {
    const service = document.services[name];
    assert.equal(service.depends_on.migrate.condition, "service_completed_successfully");
    assert.deepEqual([service.read_only, service.user, service.cap_drop], [true, "65532:65532", ["ALL"]]);
  }
  assert.equal(document.services.migrate.depends_on.postgres.condition, "service_healthy");
  assert.ok(document.networks.inside.internal);
  const example = read("compose/.env.example");
  const wanted = [...read("compose/compose.yml").matchAll(/\$\{(\w+)/g)].map(([, name]) => name!);
  for (const name of wanted) assert.match(example, new RegExp(`^#?${name}=`, "m"), name);
  const mounts = document.services.proxy.volumes.map((mount: string) => mount.split(":")[0]!);
  for (const path of mounts.filter((path: string) => /^\.\.?\/(?!tls)/.test(path))) {
    Deno.statSync(new URL(path, new URL("compose/", deploy)));
  }
});

Deno.test("the deployments permit only the origins that a site names, over TLS 1.2 or newer", () => {
  const compose: Document = parse(read("compose/compose.yml"), { merge: true });
  assert.match(compose.services.api.environment.CORS_ORIGINS, /^\$\{CORS_ORIGINS:\?/);
  assert.match(find("ConfigMap", "contactsheet").data.CORS_ORIGINS, /^https:/);
  assert.match(read("nginx/site/listen.conf"), /^\s*ssl_protocols TLSv1\.2 TLSv1\.3;$/m);
  assert.match(read("nginx/site/listen.conf"), /^\s*return 308 https:/m);
  assert.match(read("haproxy/haproxy.cfg"), /^\s*ssl-default-bind-options ssl-min-ver TLSv1\.2 /m);
  const ciphers = [
    /ssl_ciphers (\S+);/.exec(read("nginx/site/listen.conf"))![1]!,
    /ssl-default-bind-ciphers (\S+)/.exec(read("haproxy/haproxy.cfg"))![1]!,
  ];
  for (const suite of ciphers.join(":").split(":")) assert.match(suite, /^ECDHE-.*(?:GCM|POLY1305)/);
});

Deno.test("each program gets only the secrets that it uses", () => {
  const compose: Document = parse(read("compose/compose.yml"), { merge: true });
  const secretsOf = (name: string) => [
    Object.keys(compose.services[name].environment),
    find("Deployment", name).spec.template.spec.containers[0].env.map((entry: Document) => entry.name),
  ];
  for (const names of secretsOf("api")) {
    assert.ok(names.includes("SECRET_KEY") && !names.includes("NIETA_XTOKEN"));
  }
  for (const names of secretsOf("worker")) {
    assert.ok(!names.includes("SECRET_KEY") && names.includes("NIETA_XTOKEN"));
  }
});

Deno.test("deploy check: the files as they are need only what a site must fill in", async () => {
  const { faults, variables } = await checkFiles(deploy.pathname);
  assert.ok(variables.length > 40, `${variables.length} variables`);
  const texts = faults.map(({ text }) => text);
  assert.deepEqual(texts.filter((text) => !/is not filled in|replace contactsheet\.example/.test(text)), []);
  assert.ok(texts.length >= 5, texts.join("\n"));
});

Deno.test("deploy check names a setting that does not exist, a wrong value, and a host that no service has", async () => {
  const folder = await Deno.makeTempDir();
  const compose = read("compose/compose.yml");
  const cases: [string, string, RegExp][] = [
    ["DRAIN_MS:", "DRAINMS:", /DRAINMS is not a setting: see docs\/settings.md/],
    ['DRAIN_MS: "3000"', 'DRAIN_MS: "soon"', /DRAIN_MS is 'soon': wanted a whole number from 0 to 60000/],
    [
      "@postgres:5432",
      "@postgers:5432",
      /DATABASE_URL names the host 'postgers', which no service has: the services are api, .*postgres/,
    ],
    ["redis://redis:", "redis://radis:", /REDIS_URL names the host 'radis'/],
    ["services:\n", "services:\n  - [\n", /it is not YAML/],
  ];
  for (const [from, to, wanted] of cases) {
    await Deno.writeTextFile(`${folder}/compose.yml`, compose.replace(from, to));
    const { faults } = await checkFiles(folder);
    assert.ok(faults.some(({ text }) => wanted.test(text)), `${to}: ${JSON.stringify(faults)}`);
  }
  await Deno.writeTextFile(`${folder}/compose.yml`, compose);
  await Deno.writeTextFile(`${folder}/upstreams.conf`, "upstream blue {\n    server apii:8000;\n}\n");
  assert.match((await checkFiles(folder)).faults[0]!.text, /names the host 'apii'/);
  await Deno.remove(folder, { recursive: true });
  await assert.rejects(checkFiles("/nowhere"), /reading the folder '\/nowhere': it does not exist/);
});

Deno.test("deploy check says when a certificate expired, expires soon or is not valid yet", () => {
  const pem = Deno.readTextFileSync(new URL("../data/tls/server.pem", import.meta.url));
  const at = (date: string) => checkCertificate("a.pem", pem, Date.parse(date)).map(({ text }) => text);
  assert.deepEqual(at("2030-01-01"), []);
  assert.match(at("2127-01-01")[0]!, /expired on 2126-11-04: renew it/);
  assert.match(at("2126-11-01")[0]!, /expires on 2126-11-04, in 3 days/);
  assert.match(at("2020-01-01")[0]!, /valid only from/);
  assert.match(
    checkCertificate("a.pem", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----")[0]!.text,
    /not a certificate/,
  );
});

Deno.test({ name: "systemd accepts the units", ...needs("systemd-analyze", "systemd") }, async () => {
  const folder = await Deno.makeTempDir();
  for (const { name } of Deno.readDirSync(new URL("systemd/", deploy))) {
    const text = read(`systemd/${name}`).replaceAll("/usr/local/bin/deno", Deno.execPath());
    await Deno.writeTextFile(`${folder}/${name}`, text);
  }
  const units = [...Deno.readDirSync(folder)].map(({ name }) => `${folder}/${name}`);
  assert.equal(units.length, 5);
  const { err } = await runTool("systemd-analyze", ["verify", "--man=no", ...units]);
  const about = err.split("\n").filter((line) => line.includes("contactsheet"));
  assert.deepEqual(about, []);
  await Deno.remove(folder, { recursive: true });
});
