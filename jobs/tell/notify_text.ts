/** The texts of the notices about a task's submission, end and hold: pure. */

/** The fields of every notice. */
interface NoticeTask {
  taskId: string;
  taskName: string;
  /** E-mail of the task's owner. */
  username: string;
  /** Time of the reported change. */
  at: Date;
}

export interface SubtaskCounts {
  total: number;
  completed: number;
  failed: number;
  cancelled: number;
}

export type EndKind = "completed" | "partial" | "failed";

export type Notice =
  & NoticeTask
  & (
    | { kind: "submitted"; cells: number; imagesExpected: number }
    | { kind: EndKind; counts: SubtaskCounts; tookMs: number }
    | { kind: "held"; counts: SubtaskCounts; reason: string }
  );

/** Returns the kind of notice for an ended task; undefined when its owner cancelled it before any result. */
export function endKindOf({ total, completed, failed, cancelled }: SubtaskCounts): EndKind | undefined {
  if (completed === total) return "completed";
  if (completed > 0) return "partial";
  return failed > 0 && failed + cancelled === total ? "failed" : undefined;
}

const nameLengthMax = 500;

/** Removes line breaks from a name, and disables Feishu's mentions such as `<at user_id="all">`. */
function sanitizeName(name: string): string {
  // deno-lint-ignore no-control-regex
  const line = name.toWellFormed().replace(/[\x00-\x1f\x7f\u2028\u2029]+/g, " ").replace(
    /<(?=\/?at\b)/gi,
    "＜",
  );
  return line.length > nameLengthMax ? `${line.slice(0, nameLengthMax).toWellFormed()}…` : line;
}

/** Formats a time in Beijing time. */
function formatTime(at: Date): string {
  const shifted = new Date(at.getTime() + 8 * 3_600_000).toISOString();
  return `${shifted.slice(0, 10)} ${shifted.slice(11, 19)}`;
}

/**
 * Formats a duration for people.
 *
 * @example
 * ```ts
 * import { formatDuration } from "./notify_text.ts";
 * if (formatDuration(840) !== "0.84秒" || formatDuration(3_725_000) !== "1小时2分5秒") throw new Error();
 * ```
 */
export function formatDuration(ms: number): string {
  if (ms < 60_000) return `${(Math.max(0, ms) / 1000).toFixed(2)}秒`;
  const seconds = Math.round(ms / 1000);
  const hours = Math.floor(seconds / 3600);
  return `${hours > 0 ? `${hours}小时` : ""}${Math.floor(seconds / 60) % 60}分${seconds % 60}秒`;
}

function headOf(title: string, { taskId, taskName, username }: NoticeTask): string[] {
  return [
    title,
    `任务ID: ${taskId}`,
    ...(taskName === "" ? [] : [`任务名称: ${sanitizeName(taskName)}`]),
    ...(username === "" ? [] : [`提交者: ${sanitizeName(username)}`]),
  ];
}

function linesOf(notice: Notice): string[] {
  if (notice.kind === "submitted") {
    return [
      ...headOf("🆕 任务已提交", notice),
      `变量组合数量: ${notice.cells}`,
      `预计图片数量: ${notice.imagesExpected}`,
    ];
  }
  const { total, completed, failed, cancelled } = notice.counts;
  if (notice.kind === "held") {
    const reason = notice.reason === "" ? [] : [`原因: ${sanitizeName(notice.reason)}`];
    const counts = [`成功数: ${completed}/${total}`, `失败数: ${failed}/${total}`];
    return [
      ...headOf("⏸️ 任务已自动暂停", notice),
      ...reason,
      ...counts,
      "",
      "其余子任务不再开始，请检查后恢复或取消任务",
    ];
  }
  const took = `总耗时: ${formatDuration(notice.tookMs)}`;
  const dropped = cancelled > 0 ? [`取消数: ${cancelled}/${total}`] : [];
  if (notice.kind === "completed") {
    const counts = [`完成数: ${completed}/${total}`, took, `生成图片数: ${completed}`];
    return [...headOf("✅ 任务已完成", notice), ...counts, "", "所有任务已成功完成"];
  }
  if (notice.kind === "partial") {
    const counts = [`成功数: ${completed}/${total}`, `失败数: ${failed}/${total}`, ...dropped, took];
    return [...headOf("⚠️ 任务部分完成", notice), ...counts, "", "任务已部分完成，但有部分子任务失败"];
  }
  const counts = [`失败数: ${failed}/${total}`, ...dropped, took, "失败阶段: 任务执行阶段"];
  return [...headOf("❌ 任务失败", notice), ...counts, "", "所有子任务均失败，请检查任务配置和服务状态"];
}

/** Formats a notice as text with lines separated by `\n`. */
export const noticeText = (notice: Notice): string =>
  [...linesOf(notice), "", `时间: ${formatTime(notice.at)}`].join("\n");

/** Formats a notice as a request body in Feishu's text format. */
export const noticeBody = (notice: Notice): string =>
  JSON.stringify({ msg_type: "text", content: { text: noticeText(notice) } });
