/** Rolling restarts of two API processes behind HAProxy, as deploy/ configures it. */
import { findFreePort } from "../../dev/servers/ports.ts";
import { startProxy } from "../../tests/deploy/support/proxies.ts";
import { sleep } from "../queue/harness.ts";
import { atLeast, atMost, type Report } from "../report.ts";
import { describeFailures, startLoad } from "./load.ts";
import { startApi, startRig } from "./rig.ts";

/** The proxy looks at /ready each second, and takes a server out after two failures. */
const drainMs = 1_500;
const settleMs = 2_500;

/** @param rounds restarts of each process */
export async function measureRolling(report: Report, { rounds }: { rounds: number }): Promise<void> {
  await using rig = await startRig();
  const ports = [findFreePort(), findFreePort()] as [number, number];
  const adminPorts = [findFreePort(), findFreePort()] as [number, number];
  const start = (index: number) =>
    startApi({
      ...rig.env,
      PORT: String(ports[index]),
      ADMIN_PORT: String(adminPorts[index]),
      DRAIN_MS: String(drainMs),
      TRUSTED_PROXIES: "1",
    });
  await using stack = new AsyncDisposableStack();
  const apis = [await start(0), await start(1)];
  stack.defer(async () => void await Promise.all(apis.map(({ process }) => process.end("SIGKILL"))));
  await using proxy = await startProxy("haproxy", {
    blue: [`127.0.0.1:${ports[0]}`, `127.0.0.1:${ports[1]}`],
    adminPorts: { blue: adminPorts },
  });
  const paths = ["/health", "/api/v1/tasks", "/api/v1/users/me"];
  const send = (index: number) => {
    const headers = { authorization: `Bearer ${rig.tokens[index % rig.tokens.length]}` };
    return proxy.call(paths[index % paths.length]!, { headers });
  };
  using load = startLoad(send, 200);
  for (let round = 0; round < rounds; round++) {
    for (const index of [0, 1]) {
      await apis[index]!.process.end("SIGTERM");
      apis[index] = await start(index);
      await sleep(settleMs);
    }
  }
  const samples = await load.stop();
  for (const { process } of apis) await process.end("SIGTERM");
  const failed = samples.filter(({ status }) => status !== 200);
  report({
    what: `rolling restart ×${rounds} of two processes: failed requests`,
    value: failed.length,
    unit: "",
    goal: atMost(failed.length, 0, ""),
    ...(failed.length === 0 ? {} : { note: describeFailures(failed) }),
  });
  const wanted = rounds >= 10 ? { goal: atLeast(samples.length, 20_000, "") } : {};
  report({ what: "requests during the restarts", value: samples.length, unit: "", ...wanted });
}
