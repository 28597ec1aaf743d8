import type { Instance, Methods } from "../../sdk/index.ts";

/** An instance that pushes metrics, and tells when they were taken. */
export interface PushingInstance {
  readonly metrics: Methods<never>["metrics"];
  readonly exported: NonNullable<Instance["exported"]>;
  unready?(): string | undefined;
}

/** Whether metrics of an instance are kept by a buffer until it has pushed them. One that is scraped has nobody to tell it. */
export function pushes(instance: {
  readonly metrics?: Methods<never>["metrics"];
  readonly exported?: Instance["exported"];
}): instance is PushingInstance {
  return instance.metrics !== undefined && instance.exported !== undefined;
}
