/** “任务”页面的文字。 */
import type { text as en } from "../en/runs.ts";

export const text: typeof en = {
  title: "任务",
  empty: "还没有任务",
  emptyText: "一个任务会为您给出的每一种取值组合生成一张图片。",
};
