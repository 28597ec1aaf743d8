/** How often something was asked of a cache and there, or not there. */
export interface CacheCounts {
  readonly hits: number;
  readonly misses: number;
}
