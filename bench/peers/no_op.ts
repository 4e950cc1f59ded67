/** An image API without network and without delay, so that a bench measures the queue alone. */
import type { Http, HttpRequest } from "../../http.ts";

/** Creates an in-process image API whose jobs are done at the first poll. */
export function createNoOpImageApi(onPost: () => void = () => {}): Http {
  let jobs = 0;
  const answer = (text: string) =>
    Promise.resolve({ kind: "answer" as const, status: 200, headers: new Headers(), text });
  return ({ method }: HttpRequest) => {
    if (method === "GET") return answer('{"task_status":"SUCCESS","artifacts":[{"url":"http://i/1.png"}]}');
    onPost();
    jobs++;
    return answer(`"job-${jobs}"`);
  };
}
