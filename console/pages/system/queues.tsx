/** The queues: slots with their reasons, load, health of the image API, and overrides. */
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { hasRole } from "../../api/session.ts";
import { usePolled } from "../../api/use_polled.ts";
import { Button } from "../../kit/button.tsx";
import { Empty, Notice } from "../../kit/states.tsx";
import { ask } from "../../operators/ask.tsx";
import { Loaded } from "../../operators/parts.tsx";
import { distance, Facts, show, Table } from "../../operators/table.tsx";
import { operatorTexts } from "../../operators/texts.ts";
import { formatDuration } from "../../text/format.ts";

type Queue = Schemas["Queue"];

const durations = [900, 3600, 14_400, 86_400, 604_800];

function QueueCard({ queue, reload }: { queue: Queue; reload: () => void }) {
  const { system: t, label } = operatorTexts.value;
  const { queue: name, slots, running, override, reason, changes } = queue;
  const patch = (override: Schemas["QueuePatch"]["override"]) =>
    unwrap(v2.PATCH("/api/v2/system/queues/{q}", { params: { path: { q: name } }, body: { override } }));
  const set = () =>
    ask({
      title: `${t.set}: ${name}`,
      text: t.setText,
      fields: [
        { name: "slots", label: label("slots"), value: String(override?.slots ?? slots), kind: "number" },
        {
          name: "seconds",
          label: t.duration,
          value: "3600",
          options: durations.map((value) => ({ value: String(value), label: formatDuration(value) })),
        },
        { name: "reason", label: label("reason"), value: "" },
      ],
      run: ({ slots, seconds, reason }) =>
        patch({ slots: Number(slots), reason: reason!.trim(), expires_in: Number(seconds) }),
      then: reload,
    });
  const clear = () =>
    ask({ title: `${t.clear}: ${name}`, text: t.clearText, run: () => patch(null), then: reload });
  const mayChange = hasRole("admin");
  return (
    <article class="panel stack" aria-label={name}>
      <header class="row">
        <h2 class="grow mono">{name}</h2>
        {mayChange && override && <Button onClick={clear}>{t.clear}</Button>}
        {mayChange && <Button onClick={set}>{t.set}</Button>}
      </header>
      {override && (
        <Notice kind="warning">
          <p>{t.override(override.slots, override.made_by, distance(override.expires_at))}</p>
          <bdi>{override.reason}</bdi>
        </Notice>
      )}
      <Facts
        of={queue}
        columns={["slots", "running", "backlog", "wanted", "rate_per_minute", [
          label("create_ms"),
          () => show("create_ms", queue.health.create_ms),
        ]]}
      />
      <meter class="system-meter" max={Math.max(slots, 1)} value={running} aria-label={label("running")} />
      <p class="muted small">
        {distance(queue.changed_at)}: <bdi lang="en">{reason}</bdi>
      </p>
      <Facts of={queue.health} columns={["calls", "failures", "throttled"]} />
      {changes.length > 0 && (
        <details>
          <summary>{t.changes}</summary>
          <Table label={t.changes} rows={changes} columns={["at", "slots_before", "slots_after", "reason"]} />
        </details>
      )}
    </article>
  );
}

export function Queues() {
  const queues = usePolled((signal) => unwrap(v2.GET("/api/v2/system/queues", { signal })), [], 3);
  return (
    <Loaded from={queues}>
      {({ items }) =>
        items.length === 0
          ? <Empty icon="system" title={operatorTexts.value.system.noQueue} />
          : (
            <div class="system-queues">
              {items.map((queue) => <QueueCard key={queue.queue} queue={queue} reload={queues.reload} />)}
            </div>
          )}
    </Loaded>
  );
}
