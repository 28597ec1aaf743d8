import { WeirError } from "../util/weir-error.ts";

/** The most limits that one check may name, at every door: each of them is judged by itself. */
const maxQuotas = 128;

/** Throws WEIR_REQUEST_QUOTA when a check names more limits than it may. */
export function checkQuotaCount(quotas: { readonly size: number }): void {
  if (quotas.size > maxQuotas) throw new WeirError("WEIR_REQUEST_QUOTA", `a check names at most ${maxQuotas} quotas`);
}
