/** v1's matrix of a task: the image at each combination of indices. */
import type { Sql } from "../pg/connect.ts";
import { Packer, streamPieces, toBytes, toText } from "../pg/json_stream.ts";
import { isUuid } from "../../uuid.ts";
import { timeText } from "./fields.ts";
import { taskIdJson } from "./task_ids.ts";
import { indicesText, toMatrixKey } from "./indices.ts";
import { notedSubtasks } from "./usual_extra.ts";

type Bytes = Uint8Array | null;

/** The `data` up to its coordinates, and the images by their indices. */
interface Matrix {
  head: Uint8Array;
  /**
   * JSON text of each image URL by the JSON text of its key. A repeated key keeps its first position, as in a
   * Python dict.
   */
  images: Map<string, Uint8Array>;
}

async function readMatrix(sql: Sql, id: string): Promise<Matrix | undefined> {
  let head: Uint8Array | undefined;
  const images = new Map<string, Uint8Array>();
  await sql`
    select
      null,
      concat(
        '{"task_id":', ${sql.unsafe(taskIdJson)}, ',"task_name":', to_json(t.task_name), ',"created_at":"',
        ${sql.unsafe(timeText("t.created_at"))}, '","variables":', t.variables, ',"coordinates_by_indices":{'
      )
    from tasks as t
    where t.id = ${id}
    union all (
      select ${sql.unsafe(indicesText)}, to_json(s.image_url)::text
      from ${sql.unsafe(notedSubtasks)}
      where s.parent_task_id = ${id} and s.status = 'completed' and s.image_url is not null
      order by s.legacy_id
    )`.raw().forEach((row) => {
    const [indices, text] = row as unknown as Bytes[];
    if (head) images.set(toMatrixKey(toText(indices)), text!);
    else head = text!;
  });
  return head && { head, images };
}

async function* matrixPieces({ head, images }: Matrix) {
  const packer = new Packer();
  packer.add(head);
  let before = "";
  for (const [key, address] of images) {
    packer.add(toBytes(`${before}${key}:`));
    packer.add(address);
    before = ",";
    if (packer.isFull) yield* packer.takeFull();
  }
  packer.add(toBytes("}}"));
  yield* await Promise.resolve(packer.take());
}

/**
 * Opens the `data` of `GET /tasks/{id}/matrix` as a stream of JSON text; undefined if no task has the id.
 * Subtasks with the same indices share one entry: the position of the first, the image of the last.
 */
export async function openTaskMatrix(sql: Sql, id: string): Promise<ReadableStream<Uint8Array> | undefined> {
  if (!isUuid(id)) return undefined;
  const matrix = await readMatrix(sql, id);
  return matrix && streamPieces(matrixPieces(matrix));
}
