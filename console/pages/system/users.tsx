/** The users, for admins: roles, sessions, blocking. */
import { useState } from "preact/hooks";
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { usePolled } from "../../api/use_polled.ts";
import { useResource } from "../../api/use_resource.ts";
import { TextField } from "../../kit/field.tsx";
import { Menu } from "../../kit/menu.tsx";
import { common } from "../../kit/texts.ts";
import { ask } from "../../operators/ask.tsx";
import { List, Loaded } from "../../operators/parts.tsx";
import { Table } from "../../operators/table.tsx";
import { operatorTexts } from "../../operators/texts.ts";

type User = Schemas["User"];

const roles = ["admin", "manager", "user", "guest"] as const;

function Sessions({ id }: User) {
  const params = { path: { id } };
  const sessions = useResource(
    (signal) => unwrap(v2.GET("/api/v2/users/{id}/sessions", { params, signal })),
    [id],
  );
  return (
    <Loaded from={sessions}>
      {({ items }) => <Table label="" rows={items} columns={["client", "created_at", "renewed_at"]} />}
    </Loaded>
  );
}

function actionsOf(user: User, then: () => void) {
  const { system: t, value } = operatorTexts.value;
  const params = { path: { id: user.id } };
  const patch = (body: Schemas["UserPatch"]) => unwrap(v2.PATCH("/api/v2/users/{id}", { params, body }));
  const item = (label: string, action: Omit<Parameters<typeof ask>[0], "title" | "then">) => ({
    label,
    isDanger: action.isDanger === true,
    run: () => ask({ title: `${label}: ${user.email}`, then, ...action }),
  });
  return [
    item(t.roles, {
      fields: roles.map((name) => ({
        name,
        label: value("roles", name),
        value: user.roles.includes(name) ? "1" : "",
        kind: "switch",
      })),
      run: (chosen) => patch({ roles: roles.filter((role) => chosen[role]) }),
    }),
    item(t.endSessions, {
      text: <Sessions {...user} />,
      isDanger: true,
      run: () => unwrap(v2.DELETE("/api/v2/users/{id}/sessions", { params })),
    }),
    user.is_active
      ? item(t.block, { text: t.blockText, isDanger: true, run: () => patch({ is_active: false }) })
      : item(t.unblock, { run: () => patch({ is_active: true }) }),
  ];
}

export function Users() {
  const { system: t } = operatorTexts.value;
  const [q, setQ] = useState("");
  const users = usePolled(
    (signal) =>
      unwrap(v2.GET("/api/v2/users", { params: { query: { limit: 200, ...(q && { q }) } }, signal })),
    [q],
    30,
  );
  const { search } = common.value;
  return (
    <>
      <TextField
        label={search}
        isLabelHidden
        type="search"
        placeholder={search}
        value={q}
        onInput={setQ}
      />
      <Loaded from={users}>
        {({ items }) => (
          <List
            title={t.tabs.users}
            rows={items}
            columns={[
              "email",
              "fullname",
              "roles",
              "is_active",
              "created_at",
              ["", (user) => <Menu label={t.actions(user.email)} items={actionsOf(user, users.reload)} />],
            ]}
            none={t.noUser}
          />
        )}
      </Loaded>
    </>
  );
}
