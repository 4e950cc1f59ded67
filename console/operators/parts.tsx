/** Parts of the pages for operators: loaded data, sections, commands, and a page for staff only. */
import type { ComponentChildren } from "preact";
import { hasRole } from "../api/session.ts";
import type { Resource } from "../api/use_resource.ts";
import { CopyButton } from "../kit/copy.tsx";
import { Page } from "../kit/page.tsx";
import { Empty, FailureBox, Loading } from "../kit/states.tsx";
import { Asked } from "./ask.tsx";
import { type Column, Table } from "./table.tsx";
import { operatorTexts } from "./texts.ts";

/** Shows loaded data. Before, it shows that it is loading; a failure appears above the data that was loaded last. */
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

interface ListProps<Row> {
  title: string;
  columns: readonly Column<Row>[];
  rows: readonly Row[];
  /** Text and action for a table without rows. */
  none?: string;
  action?: ComponentChildren;
}

/** A table with a heading. Without rows, a text if one is given. */
export function List<Row>({ title, columns, rows, none, action }: ListProps<Row>) {
  if (rows.length > 0) {
    return (
      <Section title={title}>
        <Table label={title} columns={columns} rows={rows} />
      </Section>
    );
  }
  return none ? <Empty icon="system" title={none} action={action} /> : null;
}

/** A command, and a button that copies it. */
export function Command({ text }: { text: string }) {
  return (
    <div class="op-command">
      <code>{text}</code>
      <CopyButton text={text} kind="quiet" />
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
