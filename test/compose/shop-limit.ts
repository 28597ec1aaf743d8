/** The limit of docker-compose.yml: `60/m, burst 20` for each address. */
export const shopLimit = { rule: "shop/per-address", burst: 20, perSecond: 1 } as const;

/** So many requests at once that some must be refused. */
export const burstSize = 30;
