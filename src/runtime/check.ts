import type { Bag } from "../attributes/bag.ts";
import { completionOf } from "../attributes/derived.ts";
import { Fault } from "../attributes/fault.ts";
import { hasEncodedSlash } from "../attributes/url-path.ts";
import { matches } from "./applies.ts";
import type { Applies } from "./applies.ts";
import { nested } from "./call-trace.ts";
import type { Tracer } from "./decision-trace.ts";
import type { Asked, Decision } from "./decision.ts";
import { applyHeaders, judgeAsk, judgeDeny, noteHeaders } from "./judge-rule.ts";
import { charge, limitStates, wishNamed, wishUnnamed } from "./limits/judge-limits.ts";
import { limitNames } from "./limits/limit-names.ts";
import { Judgement } from "./judgement.ts";
import type { CheckContext } from "./judgement.ts";
import { codes, messageOf, sortRefusals } from "./refusal.ts";
import { conditionWidth } from "./rules/condition-table.ts";
import { RuleIndex } from "./rules/rule-index.ts";
import { RuleTable, traits } from "./rules/rule-table.ts";

/** Judges requests by the rules of one snapshot. Never throws, never rejects; a promise only where an adapter gave one. */
export type Check = (bag: Bag, asked: Asked) => Decision | Promise<Decision>;

const nothing: readonly never[] = [];
// What a module has for itself is a constant to V8, what it imports is read each time.
const { when: hasWhen, unless: hasUnless, certain: isCertain, matched: isMatched, distanceShift } = traits;
const { kind: kindBits, deny: isDeny, headers: isHeaders, limit: isLimit, usual: isUsual, newPolicy } = traits;
const width = conditionWidth;
const ambiguousPath = "the path has an encoded slash or a backslash, or can be read in several ways";
const noQuotas: Decision["quotas"] = new Map();

/** Prepares a snapshot's check rules. */
export function createCheck(context: CheckContext): Check {
  const { snapshot, observer, log, nextId, monotonic } = context;
  const { use } = context;
  const index = new RuleIndex(
    snapshot.checks.filter((rule) => rule.kind !== "limit" || rule.at === "check"),
    snapshot.layout,
  );
  const table = new RuleTable(snapshot, context.tables, index);
  const names = limitNames(table.rules);
  use.countTogether(table.certain(index.lists));

  const complete = completionOf(snapshot.layout, context.produce);
  const mayHideSlash = snapshot.settings.doors.encodedSlash === "keep";

  const { tracer } = context;
  return tracer === undefined ? check : (bag, asked) => traced(check, tracer, bag, asked);

  function check(bag: Bag, asked: Asked): Decision | Promise<Decision> {
    try {
      complete?.(bag);
      if (!mayHideSlash && hidesSlash(bag)) return refused(bag, codes.invalidArgument, ambiguousPath);
      const judgement = new Judgement(context, bag, asked);
      const asking = judgeRules(judgement);
      const decision = asking === undefined ? proceed(judgement) : afterAsks(judgement, asking);
      return decision instanceof Promise ? decision.catch((error: unknown) => broken(bag, error)) : decision;
    } catch (error) {
      return broken(bag, error);
    }
  }

  /** Judges denies and asks, and notes which headers and limits may follow. */
  function judgeRules(judgement: Judgement): Promise<unknown> | undefined {
    const { bag } = judgement;
    const lists = index.find(bag);
    table.begin();
    for (let i = 0; i < lists; i++) judgeList(judgement, index.found[i]!, index.metFault);
    if (judgement.tookUsualPart) judgement.validity.takePart(undefined);
    if (lists > 1) judgement.sortByRules();
    if (judgement.asks === undefined) return undefined;
    // Adapters are called when all rules were looked at: whatever they do, no list of the table is open then.
    let asking: Promise<void>[] | undefined;
    for (const { prepared, applies } of judgement.asks) {
      const pending = judgeAsk(judgement, prepared, applies);
      if (pending !== undefined) (asking ??= []).push(pending);
    }
    return asking === undefined ? undefined : Promise.all(asking);
  }

  /** Judges the rules of one list of the index. */
  function judgeList(judgement: Judgement, list: number, metFault: boolean): void {
    const { bag } = judgement;
    const { rules, numbers } = table;
    let matched: Applies = true;
    if (!metFault) use.together[list]!++;
    let at = table.open(list);
    const { first, end } = table;
    while (at < end) {
      const what = numbers[at]!;
      const ordinal = first + (what >>> distanceShift);
      const when = at + 1;
      const unless = (what & hasWhen) === 0 ? when : when + width;
      at = (what & hasUnless) === 0 ? unless : unless + width;
      const kind = what & kindBits;
      if (kind === isLimit) {
        (judgement.limits ??= []).push(rules[ordinal]!);
        continue;
      }
      // Rules of a policy follow each other, so its `match` is evaluated once.
      if ((what & newPolicy) !== 0) matched = ((what & isMatched) !== 0 && !metFault) || matches(rules[ordinal]!, bag);
      if (matched === false) continue;
      const answer = table.applies(matched, what, ordinal, when, bag);
      if (answer === false) continue;
      if (metFault || (what & isCertain) === 0) use.applied[ordinal]!++;
      if (kind === isDeny) {
        if ((what & isUsual) !== 0) judgement.tookUsualPart = true;
        else judgement.takePart(rules[ordinal]!);
        const excuse = (what & hasUnless) === 0 ? false : table.unless(unless, bag);
        if (excuse !== true || answer !== true) judgeDeny(judgement, rules[ordinal]!, answer, excuse);
      } else if (kind === isHeaders) noteHeaders(judgement, rules[ordinal]!, answer);
      else (judgement.asks ??= []).push({ prepared: rules[ordinal]!, applies: answer });
    }
  }

  async function afterAsks(judgement: Judgement, asking: Promise<unknown>): Promise<Decision> {
    const start = monotonic();
    await asking;
    judgement.asksMs = monotonic() - start;
    return proceed(judgement);
  }

  /** Headers and limits: only for a request that no deny and no ask refuses. */
  function proceed(judgement: Judgement): Decision | Promise<Decision> {
    const { bag } = judgement;
    if (judgement.refusals === undefined) {
      applyHeaders(judgement);
      if (judgement.before === undefined) {
        // Whether a limit applies has a say in the answer: what was read for that belongs to it.
        for (const limit of judgement.limits ?? nothing) wishUnnamed(judgement, limit);
        judgement.reads = bag.reads();
      } else {
        judgement.reads = bag.reads();
        wishNamed(judgement, names);
        bag.restoreReads(judgement.reads);
      }
      const { wishes } = judgement;
      // A limit whose cost cannot be computed refuses by itself.
      if (judgement.refusals === undefined && wishes !== undefined) {
        judgement.chargeStart = monotonic();
        const charged = charge(judgement, wishes);
        if (charged instanceof Promise) return charged.then(() => decide(judgement, true));
        return decide(judgement, true);
      }
    }
    return decide(judgement, false);
  }

  function decide(judgement: Judgement, charged: boolean): Decision {
    const { refusals, observed, validity, wishes } = judgement;
    if (refusals !== undefined) sortRefusals(refusals);
    observed?.sort((a, b) => a.ordinal - b.ordinal);
    const first = refusals?.[0];
    const allowed = first === undefined;
    const decision: { -readonly [K in keyof Decision]: Decision[K] } = {
      id: judgement.id,
      version: snapshot.version,
      allowed,
      code: allowed ? codes.ok : first.code,
      message: refusals === undefined ? "" : messageOf(refusals),
      rules: refusals?.map(({ rule }) => rule.id) ?? nothing,
      observed: observed?.map((rule) => rule.id) ?? nothing,
      requestHeaders: allowed ? judgement.requestHeaders : nothing,
      responseHeaders: allowed ? judgement.responseHeaders : nothing,
      quotas: judgement.quotas ?? noQuotas,
      limits: charged && wishes !== undefined ? limitStates(wishes) : nothing,
      validForMs: validity.ms,
      validUses: validity.uses,
      reads: judgement.reads ?? judgement.bag.reads(),
    };
    const end = monotonic();
    const { start, asksMs, chargeStart } = judgement;
    observer.decision(allowed, end - start, asksMs, chargeStart === undefined ? undefined : end - chargeStart);
    if (allowed && judgement.query !== undefined) decision.query = judgement.query;
    return first?.rule.http === undefined ? decision : { ...decision, http: first.rule.http };
  }

  /** What is answered when something in here is wrong. Never a pass. */
  function broken(bag: Bag, error: unknown): Decision {
    log.error({ code: "WEIR_INTERNAL", err: error }, "a request could not be judged");
    return refused(bag, codes.unavailable, "the request could not be judged");
  }

  /** The refusal of a request that no rule is asked about; not to be kept. */
  function refused(bag: Bag, code: number, message: string): Decision {
    observer.decision(false, 0);
    return {
      id: nextId(),
      version: snapshot.version,
      allowed: false,
      code,
      message,
      rules: nothing,
      observed: nothing,
      requestHeaders: nothing,
      responseHeaders: nothing,
      quotas: noQuotas,
      limits: nothing,
      validForMs: 0,
      validUses: 0,
      reads: bag.reads(),
    };
  }
}

/** Judges a request, and tells of it where it is to be traced. */
function traced(check: Check, tracer: Tracer, bag: Bag, asked: Asked): Decision | Promise<Decision> {
  const trace = tracer.begin(asked.carrier, bag);
  if (trace === undefined) return check(bag, asked);
  const ended = (decision: Decision): Decision => {
    trace.end("check", decision);
    return decision;
  };
  const decision = check(bag, { ...asked, trace: nested(asked.trace, trace) });
  return decision instanceof Promise ? decision.then(ended) : ended(decision);
}

/** Whether the path has an encoded slash or a backslash, or is one that services read in different ways. */
function hidesSlash(bag: Bag): boolean {
  const slot = bag.layout.find("request.url_path");
  const path = slot === undefined ? undefined : bag.get(slot);
  return path instanceof Fault || (typeof path === "string" && hasEncodedSlash(path));
}
