/** Page System: the state of the installation, and what its operators may do. */
import { unwrap, v2 } from "../../api/client.ts";
import { hasRole } from "../../api/session.ts";
import { usePolled } from "../../api/use_polled.ts";
import { query } from "../../kit/router.tsx";
import { Tabs } from "../../kit/tabs.tsx";
import { common } from "../../kit/texts.ts";
import { Loaded, StaffPage } from "../../operators/parts.tsx";
import { Facts } from "../../operators/table.tsx";
import { operatorTexts } from "../../operators/texts.ts";
import { Letters } from "./letters.tsx";
import { Queues } from "./queues.tsx";
import { Doctor, Webhooks, Workers } from "./tabs.tsx";
import { Users } from "./users.tsx";

const views = {
  queues: Queues,
  workers: Workers,
  letters: Letters,
  doctor: Doctor,
  users: Users,
  webhooks: Webhooks,
};
type ViewName = keyof typeof views;
const forAdmins: ReadonlySet<string> = new Set(["users", "webhooks"]);

function System() {
  const { tabs } = operatorTexts.value.system;
  const status = usePolled((signal) => unwrap(v2.GET("/api/v2/system/status", { signal })), [], 3);
  const names = (Object.keys(views) as ViewName[]).filter((name) => hasRole("admin") || !forAdmins.has(name));
  const current = names.find((name) => name === query.value.get("tab")) ?? "queues";
  const View = views[current];
  return (
    <>
      <div class="panel">
        <Loaded from={status}>
          {(data) => (
            <Facts of={data} columns={["status", "workers", "leader", "redis", "backlog", "running"]} />
          )}
        </Loaded>
      </div>
      <Tabs
        label={common.value.nav.system}
        tabs={names.map((key) => ({ key, label: tabs[key], to: `/system?tab=${key}` }))}
        current={current}
      />
      <View key={current} />
    </>
  );
}

export const SystemPage = () => <StaffPage title={common.value.nav.system} View={System} />;
