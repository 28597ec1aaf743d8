import { Answered, type Charge, type Grant, type Limit } from "weir/sdk";
import type { Draw, Drawn } from "../../adapters/redis/draw.ts";
import { leaseClock } from "../../adapters/redis/lease-clock.ts";
import { Leases } from "../../adapters/redis/leases.ts";
import { LeaseModel } from "./lease-model.ts";

/** What a simulated cluster is like. Times are milliseconds. */
export interface Setting {
  readonly limit: Limit;
  readonly hubs: number;
  readonly lengthMs: number;
  readonly aheadMs: number;
  /** How many charges all hubs get in a second, and the most units of one. */
  readonly perSecond: number;
  readonly most: number;
  /** Of a message on its way: how long it takes at most, seldom, and how often it is lost. */
  readonly latencyMs: number;
  readonly lateMs: number;
  readonly lost: number;
  /** How often in a second something happens to a hub: it crashes, is cut off, stands still, or its clock is set. */
  readonly mishaps: number;
  /** How often in a second Redis fails over to a copy that is behind, and by how much at most. */
  readonly failovers: number;
  readonly behindMs: number;
  /** What people grant beyond the limit, once, for a part of the time. Left out: nothing. */
  readonly grant?: { readonly units: number; readonly atMs: number; readonly forMs: number };
  /** Chances between 0 and 1. */
  readonly chance: () => number;
}

/** How it went. */
export interface Outcome {
  readonly admitted: number;
  readonly refused: number;
  /** The most by which admissions were above the limit, in any span of time that ends with an admission. */
  readonly above: number;
  /** Units that Redis had granted and leased and then forgot. */
  readonly forgotten: number;
  /** What happened, for whoever looks for a defect. */
  readonly messages: number;
  readonly crashes: number;
}

const timeoutMs = 50;

interface SimulatedHub {
  leases: Leases;
  alive: boolean;
  cutOffUntil: number;
  frozenUntil: number;
  /** Of its clocks: how fast they run, how long they stood, and by how much the one that can be set was. */
  readonly rate: number;
  slept: number;
  set: number;
  /** Reads its clocks. */
  clock: () => number;
}

/**
 * Runs hubs with the leases of the adapter against the model of its script, on a network that delays, reorders and loses
 * messages, with clocks that differ; judges every admission at the time at which it was decided: where the hub had the
 * units in hand then, else when Redis granted them.
 */
export async function simulate(setting: Setting): Promise<Outcome> {
  const { limit, lengthMs, chance } = setting;
  let now = 0;
  const redisRate = 1 + (chance() - 0.5) * 0.008;
  const redisNow = (): number => Date.UTC(2026, 0, 1) + now * redisRate;
  const model = new LeaseModel(redisNow);
  const judge = createJudge(limit, redisNow);
  const events: { at: number; run: () => void }[] = [];
  const later = (ms: number, run: () => void): void => void events.push({ at: now + ms, run });
  const between = (least: number, most: number): number => least + chance() * (most - least);
  const count = { admitted: 0, refused: 0, messages: 0, crashes: 0 };

  function latency(): number {
    return chance() < 0.03 ? between(0, setting.lateMs) : between(0.1, setting.latencyMs);
  }

  function start(): SimulatedHub {
    const hub: SimulatedHub = {
      leases: undefined as unknown as Leases,
      ...{ alive: true, cutOffUntil: 0, frozenUntil: 0, slept: 0, set: 0 },
      clock: () => 0,
      rate: 1 + (chance() - 0.5) * 0.008,
    };
    const clock = (hub.clock = leaseClock({
      monotonic: () => now * hub.rate - hub.slept,
      now: () => Math.floor(now * hub.rate + hub.set),
    }));
    let numbers = 0;
    const prefix = Math.floor(chance() * 2 ** 30) * 1000;
    /** Grants of Redis that are on their way to whoever asked: they were judged when Redis decided. */
    let granted = 0;
    const draw = (asked: Limit, key: string, message: Draw): Promise<Drawn> =>
      new Promise((resolve, reject) => {
        count.messages++;
        let isOpen = true;
        const whenAwake = (run: () => void): void => later(Math.max(0, hub.frozenUntil - now), run);
        later(timeoutMs, () =>
          whenAwake(() => {
            isOpen = false;
            reject(new Error("timed out"));
          }),
        );
        const passes = (): boolean => chance() >= setting.lost && now >= hub.cutOffUntil;
        if (!passes()) return;
        later(latency(), () => {
          const drawn = model.draw(asked, key, message);
          judge.giveBack(message.back);
          if (drawn.granted > 0) judge.admit(drawn.granted);
          if (!passes()) return;
          later(latency(), () => {
            whenAwake(() => {
              if (!hub.alive || !isOpen) return;
              if (message.needed > 0 && drawn.allowed) granted++;
              resolve(drawn);
            });
          });
        });
      });
    hub.leases = new Leases({
      draw,
      clock,
      nextNumber: () => prefix + ++numbers,
      aheadMs: setting.aheadMs,
      maxKeys: 10,
      answered: new Answered(10_000, 100, () => undefined),
      count: () => undefined,
    });
    Object.assign(hub, {
      charge(charge: Charge): void {
        const grant = hub.leases.take(charge);
        if (grant !== undefined) settle(grant, charge, true);
        else {
          hub.leases.ask(charge).then(
            (answer) => {
              const byRedis = answer.allowed && granted > 0;
              if (byRedis) granted--;
              if (hub.alive) settle(answer, charge, !byRedis);
            },
            () => undefined,
          );
        }
      },
    });
    function settle(grant: Grant, charge: Charge, isLocal: boolean): void {
      if (!grant.allowed) {
        count.refused++;
        return;
      }
      count.admitted += grant.granted;
      if (isLocal) judge.admit(grant.granted);
      if (grant.granted === 0 || chance() >= 0.05) return;
      // Another limit of the same request refuses, at once or when its store has answered.
      const back = { ...charge, amount: grant.granted };
      const giveBack = (): void => {
        if (!hub.alive) return;
        const held = (): number => hub.leases.held().get(limit.id) ?? 0;
        const before = held();
        void hub.leases.putBack([back]).catch(() => undefined);
        const inHand = held() - before;
        // Charges that waited for the same answer were granted before this; the judge hears of them in this turn.
        later(0, () => judge.giveBack(inHand));
      };
      if (chance() < 0.5) giveBack();
      else later(between(0, 100), giveBack);
    }
    return hub;
  }

  const hubs = Array.from({ length: setting.hubs }, start);
  const gap = (): number => -Math.log(1 - chance()) * (1000 / setting.perSecond);
  // Some hubs get most of the traffic, and which do changes.
  let favourite = 0;
  const traffic = (): void => {
    if (chance() < 0.01) favourite = Math.floor(chance() * hubs.length);
    const hub = hubs[chance() < 0.6 ? favourite : Math.floor(chance() * hubs.length)]!;
    if (hub.alive && now >= hub.frozenUntil) {
      const amount = chance() < 0.8 ? 1 : 1 + Math.floor(chance() * setting.most);
      const charge: Charge = { limit, key: "key", amount, bestEffort: chance() < 0.1 };
      (hub as SimulatedHub & { charge(charge: Charge): void }).charge(charge);
    }
    later(gap(), traffic);
  };
  const sweeping = (): void => {
    for (const hub of hubs) if (hub.alive && now >= hub.frozenUntil) hub.leases.sweep();
    later(setting.aheadMs / 2, sweeping);
  };
  const mishap = (): void => {
    const i = Math.floor(chance() * hubs.length);
    const hub = hubs[i]!;
    const kind = Math.floor(chance() * 6);
    if (kind === 0) {
      hub.alive = false;
      count.crashes++;
      later(between(0, 500), () => (hubs[i] = start()));
    } else if (kind === 1) hub.cutOffUntil = now + between(0, 4 * setting.aheadMs);
    else if (kind === 2) hub.frozenUntil = Math.max(hub.frozenUntil, now + between(0, 6 * setting.aheadMs));
    else if (kind === 3 && now >= hub.frozenUntil) {
      // The machine sleeps: one clock stands, the other one knows afterwards.
      const ms = between(0, 6 * setting.aheadMs);
      hub.frozenUntil = now + ms;
      const awake = now * hub.rate;
      later(ms, () => (hub.slept += now * hub.rate - awake));
    } else if (kind === 4 && now >= hub.frozenUntil) {
      // Nobody sets the clock of a machine that sleeps: where both come at once, no clock tells of the sleep.
      hub.clock();
      hub.set += between(-5000, 5000);
    } else if (kind === 5) {
      hub.alive = false;
      void hub.leases.close();
      later(between(0, 200), () => (hubs[i] = start()));
    }
    later(-Math.log(1 - chance()) * (1000 / setting.mishaps), mishap);
  };
  let forgotten = 0;
  const failover = (): void => {
    const copy = model.copy();
    const { issued } = model;
    later(between(0, setting.behindMs), () => {
      model.restore(copy);
      forgotten += model.issued - issued;
      later(-Math.log(1 - chance()) * (1000 / setting.failovers), failover);
    });
  };
  if (setting.failovers > 0) later(between(0, 1000 / setting.failovers), failover);
  const { grant } = setting;
  if (grant !== undefined) later(grant.atMs, () => model.grant(limit, "key", grant.units, redisNow() + grant.forMs));
  traffic();
  sweeping();
  if (setting.mishaps > 0) later(0, mishap);

  while (now < lengthMs) {
    let next = 0;
    for (let i = 1; i < events.length; i++) if (events[i]!.at < events[next]!.at) next = i;
    const [event] = events.splice(next, 1);
    now = Math.max(now, event!.at);
    event!.run();
    for (let i = 0; i < 6; i++) await undefined;
  }
  return { ...count, forgotten, above: judge.above() };
}

interface Judge {
  admit(units: number): void;
  giveBack(units: number): void;
  above(): number;
}

/** Holds admissions against what the algorithm promises, by Redis's clock. */
function createJudge(limit: Limit, clock: () => number): Judge {
  const { algorithm, amount, windowMs, burst } = limit;
  let above = -Infinity;
  if (algorithm === "token-bucket") {
    let level = 0;
    let at = clock();
    const drain = (): void => {
      const now = clock();
      level = Math.max(0, level - ((now - at) * amount) / windowMs);
      at = now;
    };
    return {
      admit(units) {
        drain();
        level += units;
        above = Math.max(above, level - burst);
      },
      giveBack(units) {
        drain();
        level = Math.max(0, level - units);
      },
      above: () => above,
    };
  }
  const admitted: { readonly at: number; units: number }[] = [];
  const since = (now: number): number =>
    algorithm === "sliding-window" ? now - windowMs : Math.floor(now / windowMs) * windowMs;
  return {
    admit(units) {
      const now = clock();
      admitted.push({ at: now, units });
      const from = since(now);
      while (admitted.length > 0 && admitted[0]!.at < from) admitted.shift();
      above = Math.max(above, admitted.reduce((sum, each) => sum + each.units, 0) - amount);
    },
    giveBack(units) {
      const from = since(clock());
      let rest = units;
      for (let i = admitted.length - 1; i >= 0 && rest > 0 && admitted[i]!.at >= from; i--) {
        const part = Math.min(rest, admitted[i]!.units);
        admitted[i]!.units -= part;
        rest -= part;
      }
    },
    above: () => above,
  };
}
