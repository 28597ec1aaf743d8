import type { Bag } from "../../attributes/bag.ts";
import { Fault } from "../../attributes/fault.ts";
import type { Layout } from "../../attributes/layout.ts";
import { spanIdOf, traceIdOf, type TraceContext } from "../../attributes/trace-context.ts";
import { TraceReader } from "../../attributes/trace-reader.ts";
import type { Expression } from "../../expression/expression.ts";
import type { SpanRule } from "../../policy/snapshot.ts";
import { spanKinds, type Span, type SpanKind } from "../../sdk/index.ts";
import type { Observer } from "../../util/observer.ts";
import type { TraceIds } from "../../util/trace-ids.ts";
import { inTraceShare } from "../../util/trace-share.ts";
import type { EntrySink } from "../buffer/record-buffer.ts";
import { Condition } from "./condition.ts";
import { shownValue } from "./shown-value.ts";
import { RequestFacts } from "./request-facts.ts";
import { Services } from "./services.ts";
import { conventionalAttributes, endingOf, operationOf, peerOf } from "./span-conventions.ts";
import { SpanRate } from "../../util/span-rate.ts";

/** A rule that makes spans, and where they go. */
export interface PreparedSpan {
  readonly condition: Condition;
  readonly sink: EntrySink<Span>;
  /** The span of a record; `undefined` where sampling leaves it out. Everything is evaluated at once. Never throws. */
  span(bag: Bag, nowMs: number): Span | undefined;
}

/** Where a span stands. */
interface Position {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentId?: string | undefined;
  readonly state?: string | undefined;
}

/**
 * The identifier of the client's side of a span that both sides share. Each side needs one of its own, and the server's
 * must know the client's without having seen it: it is the shared one with some bits turned over.
 */
export function clientSideOf(spanId: string): string {
  const high = (Number.parseInt(spanId.slice(0, 8), 16) ^ 0x5bd1e995) >>> 0;
  return high.toString(16).padStart(8, "0") + spanId.slice(8);
}

export function prepareSpan(
  rule: SpanRule,
  layout: Layout,
  sink: EntrySink<Span>,
  ids: TraceIds,
  observer: Observer,
): PreparedSpan {
  const reader = new TraceReader(layout, rule.formats);
  const requestFacts = new RequestFacts(layout);
  const services = new Services();
  const { sampling } = rule;
  const rate = sampling.perSecond === undefined ? undefined : new SpanRate(sampling.perSecond);

  /** The value of a part of the rule; `undefined` where it is absent or fails. Failures are counted. */
  function read<T>(expression: Expression<T> | undefined, bag: Bag, part: string): T | undefined {
    if (expression === undefined) return undefined;
    const value = expression.evaluate(bag);
    if (!(value instanceof Fault)) return value;
    observer.ruleFault(rule.id, part, "fault");
    return undefined;
  }

  /** An identifier that the rule names; one that is no identifier counts as a fault. */
  function identifier(
    expression: Expression<string> | undefined,
    bag: Bag,
    part: string,
    parse: (text: string) => string | undefined,
  ): string | undefined {
    const text = read(expression, bag, part);
    if (text === undefined) return undefined;
    const id = parse(text);
    if (id === undefined) observer.ruleFault(rule.id, part, "fault");
    return id;
  }

  function kindOf(facts: RequestFacts, bag: Bag): SpanKind {
    const { spanKind } = rule;
    if (typeof spanKind === "string") return spanKind;
    if (spanKind !== undefined) {
      const text = read(spanKind, bag, "spanKind");
      const kind = spanKinds.find((each) => each === text);
      if (kind !== undefined) return kind;
      if (text !== undefined) observer.ruleFault(rule.id, "spanKind", "fault");
    }
    const isOutbound = facts.is("context.reporter.kind", "outbound") || facts.is("context.reporter.local", false);
    return isOutbound && !facts.is("context.reporter.kind", "inbound") ? "client" : "server";
  }

  function isSampled(traceId: string, context: TraceContext | undefined): boolean {
    if (sampling.follow && context?.sampled !== undefined) return context.sampled;
    return inTraceShare(traceId, sampling.ratio);
  }

  function positionIn(traceId: string, kind: SpanKind, context: TraceContext | undefined, bag: Bag): Position {
    const known = context?.ids?.trace === traceId ? context.ids : undefined;
    let spanId: string | undefined;
    let parentId = known?.span;
    if (rule.ids === "shared" && known !== undefined) {
      const client = clientSideOf(known.span);
      spanId = kind === "client" ? client : known.span;
      parentId = kind === "client" ? known.parent : client;
    }
    if (rule.spanId !== undefined) spanId = identifier(rule.spanId, bag, "id", spanIdOf);
    if (rule.parent !== undefined) parentId = identifier(rule.parent, bag, "parent", spanIdOf);
    spanId ??= ids.span();
    return {
      traceId,
      spanId,
      // What is above itself would be a circle.
      parentId: parentId === spanId ? undefined : parentId,
      state: known === undefined ? undefined : context?.state,
    };
  }

  function timesOf(facts: RequestFacts, bag: Bag, nowMs: number): { startMs: number; endMs: number } {
    const durationMs = facts.durationMs("response.duration") ?? facts.durationMs("connection.duration");
    let startMs = read(rule.start, bag, "start")?.ms ?? facts.timeMs("request.time");
    let endMs = read(rule.end, bag, "end")?.ms;
    if (endMs === undefined && startMs !== undefined && durationMs !== undefined) endMs = startMs + durationMs;
    endMs ??=
      facts.timeMs("response.time") ?? (startMs === undefined ? facts.timeMs("context.time") : undefined) ?? nowMs;
    startMs ??= endMs - (durationMs ?? 0);
    return { startMs, endMs: Math.max(startMs, endMs) };
  }

  return {
    condition: new Condition([rule], observer),
    sink,
    span(bag, nowMs) {
      const facts = requestFacts.of(bag);
      // A connection is one span, when it is over.
      if (facts.is("connection.event", "open") || facts.is("connection.event", "continue")) return undefined;
      const context = reader.read(bag);
      let traceId = rule.trace === undefined ? context?.ids?.trace : identifier(rule.trace, bag, "trace", traceIdOf);
      if (traceId === undefined && !rule.root) return undefined;
      traceId ??= ids.trace();
      if (!isSampled(traceId, context)) return undefined;
      if (rate?.take(nowMs) === false) {
        observer.dropped("span", "rate", 1);
        return undefined;
      }
      const kind = kindOf(facts, bag);
      const { spanId, parentId, state } = positionIn(traceId, kind, context, bag);
      const peer = peerOf(facts, kind);
      const ending = endingOf(facts, kind);
      const failed = rule.failed === undefined ? ending.failed : read(rule.failed, bag, "failed") === true;
      const attributes = conventionalAttributes(facts, kind, ending, peer);
      for (const { name, value, masked } of rule.attributes) {
        const found = read(value, bag, "attribute");
        if (name === "__proto__") continue;
        if (found !== undefined) attributes[name] = shownValue(found, masked === true, rule.reveal);
        else if (name in attributes) delete attributes[name];
      }
      const { startMs, endMs } = timesOf(facts, bag, nowMs);
      const made: { -readonly [K in keyof Span]: Span[K] } = {
        traceId,
        spanId,
        name: read(rule.operation, bag, "operation") || operationOf(facts) || rule.span,
        kind,
        startMs,
        endMs,
        failed,
        service: services.of(facts, kind, read(rule.service, bag, "service")),
        peer,
        attributes,
      };
      if (parentId !== undefined) made.parentId = parentId;
      if (state !== undefined) made.traceState = state;
      if (failed && ending.message !== undefined) made.message = ending.message;
      return made;
    },
  };
}
