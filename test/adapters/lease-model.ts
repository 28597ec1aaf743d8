import type { Algorithm, Limit } from "weir/sdk";
import type { Counter } from "../../adapters/memory/counter.ts";
import { calendar, fixedWindow } from "../../adapters/memory/fixed-window.ts";
import { slidingWindow } from "../../adapters/memory/sliding-window.ts";
import { tokenBucket } from "../../adapters/memory/token-bucket.ts";
import type { Draw, Drawn } from "../../adapters/redis/draw.ts";

const counters: Readonly<Record<string, Counter>> = {
  "token-bucket": tokenBucket,
  "sliding-window": slidingWindow,
  "fixed-window": fixedWindow,
  calendar,
} satisfies Partial<Record<Algorithm, Counter>>;

interface Lease {
  readonly id: number;
  leased: number;
  used: number;
  returned: number;
  ends: number;
}

interface Extra {
  readonly units: number;
  readonly until: number;
}

interface Count {
  readonly state: Float64Array;
  leases: Lease[];
  extra?: Extra | undefined;
}

/** What the script of a draw does, in memory: the two are held together by a test. */
export class LeaseModel {
  readonly #now: () => number;
  /** Units granted and leased so far. */
  issued = 0;
  #counts = new Map<string, Count>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** What it holds, for a failover to a copy that is behind. */
  copy(): ReadonlyMap<string, Count> {
    return structuredClone(this.#counts);
  }

  restore(copy: ReadonlyMap<string, Count>): void {
    this.#counts = structuredClone(copy) as Map<string, Count>;
  }

  /** What the script of a grant does. */
  grant({ algorithm }: Limit, key: string, units: number, until: number): void {
    const held = this.#counts.get(key);
    const extra = units > 0 && until > this.#now() ? { units, until } : undefined;
    if (held === undefined && extra === undefined) return;
    const { state = new Float64Array(counters[algorithm]!.width), leases = [] } = held ?? {};
    this.#counts.set(key, { state, leases, extra });
  }

  draw(own: Limit, key: string, draw: Draw): Drawn {
    const now = this.#now();
    const { extra } = this.#counts.get(key) ?? {};
    const added = extra !== undefined && extra.until > now ? extra : undefined;
    const limit = added === undefined ? own : raised(own, added.units);
    const counter = counters[limit.algorithm]!;
    const isWindow = limit.algorithm === "fixed-window" || limit.algorithm === "calendar";
    const held = this.#counts.get(key);
    const state = held === undefined ? new Float64Array(counter.width) : held.state.slice();
    const all = (held?.leases ?? []).map((lease) => ({ ...lease }));
    const over = all.filter(({ ends }) => ends <= now).sort((a, b) => a.ends - b.ends);
    const leases = all.filter(({ ends }) => ends > now);
    for (const lease of over) {
      if (out(lease) === 0 || (isWindow && lease.ends >= state[0]!)) continue;
      counter.available(state, 0, limit, lease.ends);
      counter.take(state, 0, limit, lease.ends, out(lease));
    }
    counter.available(state, 0, limit, now);

    let mine = draw.lease === 0 ? undefined : leases.find(({ id }) => id === draw.lease);
    if (mine !== undefined) {
      if (draw.used > mine.used) {
        counter.take(state, 0, limit, now, draw.used - mine.used);
        mine.used = draw.used;
      }
      mine.returned = Math.max(mine.returned, draw.returned);
    } else if (draw.lease !== 0 && held === undefined && draw.used > draw.usedKnown) {
      counter.take(state, 0, limit, now, draw.used - draw.usedKnown);
    }
    if (draw.back > 0) counter.giveBack(state, 0, limit, now, draw.back);

    const capacity = counter.capacity(limit);
    let outstanding = 0;
    let first = Infinity;
    for (const lease of leases) {
      outstanding += out(lease);
      if (out(lease) > 0) first = Math.min(first, lease.ends);
    }
    let free = counter.available(state, 0, limit, now) - outstanding;
    const whole = (units: number): number => Math.floor(units + capacity * 1e-9);
    const waitFor = (units: number): number =>
      units + outstanding <= capacity
        ? counter.waitMs(state, 0, limit, now, units + outstanding)
        : Math.max(1, Math.ceil(first - now));

    let allowed = true;
    let taken = 0;
    let waitMs = -1;
    if (draw.how === "always") taken = draw.amount;
    else if (draw.needed === 0) taken = 0;
    else if (draw.needed <= free + capacity * 1e-9 && draw.needed <= capacity) taken = draw.amount;
    else if (draw.how === "some" && whole(free) > 0) taken = Math.min(whole(free), draw.amount);
    else {
      allowed = false;
      if (draw.how === "some") waitMs = waitFor(Math.min(1, draw.needed, capacity));
      else if (draw.needed <= capacity) waitMs = waitFor(draw.needed);
    }
    if (taken > 0) {
      counter.take(state, 0, limit, now, taken);
      free -= taken;
    }

    let share = 0;
    if (draw.share > 0 && (mine !== undefined || leases.length < 256)) {
      const holders = leases.length + (mine === undefined ? 1 : 0);
      const most = Math.min(Math.floor(free / (2 * holders)), Math.floor(capacity / 2 - outstanding));
      share = Math.max(0, Math.min(draw.share, most));
      if (share === 0 && allowed) waitMs = waitFor(1);
    }
    const lastsMs = Math.min(draw.lastsMs, (added?.until ?? Infinity) - now);
    const good = isWindow ? Math.min(lastsMs, state[0]! - now) : lastsMs;
    let total = draw.used + draw.returned;
    if (draw.lease !== 0) {
      if (mine === undefined) {
        mine = { id: draw.lease, leased: total + share, used: draw.used, returned: draw.returned, ends: 0 };
        leases.push(mine);
      } else mine.leased += share;
      mine.ends = Math.max(mine.ends, now + good);
      total = mine.leased;
      free -= share;
      outstanding += share;
    }
    this.issued += taken + share;
    const others = outstanding - (mine === undefined ? 0 : out(mine));
    if (taken > 0 || draw.back > 0 || draw.lease !== 0)
      this.#counts.set(key, {
        state: state.slice(),
        leases: leases.filter((lease) => out(lease) > 0),
        extra: added,
      });
    if (outstanding > 0) counter.take(state, 0, limit, now, outstanding);
    return {
      allowed,
      granted: taken,
      free: draw.how === "always" ? whole(free) : Math.max(0, whole(free)),
      resetMs: counter.resetMs(state, 0, limit, now),
      waitMs,
      leased: total,
      goodMs: Math.max(0, Math.floor(good)),
      others: Math.ceil(others),
      extra: added?.units ?? 0,
    };
  }
}

function out({ leased, used, returned }: Lease): number {
  return Math.max(0, leased - used - returned);
}

/** A limit that lets so many units more be taken once; the rate of a bucket stays. */
function raised(limit: Limit, units: number): Limit {
  if (limit.algorithm === "token-bucket") return { ...limit, burst: limit.burst + units };
  return { ...limit, amount: limit.amount + units };
}
