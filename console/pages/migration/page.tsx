/** Page Migration: how far it is, which system answers, and what comes next. */
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { usePolled } from "../../api/use_polled.ts";
import { Empty } from "../../kit/states.tsx";
import { common } from "../../kit/texts.ts";
import { Command, List, Loaded, Section, StaffPage } from "../../operators/parts.tsx";
import { distance, Facts } from "../../operators/table.tsx";
import { operatorTexts } from "../../operators/texts.ts";
import { Phases } from "./phases.tsx";

type Migration = Schemas["Migration"];
type Traffic = Schemas["Traffic"];
type Ledger = Schemas["MigrationLedger"];

/** Shows first what is not passed. */
const isOpen = ({ state }: { state: string }) => state === "not_ready" || state === "unknown";

function Gate({ gate }: { gate: Migration["gate"] }) {
  const { migration: t } = operatorTexts.value;
  if (gate === null) {
    return (
      <Section title={t.gate} note={t.noGate}>
        <Command text="deno task migrate data cutover --check" />
      </Section>
    );
  }
  const open = gate.checks.filter(isOpen);
  const columns = ["state", "name", "found", "todo"] as const;
  const passed = gate.checks.filter((check) => !isOpen(check));
  return (
    <>
      <List title={`${t.gate}: ${gate.by}, ${distance(gate.at)}`} rows={open} columns={columns} />
      <details>
        <summary>{t.passed(passed.length)}</summary>
        <List title={t.gate} rows={passed} columns={columns} />
      </details>
    </>
  );
}

function Shadow({ shadow }: Pick<Traffic, "shadow">) {
  const { migration: t, label } = operatorTexts.value;
  if (shadow.compared === 0 && shadow.differences.length === 0) return null;
  return (
    <>
      <Section title={t.shadow}>
        <Facts of={shadow} columns={["compared", "equal", "unexplained"]} />
      </Section>
      <List
        title={t.differences}
        rows={shadow.differences}
        columns={[
          "cause",
          "answers",
          "last_at",
          "route",
          "path",
          "rule",
          [
            label("sample"),
            ({ sample_old, sample_new }) => <bdi>{sample_old ?? "–"} → {sample_new ?? "–"}</bdi>,
          ],
        ]}
      />
    </>
  );
}

function History(
  { migration: { journal }, traffic: { changes } }: { migration: Migration; traffic: Traffic },
) {
  const { migration: t } = operatorTexts.value;
  const rows = [
    ...journal.map(({ note, pause_ms, ...entry }) => ({ ...entry, pause_ms, reason: note })),
    ...changes.map(({ at, changed_by, phase_before, phase_after, share_after, reason, forced }) => ({
      at,
      by: changed_by,
      kind: forced ? "forced" : "traffic",
      what: `${phase_before} → ${phase_after}${share_after > 0 ? ` ${share_after} %` : ""}`,
      pause_ms: null,
      reason,
    })),
  ].toSorted((a, b) => b.at.localeCompare(a.at));
  return (
    <List
      title={t.history}
      rows={rows}
      columns={["at", "kind", "what", "by", "pause_ms", "reason"]}
    />
  );
}

const sumOf = (counts: Ledger["collections"][number]): number =>
  counts.exact + counts.adjusted + counts.quarantined + counts.waiting + counts.excluded;

/** Documents without a row: those in quarantine, and those that wait. */
function listRowless({ quarantine, waiting }: Migration) {
  return [
    ...quarantine.map((group) => ({ kind: "quarantine", ...group })),
    ...waiting.map((group) => ({ kind: "waiting", ...group })),
  ];
}

function State({ migration, traffic, ledger, reload }: {
  migration: Migration;
  traffic: Traffic;
  ledger: Ledger;
  reload: () => void;
}) {
  const { migration: t } = operatorTexts.value;
  const { following, back, gaps, verification, gate, state, next } = migration;
  const facts = {
    state,
    lag_seconds: following?.lag_seconds,
    headroom_seconds: following?.headroom_seconds,
    changes_per_second: following?.changes_per_second,
    verdict: verification?.verdict,
    gaps: gaps.open,
    captured: back.is_captured,
    changes: back.changes,
  };
  return (
    <>
      <Phases traffic={traffic} reload={reload} />
      <Section title={t.next} note={t.nextText(next.name, next.text)}>
        <Command text={next.command} />
        <p class="muted small">{t.onlyThere}</p>
      </Section>
      <div class="panel stack">
        <Facts of={facts} columns={Object.keys(facts) as (keyof typeof facts)[]} />
        {following && <p class="muted small">{following.location}</p>}
        {following?.stop_reason && <p class="op-alarm" lang="en">{following.stop_reason}</p>}
      </div>
      <List
        title={t.ledger}
        rows={ledger.collections.map((counts) => ({ ...counts, accounted: sumOf(counts) }))}
        columns={[
          "collection",
          ...ledger.source === "loaded" ? ["documents" as const] : [],
          "accounted",
          "exact",
          "adjusted",
          "quarantined",
          "waiting",
          "excluded",
        ]}
      />
      <Gate gate={gate} />
      <List
        title={t.rowless}
        rows={listRowless(migration)}
        columns={["documents", "kind", "collection", "reason", "first_at"]}
      />
      <Shadow shadow={traffic.shadow} />
      <List
        title={t.processes}
        rows={traffic.processes}
        columns={["host", "pid", "is_current", "writes_in_flight", "writes_held"]}
      />
      <History migration={migration} traffic={traffic} />
    </>
  );
}

function MigrationView() {
  const { migration: t } = operatorTexts.value;
  const ledger = usePolled((signal) => unwrap(v2.GET("/api/v2/system/migration/ledger", { signal })), [], 60);
  const state = usePolled(
    async (signal) => {
      const [migration, traffic] = await Promise.all([
        unwrap(v2.GET("/api/v2/system/migration", { signal })),
        unwrap(v2.GET("/api/v2/system/traffic", { signal })),
      ]);
      return { migration, traffic };
    },
    [],
    3,
  );
  return (
    <Loaded from={state}>
      {({ migration, traffic }) => (
        <Loaded from={ledger}>
          {(counts) =>
            migration.state === "none" && counts.source === "none" && traffic.version === 1 &&
              traffic.processes.length === 0
              ? (
                <Empty icon="migration" title={t.none} action={<Command text={migration.next.command} />}>
                  {t.noneText}
                </Empty>
              )
              : <State migration={migration} traffic={traffic} ledger={counts} reload={state.reload} />}
        </Loaded>
      )}
    </Loaded>
  );
}

export const MigrationPage = () => <StaffPage title={common.value.nav.migration} View={MigrationView} />;
