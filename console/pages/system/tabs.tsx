/** The tabs that are one list: workers, findings of the doctor, webhooks. */
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { usePolled } from "../../api/use_polled.ts";
import { useResource } from "../../api/use_resource.ts";
import { Button } from "../../kit/button.tsx";
import { Link } from "../../kit/router.tsx";
import { ask } from "../../operators/ask.tsx";
import { Command, List, Loaded } from "../../operators/parts.tsx";
import { Table } from "../../operators/table.tsx";
import { operatorTexts } from "../../operators/texts.ts";

/** A task's id leads to its run. */
const uuidPattern = /^[0-9a-f-]{36}$/;

export function Workers() {
  const { system: t } = operatorTexts.value;
  const workers = usePolled((signal) => unwrap(v2.GET("/api/v2/system/workers", { signal })), [], 3);
  return (
    <Loaded from={workers}>
      {({ items }) => (
        <List
          title={t.tabs.workers}
          rows={items}
          columns={["id", "host", "pid", "queues", "running", "started_at", "heartbeat_at", "alive"]}
          none={t.noWorker}
          action={<Command text="deno task worker" />}
        />
      )}
    </Loaded>
  );
}

export function Doctor() {
  const { system: t, label, finding } = operatorTexts.value;
  const report = useResource((signal) => unwrap(v2.GET("/api/v2/system/doctor", { signal })), []);
  return (
    <Loaded from={report}>
      {({ findings }) => (
        <>
          <List
            title={t.tabs.doctor}
            rows={findings}
            columns={[
              "fault",
              [label("check"), ({ check, text }) => finding(check, text)],
              "count",
              [label("about"), ({ check, about }) => (
                <span class="row">
                  {about.map((key) =>
                    uuidPattern.test(key) && check !== "leases"
                      ? <Link key={key} to={`/runs/${key}`}>{key}</Link>
                      : <code key={key}>{key}</code>
                  )}
                </span>
              )],
            ]}
            none={t.healthy}
          />
          <div class="row">
            <Button icon="retry" isBusy={report.isLoading} onClick={report.reload}>{t.look}</Button>
          </div>
          <p class="muted small">{t.doctorText}</p>
          <Command text="deno task worker:doctor --repair" />
        </>
      )}
    </Loaded>
  );
}

function Deliveries({ id: webhook, task_id: id }: Schemas["SystemWebhook"]) {
  const params = { path: { id, webhook } };
  const deliveries = usePolled(
    (signal) => unwrap(v2.GET("/api/v2/tasks/{id}/webhooks/{webhook}/deliveries", { params, signal })),
    [id],
    3,
  );
  return (
    <Loaded from={deliveries}>
      {({ items }) => (
        <Table label="" rows={items} columns={["created_at", "event", "state", "tries", "error"]} />
      )}
    </Loaded>
  );
}

export function Webhooks() {
  const { system: t, label } = operatorTexts.value;
  const webhooks = usePolled(
    (signal) => unwrap(v2.GET("/api/v2/system/webhooks", { params: { query: { limit: 200 } }, signal })),
    [],
    10,
  );
  const open = (row: Schemas["SystemWebhook"]) =>
    ask({
      title: t.test,
      text: (
        <>
          <p>
            <bdi>{row.url}</bdi>
          </p>
          <Deliveries {...row} />
        </>
      ),
      run: () =>
        unwrap(v2.POST("/api/v2/tasks/{id}/webhooks/{webhook}/test", {
          params: { path: { id: row.task_id, webhook: row.id } },
        })),
      then: webhooks.reload,
    });
  return (
    <Loaded from={webhooks}>
      {({ items }) => (
        <List
          title={t.tabs.webhooks}
          rows={items}
          columns={[
            "url",
            [
              label("task_name"),
              ({ task_id, task_name }) => <Link to={`/runs/${task_id}`}>{task_name}</Link>,
            ],
            "events",
            "arrived",
            "waiting",
            "given_up",
            "error",
            ["", (row) => <Button onClick={() => open(row)}>{t.deliveries}</Button>],
          ]}
          none={t.noWebhook}
        />
      )}
    </Loaded>
  );
}
