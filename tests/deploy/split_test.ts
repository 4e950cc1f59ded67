/** The split between both systems on real nginx and HAProxy: its shares, its stickiness, its way back, the colours. */
import assert from "node:assert/strict";
import { openHaproxy } from "../../dev/deploy/haproxy.ts";
import { openNginx } from "../../dev/deploy/nginx.ts";
import { raiseShare } from "../../dev/deploy/split.ts";
import { waitFor } from "../support/wait.ts";
import { type Proxy, startNamed, startProxy } from "./support/proxies.ts";
import { needs } from "./support/tools.ts";

const openControl = ({ kind, target }: Proxy) =>
  kind === "nginx" ? openNginx(target) : Promise.resolve(openHaproxy(target));

const tokens = Array.from({ length: 4000 }, (_, index) => `token-${index}-${(index * 7919) % 10_007}`);

/** Asks once with each token, 20 at a time. @returns the side that answered each */
async function askAll(proxy: Proxy, list: string[], method = "GET"): Promise<string[]> {
  const sides: string[] = [];
  for (let start = 0; start < list.length; start += 20) {
    sides.push(
      ...await Promise.all(
        list.slice(start, start + 20).map(async (token) => {
          const answer = await proxy.call("/api/v1/tasks", {
            method,
            headers: { authorization: `Bearer ${token}` },
          });
          return (await answer.json()).name as string;
        }),
      ),
    );
  }
  return sides;
}

/** Waits until new requests are answered by the changed configuration. */
const settle = (proxy: Proxy, path: string, name: string) =>
  waitFor(
    `${name} to answer`,
    async () => (await (await proxy.call(path, { method: "POST" })).json()).name === name,
  );

for (const kind of ["nginx", "haproxy"] as const) {
  Deno.test({
    name: `${kind} splits reads by token within 2 %, and a token changes to this system once and never back`,
    ...needs(kind),
  }, async () => {
    await using old = startNamed("old");
    await using api = startNamed("new");
    await using proxy = await startProxy(kind, { old: old.address, blue: [api.address, api.address] });
    const control = await openControl(proxy);
    let before = new Set<string>();
    for (const share of [1, 5, 25, 50, 100]) {
      await control.setShare(share);
      if (kind === "nginx") await new Promise((resolve) => setTimeout(resolve, 500));
      const sides = await askAll(proxy, tokens);
      const here = tokens.filter((_, index) => sides[index] === "new");
      const percent = 100 * here.length / tokens.length;
      assert.ok(Math.abs(percent - share) <= 2, `${share} %: ${percent} %`);
      for (const token of before) assert.ok(here.includes(token), `${token} went back at ${share} %`);
      before = new Set(here);
      // Each token stays where it is.
      const some = tokens.slice(0, 200);
      assert.deepEqual(await askAll(proxy, some), sides.slice(0, 200));
      // Writes are never split, and v2 exists only here.
      assert.deepEqual(
        new Set(await askAll(proxy, some.slice(0, 40), "POST")),
        new Set([share < 100 ? "old" : "new"]),
      );
      assert.equal((await (await proxy.call("/api/v2/tasks", { method: "POST" })).json()).name, "new");
    }
  });

  Deno.test({
    name:
      `deploy split raises the share of ${kind} step by step, and sets it to 0 when this system answers errors`,
    ...needs(kind),
  }, async () => {
    await using old = startNamed("old");
    await using api = startNamed("new");
    await using proxy = await startProxy(kind, { old: old.address, blue: [api.address, api.address] });
    const control = await openControl(proxy);
    const shares: number[] = [];
    const traffic = new AbortController();
    const asking = (async () => {
      while (!traffic.signal.aborted) await askAll(proxy, tokens.slice(0, 200)).catch(() => {});
    })();
    const options = {
      proxy: control,
      holdMs: 1500,
      errorsMax: 2,
      lookMs: 200,
      signal: new AbortController().signal,
    };
    const onStep = (share: number) => {
      shares.push(share);
      if (share === 25) api.answer = () => Response.json({ name: "new" }, { status: 500 });
    };
    const failed = await raiseShare({ ...options, to: 100, onStep });
    assert.deepEqual(shares, [1, 5, 25]);
    assert.equal(failed.share, 0);
    assert.match(failed.rolledBack!, /of this system are errors/);
    await settle(proxy, "/api/v1/tasks", "old");
    traffic.abort();
    await asking;
    await waitFor("old", async () => new Set(await askAll(proxy, tokens.slice(0, 100))).size === 1);
    assert.deepEqual(new Set(await askAll(proxy, tokens.slice(0, 100))), new Set(["old"]));

    api.answer = () => undefined;
    shares.length = 0;
    const result = await raiseShare({
      ...options,
      holdMs: 50,
      to: 100,
      onStep: (share) => void shares.push(share),
    });
    assert.deepEqual([result, shares], [{ share: 100 }, [1, 5, 25, 50, 100]]);
    await settle(proxy, "/api/v1/tasks", "new");
  });

  Deno.test(
    { name: `deploy colour changes the colour of ${kind} without a failed request`, ...needs(kind) },
    async () => {
      await using blue = startNamed("blue");
      await using green = startNamed("green");
      await using proxy = await startProxy(kind, {
        blue: [blue.address, blue.address],
        green: [green.address, green.address],
      });
      const control = await openControl(proxy);
      const seen: string[] = [];
      for (const colour of ["green", "blue", "green"] as const) {
        await control.setColour(colour);
        await waitFor(colour, async () => {
          const answer = await proxy.call("/api/v1/tasks");
          assert.equal(answer.status, 200);
          const { name } = await answer.json();
          seen.push(name);
          return name === colour;
        }, 10_000);
      }
      assert.deepEqual(new Set(seen), new Set(["blue", "green"]));
    },
  );
}

Deno.test(
  { name: "nginx mirrors GETs to the other side where it is switched on", ...needs("nginx") },
  async () => {
    await using old = startNamed("old");
    await using api = startNamed("new");
    await using proxy = await startProxy("nginx", { old: old.address, blue: [api.address, api.address] });
    const path = `${proxy.folder}/site/mirror.conf`;
    await Deno.writeTextFile(path, (await Deno.readTextFile(path)).replace('GET ""', 'GET "1"'));
    await (await openControl(proxy)).setShare(100);
    await waitFor("a mirrored GET", async () => {
      await (await proxy.call("/api/v1/tasks?page=2")).json();
      return old.requests.length > 0;
    }, 10_000);
    const [mirrored] = old.requests;
    assert.equal(mirrored!.path, "/api/v1/tasks?page=2");
    assert.equal(mirrored!.headers.get("x-mirrored"), "1");
    const before = old.requests.length;
    await (await proxy.call("/api/v1/tasks", { method: "POST", body: "{}" })).json();
    await (await proxy.call("/api/v1/tasks")).json();
    await waitFor("the second", () => old.requests.length > before);
    assert.ok(old.requests.every(({ method }) => method === "GET"));
  },
);
