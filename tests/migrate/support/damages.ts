/** Statements that damage rows or the ledger, with the differences that verify must find. */
import type { Mismatch } from "../../../migrate/data/verify/mismatch.ts";

/** The id of a completed subtask of the newest generation. */
export const s4 =
  "(select id from subtasks where generation = 'S4' and status = 'completed' order by legacy_id limit 1)";
/** The id of a task of the newest generation. */
export const t3 = "(select id from tasks where generation = 'T3' order by legacy_id limit 1)";

/** A statement that damages rows or the ledger, and the difference that verify must find. */
export type Damage = [
  what: string,
  statement: string,
  kind: Mismatch["kind"],
  path: RegExp,
  cause?: Mismatch["cause"],
];

const updateSubtask = (set: string) => `update subtasks set ${set} where id = ${s4}`;
const updateTask = (set: string) => `update tasks set ${set} where id = ${t3}`;
const updateUser = (set: string) => `update users set ${set} where email = 'tester0@example.com'`;
const swapBetweenSubtasks = (column: string) => `
  update subtasks s
  set ${column} = o.${column}
  from (
    select id, ${column}, lead(id) over w as next, lag(id) over w as last
    from subtasks
    where generation = 'S4' and status = 'completed'
    window w as (order by legacy_id)
    limit 2
  ) as o
  where s.id = coalesce(o.next, o.last)`;

/** Damages of rows, after a load of the sample. */
export const rowDamages: Damage[] = [
  ["a deleted subtask", `delete from subtasks where id = ${s4}`, "missing_row", /^$/, "deleted"],
  ["a deleted user", "delete from users where email = 'tester0@example.com'", "missing_row", /^$/, "deleted"],
  ["a deleted task", `delete from tasks where id = ${t3}`, "missing_row", /^$/, "deleted"],
  [
    "a time one millisecond later",
    updateSubtask("created_at = created_at + interval '1 ms'"),
    "changed",
    /^created_at$/,
  ],
  [
    "a time one millisecond earlier",
    updateTask("updated_at = updated_at - interval '1 ms'"),
    "changed",
    /^updated_at$/,
  ],
  [
    "a time in another time zone",
    updateUser("created_at = created_at + interval '8 hours'"),
    "changed",
    /^created_at$/,
  ],
  [
    "swapped times",
    "update tasks set created_at = updated_at, updated_at = created_at where id = (select id from tasks where created_at <> updated_at order by id limit 1)",
    "changed",
    /^(created|updated)_at$/,
  ],
  [
    "swapped texts",
    "update users set email = fullname, fullname = email where email = 'admin@example.com'",
    "changed",
    /^(email|fullname)$/,
  ],
  ["an added trailing space", updateTask("task_name = task_name || ' '"), "changed", /^task_name$/],
  ["an added leading space", updateTask("task_name = ' ' || task_name"), "changed", /^task_name$/],
  ["a truncated text", updateTask("task_name = left(task_name, -1)"), "changed", /^task_name$/],
  ["a text in upper case", updateUser("email = upper(email)"), "changed", /^email$/],
  [
    "a text in another Unicode normal form",
    "update users set fullname = normalize(fullname || 'é', NFD) where email = 'admin@example.com'",
    "changed",
    /^fullname$/,
  ],
  [
    "a letter replaced by a similar one",
    updateUser("email = replace(email, 'e', 'е')"),
    "changed",
    /^email$/,
  ],
  [
    "UTF-8 read as Latin-1",
    "update users set fullname = convert_from(convert_to(fullname, 'UTF8'), 'LATIN1') where email = 'admin@example.com'",
    "changed",
    /^fullname$/,
  ],
  [
    "an added zero-width character",
    updateTask("task_name = task_name || U&'\\200B'"),
    "changed",
    /^task_name$/,
  ],
  ["an added backslash and n", updateTask("task_name = task_name || '\\n'"), "changed", /^task_name$/],
  ["an empty text instead of null", updateSubtask("error = ''"), "changed", /^error$/],
  ["the text 'null' instead of null", updateSubtask("error = 'null'"), "changed", /^error$/],
  ["null instead of a value", updateSubtask("ratio = null"), "changed", /^ratio$/],
  [
    "JSON null instead of an object",
    updateSubtask("type_to_variable = 'null'"),
    "changed",
    /^type_to_variable$/,
  ],
  ["null instead of JSON", updateSubtask("result = null"), "changed", /^result/],
  ["keys in another order", updateTask("variables = variables::jsonb::json"), "changed", /^variables/],
  [
    "a double instead of an int",
    updateSubtask("result = replace(result::text, '1024', '1024.0')::json"),
    "changed",
    /^result\.(width|height)$/,
  ],
  [
    "a text instead of an int",
    updateSubtask("result = replace(result::text, '1024', '\"1024\"')::json"),
    "changed",
    /^result\.(width|height)$/,
  ],
  [
    "negative zero",
    updateSubtask(`result = regexp_replace(result::text, '"seed":[^,]*', '"seed":-0.0')::json`),
    "changed",
    /^result\.seed$/,
  ],
  [
    "a rounded long number",
    updateSubtask(`result = regexp_replace(result::text, '"seed":[^,]*', '"seed":9007199254740993')::json`),
    "changed",
    /^result\.seed$/,
  ],
  ["a missing key in JSON", updateSubtask("result = (result::jsonb - 'width')::json"), "changed", /^result/],
  [
    "an additional key in JSON",
    updateSubtask("result = (result::jsonb || '{\"more\":1}')::json"),
    "changed",
    /^result/,
  ],
  [
    "a duplicate key in JSON",
    updateSubtask(`result = replace(result::text, '"width"', '"width":1,"width"')::json`),
    "changed",
    /^result/,
  ],
  [
    "a reversed list",
    updateSubtask(
      "prompts = (select json_agg(e order by n desc) from json_array_elements(prompts || '') with ordinality as x (e, n))"
        .replace("prompts || ''", "('[1,' || ltrim(prompts::text, '['))::json"),
    ),
    "changed",
    /^prompts/,
  ],
  ["a truncated list", updateSubtask("prompts = '[]'"), "changed", /^prompts/],
  ["an escaped NUL as text", updateSubtask(`error = 'a\\u0000b'`), "changed", /^error$/],
  [
    "other variable indices",
    updateSubtask("variable_indices = '{9,9,9,9,9,9}'"),
    "changed",
    /^variable_indices$/,
  ],
  [
    "shifted variable indices",
    updateSubtask("variable_indices = null || variable_indices[1:5]"),
    "changed",
    /^variable_indices$/,
  ],
  [
    "truncated variable indices",
    updateSubtask("variable_indices = variable_indices[1:5]"),
    "changed",
    /^variable_indices$/,
  ],
  ["an incremented number", updateSubtask("retry_count = retry_count + 1"), "changed", /^retry_count$/],
  ["a number from another column", updateSubtask("seed = (result ->> 'width')::bigint"), "changed", /^seed$/],
  ["an inverted flag", updateUser("is_active = not is_active"), "changed", /^is_active$/],
  ["a task marked as deleted", updateTask("is_deleted = not is_deleted"), "changed", /is_deleted/],
  ["another priority", updateTask("priority = priority + 1"), "changed", /^priority$/],
  [
    "an additional role",
    "update users set roles = '{admin,user}' where email = 'tester1@example.com'",
    "changed",
    /^roles$/,
  ],
  ["a missing role", updateUser("roles = '{}'"), "changed", /^roles$/],
  [
    "another password",
    updateUser("hashed_password = hashed_password || 'x'"),
    "changed",
    /^hashed_password$/,
  ],
  ["another status", updateSubtask("status = 'failed'"), "changed", /^status$|completed_at/],
  ["results swapped between two rows", swapBetweenSubtasks("result"), "changed", /^result|column/],
  [
    "another legacy id",
    "update users set legacy_id = translate(legacy_id, '0123456789', '1234567890') where email = 'tester0@example.com'",
    "changed",
    /^_id$/,
  ],
  [
    "a subtask moved to another task",
    `update subtasks set parent_task_id = (select max(id::text)::uuid from tasks where id <> parent_task_id) where id = ${s4}`,
    "missing_row",
    /^$/,
    "deleted",
  ],
  [
    "a missing record of an absent field",
    "update tasks set extra = null where id = (select id from tasks where extra::text like '%$absent%' limit 1)",
    "changed",
    /.*/,
  ],
  [
    "a missing unknown field",
    "update tasks set extra = '{}' where id = (select id from tasks where extra is not null order by id limit 1)",
    "changed",
    /.*/,
  ],
  ["another generation", updateSubtask("generation = 'S3'"), "changed", /.*/],
  ["another value in a derived column", updateSubtask("image_url = 'x'"), "changed", /column image_url/],
  ["another queue", updateSubtask("queue = 'high'"), "changed", /column queue/],
  [
    "an extra user",
    "insert into users (email, hashed_password, generation) values ('extra@example.com', '', 'U')",
    "extra_row",
    /^$/,
  ],
  [
    "an extra subtask of an imported task",
    `insert into subtasks (parent_task_id) values (${t3})`,
    "extra_row",
    /^$/,
  ],
  [
    "a copied row with another id",
    `insert into subtasks (parent_task_id, id, status, generation) select parent_task_id, gen_random_uuid(), 'pending', generation from subtasks where id = ${s4}`,
    "extra_row",
    /^$/,
  ],
  [
    "a change by the new system",
    updateSubtask("rating = 5, updated_at = now()"),
    "changed",
    /.*/,
    "new_system",
  ],
  [
    "an incremented counter",
    updateTask("subtasks_total = subtasks_total + 1"),
    "derived_changed",
    /column subtasks_total/,
  ],
  [
    "two incremented counters",
    updateTask("subtasks_total = subtasks_total + 2, subtasks_failed = subtasks_failed + 2"),
    "derived_changed",
    /column subtasks_(total|failed)/,
  ],
  [
    "a missing owner",
    updateTask("owner_id = null"),
    "derived_changed",
    /column owner_id/,
  ],
  [
    "another owner",
    updateTask("owner_id = (select u.id from users as u where u.id <> tasks.owner_id limit 1)"),
    "derived_changed",
    /column owner_id/,
  ],
];

const first = (table: string) => `ctid = (select ctid from migration.${table} order by position limit 1)`;

/** Damages of the ledger, after a load of the odd documents. */
export const ledgerDamages: Damage[] = [
  [
    "a missing original",
    `delete from migration.originals where ${first("originals")}`,
    "ledger_changed",
    /original/,
    "ledger",
  ],
  [
    "an original with a flipped bit",
    `update migration.originals set original = set_bit(original, 40, 1 - get_bit(original, 40)) where ${
      first("originals")
    }`,
    "ledger_changed",
    /original/,
    "ledger",
  ],
  [
    "a missing adjustment",
    `delete from migration.adjustments where ${first("adjustments")}`,
    "ledger_changed",
    /adjust/,
    "ledger",
  ],
  [
    "an adjustment with another rule",
    `update migration.adjustments set rule = 'other' where ${first("adjustments")}`,
    "ledger_changed",
    /adjust/,
    "ledger",
  ],
  [
    "an adjustment with another path",
    `update migration.adjustments set path = path || 'x' where ${first("adjustments")}`,
    "ledger_changed",
    /adjust/,
    "ledger",
  ],
  [
    "an additional adjustment",
    `insert into migration.adjustments select fingerprint, collection, range_number, position, row_id, 'more', '' from migration.adjustments where ${
      first("adjustments")
    }`,
    "ledger_changed",
    /adjust/,
    "ledger",
  ],
  [
    "changed bytes in the quarantine",
    "update migration.quarantine set original = 'x' where reason = 'missing_email'",
    "quarantine_changed",
    /^$/,
    "ledger",
  ],
  [
    "a document missing in the quarantine",
    "delete from migration.quarantine where reason = 'missing_email'",
    "quarantine_changed",
    /^$|quarantined/,
    "ledger",
  ],
  [
    "an incremented count of a range",
    "update migration.ranges set exact = exact + 1 where collection = 'users'",
    "ledger_changed",
    /documents/,
    "ledger",
  ],
];
