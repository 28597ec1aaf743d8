import type { Call, Exported } from "../../sdk/index.ts";
import type { Timers } from "../../util/timers.ts";

/** An adapter's method that exports. */
export type Deliver<T> = (batch: readonly T[], call: Call) => Exported | Promise<Exported>;

/** What became of one offer of a batch. */
export interface Offered {
  readonly delivered: number;
  readonly retry: boolean;
  readonly outcome: "ok" | "fault" | "timeout";
  /** The pause that the adapter asks for. */
  readonly retryAfterMs?: number;
  /** For the log. */
  readonly reason?: unknown;
}

/** Offers a batch once. What is not delivered in time may have arrived; the adapter's call is then aborted. Never rejects. */
export async function offer<T>(
  deliver: Deliver<T>,
  batch: readonly T[],
  controller: AbortController,
  timeoutMs: number,
  timers: Timers,
): Promise<Offered> {
  let cancel = (): void => {};
  const timeout = new Promise<Offered>((resolve) => {
    cancel = timers.after(timeoutMs, () => {
      const reason = `not delivered within ${timeoutMs} ms`;
      resolve({ delivered: 0, retry: true, outcome: "timeout", reason });
      controller.abort(new Error(reason));
    });
  });
  try {
    const answered = Promise.resolve(deliver(batch, { signal: controller.signal })).then((answer) =>
      offeredOf(answer, batch.length),
    );
    return await Promise.race([answered, timeout]);
  } catch (error) {
    return { delivered: 0, retry: true, outcome: "fault", reason: error };
  } finally {
    cancel();
  }
}

/** What an adapter's answer says of a batch. */
function offeredOf(answer: Exported, length: number): Offered {
  if (answer === undefined) return { delivered: length, retry: false, outcome: "ok" };
  const delivered = Math.max(0, Math.min(length, Math.trunc(answer.delivered) || 0));
  if (delivered === length) return { delivered, retry: false, outcome: "ok" };
  const { retry, reason, retryAfterMs } = answer;
  const asked = retryAfterMs !== undefined && retryAfterMs > 0 ? { retryAfterMs } : {};
  return { delivered, retry, outcome: "fault", reason, ...asked };
}
