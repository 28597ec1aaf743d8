import { setImmediate } from "node:timers/promises";
import type { Log } from "../../src/sdk/index.ts";
import type { Observer } from "../../src/util/observer.ts";
import type { Timers } from "../../src/util/timers.ts";

/** A clock that moves when told, and the timers on it. */
export class FakeClock implements Timers {
  #now = 1_000_000;
  #timers: { readonly at: number; readonly job: () => void }[] = [];

  readonly now = (): number => this.#now;

  after(ms: number, job: () => void): () => void {
    const timer = { at: this.#now + ms, job };
    this.#timers.push(timer);
    return () => {
      this.#timers = this.#timers.filter((other) => other !== timer);
    };
  }

  /** How many timers are set. */
  get pending(): number {
    return this.#timers.length;
  }

  /** Moves time on, timer by timer; what a timer started is let run before the next. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (;;) {
      await setImmediate();
      const next = this.#timers.reduce((a, b) => (b.at < a.at ? b : a), this.#timers[0]!);
      if (next === undefined || next.at > end) break;
      this.#timers = this.#timers.filter((other) => other !== next);
      this.#now = Math.max(this.#now, next.at);
      next.job();
    }
    this.#now = end;
  }
}

/** An observer that remembers what it was told, one line each, without times. */
export class FakeObserver implements Observer {
  readonly told: string[] = [];

  call(door: string, method: string, code: string): void {
    this.told.push(`call ${door} ${method} ${code}`);
  }
  decision(allowed: boolean): void {
    this.told.push(`decision ${allowed}`);
  }
  refusal(rule: string, mode: string): void {
    this.told.push(`refusal ${rule} ${mode}`);
  }
  ruleFault(rule: string, part: string, kind: string): void {
    this.told.push(`${kind} ${rule} ${part}`);
  }
  limitDegraded(rule: string, reason: string): void {
    this.told.push(`degraded ${rule} ${reason}`);
  }
  adapterCall(adapter: string, capability: string, outcome: string): void {
    this.told.push(`adapter ${adapter} ${capability} ${outcome}`);
  }
  quotaUse(): void {}
  adapterEvent(adapter: string, event: string, by: number): void {
    this.told.push(`event ${adapter} ${event} ${by}`);
  }
  dropped(what: string, reason: string, by: number): void {
    this.told.push(`dropped ${what} ${reason} ${by}`);
  }
  callerRefused(at: string, reason: string): void {
    this.told.push(`caller refused ${at} ${reason}`);
  }
  reload(ok: boolean, version: string): void {
    this.told.push(`reload ${ok} ${version}`);
  }

  /** What was told since the last time. */
  take(): string[] {
    return this.told.splice(0);
  }
}

/** A log that remembers its lines. */
export function fakeLog(): Log & { readonly lines: string[] } {
  const lines: string[] = [];
  const at = (level: string) => (_: object, message: string) => void lines.push(`${level}: ${message}`);
  return { lines, debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
