/** Page Runs: the runs of everyone or one's own, newest first, live. */
import { useEffect, useRef, useState } from "preact/hooks";
import { hasRole } from "../../api/session.ts";
import { Button, LinkButton } from "../../kit/button.tsx";
import { Segmented, Select, TextField } from "../../kit/field.tsx";
import { Page } from "../../kit/page.tsx";
import { navigate, setQuery } from "../../kit/router.tsx";
import { useShortcuts } from "../../kit/shortcuts.ts";
import { Empty, FailureBox, Loading } from "../../kit/states.tsx";
import { isLive, useActivities } from "./activity.ts";
import { type Filter, readFilter, stateFilters, useRunList } from "./list.ts";
import { RunRow } from "./row.tsx";
import { runsTexts } from "./texts.ts";

/** Pause in milliseconds after which a typed search is sent. */
const searchMs = 250;

function Search({ name }: { name: string }) {
  const t = runsTexts.value;
  const [text, setText] = useState(name);
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined);
  useEffect(() => setText(name), [name]);
  const search = (next: string) => {
    setText(next);
    clearTimeout(timer.current);
    timer.current = setTimeout(() => setQuery({ q: next.trim() }), searchMs);
  };
  return (
    <TextField
      label={t.search}
      isLabelHidden
      type="search"
      name="search"
      placeholder={t.search}
      maxLength={500}
      value={text}
      onInput={search}
    />
  );
}

function Filters({ filter }: { filter: Filter }) {
  const t = runsTexts.value;
  return (
    <div class="runs-filters" role="search">
      <Search name={filter.name} />
      <Segmented
        label={t.whose}
        isLabelHidden
        value={filter.isMine ? "mine" : "everyone"}
        options={[{ value: "everyone", label: t.everyone }, { value: "mine", label: t.mine }]}
        onChange={(value) => setQuery({ mine: value === "mine" ? "1" : undefined })}
      />
      <Select
        label={t.state}
        isLabelHidden
        value={filter.state}
        options={stateFilters.map((value) => ({ value, label: t.filters[value] }))}
        onChange={(value) => setQuery({ state: value === "all" ? undefined : value })}
      />
      <span class={`live-sign ${isLive.value ? "on" : ""}`}>{isLive.value ? t.live : t.notLive}</span>
    </div>
  );
}

/** Moves the focus between the names of the runs. */
function focusRun(step: number): void {
  const names = [...document.querySelectorAll<HTMLElement>(".runs-name")];
  const at = names.indexOf(document.activeElement as HTMLElement);
  names[Math.max(0, Math.min(names.length - 1, at + step))]?.focus();
}

function NoRuns({ filter }: { filter: Filter }) {
  const t = runsTexts.value;
  const isFiltered = filter.name !== "" || filter.state !== "all" || filter.isMine;
  if (isFiltered) {
    const clear = () => setQuery({ q: undefined, state: undefined, mine: undefined });
    return (
      <Empty icon="search" title={t.noMatch} action={<Button onClick={clear}>{t.clearFilters}</Button>}>
        {t.noMatchText}
      </Empty>
    );
  }
  const action = hasRole("user", "manager", "admin") &&
    <LinkButton to="/new" kind="primary" icon="plus">{t.emptyAction}</LinkButton>;
  return <Empty icon="runs" title={t.empty} action={action}>{t.emptyText}</Empty>;
}

export function RunsPage() {
  const t = runsTexts.value;
  const filter = readFilter();
  const list = useRunList(filter);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());
  const known = useRef(new Set<string>());
  known.current = new Set(list.runs?.map(({ id }) => id));
  const reload = useRef(list.reload);
  reload.current = list.reload;
  useActivities((id) => known.current.has(id), () => reload.current());
  useShortcuts(t.title, [
    {
      keys: ["/"],
      label: t.keys.search,
      run: () => document.querySelector<HTMLElement>("[name=search]")?.focus(),
    },
    { keys: ["j", "ArrowDown"], label: t.keys.next, run: () => focusRun(1) },
    { keys: ["k", "ArrowUp"], label: t.keys.previous, run: () => focusRun(-1) },
    { keys: ["n"], label: t.keys.create, run: () => navigate("/new") },
  ]);
  const hide = (id: string, isHidden: boolean) =>
    setHidden((before) => {
      const next = new Set(before);
      if (isHidden) next.add(id);
      else next.delete(id);
      return next;
    });
  const control = { reload: list.reload, hide };
  const runs = list.runs?.filter(({ id }) => !hidden.has(id));
  const create = hasRole("user", "manager", "admin") &&
    <LinkButton to="/new" kind="primary" icon="plus">{t.newRun}</LinkButton>;
  return (
    <Page title={t.title} actions={create}>
      <Filters filter={filter} />
      {list.error && <FailureBox failure={list.error} retry={list.reload} />}
      {!runs && list.isLoading && <Loading lines={8} />}
      {runs?.length === 0 && !list.isLoading && <NoRuns filter={filter} />}
      {runs && runs.length > 0 && (
        <ul class="runs">
          {runs.map((run) => <RunRow key={run.id} run={run} control={control} />)}
        </ul>
      )}
      {list.hasMore && <Button onClick={() => void list.loadMore()}>{t.more}</Button>}
    </Page>
  );
}
