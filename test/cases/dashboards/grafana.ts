/** What of a Grafana dashboard tests look at. */
export interface Dashboard {
  readonly title: string;
  readonly uid: string;
  readonly panels: readonly {
    readonly title: string;
    readonly datasource?: { readonly uid: string };
    readonly targets?: readonly { readonly expr: string }[];
  }[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] };
}

/** The queries of a dashboard, with everything chosen in its variables, and the queries of the variables themselves. */
export function queriesOf({ panels, templating }: Dashboard): string[] {
  const choices = templating.list.slice(1).map(({ query }) => {
    const [, series, label] = /^label_values\((.*), (\w+)\)$/.exec(query)!;
    return `group by (${label}) (${series})`;
  });
  const shown = panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr));
  return [...choices, ...shown].map((query) =>
    query.replaceAll("$__rate_interval", "1m").replaceAll(/\$\{?\w+(:\w+)?\}?/g, ".*"),
  );
}
