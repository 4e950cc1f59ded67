/** Parts of the pages for operators: loaded data, sections, commands, and a page for staff only. */
import type { ComponentChildren } from "preact";
import { hasRole } from "../api/session.ts";
import type { Resource } from "../api/use_resource.ts";
import { Button } from "../kit/button.tsx";
import type { IconName } from "../kit/icons.tsx";
import { Page } from "../kit/page.tsx";
import { Empty, FailureBox, Loading } from "../kit/states.tsx";
import { common } from "../kit/texts.ts";
import { showToast } from "../kit/toast.tsx";
import { Asked } from "./ask.tsx";
import { type Column, Table } from "./table.tsx";
import { operatorTexts } from "./texts.ts";

/** Shows what is loaded; before, that it is loading; a failure above what was loaded last. */
export function Loaded<T>(
  { from: { data, error, reload }, children }: {
    from: Pick<Resource<T>, "data" | "error" | "reload">;
    children: (data: T) => ComponentChildren;
  },
) {
  return (
    <>
      {error && <FailureBox failure={error} retry={reload} />}
      {data === undefined ? !error && <Loading /> : children(data)}
    </>
  );
}

/** A part of a page with a heading. */
export function Section(
  { title, note, children }: { title: string; note?: ComponentChildren; children: ComponentChildren },
) {
  return (
    <section class="op-section">
      <h2>{title}</h2>
      {note && <p class="muted small">{note}</p>}
      {children}
    </section>
  );
}

/** A table with a heading, or nothing without rows. */
export const TableSection = <Row,>(
  { title, ...rest }: { title: string; columns: readonly Column<Row>[]; rows: readonly Row[] },
) =>
  rest.rows.length === 0 ? null : (
    <Section title={title}>
      <Table label={title} {...rest} />
    </Section>
  );

/** A table, or what to say where there is nothing. */
export const List = <Row,>(
  { label, columns, rows, icon = "check", none, text, action }: {
    label: string;
    columns: readonly Column<Row>[];
    rows: readonly Row[];
    icon?: IconName;
    none: string;
    text?: string;
    action?: ComponentChildren;
  },
) =>
  rows.length > 0
    ? <Table label={label} columns={columns} rows={rows} />
    : <Empty icon={icon} title={none} action={action}>{text}</Empty>;

/** A command, and a button that copies it. */
export function Command({ text }: { text: string }) {
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    showToast({ text: common.value.copied });
  };
  return (
    <div class="op-command">
      <code>{text}</code>
      {navigator.clipboard && (
        <Button kind="quiet" icon="copy" onClick={() => void copy()}>{common.value.copy}</Button>
      )}
    </div>
  );
}

/** A page for admins and managers. Others are told so. */
export function StaffPage({ title, View }: { title: string; View: () => ComponentChildren }) {
  const isStaff = hasRole("admin", "manager");
  return (
    <Page title={title}>
      {isStaff ? <View /> : <Empty icon="system" title={operatorTexts.value.onlyStaff} />}
      <Asked />
    </Page>
  );
}
