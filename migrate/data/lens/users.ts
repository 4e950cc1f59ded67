/** The lens of users, which have one generation. */
import { legacyIdOf, uuidOfId } from "../documents/ids.ts";
import { BsonDocument, type BsonValue, ObjectId } from "../documents/tree.ts";
import { describeValue, Draft, type Mapped, type Row, type Template } from "./draft.ts";
import { readers, rebuild } from "./rebuild.ts";

/** Columns that the lens fills, in COPY order. */
export const userColumns = [
  "id",
  "legacy_id",
  "email",
  "hashed_password",
  "fullname",
  "roles",
  "is_active",
  "created_at",
  "updated_at",
  "generation",
  "extra",
] as const;
export type UserColumn = (typeof userColumns)[number];

const fields = [
  "_id",
  "email",
  "hashed_password",
  "fullname",
  "roles",
  "is_active",
  "created_at",
  "updated_at",
] as const;
const template: Template = { fields, columns: new Set(fields) };
const knownRoles = new Set(["admin", "manager", "user", "guest"]);
// An index entry is limited to about 2,700 bytes.
const emailBytesMax = 2000;

function toEmail(draft: Draft): string {
  const email = draft.get("email");
  if (typeof email !== "string") {
    draft.reject("missing_email", "email", `wanted a text, found ${describeValue(email)}`);
    return "";
  }
  const bytes = new TextEncoder().encode(email).length;
  if (bytes > emailBytesMax) {
    draft.reject("too_long", "email", `wanted ${emailBytesMax} bytes or less, found ${bytes}`);
  }
  return draft.text("email", "") ?? "";
}

function toRoles(draft: Draft): string {
  const value = draft.get("roles");
  if (value === undefined) return "{user}";
  if (value === null) {
    draft.adjust("roles_missing", "roles");
    return "{user}";
  }
  const given = Array.isArray(value) ? value : [value];
  const roles = given.filter((role): role is string => typeof role === "string" && knownRoles.has(role));
  if (!Array.isArray(value)) draft.adjust("roles_from_value", "roles");
  else if (roles.length < given.length) draft.adjust("role_unknown", "roles");
  return `{${roles.join()}}`;
}

function toPasswordHash(draft: Draft): string {
  const value = draft.get("hashed_password");
  // An empty hash matches no password, so the user cannot sign in until a password is set.
  if (typeof value !== "string") draft.adjust("password_missing", "hashed_password");
  return typeof value === "string" ? draft.text("hashed_password", "") ?? "" : "";
}

/** Maps a document to a row, whose id is the UUIDv5 of `_id`. */
export function toUserRow(document: BsonDocument): Mapped<UserColumn> {
  const draft = new Draft(document, template);
  const email = toEmail(draft);
  if (draft.rejected) return { rejected: draft.rejected };
  const id = document.get("_id")!;
  if (!(id instanceof ObjectId)) draft.keep("_id");
  const row: Row<UserColumn> = {
    id: uuidOfId("users", id),
    legacy_id: legacyIdOf("users", id),
    email,
    hashed_password: toPasswordHash(draft),
    fullname: draft.text("fullname", null),
    roles: toRoles(draft),
    is_active: draft.flag("is_active", "t"),
    created_at: draft.time("created_at", draft.idTime()),
    updated_at: draft.time("updated_at", draft.idTime()),
    generation: "U",
    extra: null,
  };
  row.extra = draft.extra();
  return { row, adjustments: draft.adjustments };
}

/** Rebuilds the document of a row. */
export function toUserDocument(row: Row<UserColumn>): BsonDocument {
  return rebuild(template, row.extra, (name): BsonValue => {
    switch (name) {
      case "_id":
        return new ObjectId(row.legacy_id ?? "");
      case "roles":
        return row.roles === "{}" ? [] : (row.roles ?? "{}").slice(1, -1).split(",");
      case "is_active":
        return readers.flag(row.is_active);
      case "created_at":
      case "updated_at":
        return readers.time(row[name]);
      default:
        return readers.text(row[name as UserColumn]);
    }
  });
}
