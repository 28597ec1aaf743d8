/** Queries of one published dashboard, as `istio.yaml` has them. */
export interface Published {
  readonly dashboard: string;
  readonly variables?: Readonly<Record<string, string>>;
  readonly each: Readonly<Record<string, readonly string[]>>;
  readonly queries: readonly string[];
  /** Queries that nothing answers, at Istio neither. */
  readonly empty?: readonly string[];
}

/** The queries in full, variables filled in. */
export function publishedQueries(dashboards: readonly Published[]): { answered: string[]; empty: string[] } {
  const full = (pick: (one: Published) => readonly string[]) =>
    dashboards.flatMap((one) => pick(one).flatMap((query) => spread(query, one).map((each) => fill(each, one))));
  return { answered: full(({ queries }) => queries), empty: full(({ empty = [] }) => empty) };
}

function spread(query: string, { each }: Published): string[] {
  let queries = [query];
  for (const [name, values] of Object.entries(each))
    queries = queries.flatMap((text) =>
      text.includes(`<${name}>`) ? values.map((value) => text.replaceAll(`<${name}>`, value)) : [text],
    );
  return queries;
}

function fill(query: string, { variables = {} }: Published): string {
  const filled = Object.entries(variables).reduce((text, [name, value]) => text.replaceAll(name, value), query);
  if (/[$<]\w/.test(filled)) throw new Error(`something is not filled in: ${filled}`);
  return filled;
}
