import type { Share, Stake } from "../../../src/sdk/index.ts";

interface Hub {
  readonly name: string;
  demand: number;
  share: { rate: number; burst: number };
  held: { rate: number; burst: number };
  untilMs: number;
}

const turnMs = 60_000;
const floorPart = 1 / 16;
const near = 1.1;

/**
 * What the adapter `redis` does in Redis, once more in this process: for schedules of which there are thousands. A test
 * holds the two together.
 */
export class SharedStore {
  readonly #budgets = new Map<string, { hubs: Map<string, Hub>; expiresMs: number }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  share({ key, budget: { rate, burst }, member, demand, held, ttlMs }: Stake): Share {
    const now = this.#now();
    const before = this.#budgets.get(key);
    const isFresh = before === undefined || before.expiresMs <= now;
    const hubs = isFresh ? new Map<string, Hub>() : before.hubs;
    for (const [name, hub] of hubs) if (hub.untilMs <= now && name !== member) hubs.delete(name);
    const known = hubs.get(member);
    const mine: Hub = known ?? { name: member, demand, share: { rate: 0, burst: 0 }, held, untilMs: 0 };
    mine.demand = demand;
    const all = [...hubs.values()].filter((hub) => hub !== mine).concat(mine);
    all.sort((a, b) => (a.name < b.name ? -1 : 1));
    const others = all.filter((hub) => hub !== mine);
    const free = (of: "rate" | "burst", whole: number): number =>
      others.reduce((left, hub) => left - Math.max(hub.share[of], hub.held[of]), whole);

    const n = all.length;
    const first = Math.floor(now / turnMs) % n;
    const seats = burst < n ? Math.max(1, Math.floor(burst)) : n;
    const seated = all.filter((_, i) => burst >= n || (i - first + n) % n < seats);
    const fair = rate / seats;
    const wants = new Map(
      seated.map((hub) => {
        return [hub, Math.max(hub.demand, hub === mine && known === undefined ? fair : fair * floorPart)];
      }),
    );
    const parts = new Map<Hub, number>();
    let left = rate;
    const inLine = [...seated].sort((a, b) => wants.get(a)! - wants.get(b)! || (a.name < b.name ? -1 : 1));
    for (const [i, hub] of inLine.entries()) {
      const part = Math.min(wants.get(hub)!, left / (inLine.length - i));
      parts.set(hub, part);
      left = Math.max(0, left - part);
    }
    for (const hub of inLine) parts.set(hub, parts.get(hub)! + left / inLine.length);

    const isLacking = seated.some(
      (hub) => hub !== mine && hub.demand > hub.share.rate && parts.get(hub)! > hub.share.rate * near,
    );
    const isSeated = seated.includes(mine);
    let part = parts.get(mine) ?? 0;
    const had = mine.share.rate;
    if (isSeated && known !== undefined && !isLacking && had > 0 && part < had * near && had < part * near) part = had;
    const least = Math.min(1, burst / seats);
    const burstPart = isSeated ? least + (rate > 0 ? (burst - least * seats) * Math.min(1, part / rate) : 0) : 0;
    mine.share = {
      rate: Math.max(0, Math.min(part, free("rate", rate))),
      burst: Math.max(0, Math.min(burstPart, free("burst", burst))),
    };
    mine.held = held;
    mine.untilMs = now + ttlMs;
    hubs.set(member, mine);
    const forMs = ttlMs + (rate > 0 ? (burst * 1000) / rate : 0) + 1000;
    this.#budgets.set(key, { hubs, expiresMs: now + forMs });
    return { ...mine.share, isFresh };
  }
}
