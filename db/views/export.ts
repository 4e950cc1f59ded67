/**
 * Cells of a task for an export, with everything that people said about them. They are read in chunks by cell number, so
 * that a slow reader holds no connection.
 */
import type { Sql } from "../pg/connect.ts";
import { maySee, type Viewer } from "../judging/ratings.ts";

export interface ExportHead {
  task_name: string;
  created_at: Date;
  /** JSON text. */
  variables: string;
  subtasks_total: number;
  /** An axis was extended: cell numbers do not follow from the lengths of the axes. */
  has_grown: boolean;
  has_evaluations: boolean;
  has_tags: boolean;
  has_votes: boolean;
  has_favourites: boolean;
}

/** Finds the task fields of an export. */
export async function findExportHead(sql: Sql, taskId: string): Promise<ExportHead | undefined> {
  const [row] = await sql<ExportHead[]>`
    select task_name, created_at, variables::text as variables, subtasks_total, grown is not null as has_grown,
      exists (select from evaluations where task_id = tasks.id) as has_evaluations,
      exists (select from cell_tags where task_id = tasks.id) as has_tags,
      exists (select from votes where task_id = tasks.id) as has_votes,
      exists (select from favourites where task_id = tasks.id) as has_favourites
    from tasks
    where id = ${taskId} and not is_deleted`;
  return row;
}

/** Who reads an export. */
export interface ExportViewer extends Viewer {
  /** Shows the votes of others. */
  seesVotes: boolean;
}

/** A list, since an object for each rating doubles the time of a large export. */
export type ExportRating = [
  version: number,
  rater_id: string,
  stars: number | null,
  skipped: string | null,
  blind: boolean,
  took_ms: number | null,
];

export interface ExportEvaluation {
  version: number;
  author_id: string;
  text: string;
  tags: string[];
}

export interface ExportTag {
  tag: string;
  author_id: string;
}

/** A vote from the view of one of its two cells. */
export interface ExportVote {
  version: number;
  rater_id: string;
  outcome: "better" | "worse" | "tie" | "skip";
  other_cell: number;
  other_version: number;
  blind: boolean;
  took_ms: number | null;
}

export interface ExportCell {
  cell: number;
  variable_indices: (number | null)[] | null;
  status: string;
  version: number;
  image: string | null;
  seed: string | null;
  ratio: string | null;
  /** JSON text. */
  prompts: string | null;
  error: string | null;
  /** Null if the ratings of others are hidden. */
  n: number | null;
  mean: number | null;
  /** Texts on the cell itself; null if those of others are hidden. */
  evaluate: string[] | null;
  /** Of all images of the cell, in order of time; so are evaluations and votes. */
  ratings: ExportRating[] | null;
  evaluations: ExportEvaluation[] | null;
  votes: ExportVote[] | null;
  tags: ExportTag[] | null;
  /** Whether it is a favourite of the viewer. */
  favourite: boolean;
}

const ratingsOf = (sql: Sql, taskId: string, viewer: ExportViewer) =>
  sql`(
    select json_agg(
      json_build_array(r.version, r.rater_id, r.stars, r.skipped, r.blind, r.took_ms)
      order by r.created_at, r.rater_id
    )
    from ratings r
    where r.task_id = ${taskId} and r.subtask_id = s.id and ${maySee(sql, viewer, "r", "rater_id")}
  )`;

const evaluationsOf = (sql: Sql, taskId: string, viewer: ExportViewer) =>
  sql`(
    select json_agg(
      json_build_object('version', e.version, 'author_id', e.author_id, 'text', e.text, 'tags', e.tags)
      order by e.created_at, e.id
    )
    from evaluations e
    where e.task_id = ${taskId} and e.subtask_id = s.id and ${maySee(sql, viewer, "e", "author_id")}
  )`;

const tagsOf = (sql: Sql, taskId: string, viewer: ExportViewer) =>
  sql`(
    select json_agg(json_build_object('tag', t.tag, 'author_id', t.author_id) order by t.tag collate "C")
    from cell_tags t
    where t.task_id = ${taskId} and t.subtask_id = s.id and (o.shown or t.author_id = ${viewer.id})
  )`;

const isFavouriteOf = (sql: Sql, taskId: string, viewer: ExportViewer) =>
  sql`exists (
    select from favourites f
    where f.task_id = ${taskId} and f.subtask_id = s.id and f.user_id = ${viewer.id}
  )`;

/** Selects the votes of the cells in `page`, by cell. Each vote belongs to two cells. */
const votesOfPage = (sql: Sql, taskId: string, viewer: ExportViewer) => {
  const isVisible = viewer.seesVotes ? sql`true` : sql`v.rater_id = ${viewer.id}`;
  return sql`
    select side.id,
      json_agg(
        json_build_object(
          'version', side.version, 'rater_id', v.rater_id, 'outcome', side.outcome, 'other_cell', other.cell,
          'other_version', side.other_version, 'blind', v.blind, 'took_ms', v.took_ms
        )
        order by v.id
      ) as list
    from votes v
    cross join lateral (
      values
        (v.left_id, v.left_version, v.right_id, v.right_version,
          case v.outcome when 'left' then 'better' when 'right' then 'worse' else v.outcome end),
        (v.right_id, v.right_version, v.left_id, v.left_version,
          case v.outcome when 'left' then 'worse' when 'right' then 'better' else v.outcome end)
    ) side (id, version, other_id, other_version, outcome)
    join page on page.id = side.id
    join subtasks other on other.parent_task_id = v.task_id and other.id = side.other_id
    where v.task_id = ${taskId} and ${isVisible}
    group by side.id`;
};

/** Lists the cells after the number `after`, in order, with the feedback that the viewer may see. */
export async function listExportCells(
  sql: Sql,
  { taskId, after, limit, viewer, head }: {
    taskId: string;
    after: number;
    limit: number;
    viewer: ExportViewer;
    head: ExportHead;
  },
): Promise<ExportCell[]> {
  const { id, hidesOthers } = viewer;
  const isShown = hidesOthers
    ? sql`exists (
        select from ratings own
        where own.task_id = ${taskId} and own.subtask_id = s.id and own.version = s.attempt
          and own.rater_id = ${id} and own.stars is not null
      )`
    : sql`true`;
  const nothing = sql`null::json`;
  const evaluations = head.has_evaluations ? evaluationsOf(sql, taskId, viewer) : nothing;
  const tags = head.has_tags ? tagsOf(sql, taskId, viewer) : nothing;
  const favourite = head.has_favourites ? isFavouriteOf(sql, taskId, viewer) : sql`false`;
  const votes = head.has_votes
    ? votesOfPage(sql, taskId, viewer)
    : sql`select null::uuid as id, null::json as list`;
  return await sql<ExportCell[]>`
    with page as materialized (
      select *
      from subtasks
      where parent_task_id = ${taskId} and cell > ${after}::int
      order by cell
      limit ${limit}::int
    ), voted as materialized (${votes})
    select s.cell, s.variable_indices, s.status, s.attempt as version,
      case when s.status = 'completed' then s.image_url end as image, s.seed::text, s.ratio,
      s.prompts::text as prompts,
      s.error, case when o.shown then s.rating_n end as n,
      case when o.shown then coalesce(s.rating_sum::float8 / nullif(s.rating_n, 0), s.rating::float8) end as mean,
      case when o.shown then s.evaluate end as evaluate,
      ${
    ratingsOf(sql, taskId, viewer)
  } as ratings, ${evaluations} as evaluations, voted.list as votes, ${tags} as tags,
      ${favourite} as favourite
    from page s
    cross join lateral (select ${isShown} as shown) o
    left join voted on voted.id = s.id
    order by s.cell`;
}

/** Finds the e-mail addresses of users. Shares and deleted users have none. */
export async function findExportNames(sql: Sql, ids: string[]): Promise<{ id: string; email: string }[]> {
  return await sql<
    { id: string; email: string }[]
  >`select id, email from users where id = any(${ids}::uuid[])`;
}
